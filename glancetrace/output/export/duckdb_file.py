"""A result as a DuckDB database: one file to be asked in SQL, quick also for millions of statements (duckdb.org).

Tables, indexes and views are those of `glancetrace.output.export.tables`. Times are TIMESTAMP_NS in UTC, durations
BIGINT (ns), lists and objects JSON:

    SELECT operation, count(*), quantile_cont(dur, 0.95) / 1e6 AS p95_ms FROM api_calls GROUP BY operation;
    SELECT call_id, call_operation, count(*), sum(dur) / 1e6 AS sql_ms FROM call_statements GROUP BY ALL;
    SELECT name, "to", ts FROM image_timeline ORDER BY ts;

Rows go in through a file of JSON lines: one by one would take minutes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import Any

from glancetrace.errors import UsageError
from glancetrace.output.export.rows import Rows
from glancetrace.output.export.tables import INDEXES, VIEWS, cells, columns_of, create_table, quoted, rows_of
from glancetrace.output.json import dump_document
from glancetrace.schema import TABLES, Column

__all__ = ["import_duckdb", "write_duckdb"]

_TYPES = {
    "int": "BIGINT",
    "ts": "TIMESTAMP_NS",
    "dur": "BIGINT",
    "bool": "BOOLEAN",
    "float": "DOUBLE",
    "str": "VARCHAR",
    "endpoint": "VARCHAR",
    "list": "JSON",
    "object": "JSON",
}
_READ_AS = {**_TYPES, "ts": "BIGINT", "list": "VARCHAR", "object": "VARCHAR"}
_ROWS_AT_ONCE = 50_000


def import_duckdb() -> Any:
    """The library, if it is there.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import duckdb
    except ImportError:
        action = "install it: pip install 'glancetrace[duckdb]'"
        raise UsageError("the Python package duckdb is not installed", action=action) from None
    return duckdb


def write_duckdb(result: Rows, path: str) -> None:
    """Write a database to a file that is not there yet.

    Raises:
        UsageError: the library is missing. OSError: it cannot be written.
    """
    duckdb = import_duckdb()
    lines = f"{path}.jsonl"
    try:
        with closing(duckdb.connect(path)) as database:
            database.execute("SET preserve_insertion_order = true")
            database.execute("SET enable_progress_bar = false")
            for table in ("capture", *TABLES):
                _fill(database, result, table, lines)
            for table, column in INDEXES:
                database.execute(f"CREATE INDEX {table}_{column} ON {quoted(table)} ({quoted(column)})")
            for name, select in VIEWS.items():
                database.execute(f"CREATE VIEW {name} AS {select}")
    except duckdb.IOException as error:
        raise OSError(0, str(error)) from None
    finally:
        if os.path.exists(lines):
            os.unlink(lines)


def _fill(database: Any, result: Rows, table: str, lines: str) -> None:
    """Create and fill a table, some thousand rows at a time."""
    columns = columns_of(table)
    database.execute(create_table(table, _TYPES))
    read_as = ", ".join(f"{quoted(column.name)}: '{_READ_AS[column.type]}'" for column in columns)
    chosen = ", ".join(map(_selected, columns))
    source = f"read_json(?, format='newline_delimited', columns={{{read_as}}}, maximum_object_size=268435456)"
    rows = rows_of(result, table)
    while _write_lines(rows, columns, lines):
        database.execute(f"INSERT INTO {quoted(table)} SELECT {chosen} FROM {source}", [lines])


def _selected(column: Column) -> str:
    name = quoted(column.name)
    return f"make_timestamp_ns({name})" if column.type == "ts" else name


def _write_lines(rows: Iterator[dict[str, Any]], columns: tuple[Column, ...], lines: str) -> bool:
    """The next rows as JSON lines; False when there are none."""
    names = [column.name for column in columns]
    found = False
    with open(lines, "wb") as file:
        for row in islice(rows, _ROWS_AT_ONCE):
            file.write(dump_document(dict(zip(names, cells(row, columns), strict=True))))
            found = True
    return found
