"""A result as Chrome trace events, which ui.perfetto.dev and chrome://tracing open.

Specification: "Trace Event Format" (Google), JSON Object Format: `traceEvents` with complete events (`X`), flow events
(`s`, `f`), counters (`C`) and metadata (`M`); `ts` and `dur` are microseconds. They are counted from the start of the
capture, with three decimals: a double holds no nanoseconds since 1970.

One process per service that was called, one for SQL, one for images. Slices of one thread must nest, and calls at the
same time do not: each service has as many threads as it had calls at once, a call takes the first that is free. A
statement stands below its call where it lies within it and after the statement before; every other one stands on the
thread of its MySQL connection, with a flow from its call. A call made in the course of another has a flow from it. An
image is a thread whose slices are its statuses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from glancetrace.output.export.rows import Row, Rows
from glancetrace.output.json import dump_document

__all__ = ["render_perfetto"]

_ROWS_AT_ONCE = 512
_LONGEST_SQL = 4096
"""Characters of a statement that are shown; all of it stands in the other formats."""


@dataclass(slots=True)
class _Placed:
    """A call on its thread: until when it lasts (`end`), until when the last statement below it did (`busy`), ns."""

    pid: int
    tid: int
    ts: int
    end: int
    busy: int


@dataclass(slots=True)
class _Layout:
    """Where everything goes: process ids by service, ends of the threads' last slices by process."""

    start: int
    end: int
    pids: dict[str, int] = field(default_factory=dict)
    lanes: dict[int, list[int]] = field(default_factory=dict)
    calls: dict[int, _Placed] = field(default_factory=dict)
    flows: int = 0

    def pid(self, name: str) -> tuple[int, bool]:
        """Process of that name, and whether it is new."""
        known = name in self.pids
        return self.pids.setdefault(name, len(self.pids) + 1), not known

    def lane(self, pid: int, ts: int, end: int) -> tuple[int, bool]:
        """First thread of a process that is free at `ts`, from 1, and whether it is new."""
        ends = self.lanes.setdefault(pid, [])
        for number, until in enumerate(ends):
            if until <= ts:
                ends[number] = end
                return number + 1, False
        ends.append(end)
        return len(ends), True

    def us(self, ts: int) -> float:
        """Microseconds after the start."""
        return (ts - self.start) / 1000


def render_perfetto(result: Rows) -> Iterator[bytes]:
    """The whole file, in pieces."""
    capture = result.capture
    start = capture["first_ts"] or 0
    layout = _Layout(start, capture["last_ts"] or start)
    yield b'{"displayTimeUnit":"ms","otherData":' + dump_document(_about(capture)).rstrip() + b',"traceEvents":[\n'
    separator = b""
    batch: list[bytes] = []
    for event in _events(result, layout):
        batch.append(dump_document(event).rstrip())
        if len(batch) == _ROWS_AT_ONCE:
            yield separator + b",\n".join(batch)
            separator, batch = b",\n", []
    yield (separator if batch else b"") + b",\n".join(batch) + b"\n]}\n"


def _about(capture: Row) -> Row:
    """`otherData`: what the times are counted from."""
    from glancetrace.rfc3339 import rfc3339

    names = [file["name"] for file in capture["files"]]
    return {"creator": "glancetrace", "capture": ", ".join(names), "start": rfc3339(capture["first_ts"]) or ""}


def _events(result: Rows, layout: _Layout) -> Iterator[Row]:
    lasted = _ends_of_statements(result)
    changes: list[tuple[int, int]] = []
    for call in result.rows("api_calls"):
        yield from _call(call, layout, lasted, changes)
    yield from _open_calls(changes, layout)
    links = {link["statement_id"]: (link["call_id"], link["class"], link["score"]) for link in result.rows("links")}
    for statement in result.rows("statements"):
        yield from _statement(statement, links.get(statement["id"]), layout)
    yield from _images(result, layout)


def _ends_of_statements(result: Rows) -> dict[int, int]:
    """Call -> end (ns) of the last statement that it ran while it was open: what bounds a call without an answer."""
    unanswered = {call["id"] for call in result.rows("api_calls") if call["dur"] is None}
    if not unanswered:
        return {}
    links = result.rows("links")
    owner = {link["statement_id"]: link["call_id"] for link in links if link["call_id"] in unanswered}
    ends: dict[int, int] = {}
    for statement in result.rows("statements"):
        call_id = owner.get(statement["id"])
        if call_id is not None:
            ends[call_id] = max(ends.get(call_id, 0), statement["ts"] + (statement["dur"] or 0))
    return ends


def _metadata(kind: str, pid: int, tid: int, **args: Any) -> Row:
    return {"ph": "M", "name": kind, "pid": pid, "tid": tid, "args": args}


def _process(layout: _Layout, name: str) -> Iterator[Row]:
    """Metadata of a process when it is first needed."""
    pid, new = layout.pid(name)
    if new:
        yield _metadata("process_name", pid, 0, name=name)
        yield _metadata("process_sort_index", pid, 0, sort_index=pid)


def _slice(layout: _Layout, placed: tuple[int, int], name: str, category: str, span: tuple[int, int], args: Row) -> Row:
    """A complete event; what is not known is left out of its arguments."""
    pid, tid = placed
    ts, end = span
    return {
        "ph": "X",
        "name": name,
        "cat": category,
        "pid": pid,
        "tid": tid,
        "ts": layout.us(ts),
        "dur": max(0, end - ts) / 1000,
        "args": {key: value for key, value in args.items() if value not in (None, (), [])},
    }


def _flow(layout: _Layout, name: str, source: _Placed, target: tuple[int, int], ts: int) -> Iterator[Row]:
    """An arrow from a call to a slice that begins at `ts`; it leaves the call while that is open."""
    layout.flows += 1
    flow = {"name": name, "cat": "flow", "id": layout.flows}
    leaving = min(max(ts, source.ts), source.end)
    yield {"ph": "s", **flow, "pid": source.pid, "tid": source.tid, "ts": layout.us(leaving)}
    yield {"ph": "f", "bp": "e", **flow, "pid": target[0], "tid": target[1], "ts": layout.us(ts)}


def _call(call: Row, layout: _Layout, lasted: dict[int, int], changes: list[tuple[int, int]]) -> Iterator[Row]:
    name = f"{call['service']} API"
    yield from _process(layout, name)
    pid, _ = layout.pid(name)
    ts = call["ts"]
    if call["dur"] is not None:
        end = ts + call["dur"]
    else:
        end = max(ts, call["request_end_ts"] or 0, call["response_ts"] or 0, lasted.get(call["id"], 0))
    tid, new = layout.lane(pid, ts, end)
    if new:
        yield _metadata("thread_name", pid, tid, name=f"calls at once: {tid}")
        yield _metadata("thread_sort_index", pid, tid, sort_index=tid)
    layout.calls[call["id"]] = placed = _Placed(pid, tid, ts, end, ts)
    changes += [(ts, 1), (end, -1)]
    kept = ("id", "method", "target", "status_code", "image_id", "request_id", "client", "server", "complete", "source",
            "certainty", "request_body_bytes", "response_body_bytes", "first_frame", "last_frame")  # fmt: skip
    yield _slice(layout, (pid, tid), call["operation"], "call", (ts, end), {key: call[key] for key in kept})
    parent = layout.calls.get(call["parent_id"])
    if parent is not None:
        yield from _flow(layout, "nested call", parent, (pid, placed.tid), ts)


def _open_calls(changes: list[tuple[int, int]], layout: _Layout) -> Iterator[Row]:
    """Counter: calls under way."""
    if not changes:
        return
    yield from _process(layout, "load")
    pid, _ = layout.pid("load")
    count = 0
    for ts, change in sorted(changes):
        count += change
        yield {"ph": "C", "name": "calls under way", "pid": pid, "tid": 0, "ts": layout.us(ts), "args": {"n": count}}


def _statement(statement: Row, link: tuple[int, str, float] | None, layout: _Layout) -> Iterator[Row]:
    ts = statement["ts"]
    end = ts + (statement["dur"] or 0)
    call = layout.calls.get(link[0]) if link is not None else None
    args = {key: statement[key] for key in ("id", "kind", "command", "image_ids", "returned_rows", "affected_rows",
            "outcome", "mysql_thread_id", "first_frame", "last_frame")}  # fmt: skip
    sql = statement["sql"]
    args["sql"] = sql[:_LONGEST_SQL] if sql is not None else None
    args["error"] = statement["error"] and statement["error"]["message"]
    if link is not None:
        args |= {"call_id": link[0], "link_class": link[1], "link_score": link[2]}
    name = " ".join([statement["operation"] or statement["command"], *statement["tables"][:1]])
    if call is not None and call.busy <= ts and end <= call.end:
        call.busy = end
        yield _slice(layout, (call.pid, call.tid), name, "sql", (ts, end), args)
        return
    process = f"SQL of {statement['service']}"
    yield from _process(layout, process)
    pid, _ = layout.pid(process)
    tid = statement["connection_id"]
    if tid not in layout.lanes.setdefault(pid, []):
        layout.lanes[pid].append(tid)
        yield _metadata("thread_name", pid, tid, name=f"connection {tid}")
    yield _slice(layout, (pid, tid), name, "sql", (ts, end), args)
    if call is not None:
        yield from _flow(layout, "statement", call, (pid, tid), ts)


def _images(result: Rows, layout: _Layout) -> Iterator[Row]:
    for tid, image in enumerate(result.rows("images"), 1):
        if not image["intervals"]:
            continue
        yield from _process(layout, "images")
        pid, _ = layout.pid("images")
        yield _metadata("thread_name", pid, tid, name=f"{image['name'] or 'image'} {image['id']}")
        yield _metadata("thread_sort_index", pid, tid, sort_index=tid)
        for interval in image["intervals"]:
            ts = interval["ts"]
            end = layout.end if interval["dur"] is None else ts + interval["dur"]
            args = {"image_id": image["id"], "open": interval["dur"] is None}
            yield _slice(layout, (pid, tid), interval["status"], "image", (ts, end), args)
