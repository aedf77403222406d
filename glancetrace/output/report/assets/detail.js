// The sheet that opens for an image or a call. The address of the page says which (#image=ID, #call=ID), so that a link
// leads there and the back button leads back.

class Detail {
  constructor(model, clock, places) {
    Object.assign(this, { model, clock, places });
    this.dialog = byId("detail");
    this.dialog.addEventListener("close", () => this.closed());
    this.dialog.addEventListener("click", (event) => { if (event.target === this.dialog) this.dialog.close(); });
    addEventListener("hashchange", () => this.follow());
  }

  // Open what the address names; close when it names nothing.
  follow() {
    const match = /^#(image|call)=(.*)$/s.exec(location.hash);
    if (!match) { if (this.dialog.open) this.dialog.close(); return; }
    let id = match[2];
    try { id = decodeURIComponent(id); } catch { /* an id that is no URL stays as it is */ }
    if (match[1] === "image") this.show(this.find(id), (image) => this.image(image), id);
    else this.show(this.model.callById.get(Number(id)), (call) => this.call(call), id);
  }

  // An image by its id, its name, or the first digits of its id.
  find(id) {
    const { images, imageById } = this.model;
    return imageById.get(id) || images.find((image) => image.name === id) ||
      (id.length >= 6 ? images.find((image) => image.id.startsWith(id)) : undefined);
  }

  show(row, make, id) {
    this.dialog.replaceChildren(...(row ? make(row) : this.missing(id)));
    if (!this.dialog.open) { this.before = document.activeElement; this.dialog.showModal(); }
    this.dialog.scrollTop = 0;
    byId("detail-title").focus();
  }

  closed() {
    if (/^#(image|call)=/.test(location.hash)) history.replaceState(null, "", location.pathname + location.search);
    this.dialog.replaceChildren();
    if (this.before && this.before.isConnected) this.before.focus({ preventScroll: true });
  }

  head(eyebrow, title, ...rest) {
    return el("header", { class: "detail-head" }, el("div", null, el("p", { class: "eyebrow" }, eyebrow), el("h2", { id: "detail-title", tabindex: -1 }, title), rest),
      el("button", { type: "button", class: "icon close", "aria-label": "Close (Esc)", title: "Close (Esc)", onclick: () => this.dialog.close() }, "✕"));
  }

  missing(id) {
    return [this.head("Not in this page", bdi(id)), el("p", { class: "empty" }, "There is no such image or call in this page.")];
  }

  image(image) {
    const { model, clock, places } = this;
    const story = storyList(storyOf(model, image), clock, places);
    const own = [], all = [];
    for (const call of image.calls) {
      own.push(call.firstFrame, call.requestFrame, call.responseFrame, call.lastFrame);
      all.push(...callFrames(model, call));
    }
    for (const change of image.transitions) own.push(change.frame, change.commit);
    for (const event of image.events) own.push(event.frame);
    for (const statement of model.statements.naming(image.id)) all.push(statement.firstFrame, statement.lastFrame);
    const count = image.calls.reduce((sum, call) => sum + call.sqlCount, model.statements.naming(image.id).length);
    return [
      this.head("Image", bdi(image.label), el("p", { class: "ids" }, el("code", null, bdi(image.id)), copyButton("Copy id", () => image.id))),
      el("dl", { class: "facts wide" },
        fact("Status", statusPill(image.status)),
        fact("Size", formatBytes(image.size), image.size >= 1024 ? ` (${formatCount(image.size)} bytes)` : ""),
        fact("To active", formatDuration(image.readyAfter)),
        fact("Calls, SQL", `${plural(image.calls.length, "call")}, ${plural(count, "statement")}`),
        image.existed ? fact("Before", `existed before the capture; its first status is ${image.certainty || "not known"}`) : null,
        this.checksum(image)),
      lanesView(model, image, image.calls, clock, (span) => { if (!story.goTo(span) && span.call) location.hash = `call=${span.call.id}`; }),
      el("h3", null, "What happened"),
      image.calls.length + image.transitions.length + image.events.length ? story.element : el("p", { class: "empty" }, "Nothing in the capture tells more of this image."),
      el("h3", null, "In Wireshark"),
      filterBox(places, own, "Calls and status changes"),
      filterBox(places, [...own, ...all], "With all of its SQL"),
      this.command("extract", "--image", image.id),
    ];
  }

  checksum(image) {
    if (!image.checksum && !image.wire) return null;
    const rows = [];
    const wire = new Map(image.wire || []);
    const compare = (name, value) => {
      if (!value) return;
      const passed = wire.get(name);
      const verdict = !passed ? "not compared: its upload is not in the capture" : !image.wireComplete ? "not compared: bytes of its upload are missing"
        : passed === value ? "✓ same on the wire" : "✕ another on the wire";
      rows.push(el("div", null, el("code", { title: value }, `${name} ${value.length > 40 ? `${value.slice(0, 24)}…` : value}`), el("span", { class: !passed || !image.wireComplete ? "note" : passed === value ? "good" : "bad" }, ` ${verdict}`)));
    };
    compare("md5", image.checksum);
    compare(image.algo, image.hash);
    return el("div", { class: "full" }, el("dt", null, "Hashes"), el("dd", null, rows));
  }

  // The command for a terminal. Words that no shell should see are left out, command and all.
  command(name, option, value) {
    const files = this.model.files.map(([file]) => shellWord(file));
    const words = [shellWord(String(value)), ...(files.length === 1 ? files : ["CAPTURE"])];
    if (words.includes(null)) return null;
    const text = `glancetrace ${name} ${option} ${words.join(" ")} -o ${name === "extract" ? "packets.pcap" : "-"}`;
    return el("div", { class: "filter" }, el("span", { class: "filter-label" }, "All of its packets, on a terminal"), el("code", null, text), copyButton("Copy command", () => text));
  }

  call(call) {
    const { model, clock, places } = this;
    const image = model.imageById.get(call.imageId);
    const go = (span) => {
      const row = span.statement && byId(`statement-${span.statement.id}`);
      if (row) { row.open = true; row.scrollIntoView({ block: "center", behavior: "smooth" }); row.querySelector("summary").focus({ preventScroll: true }); }
      else if (span.call && span.call !== call) location.hash = `call=${span.call.id}`;
    };
    return [
      this.head(`Call ${call.id} · ${call.service} · ${clock.time(call.ts)}`, [call.operation, " ", codeBadge(call)],
        image ? el("p", { class: "ids" }, "Image ", el("a", { href: `#image=${encodeURIComponent(image.id)}` }, bdi(image.label))) : null),
      callFacts(model, call, clock, places),
      lanesView(model, null, [call, ...(model.children.get(call.id) || [])], clock, go),
      el("h3", null, "Its SQL"),
      sqlOfCall(model, call, places),
      el("h3", null, "In Wireshark"),
      filterBox(places, [call.firstFrame, call.requestFrame, call.responseFrame, call.lastFrame], "The call"),
      call.sqlCount ? filterBox(places, callFrames(model, call), "With its SQL") : null,
      this.command("extract", "--call", call.id),
    ];
  }
}
