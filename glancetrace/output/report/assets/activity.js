// How busy it was: calls under way over time. Dragging over it chooses the span that the timelines show.

function activityView(model, axis) {
  if (!model.calls.length) return null;
  const bins = 160, step = (axis.end - axis.start) / bins;
  const good = new Array(bins).fill(0), bad = new Array(bins).fill(0);
  for (const call of model.calls) {
    if (call.parent) continue;
    const from = Math.max(0, Math.min(bins - 1, Math.floor((call.ts - axis.start) / step)));
    const to = Math.max(from, Math.min(bins - 1, Math.floor((call.end - axis.start) / step)));
    const counts = call.failed ? bad : good;
    for (let bin = from; bin <= to; bin++) counts[bin]++;
  }
  const most = Math.max(1, ...good.map((count, bin) => count + bad[bin]));
  const drawing = svg("svg", { class: "activity", viewBox: `0 0 ${bins} 40`, preserveAspectRatio: "none", "aria-hidden": "true" });
  for (let bin = 0; bin < bins; bin++) {
    const whole = (38 * (good[bin] + bad[bin])) / most, failed = (38 * bad[bin]) / most;
    if (whole) drawing.append(svg("rect", { x: bin, y: 40 - whole, width: 0.86, height: whole, class: "act" }));
    if (failed) drawing.append(svg("rect", { x: bin, y: 40 - failed, width: 0.86, height: failed, class: "act-bad" }));
  }
  const window_ = svg("rect", { class: "window", y: 0, height: 40, x: 0, width: bins });
  drawing.append(window_);
  const mark = () => {
    window_.setAttribute("x", (bins * (axis.from - axis.start)) / (axis.end - axis.start));
    window_.setAttribute("width", (bins * (axis.to - axis.from)) / (axis.end - axis.start));
    window_.classList.toggle("zoomed", axis.zoomed);
  };
  axis.onChange(mark);
  let start = null;
  const timeAt = (event) => { const box = drawing.getBoundingClientRect(); return axis.start + ((event.clientX - box.left) / box.width) * (axis.end - axis.start); };
  drawing.addEventListener("pointerdown", (event) => { start = timeAt(event); drawing.setPointerCapture(event.pointerId); });
  drawing.addEventListener("pointermove", (event) => {
    if (start === null) return;
    const now = timeAt(event);
    if (Math.abs(now - start) > (axis.end - axis.start) / 200) axis.show(Math.min(start, now), Math.max(start, now));
  });
  drawing.addEventListener("pointerup", () => { start = null; });
  drawing.addEventListener("dblclick", () => axis.reset());
  return el("figure", { class: "activity-box" },
    el("figcaption", null, `Calls under way, up to ${most} within ${formatDuration(step)}`, el("span", { class: "hint" }, "Drag to look closer")), drawing);
}
