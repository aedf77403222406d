// The data of the page: columns of numbers into rows with names. payload.py packs what is unpacked here.

const FIELDS = {
  images: ["id", "name", "status", "size", "checksum", "algo", "hash", "wire", "wireComplete", "existed", "certainty",
    "transitions", "intervals", "events"],
  calls: ["id", "service", "method", "target", "operation", "imageId", "code", "requestId", "ts", "requestEnd",
    "responseTs", "dur", "inBytes", "outBytes", "client", "server", "connection", "flags", "uncertainty", "certainty",
    "parent", "hops", "firstFrame", "lastFrame", "requestFrame", "responseFrame"],
  statements: ["id", "callId", "link", "service", "kind", "operation", "shape", "literals", "ts", "dur", "rows",
    "affected", "error", "outcome", "commitFrame", "unit", "connection", "thread", "firstFrame", "lastFrame",
    "imageIds"],
};
const TEXTS = {
  images: ["id", "name", "status", "checksum", "algo", "hash", "certainty"],
  calls: ["service", "method", "target", "operation", "imageId", "requestId", "client", "server", "certainty"],
  statements: ["service", "kind", "operation", "error", "outcome"],
};

function rowsOf(table, columns, texts) {
  const names = FIELDS[table];
  const isText = new Set(TEXTS[table]);
  const count = columns.length ? columns[0].length : 0;
  const rows = [];
  for (let row = 0; row < count; row++) {
    const made = {};
    for (let column = 0; column < names.length; column++) {
      const value = columns[column][row];
      made[names[column]] = value !== null && isText.has(names[column]) ? texts[value] : value;
    }
    rows.push(made);
  }
  return rows;
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
  const statements = rowsOf("statements", packed.statements, texts);
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
  for (const statement of statements) {
    statement.link = statement.link === null ? null : links[statement.link];
    statement.imageIds = statement.imageIds.map(text);
    statement.end = statement.ts + (statement.dur || 0);
  }
  const sqlOf = (statement) => {
    if (statement.shape === null) return "";
    const parts = packed.shapes[statement.shape];
    let sql = texts[parts[0]];
    for (let i = 1; i < parts.length; i++) sql += texts[statement.literals[i - 1]] + texts[parts[i]];
    return sql;
  };
  const statementsOfCall = groupBy(statements, (row) => row.callId);
  const callsOfImage = groupBy(calls, (row) => row.imageId);
  const children = groupBy(calls, (row) => row.parent);
  const callById = new Map(calls.map((row) => [row.id, row]));
  const imageById = new Map(images.map((row) => [row.id, row]));
  const namingOfImage = new Map();
  for (const statement of statements) {
    if (statement.callId !== null) continue;
    for (const id of statement.imageIds) {
      if (namingOfImage.has(id)) namingOfImage.get(id).push(statement);
      else namingOfImage.set(id, [statement]);
    }
  }
  const statementById = new Map(statements.map((row) => [row.id, row]));
  for (const call of calls) call.sqlCount = (statementsOfCall.get(call.id) || []).length;
  for (const image of images) {
    image.calls = storyCalls(image, callsOfImage, callById, children);
    image.firstTs = Math.min(...image.intervals.slice(0, 1).map((i) => i.ts), ...image.calls.slice(0, 1).map((c) => c.ts),
      packed.end);
    const active = image.transitions.find((change) => change.to === "active");
    const created = image.transitions.find((change) => change.from === null);
    image.readyAfter = active && created ? active.ts - created.ts : null;
    image.failures = image.calls.filter((call) => call.failed).length;
  }
  return { ...packed, images, calls, statements, links, sqlOf, statementsOfCall, children, callById, imageById,
    namingOfImage, statementById };
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
