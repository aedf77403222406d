"""DataFrames of a trace: the schema's columns and types, for full tables and for empty ones."""

from __future__ import annotations

import pandas as pd
import pytest

from glancetrace.document import BUILDERS, RowBuilder
from glancetrace.errors import UsageError
from glancetrace.redact import Redactor
from glancetrace.schema import TABLES
from glancetrace.trace import Finding, Tables, Trace
from tests.support.rows import IMAGE_ID, SECOND, START, Rows, story

TOKEN = "gAAAAABeS2" + "q" * 90


@pytest.fixture
def rows() -> Rows:
    rows = Rows()
    upload = rows.call("image-upload", 204, 1, 0.25, request_body_bytes=140_000, target=f"/v2/images?token={TOKEN}")
    rows.call("image-show", None, 2, image_id=None, dur=None)
    rows.statement(f"UPDATE images SET status='active' WHERE images.id = '{IMAGE_ID}'", 1, call=upload, affected=1)
    rows.statement("SELECT 1", 3, error=1064, user=None)
    rows.tables.images.append(story((None, "queued", 0.0), ("queued", "saving", 1.0), size=140_000))
    rows.tables.findings.append(Finding("client-error", "warning", "refused", START, frames=[3, 4]))
    return rows


@pytest.fixture
def trace(rows: Rows) -> Trace:
    return Trace(rows.capture(), rows.tables, Redactor(b"key"))


@pytest.fixture
def empty(rows: Rows) -> Trace:
    return Trace(rows.capture(), Tables(), Redactor(b"key"))


@pytest.mark.parametrize("table", TABLES)
def test_columns_are_the_schemas(trace: Trace, table: str) -> None:
    names = [column.name for column in TABLES[table]]
    frame = trace.frame(table)
    if names[0] == "id":
        assert frame.index.name == "id"
        names = names[1:]
    assert list(frame.columns) == names
    assert len(frame) == len(list(BUILDERS[table](RowBuilder(trace))))


@pytest.mark.parametrize("table", TABLES)
def test_an_empty_table_has_the_same_types(trace: Trace, empty: Trace, table: str) -> None:
    full, none = trace.frame(table), empty.frame(table)
    assert len(none) == 0
    assert none.dtypes.astype(str).to_dict() == full.dtypes.astype(str).to_dict()
    assert none.index.dtype == full.index.dtype or full.index.name is None


@pytest.mark.parametrize("table", TABLES)
def test_types_follow_the_schema(trace: Trace, table: str) -> None:
    wanted = {"ts": "datetime64[ns, UTC]", "dur": "timedelta64[ns]", "int": "Int64", "bool": "boolean"}
    wanted |= {"str": "string", "endpoint": "string", "float": "Float64", "list": "object", "object": "object"}
    frame = trace.frame(table).reset_index()
    for column in TABLES[table]:
        expected = "category" if column.values else wanted[column.type]
        assert str(frame[column.name].dtype) == expected, column.name


def test_times_are_exact(trace: Trace) -> None:
    calls = trace.calls
    assert calls.loc[1, "ts"] == pd.Timestamp(START + SECOND, tz="UTC")
    assert calls.loc[1, "ts"].nanosecond == 0
    assert calls.loc[1, "dur"] == pd.Timedelta(milliseconds=250)
    assert calls.loc[1, "request_body_bytes"] == 140_000


def test_unknown_stays_unknown(trace: Trace) -> None:
    assert trace.calls.loc[2, ["status_code", "image_id", "dur", "response_ts"]].isna().all()
    assert trace.calls["status_code"].dtype == "Int64"
    assert trace.intervals["dur"].isna().tolist() == [False, True]


def test_values_outside_the_schemas_list_are_kept(rows: Rows) -> None:
    rows.tables.statements[0].kind = "scrubber"
    statements = Trace(rows.capture(), rows.tables, Redactor(b"key")).statements
    assert statements.loc[1, "kind"] == "scrubber"
    assert "request" in statements["kind"].cat.categories


def test_tables_join_by_their_ids(trace: Trace) -> None:
    calls = trace.calls[["operation"]].add_prefix("call_")
    joined = trace.links.join(trace.statements["operation"], on="statement_id").join(calls, on="call_id")
    assert joined["operation"].tolist() == ["UPDATE"]
    assert joined["call_operation"].tolist() == ["image-upload"]


def test_secrets_are_replaced(trace: Trace) -> None:
    assert TOKEN not in trace.calls.to_csv()


def test_an_unknown_table(trace: Trace) -> None:
    with pytest.raises(UsageError, match="one of connections, api_calls"):
        trace.frame("nothing")
