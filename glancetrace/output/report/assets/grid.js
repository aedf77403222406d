// A table of any length: only the rows in sight are in the page. Arrow keys move, Enter opens, headers sort.

const MOST_PRINTED = 500;

class Grid {
  // columns: {key, label, title, sort(row), cell(row) -> node or text, num, head() -> node, class}
  constructor({ label, columns, rowHeight, rows, open, key, sort, empty, onKey }) {
    this.columns = columns;
    this.rowHeight = rowHeight;
    this.all = rows;
    this.open = open;
    this.key = key;
    this.sorted = sort;
    this.keep = () => true;
    this.shown = rows;
    this.active = 0;
    this.made = new Map();
    this.empty = el("p", { class: "empty", hidden: true }, empty);
    this.note = el("p", { class: "print-note" });
    this.head = el("div", { class: "grid-row grid-head", role: "row", "aria-rowindex": 1 }, columns.map((column) => this.header(column)));
    this.space = el("div", { class: "grid-space", role: "rowgroup" });
    this.element = el("div", {
      class: "grid-table", role: "grid", tabindex: 0, "aria-label": label,
      onkeydown: (event) => { if (!(onKey && onKey(event))) this.press(event); },
      onclick: (event) => this.click(event),
      onfocus: () => { this.follow = true; this.paint(); },
      onblur: () => { this.follow = false; this.paint(); },
    }, el("div", { role: "rowgroup", class: "grid-top" }, this.head), this.space, this.empty, this.note);
    this.painting = perFrame(() => this.paint());
    this.element.addEventListener("scroll", this.painting, { passive: true });
    new ResizeObserver(this.painting).observe(this.element);
    this.printing = false;
    for (const name of ["beforeprint", "afterprint"]) {
      addEventListener(name, () => {
        this.printing = name === "beforeprint";
        this.note.textContent = this.shown.length > MOST_PRINTED ? `The first ${MOST_PRINTED} of ${formatCount(this.shown.length)} rows` : "";
        this.paint(true);
      });
    }
    this.refresh();
  }

  header(column) {
    const cell = el("div", { role: "columnheader", class: `cell ${column.class || ""} ${column.num ? "num" : ""}` });
    if (column.head) cell.append(column.head());
    else if (column.sort) {
      cell.append(el("button", {
        type: "button", title: column.title || `Sort by ${column.label.toLowerCase()}`,
        onclick: (event) => { event.stopPropagation(); this.sortBy(column.key); },
      }, column.label, el("span", { class: "arrow", "aria-hidden": "true" })));
    } else cell.append(column.label);
    column.header = cell;
    return cell;
  }

  sortBy(key) {
    this.sorted = { key, down: this.sorted.key === key ? !this.sorted.down : false };
    this.refresh();
    announce(`Sorted by ${this.columns.find((column) => column.key === key).label}`);
  }

  filter(keep) {
    this.keep = keep;
    this.refresh();
  }

  refresh() {
    const { key, down } = this.sorted;
    const value = this.columns.find((column) => column.key === key).sort;
    const rank = (a, b) => (a === b ? 0 : a === null ? 1 : b === null ? -1 : (a < b ? -1 : 1) * (down ? -1 : 1));
    this.shown = this.all.filter(this.keep).map((row) => [value(row), row]).sort((a, b) => rank(a[0], b[0])).map(([, row]) => row);
    for (const column of this.columns) {
      if (column.sort) column.header.setAttribute("aria-sort", column.key !== key ? "none" : down ? "descending" : "ascending");
    }
    this.active = Math.max(0, Math.min(this.active, this.shown.length - 1));
    this.element.setAttribute("aria-rowcount", this.shown.length + 1);
    this.space.style.height = `${this.shown.length * this.rowHeight()}px`;
    this.empty.hidden = this.shown.length > 0;
    this.paint(true);
  }

  // Draw the rows in sight; `anew`: also those that are there already.
  paint(anew = false) {
    const height = this.rowHeight();
    const top = this.element.scrollTop, sight = this.element.clientHeight || 600;
    let from = Math.max(0, Math.floor(top / height) - 4);
    let to = Math.min(this.shown.length, Math.ceil((top + sight) / height) + 4);
    if (this.printing) [from, to] = [0, Math.min(this.shown.length, MOST_PRINTED)];
    if (anew) {
      this.space.replaceChildren();
      this.made.clear();
      this.space.style.height = `${this.shown.length * height}px`;
    }
    for (const [index, row] of this.made) {
      if (index < from || index >= to) { row.remove(); this.made.delete(index); }
    }
    for (let index = from; index < to; index++) {
      let row = this.made.get(index);
      if (!row) {
        row = this.row(index, height);
        this.made.set(index, row);
        this.space.append(row);
      }
      row.classList.toggle("active", this.follow === true && index === this.active);
    }
    const active = this.made.get(this.active);
    if (active && this.follow) this.element.setAttribute("aria-activedescendant", active.id);
    else this.element.removeAttribute("aria-activedescendant");
    if (this.painted) this.painted();
  }

  row(index, height) {
    const data = this.shown[index];
    const row = el("div", {
      class: "grid-row", role: "row", id: `${this.key}-${index}`, "aria-rowindex": index + 2, "data-index": index,
    }, this.columns.map((column) => el("div", { role: "gridcell", class: `cell ${column.class || ""} ${column.num ? "num" : ""}` }, column.cell(data))));
    row.style.transform = `translateY(${index * height}px)`;
    row.style.height = `${height}px`;
    return row;
  }

  click(event) {
    const row = event.target.closest(".grid-row[data-index]");
    if (!row || event.target.closest("a, button") || String(getSelection()).length) return;
    this.active = Number(row.dataset.index);
    this.open(this.shown[this.active]);
  }

  press(event) {
    if (event.target !== this.element || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.element.clientHeight / this.rowHeight()) - 2);
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -this.shown.length, End: this.shown.length }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      this.active = Math.max(0, Math.min(this.active + step, this.shown.length - 1));
      this.reveal();
    } else if ((event.key === "Enter" || event.key === " ") && this.shown[this.active]) {
      event.preventDefault();
      this.open(this.shown[this.active]);
    }
  }

  reveal() {
    const height = this.rowHeight(), top = this.active * height;
    const sight = this.element.clientHeight - this.head.offsetHeight;
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    else if (top + height > this.element.scrollTop + sight) this.element.scrollTop = top + height - sight;
    this.paint();
  }
}

const narrow = matchMedia("(max-width: 640px)");
