"""SQLite, DuckDB and CSV hold every row of the result; their views answer what people ask."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from glancetrace.output.export import duckdb_file, sqlite
from glancetrace.output.export.duckdb_file import write_duckdb
from glancetrace.output.export.formats import export
from glancetrace.output.export.rows import rows_of_result
from glancetrace.output.export.sqlite import write_sqlite
from glancetrace.output.export.tables import VIEWS, columns_of
from glancetrace.pipeline import analyze
from glancetrace.schema import TABLES
from glancetrace.trace import Trace
from tests.support.handmade import handmade_trace
from tests.support.samples import capture_path
from tests.support.traces import analysed

Row = tuple[Any, ...]
WRITERS = {"sqlite": write_sqlite, "duckdb": write_duckdb}


def trace_of(name: str) -> Trace:
    return analysed(name)


def ask(form: str, path: Path, question: str) -> list[Row]:
    """Rows of an answer."""
    if form == "sqlite":
        with closing(sqlite3.connect(path)) as database:
            return database.execute(question).fetchall()
    with closing(duckdb.connect(str(path), read_only=True)) as duck:
        answer: list[Row] = duck.execute(question).fetchall()
        return answer


@pytest.fixture(scope="module", params=list(WRITERS))
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The article's capture as a database."""
    path = tmp_path_factory.mktemp("database") / "result.db"
    WRITERS[request.param](rows_of_result(trace_of("article")), str(path))
    return request.param, path


def comparable(form: str, kind: str, value: Any) -> Any:
    """A value as the result has it."""
    if value is None:
        return None
    if kind in ("list", "object"):
        return json.loads(value)
    if kind == "bool":
        return bool(value)
    if kind == "ts" and form == "duckdb":
        return value
    return value


@pytest.mark.parametrize("table", TABLES)
def test_every_row_is_there(database: tuple[str, Path], table: str) -> None:
    form, path = database
    columns = columns_of(table)
    times = "epoch_ns({})" if form == "duckdb" else "{}"
    chosen = ", ".join(times.format(f'"{c.name}"') if c.type == "ts" else f'"{c.name}"' for c in columns)
    found = [
        {c.name: comparable(form, c.type, value) for c, value in zip(columns, row, strict=True)}
        for row in ask(form, path, f'SELECT {chosen} FROM "{table}"')
    ]
    names = [column.name for column in columns]
    expected = [{name: row[name] for name in names} for row in rows_of_result(trace_of("article")).rows(table)]
    assert found == json.loads(json.dumps(expected))


def test_columns_have_types(database: tuple[str, Path]) -> None:
    form, path = database
    for table, columns in TABLES.items():
        types = {row[1]: row[2] for row in ask(form, path, f"PRAGMA table_info('{table}')")}
        known = sqlite._TYPES if form == "sqlite" else duckdb_file._TYPES
        assert types == {c.name: known[c.type] for c in columns if c.name in types}
        assert len(types) == len(columns_of(table))


def test_the_views_answer(database: tuple[str, Path]) -> None:
    form, path = database
    trace = trace_of("article")
    upload = next(call for call in trace.tables.calls if call.operation == "image-upload")
    ran = ask(
        form, path, f"SELECT statement_id, link_class FROM call_statements WHERE call_id = {upload.id} ORDER BY ts"
    )
    assert [row[0] for row in ran] == [statement.id for statement in trace.statements_of(upload.id)]
    costs = ask(form, path, "SELECT statements FROM call_costs ORDER BY call_id")
    assert [row[0] for row in costs] == [len(list(trace.statements_of(call.id))) for call in trace.tables.calls]
    changes = ask(
        form, path, 'SELECT name, "from", "to" FROM image_timeline WHERE name = \'overcloud-full\' ORDER BY ts'
    )
    assert [row[1:] for row in changes] == [(None, "queued"), ("queued", "saving"), ("saving", "active")]


def test_the_documented_questions_work(database: tuple[str, Path]) -> None:
    form, path = database
    text = (sqlite if form == "sqlite" else duckdb_file).__doc__ or ""
    questions = re.findall(r"^    (SELECT .*);$", text, re.MULTILINE)
    assert len(questions) == 3
    for question in questions:
        ask(form, path, question)
    (row,) = ask(form, path, "SELECT min(ts) FROM api_calls")
    expected = min(call.ts for call in trace_of("article").tables.calls)
    assert row[0] == expected if form == "sqlite" else isinstance(row[0], datetime)
    assert ask(form, path, "SELECT packets FROM capture") == [(2909,)]
    assert set(VIEWS) == {"call_statements", "call_costs", "image_timeline"}


@pytest.mark.parametrize("form", WRITERS)
def test_hostile_text_and_numbers(form: str, tmp_path: Path) -> None:
    trace = handmade_trace()
    statement = trace.tables.statements[0]
    statement.command.affected_rows = (1 << 64) - 1
    trace.capture.files[0].name = "x\udc80.pcap"
    trace.tables.images[0].name = "a\x00b'; DROP TABLE images; --\ud800"
    WRITERS[form](rows_of_result(trace), str(tmp_path / "x.db"))
    assert ask(form, tmp_path / "x.db", f"SELECT affected_rows FROM statements WHERE id = {statement.id}") == [
        ((1 << 63) - 1,)
    ]
    (row,) = ask(form, tmp_path / "x.db", f"SELECT name FROM images WHERE id = '{trace.tables.images[0].id}'")
    assert row == ("a\x00b'; DROP TABLE images; --?",)


def test_sqlite_is_the_same_every_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_sqlite(rows_of_result(analyze(capture_path("article"))), str(tmp_path / name))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_folder_of_csv(tmp_path: Path) -> None:
    trace = trace_of("article")
    export(trace, "csv", str(tmp_path / "tables"), ["x.pcap"])
    assert {path.name for path in (tmp_path / "tables").iterdir()} == {f"{table}.csv" for table in TABLES}
    for table, columns in TABLES.items():
        with open(tmp_path / "tables" / f"{table}.csv", encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        assert rows[0] == [column.name for column in columns]
        assert len(rows) - 1 == sum(1 for _ in rows_of_result(trace).rows(table))
