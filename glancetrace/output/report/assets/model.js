// The data of the page: columns of numbers into rows with names. payload.py packs what is unpacked here.

const FIELDS = {
  images: ["id", "name", "status", "size", "checksum", "algo", "hash", "wire", "wireComplete", "existed", "certainty",
    "transitions", "intervals", "events"],
  calls: ["id", "service", "method", "target", "operation", "imageId", "code", "requestId", "ts", "requestEnd",
    "responseTs", "dur", "inBytes", "outBytes", "client", "server", "connection", "flags", "uncertainty", "certainty",
    "parent", "hops", "firstFrame", "lastFrame", "requestFrame", "responseFrame", "sqlCount"],
  statements: ["id", "callId", "link", "service", "kind", "operation", "shape", "literals", "ts", "dur", "rows",
    "affected", "error", "outcome", "commitFrame", "unit", "connection", "thread", "firstFrame", "lastFrame",
    "imageIds"],
};
const TEXTS = {
  images: ["id", "name", "status", "checksum", "algo", "hash", "certainty"],
  calls: ["service", "method", "target", "operation", "imageId", "requestId", "client", "server", "certainty"],
  statements: ["service", "kind", "operation", "error", "outcome"],
};

const countRows = (columns) => (columns.length ? columns[0].length : 0);

function rowMaker(table, columns, texts) {
  const names = FIELDS[table];
  const isText = names.map((name) => TEXTS[table].includes(name));
  return (index) => {
    const row = {};
    for (let column = 0; column < names.length; column++) {
      const value = columns[column][index];
      row[names[column]] = value !== null && isText[column] ? texts[value] : value;
    }
    return row;
  };
}

function rowsOf(table, columns, texts) {
  return Array.from({ length: countRows(columns) }, (_, index) => index).map(rowMaker(table, columns, texts));
}

// Statements become rows when somebody looks at them: there are many, and few are looked at.
class Statements {
  constructor(columns, texts, links) {
    const callIds = columns[FIELDS.statements.indexOf("callId")] || [];
    const imageIds = columns[FIELDS.statements.indexOf("imageIds")] || [];
    const make = rowMaker("statements", columns, texts);
    this.count = countRows(columns);
    this.byCall = new Map();
    this.byImage = new Map();
    const add = (groups, key, index) => { if (groups.has(key)) groups.get(key).push(index); else groups.set(key, [index]); };
    for (let index = 0; index < this.count; index++) {
      if (callIds[index] !== null) add(this.byCall, callIds[index], index);
      else for (const id of imageIds[index]) add(this.byImage, texts[id], index);
    }
    this.rows = new Map();
    this.make = (index) => {
      const row = make(index);
      row.link = row.link === null ? null : links[row.link];
      row.end = row.ts + (row.dur || 0);
      this.rows.set(index, row);
      return row;
    };
  }

  all(indices) { return (indices || []).map((index) => this.rows.get(index) || this.make(index)); }

  ofCall(id) { return this.all(this.byCall.get(id)); }

  countOfCall(id) { return (this.byCall.get(id) || []).length; }

  // Those that name an image and belong to no call.
  naming(id) { return this.all(this.byImage.get(id)); }
}

function groupBy(rows, key) {
  const groups = new Map();
  for (const row of rows) {
    const value = key(row);
    if (value === null || value === undefined) continue;
    const group = groups.get(value);
    if (group) group.push(row);
    else groups.set(value, [row]);
  }
  return groups;
}

function readModel(packed) {
  const texts = packed.texts;
  const text = (index) => (index === null ? null : texts[index]);
  const images = rowsOf("images", packed.images, texts);
  const calls = rowsOf("calls", packed.calls, texts);
  const links = packed.links.map(([kind, relation, score, evidence, rejected, group, candidates]) => ({
    kind: text(kind), relation: text(relation), score, evidence: evidence.map(text), group, candidates,
    rejected: rejected.map(([callId, reason]) => ({ callId, reason: text(reason) })),
  }));
  for (const image of images) {
    image.transitions = image.transitions.map(([from, to, ts, source, certainty, legal, statement, call, frame, commit]) => ({
      from: text(from), to: text(to), ts, source: text(source), certainty: text(certainty), legal, statement, call, frame,
      commit,
    }));
    image.intervals = image.intervals.map(([status, ts, dur]) => ({
      status: text(status), ts, end: dur === null ? Math.max(packed.end, ts) : ts + dur, open: dur === null,
    }));
    image.events = image.events.map(([kind, ts, summary, statement, call, frame, dur]) => ({
      kind: text(kind), ts, summary: text(summary), statement, call, frame, dur,
    }));
    image.wire = image.wire && image.wire.map(([name, value]) => [text(name), text(value)]);
    image.label = image.name || (image.name === "" ? '""' : "(no name)");
  }
  for (const call of calls) {
    call.end = call.dur === null ? call.ts : call.ts + call.dur;
    call.tls = (call.flags & 1) !== 0;
    call.complete = (call.flags & 2) !== 0;
    call.fromLog = (call.flags & 4) !== 0;
    call.failed = call.code === null || call.code >= 400;
    call.hops = (call.hops || []).map(([client, server, ts, dur, firstFrame, lastFrame]) => ({
      client: text(client), server: text(server), ts, dur, firstFrame, lastFrame,
    }));
  }
  const statements = new Statements(packed.statements, texts, links);
  const sqlOf = (statement) => {
    if (statement.shape === null) return "";
    const parts = packed.shapes[statement.shape];
    let sql = texts[parts[0]];
    for (let i = 1; i < parts.length; i++) sql += texts[statement.literals[i - 1]] + texts[parts[i]];
    return sql;
  };
  const callsOfImage = groupBy(calls, (row) => row.imageId);
  const children = groupBy(calls, (row) => row.parent);
  const callById = new Map(calls.map((row) => [row.id, row]));
  const imageById = new Map(images.map((row) => [row.id, row]));
  for (const image of images) {
    image.calls = storyCalls(image, callsOfImage, callById, children);
    image.firstTs = Math.min(...image.intervals.slice(0, 1).map((i) => i.ts), ...image.calls.slice(0, 1).map((c) => c.ts),
      packed.end);
    const active = image.transitions.find((change) => change.to === "active");
    const created = image.transitions.find((change) => change.from === null);
    image.readyAfter = active && created ? active.ts - created.ts : null;
    image.failures = image.calls.filter((call) => call.failed).length;
  }
  return { ...packed, images, calls, statements, sqlOf, children, callById, imageById };
}

// The calls that name or changed an image, and what they called in turn.
function storyCalls(image, callsOfImage, callById, children) {
  const own = new Set(callsOfImage.get(image.id) || []);
  for (const row of [...image.transitions, ...image.events]) {
    const call = callById.get(row.call);
    if (call) own.add(call);
  }
  for (const call of [...own]) {
    for (const child of children.get(call.id) || []) if (child.service !== "keystone") own.add(child);
  }
  return [...own].sort((a, b) => a.ts - b.ts || a.id - b.id);
}
