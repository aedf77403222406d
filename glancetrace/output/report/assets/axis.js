// A span of time that several drawings share: zoomed, panned, told to those who draw it.

class Axis {
  // `origin`: the time that the ruler counts from.
  constructor(start, end, origin = start) {
    this.start = start;
    this.origin = origin;
    this.end = Math.max(end, start + 1000);
    this.from = this.start;
    this.to = this.end;
    this.listeners = new Set();
  }

  get zoomed() { return this.from > this.start || this.to < this.end; }

  onChange(listener) { this.listeners.add(listener); }

  show(from, to) {
    const least = Math.min(1000, this.end - this.start);
    let width = Math.min(Math.max(to - from, least), this.end - this.start);
    let left = Math.min(Math.max(from, this.start), this.end - width);
    this.from = left;
    this.to = left + width;
    for (const listener of this.listeners) listener();
  }

  // `at`: the time that stays where it is.
  zoom(factor, at = (this.from + this.to) / 2) {
    this.show(at - (at - this.from) * factor, at + (this.to - at) * factor);
  }

  pan(share) {
    const step = (this.to - this.from) * share;
    this.show(this.from + step, this.to + step);
  }

  reset() { this.show(this.start, this.end); }

  x(ts, width) { return ((ts - this.from) / (this.to - this.from)) * width; }

  at(x, width) { return this.from + (x / width) * (this.to - this.from); }

  // Round times, about one in `spacing` pixels.
  ticks(width, spacing = Math.min(110, width / 4)) {
    const rough = ((this.to - this.from) * spacing) / Math.max(width, 1);
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((digit) => digit * power).find((size) => size >= rough) || power * 10;
    const ticks = [];
    for (let k = Math.ceil((this.from - this.origin) / step); this.origin + k * step <= this.to; k++) ticks.push(this.origin + k * step);
    return ticks;
  }
}

// The ruler over a drawing: distances from the start of what is drawn as a whole.
function drawRuler(ruler, axis, width) {
  ruler.replaceChildren();
  ruler.setAttribute("viewBox", `0 0 ${width} 24`);
  for (const tick of axis.ticks(width)) {
    const x = axis.x(tick, width);
    ruler.append(svg("line", { x1: x, x2: x, y1: 17, y2: 24, class: "tick" }));
    const anchor = x < 24 ? "start" : x > width - 24 ? "end" : "middle";
    ruler.append(svg("text", { x, y: 12, "text-anchor": anchor }, formatTick(tick - axis.origin)));
  }
}

const formatTick = (dur) => (Math.abs(dur) < 1 ? "0" : formatDuration(Math.round(dur)).replace(/(\.\d*?)0+(?= )/, "$1").replace(/\.(?= )/, ""));

// Dragging pans, the wheel with Ctrl or Shift zooms and pans, two fingers zoom, a double click goes nearer.
function makeZoomable(element, axis, area = () => element.getBoundingClientRect()) {
  const pointers = new Map();
  let moved = 0;
  const timeAt = (event) => { const box = area(); return axis.at(event.clientX - box.left, box.width); };
  element.addEventListener("wheel", (event) => {
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      axis.zoom(Math.exp(Math.max(-40, Math.min(40, event.deltaY)) * 0.01), timeAt(event));
    } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      axis.pan((event.deltaX || event.deltaY) / 800);
    }
  }, { passive: false });
  element.addEventListener("dblclick", (event) => {
    if (!event.target.closest(".lanes .bars")) return;  // in a table the first click opens the row
    event.preventDefault();
    axis.zoom(0.4, timeAt(event));
  });
  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.target.closest(".bars, .ruler")) return;
    pointers.set(event.pointerId, event.clientX);
    moved = 0;
  });
  element.addEventListener("pointermove", (event) => {
    if (!pointers.has(event.pointerId)) return;
    const before = pointers.get(event.pointerId);
    const box = area();
    if (pointers.size === 2) {
      const other = [...pointers.entries()].find(([id]) => id !== event.pointerId)[1];
      const spread = Math.abs(before - other), now = Math.abs(event.clientX - other);
      if (spread > 8 && now > 8) axis.zoom(spread / now, axis.at((event.clientX + other) / 2 - box.left, box.width));
      moved += 10;
    } else {
      moved += Math.abs(event.clientX - before);
      if (moved > 3) {
        if (!element.hasPointerCapture(event.pointerId)) element.setPointerCapture(event.pointerId);
        axis.pan((before - event.clientX) / box.width);
      }
    }
    pointers.set(event.pointerId, event.clientX);
  });
  for (const name of ["pointerup", "pointercancel", "pointerleave"]) {
    element.addEventListener(name, (event) => pointers.delete(event.pointerId));
  }
  element.addEventListener("click", (event) => {
    if (moved > 3) { event.stopPropagation(); event.preventDefault(); }
    moved = 0;
  }, true);
}

// Keys for who has no mouse: + and - zoom, 0 shows all, Shift with arrows pans. True when the key was one of them.
function axisKey(axis, event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  if (event.key === "+" || event.key === "=") axis.zoom(0.5);
  else if (event.key === "-") axis.zoom(2);
  else if (event.key === "0") axis.reset();
  else if (event.shiftKey && event.key === "ArrowLeft") axis.pan(-0.25);
  else if (event.shiftKey && event.key === "ArrowRight") axis.pan(0.25);
  else return false;
  event.preventDefault();
  return true;
}

function zoomButtons(axis) {
  const button = (label, text, action) =>
    el("button", { type: "button", class: "icon", "aria-label": label, title: label, onclick: action }, text);
  const all = button("Show all of it (0)", "All", () => axis.reset());
  axis.onChange(() => { all.disabled = !axis.zoomed; });
  all.disabled = true;
  return el("div", { class: "zoom", role: "group", "aria-label": "Zoom of the timelines" },
    button("Zoom out (-)", "−", () => axis.zoom(2)), button("Zoom in (+)", "+", () => axis.zoom(0.5)), all);
}
