// One image (or one call) as lanes under each other: status, what clients asked, what passed inside, what the database did.

const LANE_ROW = 16;
const LEGEND = {
  "call-ok": "call answered with success", "call-refused": "refused (4xx)", "call-bad": "failed or unanswered", "call-work": "service at work",
  "sql-read": "SQL that reads", "sql-write": "writes", "sql-commit": "COMMIT", "sql-rollback": "ROLLBACK", "sql-failed": "failed",
};

function laneSpans(model, image, calls) {
  const statuses = image ? image.intervals.map((i) => ({ ...i, kind: statusClass(i.status), row: 0, label: i.status,
    text: `${i.status}, ${formatDuration(i.end - i.ts)}${i.open ? " and still" : ""}` })) : [];
  const outer = [], inner = [], database = [];
  const told = (call, kind, ts, end, what) => ({ ts, end, kind, call, label: call.operation,
    text: `#${call.id} ${call.operation} ${call.code === null ? "no response" : call.code}: ${what}, ${formatDuration(end - ts)}` });
  for (const call of calls) {
    const kind = call.code === null || call.code >= 500 ? "call-bad" : call.failed ? "call-refused" : "call-ok";
    const nested = call.parent && calls.some((other) => other.id === call.parent);
    (nested ? inner : outer).push(told(call, kind, call.ts, call.end, nested ? `${call.service}, called in turn` : "as the client saw it"));
    for (const hop of call.hops.slice(1)) {
      inner.push(told(call, `${kind} hop`, hop.ts, hop.ts + (hop.dur || 0), `${hop.client} to ${hop.server}`));
    }
    if (call.hops.length < 2 && call.responseTs !== null && call.requestEnd !== null && !nested) {
      inner.push(told(call, "call-work", call.requestEnd, Math.max(call.responseTs, call.requestEnd), "service at work, from request to response"));
    }
    for (const statement of model.statements.ofCall(call.id)) database.push(statement);
  }
  if (image) database.push(...model.statements.naming(image.id));
  const sql = database.sort((a, b) => a.ts - b.ts).map((s) => ({ ts: s.ts, end: s.end, kind: `sql-${statementClass(s)}`, statement: s,
    call: model.callById.get(s.callId), text: `${s.operation}${s.error ? ", failed" : ""}, ${formatDuration(s.dur)}${s.callId ? `, of call #${s.callId}` : ""}` }));
  const byTime = (a, b) => a.ts - b.ts || b.end - a.end;
  return [
    { name: "Status", spans: statuses, tall: true },
    { name: "Client calls", spans: outer.sort(byTime) },
    { name: "API inside", spans: inner.sort(byTime) },
    { name: "Database", spans: sql },
  ].filter((lane) => lane.spans.length);
}

function lanesView(model, image, calls, clock, chosen) {
  const lanes = laneSpans(model, image, calls);
  if (!lanes.length) return null;
  const first = Math.min(...lanes.map((lane) => lane.spans[0].ts));
  let last = first;
  for (const lane of lanes) for (const span of lane.spans) if (!span.open) last = Math.max(last, span.end);
  if (last === first) last = Math.max(...lanes.map((lane) => lane.spans[lane.spans.length - 1].end));
  const margin = (last - first) * 0.02 + 1000;
  const axis = new Axis(first - margin, last + margin, first);
  const ruler = svg("svg", { class: "ruler", "aria-hidden": "true" });
  const open = (span) => { if (opensSomething(span)) chosen(span); };
  const body = el("div", { class: "lanes", tabindex: 0, role: "group",
    "aria-label": "Lanes over time; arrows go from bar to bar, Enter goes to what it stands for, plus and minus zoom, Shift and arrows pan",
    onkeydown: (event) => cursor.press(event) || axisKey(axis, event),
    onfocus: () => { if (!cursor.span && body.matches(":focus-visible")) note.textContent = "Arrows go from bar to bar, Enter goes there"; } });
  const note = el("p", { class: "lane-note", "aria-hidden": "true" }, "Point at a bar to read it, click it to go there");
  const cursor = new BarCursor(body, lanes, axis, (text) => { note.textContent = text; }, open);
  body.append(el("div", { class: "lane" }, el("span", { class: "lane-name" }, "Time"), ruler));
  for (const lane of lanes) {
    const rows = lane.tall ? 1 : stackSpans(lane.spans, lane.name === "Database" ? 6 : 8);
    lane.height = lane.tall ? 24 : rows * LANE_ROW + 4;
    lane.drawing = svg("svg", { class: "bars" });
    lane.drawing.style.height = `${lane.height}px`;
    body.append(el("div", { class: "lane" }, el("span", { class: "lane-name" }, lane.name), lane.drawing));
    lane.drawing.addEventListener("pointerover", (event) => { if (event.target.spanText) note.textContent = event.target.spanText; });
    lane.drawing.addEventListener("click", (event) => { if (event.target.span) open(event.target.span); });
  }
  const draw = () => {
    const width = ruler.getBoundingClientRect().width || 600;
    drawRuler(ruler, axis, width);
    for (const lane of lanes) drawLane(lane, axis, width, clock);
    cursor.mark();
  };
  axis.onChange(perFrame(draw));
  new ResizeObserver(perFrame(draw)).observe(body);
  makeZoomable(body, axis, () => ruler.getBoundingClientRect());
  const kinds = new Set(lanes.flatMap((lane) => lane.spans.map((span) => span.kind)));
  const legend = Object.entries(LEGEND).filter(([kind]) => kinds.has(kind)).map(([kind, meaning]) => el("span", null,
    svg("svg", { class: "dot", viewBox: "0 0 8 8", "aria-hidden": "true" }, svg("circle", { class: kind, cx: 4, cy: 4, r: 4 })), meaning));
  return el("section", { class: "lanes-box", "aria-label": "Lanes" }, el("div", { class: "bar" }, note, zoomButtons(axis)), body,
    el("p", { class: "legend" }, legend));
}

function drawLane(lane, axis, width, clock) {
  const { drawing, height } = lane;
  drawing.replaceChildren();
  drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
  for (const tick of axis.ticks(width)) {
    const x = axis.x(tick, width);
    drawing.append(svg("line", { x1: x, x2: x, y1: 0, y2: height, class: "grid" }));
  }
  const rows = groupBy(lane.spans, (span) => span.row);
  for (const [row, spans] of rows) {
    for (const bar of placeBars(spans, axis, width, 2)) {
      const y = lane.tall ? 3 : row * LANE_ROW + 3, h = lane.tall ? 18 : LANE_ROW - 3;
      const text = `${clock.time(bar.span.ts)} ${bar.span.text}${bar.count > 1 ? ` and ${bar.count - 1} more` : ""}`;
      const rect = svg("rect", { x: bar.x, y, width: bar.width, height: h, rx: Math.min(2.5, bar.width / 2), class: bar.kind }, svg("title", null, text));
      rect.span = bar.span;
      rect.spanText = text;
      drawing.append(rect);
      const room = Math.min(bar.x + bar.width, width) - Math.max(bar.x, 0);
      if (bar.span.label && bar.count === 1 && room > bar.span.label.length * 6.6 + 10) {
        drawing.append(svg("text", { x: Math.max(bar.x, 0) + 5, y: y + h / 2 + 3.8, class: "on-bar" }, bar.span.label));
      }
    }
  }
}
