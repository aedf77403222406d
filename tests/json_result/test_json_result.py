"""JSON results as results: the same as what they were written from, and refused with the place where they are not."""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import Any

import orjson
import pytest

from glancetrace.errors import InputError, UsageError
from glancetrace.json_result import JsonResult, is_result, read_result
from glancetrace.schema import TABLES
from glancetrace.trace import Trace
from tests.support.traces import analysed


def trace() -> Trace:
    """With calls of a log, encrypted connections, hops, findings."""
    return analysed("cli-tls13-logs", log="haproxy.log")


@functools.cache
def document() -> dict[str, Any]:
    return trace().document()


def read(changed: dict[str, Any], folder: Path) -> dict[str, Any]:
    path = folder / "result.json"
    path.write_bytes(orjson.dumps(changed))
    assert is_result(str(path))
    return read_result(str(path))


def test_rows_are_those_of_the_trace(tmp_path: Path) -> None:
    result = JsonResult(read(document(), tmp_path), "result.json")
    assert result.document() == document()
    for raw in (False, True):
        assert result.capture_row(raw_times=raw) == trace().capture_row(raw_times=raw)
        for table in TABLES:
            rows, expected = list(result.rows(table, raw_times=raw)), list(trace().rows(table, raw_times=raw))
            assert orjson.dumps(rows) == orjson.dumps(expected), table
            assert result.count(table) == len(expected)
    assert orjson.dumps(result.row("api_calls", 3)) == orjson.dumps(trace().row("api_calls", 3))
    assert result.row("statements", 0) is result.row("statements", result.count("statements") + 1) is None
    with pytest.raises(UsageError, match="analyse the capture again"):
        result.explain(call=1)


@pytest.mark.parametrize("name", ["failures", "concurrent-16"])
def test_what_the_schema_allows_is_what_there_is(name: str, tmp_path: Path) -> None:
    written = analysed(name).document()
    assert read(written, tmp_path) == written


def test_a_result_of_an_older_version_lacks_columns(tmp_path: Path) -> None:
    older = copy.deepcopy(document())
    for call in older["api_calls"]:
        del call["uncertainty"], call["hops"]
    del older["capture"]["api_logs"]
    result = read(older, tmp_path)
    assert result["api_calls"][0]["uncertainty"] is None
    assert (result["api_calls"][0]["hops"], result["capture"]["api_logs"]) == ([], [])


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("api_calls", 2, "dur"), "1", "api_calls[2].dur is not of type dur"),
        (("api_calls", 2, "ts"), "2020-02-30T00:00:00.000000000Z", "api_calls[2].ts is no time"),
        (("api_calls", 2, "ts"), None, "api_calls[2].ts is missing"),
        (("api_calls", 2, "id"), 7, "api_calls[2].id is not 3"),
        (("api_calls", 2, "service"), "x", "api_calls[2].service is none of keystone, glance"),
        (("api_calls", 2, "client"), "x", "api_calls[2].client is no address:port"),
        (("links", 0, "call_id"), 99_999, "links[0].call_id is not in api_calls"),
        (("api_calls", 2, "hops"), [1], "api_calls[2].hops[0] is no object"),
        (("statements", 0), [], "statements[0] is no object"),
        (("links", 0, "evidence"), [{}], "links[0].evidence[0] is not of type str"),
        (("images", 0, "transitions", 0, "frame"), "x", "images[0].transitions[0].frame is not of type int"),
        (("capture", "files", 0, "packets"), True, "capture.files[0].packets is not of type int"),
    ],
)
def test_a_wrong_cell_is_named(path: tuple[Any, ...], value: Any, words: str, tmp_path: Path) -> None:
    changed = copy.deepcopy(document())
    *places, last = path
    functools.reduce(lambda place, key: place[key], places, changed)[last] = value
    with pytest.raises(InputError) as caught:
        read(changed, tmp_path)
    assert words in str(caught.value)
    assert str(tmp_path / "result.json") in str(caught.value)
