// Where to look in Wireshark: display filters, frames by file, and the command that cuts the packets out.

class Places {
  constructor(files) {
    this.files = files.filter(([, , packets]) => packets).sort((a, b) => a[1] - b[1]);
    this.byFile = this.files.length > 1 &&
      this.files.every(([, first], i) => i === 0 || first === this.files[i - 1][1] + this.files[i - 1][2]);
  }

  fileOf(frame) {
    let index = 0;
    while (index + 1 < this.files.length && this.files[index + 1][1] <= frame) index++;
    return index;
  }

  frame(frame) {
    if (!frame) return "–";
    if (!this.byFile) return String(frame);
    const [name, first] = this.files[this.fileOf(frame)];
    return `${name}:${frame - first + 1}`;
  }

  // Display filters, one for each file that the frames are in: [{name, text, count}].
  filters(frames) {
    const sorted = [...new Set(frames.filter(Boolean))].sort((a, b) => a - b);
    const groups = this.byFile ? groupBy(sorted, (frame) => this.fileOf(frame)) : new Map([[0, sorted]]);
    return [...groups].filter(([, of]) => of.length).map(([index, of]) => {
      const first = this.byFile ? this.files[index][1] - 1 : 0;
      return { name: this.byFile ? this.files[index][0] : null, text: frameFilter(of.map((frame) => frame - first)), count: of.length };
    });
  }
}

// `frame.number in {3, 7..9}`: sets and ranges as wireshark-filter(4) has them.
function frameFilter(frames) {
  const parts = [];
  for (let i = 0; i < frames.length; i++) {
    let last = i;
    while (last + 1 < frames.length && frames[last + 1] === frames[last] + 1) last++;
    parts.push(last > i ? `${frames[i]}..${frames[last]}` : String(frames[i]));
    i = last;
  }
  return `frame.number in {${parts.join(", ")}}`;
}

// A word of a shell command; null for what should not be pasted into a shell at all.
function shellWord(text) {
  if (/^[\w.:/@%+=,-]+$/.test(text) && !text.startsWith("-")) return text;
  if (text.startsWith("-") || /\\[xuU][0-9a-f]{2}|[\u0000-\u001f\u007f]/.test(text)) return null;
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function filterBox(places, frames, label) {
  const filters = places.filters(frames);
  if (!filters.length) return null;
  return el("div", { class: "filters" }, filters.map(({ name, text, count }) => el("div", { class: "filter" },
    el("span", { class: "filter-label" }, label, name ? [" in ", bdi(name)] : null, ` · ${plural(count, "frame")}`),
    el("code", null, text.length > 160 ? `${text.slice(0, 160)} …` : text),
    copyButton("Copy filter", () => text))));
}
