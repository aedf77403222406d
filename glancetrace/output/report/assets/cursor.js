// Bars of lanes for who has no mouse: the arrows go from bar to bar, Enter opens what a click opens.

// The focus stays on the lanes, which are drawn anew with every zoom; they say which bar is meant (aria-activedescendant).
class BarCursor {
  constructor(body, lanes, axis, tell, open) {
    Object.assign(this, { body, lanes, axis, tell, open, lane: null, span: null });
  }

  // The lane's bars as they are drawn, in order of time.
  bars(lane) {
    return [...lane.drawing.querySelectorAll("rect")].sort((a, b) => a.span.ts - b.span.ts);
  }

  // The bar that a span is drawn as, alone or together with its neighbours.
  barOf(lane, span) {
    const bars = this.bars(lane);
    return bars.find((bar) => bar.span === span) || bars.filter((bar) => bar.span.kind === span.kind && bar.span.ts <= span.ts).pop();
  }

  // True when the key was one of ours.
  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return false;
    const done = event.key === "ArrowRight" ? this.along(1) : event.key === "ArrowLeft" ? this.along(-1)
      : event.key === "ArrowDown" ? this.across(1) : event.key === "ArrowUp" ? this.across(-1)
        : event.key === "Home" ? this.go(this.lane, this.lane && this.lane.spans[0])
          : event.key === "End" ? this.go(this.lane, this.lane && this.lane.spans[this.lane.spans.length - 1])
            : (event.key === "Enter" || event.key === " ") && this.span ? (this.open(this.span), true) : false;
    if (done) event.preventDefault();
    return done;
  }

  along(step) {
    if (!this.span) return this.begin();
    const bars = this.bars(this.lane);
    const next = bars[bars.indexOf(this.barOf(this.lane, this.span)) + step];
    if (next) return this.go(this.lane, next.span);
    const { from, to } = this.axis, spans = this.lane.spans;
    this.go(this.lane, step > 0 ? spans.find((span) => span.ts > to) : spans.filter((span) => span.end < from).pop());
    return true;
  }

  // To another lane; beyond the last one the key scrolls, as it does elsewhere.
  across(step) {
    if (!this.span) return this.begin();
    const lane = this.lanes[this.lanes.indexOf(this.lane) + step];
    if (!lane) return false;
    const spans = this.bars(lane).map((bar) => bar.span);
    const away = (span) => Math.abs(span.ts - this.span.ts);
    return this.go(lane, (spans.length ? spans : lane.spans).reduce((best, span) => (away(span) < away(best) ? span : best)));
  }

  begin() {
    const lane = this.lanes.find((one) => this.bars(one).length) || this.lanes[0];
    return this.go(lane, (this.bars(lane)[0] || { span: lane.spans[0] }).span);
  }

  go(lane, span) {
    if (!span) return false;
    Object.assign(this, { lane, span });
    const { from, to } = this.axis;
    if (span.ts > to || span.end < from) this.axis.show(span.ts - (to - from) / 2, span.ts + (to - from) / 2);
    this.mark();
    return true;
  }

  // Show which one it is; called whenever the lanes were drawn.
  mark() {
    for (const old of this.body.querySelectorAll("rect.current")) {
      old.classList.remove("current");
      for (const name of ["id", "role", "aria-label"]) old.removeAttribute(name);
    }
    const bar = this.span && this.barOf(this.lane, this.span);
    if (!bar) { this.body.removeAttribute("aria-activedescendant"); return; }
    bar.classList.add("current");
    fill(bar, { id: "current-bar", role: opensSomething(bar.span) ? "button" : "img", "aria-label": bar.spanText }, []);
    this.body.setAttribute("aria-activedescendant", bar.id);
    if (this.told !== bar.spanText) this.tell(bar.spanText);
    this.told = bar.spanText;
  }
}

const opensSomething = (span) => Boolean(span.call || span.statement);
