// Start: read the data, build the sections, listen to keys.

function start() {
  const model = readModel(JSON.parse(byId("data").textContent));
  const clock = new Clock(model.base);
  const places = new Places(model.files);
  const openHash = (kind) => (row) => {
    const hash = `#${kind}=${encodeURIComponent(row.id)}`;
    if (location.hash === hash) detail.follow();
    else location.hash = hash;
  };
  const detail = new Detail(model, clock, places);
  let end = model.end;
  for (const call of model.calls) end = Math.max(end, call.end);
  const axis = new Axis(0, end);
  const grids = [];
  if (model.images.length) {
    const activity = activityView(model, axis);
    if (activity) byId("images-app").append(activity);
    grids.push(imagesSection(model, axis, openHash("image")));
  }
  if (model.calls.length) grids.push(callsSection(model, clock, places, openHash("call")));
  byId("tools").append(clockChoice(clock, () => { for (const grid of grids) grid.refresh(); if (byId("detail").open) detail.follow(); }), themeButton());
  for (const frames of document.querySelectorAll("[data-frames]")) {
    const numbers = frames.dataset.frames.split(",").map(Number);
    const filters = places.filters(numbers);
    if (filters.length === 1) frames.append(" ", copyButton("Copy filter", () => filters[0].text));
  }
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || byId("detail").open) return;
    if (event.target.closest("input, select, textarea")) return;
    const search = byId("image-search") || byId("call-search");
    if (search) { event.preventDefault(); search.focus(); search.select(); }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && event.target.matches("input[type=search]")) {
      event.target.value = "";
      event.target.dispatchEvent(new Event("input"));
      event.target.blur();
    }
  });
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("main details:not([open])")) { details.open = true; details.dataset.printed = "1"; }
  });
  addEventListener("afterprint", () => {
    for (const details of document.querySelectorAll("details[data-printed]")) { details.open = false; delete details.dataset.printed; }
  });
  detail.follow();
  document.documentElement.dataset.ready = "yes";
}

try {
  start();
} catch (error) {
  const failure = byId("failure");
  failure.hidden = false;
  failure.textContent = `This browser could not draw the page (${error.message}). What is written above is complete; a browser of 2022 or newer draws the rest.`;
  throw error;
}
