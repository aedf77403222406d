"""Plots: what their bars and lines say, that captured text in them is escaped, and that big traces are aggregated."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import glancetrace as gt
from glancetrace.errors import UsageError
from glancetrace.jupyter import lanes, states
from glancetrace.jupyter.load import _highest, count_open
from glancetrace.redact import Redactor
from glancetrace.trace import Tables, Trace
from tests.support.rows import IMAGE_ID, Rows, story
from tests.support.samples import capture_path
from tests.support.traces import analysed

HOSTILE = "<a href='javascript:alert(1)'>x</a>"
TOKEN = "gAAAAABeS2" + "q" * 90


@pytest.fixture
def trace() -> Trace:
    rows = Rows()
    call = rows.call("image-upload", 204, 0.9, 1.5, target=f"/v2/images?token={TOKEN}", request_end_ts=None)
    rows.call("image-show", 404, 3, 0.5)
    rows.call("image-show", None, 4, dur=None)
    rows.statement(f"UPDATE images SET name='{HOSTILE}'", 1.0, 0.25, call=call)
    rows.statement("SELECT 1", 1.5, 0.25, call=call)
    image = story((None, "queued", 0.0), ("queued", "saving", 1.0), ("saving", "active", 2.0), name=HOSTILE)
    image.transitions[1].statement_id, image.transitions[1].call_id = 1, 1
    rows.tables.images.append(image)
    return Trace(rows.capture(), rows.tables, Redactor(b"key"))


def drawn(figure: Any) -> dict[str, Any]:
    """Traces of a figure by their names."""
    return {trace["name"]: trace for trace in json.loads(figure.to_json())["data"]}


def test_states_are_bars_with_their_causes(trace: Trace) -> None:
    bars = drawn(trace.plot())
    assert bars["saving"]["base"] == [1.0]
    assert bars["saving"]["x"] == [1.0]
    (hover,) = bars["saving"]["hovertext"]
    assert "call 1: image-upload, 204" in hover
    assert "UPDATE images SET name" in hover
    assert "frame 200, commit 201" in hover
    assert bars["active"]["x"] == [58.0]
    assert "2 statements" in bars["API call"]["hovertext"][0]
    assert len(bars["API call, failed"]["x"]) == 2


def test_lanes_of_an_image_and_of_a_call(trace: Trace) -> None:
    bars = drawn(trace.image(IMAGE_ID).plot())
    assert bars["SQL"]["y"] == ["database 2", "database 2"]
    assert "link certain" in bars["SQL"]["hovertext"][0]
    assert set(bars["client waits"]["y"]) == {"client"}
    assert bars["service works"]["y"] == ["API"]
    assert {"queued", "saving", "active"} <= set(bars)
    assert "queued" not in drawn(trace.call(1).plot())


def test_latency_tells_the_share_of_sql(trace: Trace) -> None:
    bars = drawn(trace.plot_latency())
    upload = bars["SQL"]["y"].index("glance image-upload")
    assert bars["SQL"]["x"][upload] == 500.0
    assert bars["everything else"]["x"][upload] == 1000.0
    assert "(33 %)" in bars["SQL"]["hovertext"][upload]
    assert "1 calls" in bars["SQL"]["hovertext"][bars["SQL"]["y"].index("glance image-show")]


def test_statements_per_call(trace: Trace) -> None:
    (box,) = json.loads(trace.plot_statements().to_json())["data"]
    assert dict(zip(box["y"], box["upperfence"], strict=True)) == {"glance image-show": 0, "glance image-upload": 2}


def test_concurrency(trace: Trace) -> None:
    lines = drawn(trace.plot_concurrency())
    assert lines["calls to glance"]["y"][0] == 1
    assert max(lines["SQL statements"]["y"]) == 1


def test_text_of_the_capture_is_escaped_and_holds_no_secret(trace: Trace) -> None:
    figures = [trace.plot(), trace.image(IMAGE_ID).plot(), trace.call(1).plot(), trace.plot_latency()]
    shown = "".join(figure.to_json() for figure in figures)
    assert "<a" not in shown
    assert "\\u003ca" not in shown
    assert TOKEN not in shown
    assert "&lt;a href" in shown


def test_many_images_are_counted(trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "MOST_IMAGES", 0)
    figure = trace.plot()
    assert "they are counted" in figure.layout.title.text
    lines = drawn(figure)
    assert lines["queued"]["y"][0] == 1
    assert lines["queued"]["y"][-1] == 0
    assert lines["active"]["y"][-1] == 1


def test_many_statements_are_drawn_together(trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "MOST_STATEMENTS", 1)
    figure = trace.image(IMAGE_ID).plot()
    assert "drawn as one" in figure.layout.title.text
    assert "1 statements, 250.000 ms of SQL" in drawn(figure)["SQL"]["hovertext"][0]


def test_an_empty_trace_has_plots_too() -> None:
    trace = Trace(Rows().capture(), Tables(), Redactor(b"key"))
    for figure in (trace.plot(), trace.plot_latency(), trace.plot_statements(), trace.plot_concurrency()):
        assert figure.layout.title.text


def test_throughput_shows_stalls_and_the_services_time() -> None:
    call = analysed("failures").call(93)
    figure = call.plot_throughput()
    assert "9 stalls" in figure.layout.title.text
    assert len(figure.layout.shapes) == 10
    lines = drawn(figure)
    width = lines["MB/s"]["width"]
    assert sum(lines["MB/s"]["y"]) * width == pytest.approx(lines["MB sent"]["y"][-1], rel=0.01)


def test_a_call_without_packets_has_no_throughput(trace: Trace) -> None:
    trace.tables.calls[0].first_frame = 0
    with pytest.raises(UsageError, match="call 1 has no packets"):
        trace.call(1).plot_throughput()


def test_plotly_is_not_there(trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    with pytest.raises(UsageError, match=r"plotly is not installed; pip install 'glancetrace\[notebook\]'"):
        trace.plot()


SPANS = st.lists(st.tuples(st.integers(0, 200), st.integers(1, 50)).map(lambda s: (s[0], s[0] + s[1])), min_size=1)


@given(SPANS)
def test_open_spans_are_counted(spans: list[tuple[int, int]]) -> None:
    times, counts = count_open(spans)
    for ts, count in zip(times.tolist(), counts.tolist(), strict=True):
        assert count == sum(first <= ts < last for first, last in spans)
    assert counts[-1] == 0


@given(SPANS)
def test_bins_keep_the_highest_count(spans: list[tuple[int, int]]) -> None:
    times, counts = count_open([(first * 1000, last * 1000) for first, last in spans])
    _, binned = _highest(times, counts)
    assert binned.max() == counts.max()
    assert binned[-1] == 0
