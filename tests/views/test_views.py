"""One image, one call, one statement: what belongs to it, for a trace and for the same trace loaded from disk."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import glancetrace as gt
from glancetrace.errors import UsageError
from glancetrace.redact import Redactor
from glancetrace.result import Result
from tests.support.rows import Rows, story
from tests.support.traces import analysed


@pytest.fixture(scope="module", params=["analysed", "loaded"])
def trace(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Result:
    if request.param == "analysed":
        return analysed("failures")
    directory: Path = tmp_path_factory.mktemp("saved")
    analysed("failures").save(directory)
    return gt.load(directory)


def test_an_image_by_name_by_id_and_by_its_first_digits(trace: Result) -> None:
    image = trace.image("upload-twice-racing")
    assert trace.image(image.id).id == trace.image(image.id[:8]).id == image.id
    assert image.status == "active"
    assert image.size == 200_000


def test_names_that_fit_no_image_or_several(trace: Result) -> None:
    with pytest.raises(UsageError, match=r"there is no image 'nothing'; images: .*abort-cl-rst.* and 40 more"):
        trace.image("nothing")


def test_a_name_that_several_images_have() -> None:
    rows = Rows()
    rows.tables.images += [story((None, "queued", 0.0), id=f"{number}" * 8) for number in (1, 2)]
    trace = gt.Trace(rows.capture(), rows.tables, Redactor(b"key"))
    with pytest.raises(UsageError, match="2 images match 'overcloud-full'; take an id: 11111111 "):
        trace.image("overcloud-full")
    assert trace.image("2222").id == "22222222"


def test_what_belongs_to_an_image(trace: Result) -> None:
    image = trace.image("upload-twice-racing")
    assert image.transitions["to"].tolist() == ["queued", "saving", "active"]
    assert image.intervals["status"].tolist() == ["queued", "saving", "active"]
    assert image.calls["operation"].tolist()[:2] == ["image-create", "image-upload"]
    assert set(image.calls["image_id"].dropna()) == {image.id}
    linked = trace.links.set_index("statement_id")["call_id"]
    for number, ids in image.statements["image_ids"].items():
        assert image.id in ids or linked[number] in image.calls.index


def test_the_timeline_has_everything_in_order(trace: Result) -> None:
    image = trace.image("upload-twice-racing")
    timeline = image.timeline
    assert timeline["ts"].is_monotonic_increasing
    assert len(timeline) == len(image.transitions) + len(image.events) + len(image.calls)
    assert str(timeline["ts"].dtype) == "datetime64[ns, UTC]"
    assert str(timeline["dur"].dtype) == "timedelta64[ns]"
    changed = timeline[timeline["what"] == "active"].iloc[0]
    assert changed["ts"] == image.transitions["ts"].iloc[-1]


def test_a_lookup_by_name_is_among_the_calls_of_its_image() -> None:
    image = analysed("article").image("overcloud-full")
    assert image.calls["status_code"].iloc[0] == 404
    assert "lookup" in image.timeline["what"].tolist()


def test_a_call_and_a_statement_know_each_other(trace: Result) -> None:
    call = trace.call(93)
    assert (call.operation, call.status_code) == ("image-upload", 204)
    assert call.dur is not None
    assert call.ts == trace.calls.loc[93, "ts"]
    assert call.ts + call.dur <= pd.Timestamp("2026-11-20T19:27:11Z")
    assert len(call.statements) == len(call.links) == 37
    owner = trace.statement(int(call.statements.index[0])).call
    assert owner is not None
    assert owner.id == 93


def test_calls_within_a_call() -> None:
    trace = analysed("concurrent-16")
    parents = trace.calls["parent_id"].dropna()
    call = trace.call(int(parents.iloc[0]))
    assert parents.index[0] in call.nested.index


def test_ids_that_are_not_there(trace: Result) -> None:
    for number in (0, -1, 250):
        with pytest.raises(UsageError, match=f"there is no call {number}; there are 1 to 249"):
            trace.call(number)
    with pytest.raises(UsageError, match="'3' is no id of a call; ids are integers"):
        trace.call("3")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="there is no table 'calls'; one of connections, api_calls"):
        trace.frame("calls")
    with pytest.raises(UsageError, match=r"not of int; as in trace\.packets\(trace\.call"):
        trace.packets(3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="there is no statement 0"):
        trace.statement(0)


def test_a_call_explains_itself_only_where_it_was_decoded(tmp_path: Path) -> None:
    decoded = analysed("failures")
    assert decoded.call(93).explain().units
    assert decoded.statement(2258).explain().units
    decoded.save(tmp_path)
    with pytest.raises(UsageError, match="analyse the capture again"):
        gt.load(tmp_path).call(93).explain()


def test_rows_by_id_are_those_of_the_tables(trace: Result) -> None:
    for table in ("api_calls", "statements"):
        rows = list(trace.rows(table, raw_times=True))
        assert len(rows) == trace.count(table)
        for row in (rows[0], rows[len(rows) // 2], rows[-1]):
            assert trace.row(table, row["id"]) == row
    for table in ("transitions", "events", "images"):
        assert trace.count(table) == len(list(trace.rows(table)))
    with pytest.raises(KeyError):
        trace.count("nothing")


def test_reprs_are_short_and_say_what_it_is(trace: Result) -> None:
    assert "249 API calls" in repr(trace)
    assert "'upload-twice-racing', active" in repr(trace.image("upload-twice-racing"))
    assert repr(trace.call(93)) == "<call 93 image-upload, 204>"
    assert repr(trace.statement(2258)).startswith("<statement 2258 SELECT images.id")
