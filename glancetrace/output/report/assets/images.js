// The images: search, filter by status, sort, and the timelines of all of them on one axis.

function imagesSection(model, axis, open) {
  const ruler = svg("svg", { class: "ruler", "aria-hidden": "true" });
  const drawings = new Map();
  const height = () => (narrow.matches ? 68 : 40);
  const barHeight = () => (narrow.matches ? 26 : 40);
  const width = () => ruler.getBoundingClientRect().width || 400;
  const timeline = (image) => {
    const drawing = svg("svg", { class: "bars", role: "img", "aria-label": image.intervals.slice(0, 8).map((i) => `${i.status} ${formatDuration(i.end - i.ts)}`).join(", ") });
    drawings.set(drawing, image);
    return drawing;
  };
  const columns = [
    { key: "name", label: "Image", class: "c-name", sort: (i) => i.label.toLowerCase(),
      cell: (i) => [el("span", { class: "name" }, bdi(i.label)), el("span", { class: "sub" }, i.id.length === 36 ? i.id.slice(0, 8) : bdi(i.id))] },
    { key: "status", label: "Status", class: "c-status", sort: (i) => STATUSES.indexOf(i.status), cell: (i) => statusPill(i.status) },
    { key: "size", label: "Size", class: "c-size", num: true, sort: (i) => i.size, cell: (i) => formatBytes(i.size) },
    { key: "ready", label: "To active", class: "c-ready", num: true, title: "From creation to active", sort: (i) => i.readyAfter, cell: (i) => formatDuration(i.readyAfter) },
    { key: "calls", label: "Calls", class: "c-calls", num: true, sort: (i) => i.calls.length,
      cell: (i) => [String(i.calls.length), i.failures ? el("span", { class: "bad", title: "refused or failed" }, ` ${i.failures}✕`) : null] },
    { key: "time", label: "Timeline", class: "c-time", sort: (i) => i.firstTs, head: () => ruler, cell: timeline },
  ];
  const grid = new Grid({
    label: "Images and their timelines", key: "image", columns, rows: model.images, rowHeight: height, open,
    sort: { key: "time", down: false }, empty: "No image matches.", onKey: (event) => axisKey(axis, event),
  });
  const draw = () => {
    const w = width();
    drawRuler(ruler, axis, w);
    for (const [drawing, image] of drawings) {
      if (!drawing.isConnected) { drawings.delete(drawing); continue; }
      if (drawing.dataset.at !== `${axis.from} ${axis.to} ${w}`) {
        drawing.dataset.at = `${axis.from} ${axis.to} ${w}`;
        drawStatuses(drawing, image, axis, w, barHeight());
      }
    }
  };
  grid.painted = draw;
  axis.onChange(perFrame(draw));
  narrow.addEventListener("change", () => grid.refresh());
  makeZoomable(grid.element, axis, () => ruler.getBoundingClientRect());

  const wanted = { text: "", statuses: new Set() };
  const count = el("span", { class: "note", id: "image-count" });
  const apply = () => {
    const words = wanted.text.toLowerCase().split(/\s+/).filter(Boolean);
    grid.filter((image) => (!wanted.statuses.size || wanted.statuses.has(image.status)) &&
      words.every((word) => `${image.label} ${image.id} ${image.status} ${image.checksum || ""}`.toLowerCase().includes(word)));
    count.textContent = grid.shown.length === model.images.length ? plural(model.images.length, "image")
      : `${formatCount(grid.shown.length)} of ${plural(model.images.length, "image")}`;
    announce(count.textContent);
  };
  const search = el("input", { type: "search", id: "image-search", placeholder: "Search name, id, checksum", "aria-label": "Search images", autocomplete: "off",
    spellcheck: "false", oninput: () => { wanted.text = search.value; apply(); } });
  search.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") { event.preventDefault(); grid.element.focus(); }
  });
  const chips = [...groupBy(model.images, (image) => image.status)].sort((a, b) => STATUSES.indexOf(a[0]) - STATUSES.indexOf(b[0])).map(([status, of]) => {
    const chip = el("button", { type: "button", class: "chip", "aria-pressed": "false", "data-status": status }, statusPill(status), el("span", { class: "count" }, of.length));
    chip.addEventListener("click", () => {
      const on = !wanted.statuses.delete(status);
      if (on) wanted.statuses.add(status);
      chip.setAttribute("aria-pressed", String(on));
      apply();
    });
    return chip;
  });
  const left = model.totals.images - model.images.length;
  byId("images-app").append(
    el("div", { class: "bar" }, el("label", { class: "search" }, search, el("kbd", { "aria-hidden": "true" }, "/")), el("div", { class: "chips", role: "group", "aria-label": "Filter by status" }, chips), zoomButtons(axis)),
    grid.element,
    el("p", { class: "below" }, count, left > 0 ? ` · ${formatCount(left)} more are not in this page: glancetrace analyze lists them` : null,
      el("span", { class: "hint" }, "Drag to pan, Ctrl and wheel to zoom, a click for the whole story")));
  apply();
  byId("live").textContent = "";
  return grid;
}
