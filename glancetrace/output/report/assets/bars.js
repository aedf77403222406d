// Bars of time in SVG. What is narrower than a pixel is drawn together with its neighbours, so that a lane never has
// more elements than pixels.

// `spans`: {ts, end, kind, ...} in order of `ts`. Returns {x, width, kind, span, count}; kinds are not mixed.
function placeBars(spans, axis, width, least = 2) {
  const placed = [];
  const lastOf = new Map();
  for (const span of spans) {
    if (span.end < axis.from || span.ts > axis.to) continue;
    const left = Math.max(axis.x(span.ts, width), -4);
    const right = Math.min(axis.x(span.end, width), width + 4);
    const last = lastOf.get(span.kind);
    if (last && right - left < 1.5 && left < last.x + last.width + 0.5 && last.small) {
      last.width = Math.max(last.width, right - last.x);
      last.count++;
      continue;
    }
    const bar = { x: left, width: Math.max(right - left, least), kind: span.kind, span, count: 1, small: right - left < 1.5 };
    placed.push(bar);
    lastOf.set(span.kind, bar);
  }
  return placed;
}

// Spans that overlap get rows of their own: each the first row that is free. Returns how many rows there are.
function stackSpans(spans, most = 12) {
  const ends = [];
  for (const span of spans) {
    let row = ends.findIndex((end) => end <= span.ts);
    if (row < 0) row = ends.length < most ? ends.length : ends.indexOf(Math.min(...ends));
    ends[row] = Math.max(span.end, ends[row] || 0);
    span.row = row;
  }
  return Math.max(1, ends.length);
}

const STATUSES = ["queued", "saving", "uploading", "importing", "active", "deactivated", "killed", "pending_delete", "deleted"];
const statusClass = (status) => (STATUSES.includes(status) ? `s-${status}` : "s-other");

function statusPill(status) {
  return el("span", { class: "pill" },
    svg("svg", { class: "dot", viewBox: "0 0 8 8", "aria-hidden": "true" },
      svg("circle", { class: statusClass(status), cx: 4, cy: 4, r: 4 })), status || "–");
}

// One image's statuses as a row of bars.
function drawStatuses(drawing, image, axis, width, height) {
  drawing.replaceChildren();
  drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
  drawing.setAttribute("preserveAspectRatio", "none");
  for (const tick of axis.ticks(width)) {
    const x = axis.x(tick, width);
    drawing.append(svg("line", { x1: x, x2: x, y1: 0, y2: height, class: "grid" }));
  }
  const spans = image.intervals.map((interval) => ({ ...interval, kind: interval.status }));
  const inset = Math.round(height * 0.26);
  for (const bar of placeBars(spans, axis, width)) {
    const what = bar.count > 1 ? `${bar.count} times ${bar.kind}`
      : `${bar.kind} ${formatDuration(bar.span.end - bar.span.ts)}${bar.span.open ? " and still" : ""}`;
    const thin = bar.kind === "deleted" ? Math.round(height * 0.18) : 0;  // what is gone is a trace of itself
    drawing.append(svg("rect", {
      x: bar.x, y: inset + thin, width: bar.width, height: height - 2 * (inset + thin), rx: Math.min(3, bar.width / 2),
      class: statusClass(bar.kind),
    }, svg("title", null, what)));
  }
  for (const call of image.calls) {
    if (!call.failed || call.ts < axis.from || call.ts > axis.to) continue;
    const x = axis.x(call.ts, width);
    drawing.append(svg("path", { class: "mark-failed", d: `M${x - 3.5} 3h7l-3.5 6z` },
      svg("title", null, `${call.operation} ${call.code === null ? "without a response" : call.code}`)));
  }
}
