"""A result as a SQLite database: one file to be asked in SQL (https://www.sqlite.org/fileformat2.html).

Tables, indexes and views are those of `glancetrace.output.export.tables`. Times and durations are integers (ns, UTC):

    SELECT operation, count(*), max(dur) / 1e6 AS slowest_ms FROM api_calls GROUP BY operation ORDER BY 3 DESC;
    SELECT statement_id, sql, dur / 1e6 AS ms FROM call_statements WHERE call_id = 17 ORDER BY ts;
    SELECT name, "from", "to", datetime(ts / 1000000000, 'unixepoch') FROM image_timeline ORDER BY ts;
"""

from __future__ import annotations

import sqlite3
from contextlib import closing

from glancetrace.output.export.rows import Rows
from glancetrace.output.export.tables import INDEXES, VIEWS, cells, columns_of, create_table, quoted, rows_of
from glancetrace.schema import TABLES

__all__ = ["write_sqlite"]

_TYPES = {
    "int": "INTEGER",
    "ts": "INTEGER",
    "dur": "INTEGER",
    "bool": "INTEGER",
    "float": "REAL",
    "str": "TEXT",
    "endpoint": "TEXT",
    "list": "TEXT",
    "object": "TEXT",
}


def write_sqlite(result: Rows, path: str) -> None:
    """Write a database to a file that is not there yet.

    Raises:
        OSError: it cannot be written.
    """
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute("PRAGMA journal_mode = OFF")  # a file that is not complete is thrown away
            database.execute("PRAGMA synchronous = OFF")
            database.execute("BEGIN")
            for table in ("capture", *TABLES):
                _fill(database, result, table)
            for table, column in INDEXES:
                database.execute(f"CREATE INDEX {table}_{column} ON {quoted(table)} ({quoted(column)})")
            for name, select in VIEWS.items():
                database.execute(f"CREATE VIEW {name} AS {select}")
            database.execute("COMMIT")
    except sqlite3.OperationalError as error:
        raise OSError(0, str(error)) from None


def _fill(database: sqlite3.Connection, result: Rows, table: str) -> None:
    columns = columns_of(table)
    database.execute(create_table(table, _TYPES))
    marks = ", ".join("?" * len(columns))
    rows = (cells(row, columns) for row in rows_of(result, table))
    database.executemany(f"INSERT INTO {quoted(table)} VALUES ({marks})", rows)
