// The API calls: search, filter, sort.

const codeBadge = (call) =>
  el("span", { class: `code ${call.code === null ? "none" : `c${Math.floor(call.code / 100)}`}` }, call.code === null ? "none" : call.code);

function callsSection(model, clock, places, open) {
  const longest = model.calls.reduce((most, call) => Math.max(most, call.dur || 0), 1);
  const meter = (call) => svg("svg", { class: "meter", viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { width: 100 * Math.sqrt((call.dur || 0) / longest), height: 4, class: call.failed ? "failed" : "" }));
  const imageName = (call) => { const image = model.imageById.get(call.imageId); return image ? image.label : call.imageId || ""; };
  const columns = [
    { key: "id", label: "#", num: true, class: "k-id", title: "Sort by number", sort: (c) => c.id, cell: (c) => c.id },
    { key: "ts", label: "Time", class: "k-time", sort: (c) => c.ts, cell: (c) => el("time", null, clock.time(c.ts)) },
    { key: "code", label: "Status", class: "k-code", sort: (c) => c.code, cell: codeBadge },
    { key: "operation", label: "Operation", class: "k-op", sort: (c) => c.operation,
      cell: (c) => [el("span", { class: "name" }, c.operation), el("span", { class: "sub" }, bdi(`${c.method} ${c.target}`))] },
    { key: "image", label: "Image", class: "k-image", sort: (c) => imageName(c).toLowerCase(), cell: (c) => bdi(imageName(c)) },
    { key: "dur", label: "Duration", num: true, class: "k-dur", sort: (c) => c.dur, cell: (c) => [formatDuration(c.dur), meter(c)] },
    { key: "sql", label: "SQL", num: true, class: "k-sql", sort: (c) => c.sqlCount, cell: (c) => c.sqlCount || "" },
    { key: "frames", label: "Frames", class: "k-frames", num: true, sort: (c) => c.firstFrame, cell: (c) => places.frame(c.firstFrame) },
  ];
  const grid = new Grid({
    label: "API calls", key: "call", columns, rows: model.calls, rowHeight: () => (narrow.matches ? 62 : 44), open,
    sort: { key: "ts", down: false }, empty: "No call matches.",
  });
  narrow.addEventListener("change", () => grid.refresh());
  const wanted = { text: "", service: "", failed: false };
  const count = el("span", { class: "note", id: "call-count" });
  const apply = () => {
    const words = wanted.text.toLowerCase().split(/\s+/).filter(Boolean);
    grid.filter((call) => (!wanted.failed || call.failed) && (!wanted.service || call.service === wanted.service) &&
      words.every((word) => `#${call.id} ${call.operation} ${call.method} ${call.target} ${call.code} ${call.requestId || ""} ${call.client} ${imageName(call)}`.toLowerCase().includes(word)));
    count.textContent = grid.shown.length === model.calls.length ? plural(model.calls.length, "call")
      : `${formatCount(grid.shown.length)} of ${plural(model.calls.length, "call")}`;
    announce(count.textContent);
  };
  const search = el("input", { type: "search", id: "call-search", placeholder: "Search operation, path, request id, client", "aria-label": "Search API calls",
    autocomplete: "off", spellcheck: "false", oninput: () => { wanted.text = search.value; apply(); } });
  const failed = el("button", { type: "button", class: "chip", "aria-pressed": "false", onclick: () => {
    wanted.failed = !wanted.failed;
    failed.setAttribute("aria-pressed", String(wanted.failed));
    apply();
  } }, "Refused or failed", el("span", { class: "count" }, model.calls.filter((call) => call.failed).length));
  const chips = [...groupBy(model.calls, (call) => call.service)].map(([service, of]) => {
    const chip = el("button", { type: "button", class: "chip", "aria-pressed": "false" }, service, el("span", { class: "count" }, of.length));
    chip.addEventListener("click", () => {
      wanted.service = wanted.service === service ? "" : service;
      for (const other of chips) other.setAttribute("aria-pressed", String(other === chip && wanted.service !== ""));
      apply();
    });
    return chip;
  });
  const left = model.totals.calls - model.calls.length;
  const statements = model.totals.statements - model.statements.count;
  byId("calls-app").append(
    el("div", { class: "bar" }, el("label", { class: "search" }, search), el("div", { class: "chips", role: "group", "aria-label": "Filter calls" }, failed, chips.length > 1 ? chips : null)),
    grid.element,
    el("p", { class: "below" }, count, left > 0 ? ` · ${formatCount(left)} more are not in this page: glancetrace calls lists them` : null,
      statements > 0 ? el("span", { class: "note" }, ` · ${formatCount(model.statements.count)} of ${plural(model.totals.statements, "SQL statement")} in this page, those of its calls and images; glancetrace sql lists all`) : null));
  apply();
  byId("live").textContent = "";
  return grid;
}
