// SQL for people: coloured, broken into lines, and in one line without its lists of columns.

const SQL_TOKEN = /('(?:[^'\\]|\\[^]|'')*'?)|(`[^`]*`?|"[^"]*"?)|(--[^\n]*|\/\*[^]*?(?:\*\/|$))|(\b\d+(?:\.\d+)?\b)|([A-Za-z_][\w$]*)|(\s+)|([^])/g;
const SQL_WORDS = new Set(("select from where and or not in is null as on join left right inner outer cross union all " +
  "insert into values update set delete order by group having limit offset asc desc distinct case when then else end " +
  "between like exists commit rollback begin start transaction savepoint release for true false count lock share mode " +
  "replace create table alter drop use show").split(" "));
const SQL_BREAKS = new Set(["from", "where", "left", "right", "inner", "order", "group", "having", "limit", "values", "set",
  "union", "on"]);
const SQL_KINDS = ["string", "name", "comment", "number", "word", "space", "sign"];

function* tokensOf(sql) {
  for (const match of sql.matchAll(SQL_TOKEN)) {
    let kind = "sign";
    for (let i = 1; i < match.length; i++) if (match[i] !== undefined) kind = SQL_KINDS[i - 1];
    if (kind === "word") kind = SQL_WORDS.has(match[0].toLowerCase()) ? "keyword" : "name";
    yield { kind, text: match[0] };
  }
}

const tokenNode = ({ kind, text }) =>
  kind === "space" || kind === "sign" || kind === "name" ? text : el("span", { class: `t-${kind}` }, text);

// The whole statement, its clauses on lines of their own.
function sqlBlock(sql) {
  const block = el("code", { class: "sql" });
  let depth = 0, started = false;
  for (const token of tokensOf(sql)) {
    if (token.text === "(") depth++;
    if (token.text === ")") depth--;
    if (started && token.kind === "keyword" && SQL_BREAKS.has(token.text.toLowerCase())) {
      block.append(`\n${"  ".repeat(Math.max(0, Math.min(depth, 6)))}`);
    }
    started = true;
    block.append(token.kind === "space" ? " " : tokenNode(token));
  }
  return block;
}

// One line: what is selected is left out, what it is selected from and by is not.
function sqlLine(sql) {
  const line = el("code", { class: "sql line" });
  let skipping = 0, depth = 0, length = 0;
  const stack = [];
  for (const token of tokensOf(sql)) {
    if (length > 400) { line.append("…"); break; }
    const word = token.kind === "keyword" ? token.text.toLowerCase() : "";
    if (token.text === "(") depth++;
    if (token.text === ")") depth--;
    if (skipping) {
      if (word === "from" && depth === stack[stack.length - 1]) { skipping--; stack.pop(); line.append("… "); }
      else continue;
    }
    line.append(token.kind === "space" ? " " : tokenNode(token));
    length += token.text.length;
    if (word === "select") { skipping++; stack.push(depth); line.append(" "); }
  }
  return line;
}

function statementClass(statement) {
  if (statement.error) return "failed";
  const word = statement.operation;
  if (word === "INSERT" || word === "UPDATE" || word === "DELETE" || word === "REPLACE") return "write";
  return word === "COMMIT" ? "commit" : word === "ROLLBACK" ? "rollback" : "read";
}
