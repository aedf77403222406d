// What happened, line by line: calls with their SQL, status changes, events. Bodies are made when they are opened.

const STORY_PIECE = 200;

function fact(name, ...value) {
  return el("div", null, el("dt", null, name), el("dd", null, value));
}

function statementRow(model, statement, places) {
  const sql = model.sqlOf(statement);
  const result = statement.error ? el("span", { class: "bad" }, statement.error)
    : statement.rows !== null && statement.rows !== undefined ? plural(statement.rows, "row")
      : statementClass(statement) === "write" && statement.affected !== null ? `${formatCount(statement.affected)} changed` : "";
  const rolledBack = statement.outcome === "rolled_back" && statementClass(statement) === "write";
  const details = el("details", { class: `statement sql-${statementClass(statement)}`, id: `statement-${statement.id}` },
    el("summary", null, sqlLine(sql || statement.operation || ""), el("span", { class: "meta" }, result, rolledBack ? " rolled back" : "", el("span", { class: "took" }, formatDuration(statement.dur)))));
  details.addEventListener("toggle", () => {
    if (!details.open || details.dataset.made) return;
    details.dataset.made = "1";
    details.append(el("div", { class: "statement-body" }, sqlBlock(sql),
      el("p", { class: "meta" }, `statement ${statement.id} · frames ${places.frame(statement.firstFrame)} to ${places.frame(statement.lastFrame)}`,
        statement.commitFrame ? ` · commit in ${places.frame(statement.commitFrame)}` : "", ` · ${statement.outcome.replace("_", " ")}`,
        statement.thread ? ` · MySQL thread ${statement.thread}` : "", ` · ${statement.kind} `,
        copyButton("Copy SQL", () => sql))));
  });
  return details;
}

const CLASS_MEANING = {
  exact: "the bytes name the call",
  certain: "no other call can have run it",
  inferred: "the likeliest of several calls",
  twin: "one of several calls that nothing tells apart",
};

function evidenceBlock(link, openCall) {
  if (!link) return el("p", { class: "evidence" }, el("span", { class: "link none" }, "no call"), " Nothing in the capture says which call ran it.");
  return el("details", { class: "evidence" },
    el("summary", null, el("span", { class: `link ${link.kind}`, title: CLASS_MEANING[link.kind] }, link.kind),
      el("span", null, ` ${CLASS_MEANING[link.kind] || ""}${link.relation === "async" ? ", after its response" : ""} · score ${link.score === null ? "–" : Number(link.score.toFixed(3))}`)),
    link.evidence.length ? el("p", null, el("b", null, "For it "), link.evidence.join(" · ")) : null,
    link.candidates.length ? el("p", null, el("b", null, "Twins "), link.candidates.map((id) => [callLink(id, openCall), " "])) : null,
    link.rejected.length ? el("div", null, el("b", null, "Not these"), el("ul", null, link.rejected.map(({ callId, reason }) => el("li", null, callLink(callId, openCall), ` ${reason}`)))) : null);
}

const callLink = (id) => el("a", { href: `#call=${id}` }, `call ${id}`);

// Statements by unit of work, each unit with the evidence of its link.
function unitsOf(statements) {
  const units = [];
  for (const statement of statements) {
    const last = units[units.length - 1];
    if (last && last.unit === statement.unit && last.link === statement.link && last.connection === statement.connection) last.statements.push(statement);
    else units.push({ unit: statement.unit, link: statement.link, connection: statement.connection, statements: [statement] });
  }
  return units;
}

function sqlOfCall(model, call, places) {
  const statements = model.statements.ofCall(call.id);
  if (!statements.length) return el("p", { class: "empty small" }, "No SQL is linked to this call.");
  const left = call.sqlCount - statements.length;
  return el("div", { class: "units" }, left > 0 ? el("p", { class: "note" }, `The first ${statements.length} of ${plural(call.sqlCount, "statement")}; glancetrace sql --call ${call.id} lists all of them.`) : null, unitsOf(statements).map((unit) => el("div", { class: "unit" },
    evidenceBlock(unit.link), unit.statements.map((statement) => statementRow(model, statement, places)))));
}

function callFrames(model, call) {
  const frames = [call.firstFrame, call.requestFrame, call.responseFrame, call.lastFrame];
  for (const hop of call.hops) frames.push(hop.firstFrame, hop.lastFrame);
  for (const statement of model.statements.ofCall(call.id)) frames.push(statement.firstFrame, statement.lastFrame, statement.commitFrame);
  return frames;
}

function callFacts(model, call, clock, places) {
  const phase = (from, to) => (from === null || to === null ? "–" : formatDuration(to - from));
  return el("dl", { class: "facts" },
    fact("Request", el("code", null, bdi(`${call.method} ${call.target}`))),
    fact("From, to", bdi(`${call.client || "?"} → ${call.server || "?"}`), call.tls ? " over TLS" : ""),
    fact("Took", formatDuration(call.dur), ` = sending ${phase(call.ts, call.requestEnd)} + waiting ${phase(call.requestEnd, call.responseTs)} + receiving ${phase(call.responseTs, call.dur === null ? null : call.end)}`),
    fact("Bytes", `${formatBytes(call.inBytes)} sent, ${formatBytes(call.outBytes)} received`),
    call.requestId ? fact("Request id", el("code", null, bdi(call.requestId))) : null,
    call.hops.length ? fact("Hops", el("ol", { class: "hops" }, call.hops.map((hop) => el("li", null, bdi(`${hop.client || "?"} → ${hop.server || "?"}`), ` ${formatDuration(hop.dur)}`)))) : null,
    call.fromLog ? fact("Known from", `a log; its times may be off by ${formatDuration(call.uncertainty)}`) : null,
    call.complete ? null : fact("Incomplete", "not all of its bytes are in the capture"),
    call.certainty !== "observed" ? fact("Certainty", call.certainty) : null,
    (model.children.get(call.id) || []).length ? fact("Called in turn", (model.children.get(call.id)).map((child) => [callLink(child.id), ` ${child.operation} `])) : null,
    call.parent ? fact("Called by", callLink(call.parent)) : null,
    fact("Frames", `${places.frame(call.firstFrame)} to ${places.frame(call.lastFrame)}`));
}

function callItem(model, call, clock, places) {
  const details = el("details", { class: "item call", id: `item-call-${call.id}` },
    el("summary", null, el("time", null, clock.time(call.ts)), codeBadge(call), el("span", { class: "what" }, el("strong", null, call.operation), el("span", { class: "sub" }, bdi(`${call.method} ${call.target}`))),
      el("span", { class: "meta" }, call.sqlCount ? `${call.sqlCount} SQL` : "", el("span", { class: "took" }, formatDuration(call.dur)))));
  details.addEventListener("toggle", () => {
    if (!details.open || details.dataset.made) return;
    details.dataset.made = "1";
    details.append(el("div", { class: "item-body" }, callFacts(model, call, clock, places), filterBox(places, callFrames(model, call), "Wireshark"), sqlOfCall(model, call, places)));
  });
  return details;
}

function changeItem(change, clock, places) {
  const notes = [change.certainty === "observed" ? null : change.certainty, change.legal ? null : "not a legal change", change.source === "api" ? "seen in a response only" : null].filter(Boolean);
  return el("div", { class: "item change" }, el("time", null, clock.time(change.ts)),
    el("span", { class: "what" }, change.from ? statusPill(change.from) : el("span", { class: "pill new" }, "new"), el("span", { class: "to" }, "→"), statusPill(change.to), notes.length ? el("span", { class: "bad" }, ` ${notes.join(", ")}`) : null),
    el("span", { class: "meta" }, `frame ${places.frame(change.frame)}${change.commit ? `, commit ${places.frame(change.commit)}` : ""}`));
}

function eventItem(event, clock, places) {
  return el("div", { class: "item event" }, el("time", null, clock.time(event.ts)), el("span", { class: "what" }, el("span", { class: "tag" }, event.kind), " ", bdi(event.summary || "")),
    el("span", { class: "meta" }, event.frame ? `frame ${places.frame(event.frame)}` : ""));
}

function storyOf(model, image) {
  const entries = [
    ...image.calls.map((call) => ({ ts: call.ts, rank: 0, make: (clock, places) => callItem(model, call, clock, places), call })),
    ...image.transitions.map((change) => ({ ts: change.ts, rank: 1, make: (clock, places) => changeItem(change, clock, places) })),
    ...image.events.map((event) => ({ ts: event.ts, rank: 2, make: (clock, places) => eventItem(event, clock, places) })),
    ...unitsOf(model.statements.naming(image.id)).map((unit) => ({ ts: unit.statements[0].ts, rank: 3, statements: unit.statements, make: (clock, places) =>
      el("div", { class: "item loose" }, el("time", null, clock.time(unit.statements[0].ts)), el("div", { class: "what unit" }, evidenceBlock(null), unit.statements.map((statement) => statementRow(model, statement, places)))) })),
  ];
  return entries.sort((a, b) => a.ts - b.ts || a.rank - b.rank);
}

// The list, in pieces: `goTo(call)` opens a call wherever it is.
function storyList(entries, clock, places) {
  const list = el("div", { class: "story" });
  const more = el("button", { type: "button", class: "more-button" });
  let made = 0;
  const grow = (count) => {
    const end = Math.min(entries.length, made + count);
    for (; made < end; made++) list.append(entries[made].make(clock, places));
    more.hidden = made >= entries.length;
    more.textContent = `Show more: ${formatCount(entries.length - made)} left`;
  };
  more.addEventListener("click", () => grow(STORY_PIECE));
  grow(STORY_PIECE);
  const goTo = (span) => {
    const index = entries.findIndex((entry) => (span.call ? entry.call === span.call : entry.statements && entry.statements.includes(span.statement)));
    if (index < 0) return false;
    if (index >= made) grow(index - made + 20);
    const item = list.children[index];
    item.open = true;
    item.dispatchEvent(new Event("toggle"));
    const row = span.statement && item.querySelector(`#statement-${span.statement.id}`);
    if (row) row.open = true;
    (row || item).scrollIntoView({ block: "start", behavior: "smooth" });
    (row || item).querySelector("summary").focus({ preventScroll: true });
    return true;
  };
  return { element: el("div", null, list, more), goTo };
}
