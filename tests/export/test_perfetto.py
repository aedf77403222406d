"""Chrome trace events: the documented schema, slices that nest, everything of the result in its place."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glancetrace.output.export.perfetto import render_perfetto
from glancetrace.output.export.rows import Rows, rows_of_result
from glancetrace.saved import load
from glancetrace.schema import TABLES
from glancetrace.trace import Trace
from tests.support.handmade import handmade_trace
from tests.support.trace_events import TRACE_EVENTS
from tests.support.traces import analysed

Event = dict[str, Any]
SAMPLES = ["article", "openstack-cli", "failures"]


def trace_of(name: str) -> Trace:
    return analysed(name)


def events_of(result: Rows) -> list[Event]:
    document = json.loads(b"".join(render_perfetto(result)))
    found: list[Event] = document["traceEvents"]
    return found


def assert_nesting(events: list[Event]) -> None:
    """Slices of a thread lie within each other or apart: a viewer would put them on the wrong level otherwise."""
    threads: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            begin = round(event["ts"] * 1000)
            threads[event["pid"], event["tid"]].append((begin, begin + round(event["dur"] * 1000)))
    for spans in threads.values():
        opened: list[int] = []
        for begin, end in sorted(spans, key=lambda span: (span[0], -span[1])):
            while opened and opened[-1] <= begin:
                opened.pop()
            assert not opened or end <= opened[-1]
            opened.append(end)


@pytest.mark.parametrize("name", ["article", "article-allports"])
def test_the_documented_schema(name: str) -> None:
    document = json.loads(b"".join(render_perfetto(rows_of_result(trace_of(name)))))
    jsonschema.Draft202012Validator(TRACE_EVENTS).validate(document)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_row_is_there_once_and_slices_nest(name: str) -> None:
    trace = trace_of(name)
    events = events_of(rows_of_result(trace))
    assert_nesting(events)
    ids = {
        kind: [e["args"]["id"] for e in events if e.get("cat") == kind and "id" in e["args"]]
        for kind in ("call", "sql")
    }
    assert ids["call"] == [call.id for call in trace.tables.calls]
    assert sorted(ids["sql"]) == [statement.id for statement in trace.tables.statements]
    statuses = [event for event in events if event.get("cat") == "image"]
    assert len(statuses) == sum(len(image.intervals) for image in trace.tables.images)


def test_statements_stand_below_their_call() -> None:
    trace = trace_of("article")
    events = events_of(rows_of_result(trace))
    upload = next(event for event in events if event["name"] == "image-upload")
    below = [
        event["args"]
        for event in events
        if event.get("cat") == "sql" and (event["pid"], event["tid"]) == (upload["pid"], upload["tid"])
        and upload["ts"] <= event["ts"] < upload["ts"] + upload["dur"]
    ]  # fmt: skip
    assert [args["id"] for args in below] == [s.id for s in trace.statements_of(upload["args"]["id"])]
    assert {args["call_id"] for args in below} == {upload["args"]["id"]}


def test_statements_after_their_call_have_a_flow_from_it() -> None:
    """An import goes on when its call was answered long ago."""
    events = events_of(rows_of_result(trace_of("openstack-cli")))
    flows: dict[int, list[Event]] = defaultdict(list)
    for event in events:
        if event["ph"] in "sf":
            flows[event["id"]].append(event)
    assert all([e["ph"] for e in pair] == ["s", "f"] and pair[0]["ts"] <= pair[1]["ts"] for pair in flows.values())
    slices = [event for event in events if event["ph"] == "X"]
    place = {(e["pid"], e["tid"], e["ts"]) for e in slices}
    assert {pair[0]["name"] for pair in flows.values()} == {"statement"}
    assert all((pair[1]["pid"], pair[1]["tid"], pair[1]["ts"]) in place for pair in flows.values())


def test_a_call_made_in_the_course_of_another_has_a_flow_from_it() -> None:
    trace = trace_of("article-allports")
    nested = [call for call in trace.tables.calls if call.parent_id is not None]
    events = events_of(rows_of_result(trace))
    assert nested
    assert sum(event["ph"] == "f" and event["name"] == "nested call" for event in events) == len(nested)


def test_calls_at_once_stand_side_by_side() -> None:
    events = events_of(rows_of_result(trace_of("concurrent-old-8")))
    most = max(event["args"]["n"] for event in events if event["ph"] == "C")
    lanes = Counter((e["pid"], e["tid"]) for e in events if e.get("cat") == "call")
    assert 1 < most <= len(lanes)
    assert [event["args"]["n"] for event in events if event["ph"] == "C"][-1] == 0


QUERY = {"service": "glance", "command": "COM_QUERY", "operation": "SELECT", "tables": []}
CALLS = st.lists(st.tuples(st.integers(0, 50), st.none() | st.integers(0, 30)), max_size=30)
"""Times and durations."""


@given(CALLS.map(lambda rows: sorted(rows, key=lambda row: row[0])))
@settings(max_examples=60, deadline=None)
def test_slices_nest_whatever_overlaps(calls: list[tuple[int, int | None]]) -> None:
    """Calls at any times, each with statements that lie within it, reach over its end, or overlap each other."""
    blank = {table: {column.name: None for column in columns} for table, columns in TABLES.items()}
    rows: dict[str, list[Event]] = {table: [] for table in TABLES}
    for number, (ts, dur) in enumerate(calls, 1):
        rows["api_calls"].append(
            {**blank["api_calls"], "id": number, "service": "glance", "operation": "image-show", "ts": ts, "dur": dur}
        )
        for place, (offset, lasts) in enumerate(((0, 3), (2, 3), (5, 60))):
            statement = 3 * number + place
            place_of = {"id": statement, "connection_id": statement, "ts": ts + offset, "dur": lasts}
            rows["statements"].append({**blank["statements"], **QUERY, **place_of})
            rows["links"].append(
                {**blank["links"], "statement_id": statement, "call_id": number, "class": "certain", "score": 1.0}
            )
    rows["statements"].sort(key=lambda row: row["ts"])
    capture = {"first_ts": 0, "last_ts": 200, "files": []}
    events = events_of(Rows(capture, {table: lambda table=table: rows[table] for table in TABLES}))
    assert_nesting(events)
    assert sum(event.get("cat") == "sql" for event in events) == 3 * len(calls)


@pytest.mark.parametrize("make", [handmade_trace, lambda: trace_of("article")])
def test_a_saved_trace_gives_the_same(make: Callable[[], Trace], tmp_path: Path) -> None:
    trace = make()
    trace.save(tmp_path)
    assert events_of(rows_of_result(load(tmp_path))) == events_of(rows_of_result(trace))
