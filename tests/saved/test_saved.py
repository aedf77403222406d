"""Saved traces: what is read back is what was written, and what is no saved trace is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import glancetrace as gt
from glancetrace import parquet
from glancetrace.document import render_document
from glancetrace.errors import GlancetraceError, InputError, UsageError
from glancetrace.parquet import columns_of, pack, read_table, rows_of, unpack, write_table
from glancetrace.redact import Redactor
from glancetrace.schema import TABLES
from glancetrace.trace import CapturedFile, Tables, Trace
from tests.support.rows import Rows, story
from tests.support.traces import analysed

TOKEN = "gAAAAABeS2" + "q" * 90


@pytest.fixture
def rows() -> Rows:
    rows = Rows()
    call = rows.call("image-upload", 204, 1, target=f"/v2/images?token={TOKEN}")
    rows.statement("SELECT 1", 2, call=call, error=1064, affected=3)
    rows.tables.images.append(story((None, "queued", 0.0), ("queued", "saving", 1.0), name="naïve \u2028 name"))
    return rows


def made(rows: Rows) -> Trace:
    return Trace(rows.capture(), rows.tables, Redactor(b"key"))


_INTEGERS = st.integers(-(2**63), 2**63 - 1)
_TEXTS = st.text(st.characters(exclude_categories=[]))
_HOPS = st.fixed_dictionaries(
    {
        "client": st.none() | _TEXTS,
        "server": st.none() | _TEXTS,
        "ts": st.none() | _INTEGERS,
        "dur": st.none() | _INTEGERS,
        "first_frame": st.none() | _INTEGERS,
        "last_frame": st.none() | _INTEGERS,
    }
)
_VALUES = {
    "int": st.integers(-(2**64), 2**64),
    "str": _TEXTS,
    "endpoint": _TEXTS,
    "bool": st.booleans(),
    "float": st.floats(allow_nan=False),
    "ts": _INTEGERS,
    "dur": _INTEGERS,
}


@given(st.data())
def test_whatever_a_row_holds_comes_back(data: st.DataObject) -> None:
    column = data.draw(st.sampled_from([c for table in TABLES for c in columns_of(table) if c.type in _VALUES]))
    values = data.draw(st.lists(st.none() | _VALUES[column.type], max_size=6))
    assert unpack(column, pa.chunked_array([pack(column, values)])) == values


@example([[{"client": "\udc80", "server": None, "ts": 1, "dur": None, "first_frame": 1, "last_frame": 2}]])
@given(st.lists(st.lists(_HOPS, max_size=3), max_size=4))
def test_hops_come_back(values: list[list[dict[str, object]]]) -> None:
    (column,) = [column for column in TABLES["api_calls"] if column.name == "hops"]
    assert unpack(column, pa.chunked_array([pack(column, values)])) == values


@pytest.mark.parametrize("name", ["article-tls13", "failures", "cli-tls13-logs"])
def test_a_loaded_trace_is_the_saved_one(name: str, tmp_path: Path) -> None:
    trace = analysed(name, log="haproxy.log") if name == "cli-tls13-logs" else analysed(name, keys=True)
    trace.save(tmp_path)
    loaded = gt.load(tmp_path)
    assert loaded.document() == trace.document()
    assert loaded.capture == trace.capture
    for table in TABLES:
        pd.testing.assert_frame_equal(loaded.frame(table), trace.frame(table))
        assert loaded.frame(table).equals(trace.frame(table))
    loaded.save(tmp_path / "again")
    for path in tmp_path.glob("*.parquet"):
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_the_document_is_that_of_json(rows: Rows) -> None:
    trace = made(rows)
    assert json.loads(json.dumps(trace.document())) == trace.document()
    assert json.loads(json.dumps(render_document(trace))) == trace.document()


def test_columns_are_typed_for_other_readers(rows: Rows, tmp_path: Path) -> None:
    made(rows).save(tmp_path)
    schema = pq.read_schema(tmp_path / "api_calls.parquet")
    assert str(schema.field("ts").type) == "timestamp[ns, tz=UTC]"
    assert str(schema.field("dur").type) == "duration[ns]"
    assert str(schema.field("status_code").type) == "int64"
    assert schema.field("dur").metadata[b"doc"]


def test_no_secret_is_written(rows: Rows, tmp_path: Path) -> None:
    made(rows).save(tmp_path)
    assert TOKEN not in json.dumps(gt.load(tmp_path).document())
    assert all(TOKEN.encode() not in path.read_bytes() for path in tmp_path.iterdir())


def test_nothing_found_is_saved_too(tmp_path: Path) -> None:
    trace = Trace(Rows().capture(), Tables(), Redactor(b"key"))
    trace.save(tmp_path)
    assert gt.load(tmp_path).document() == trace.document()
    assert gt.load(tmp_path).calls.dtypes.equals(trace.calls.dtypes)


def test_what_arrow_has_no_common_type_for(rows: Rows, tmp_path: Path) -> None:
    """A hostile server's 64-bit counts, and a file name that is no UTF-8."""
    rows.tables.statements[0].command.affected_rows = 2**64 - 1
    rows.tables.images[0].name = "\udcff.qcow2"
    trace = made(rows)
    trace.capture.files = [CapturedFile("\udcff.pcap", 1, 10)]
    trace.save(tmp_path)
    loaded = gt.load(tmp_path)
    assert loaded.document() == trace.document()
    assert loaded.statements["affected_rows"].tolist() == [2**64 - 1]
    assert loaded.images["name"].tolist() == trace.images["name"].tolist() == ["\udcff.qcow2"]


def test_what_needs_the_decoded_capture(rows: Rows, tmp_path: Path) -> None:
    made(rows).save(tmp_path)
    loaded = gt.load(tmp_path)
    with pytest.raises(UsageError, match="analyse the capture again"):
        loaded.explain(call=1)
    with pytest.raises(UsageError, match="analyse the capture again"):
        _ = loaded.tables


def refusal(directory: Path) -> str:
    with pytest.raises(InputError) as caught:
        gt.load(directory)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_directory_without_a_trace(tmp_path: Path) -> None:
    assert "holds no saved trace" in refusal(tmp_path)
    assert "holds no saved trace" in refusal(tmp_path / "missing")


@pytest.mark.parametrize("name", ["capture", "links"])
def test_damaged_files(rows: Rows, tmp_path: Path, name: str) -> None:
    made(rows).save(tmp_path)
    path = tmp_path / f"{name}.parquet"
    whole = path.read_bytes()
    for damaged in (
        b"",
        b"PAR1",
        whole[: len(whole) // 2],
        whole[:4] + b"\xff" * 60 + whole[64:],
        b"no parquet at all",
    ):
        path.write_bytes(damaged)
        assert "analyse the capture again" in refusal(tmp_path)


def test_a_missing_and_a_foreign_file(rows: Rows, tmp_path: Path) -> None:
    made(rows).save(tmp_path)
    path = tmp_path / "images.parquet"
    path.write_bytes((tmp_path / "links.parquet").read_bytes())
    assert "images.parquet: was not written by this version" in refusal(tmp_path)
    path.unlink()
    assert "images.parquet: is missing" in refusal(tmp_path)


def test_columns_that_an_older_version_did_not_have_are_unknown(rows: Rows, tmp_path: Path) -> None:
    made(rows).save(tmp_path)
    path = tmp_path / "api_calls.parquet"
    pq.write_table(pq.read_table(path, partitioning=None).drop_columns(["certainty"]), path)
    assert gt.load(tmp_path).calls["certainty"].isna().all()


def test_a_place_that_cannot_be_written(rows: Rows, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GlancetraceError, match="cannot be written"):
        made(rows).save(tmp_path / "file")


def test_large_tables_are_written_some_rows_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a later row needs of its column holds for all of them, and where a piece ends is of no matter."""
    whole = [
        {"image_id": f"i{n}", "status": "active" if n != 5 else "\udcff", "ts": n, "dur": 2**40 if n else None}
        for n in range(9)
    ]
    asked: list[int] = []

    def rows() -> list[dict[str, object]]:
        asked.append(len(asked))
        return [dict(row) for row in whole]

    monkeypatch.setattr(parquet, "_ROWS_AT_ONCE", 2)
    write_table(tmp_path, "intervals", rows)
    assert len(asked) == 2  # once more for the name that is no UTF-8
    table = read_table(tmp_path, "intervals")
    assert list(rows_of("intervals", table)) == whole
    assert pq.ParquetFile(tmp_path / "intervals.parquet").num_row_groups == 5
    monkeypatch.setattr(parquet, "_ROWS_AT_ONCE", 100)
    write_table(tmp_path, "intervals", rows)
    assert read_table(tmp_path, "intervals").equals(table, check_metadata=True)
