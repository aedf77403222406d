"""What SQLite and DuckDB have in common: tables, keys, indexes and views, made from `glancetrace.schema`.

Every table of the schema is a table of the same name and columns, and `capture` is one with one row. Lists and objects
are JSON. Names that SQL has words for (`from`, `class`) are quoted. The views join what is asked for together:

- `call_statements`: every statement that a call ran, with the call's operation and the link's class and score;
- `call_costs`: per call, how many statements it ran and how long they took;
- `image_timeline`: status changes, with the names of the images and the calls that caused them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from glancetrace.output.export.rows import Row, Rows
from glancetrace.schema import CAPTURE, TABLES, Column

__all__ = ["INDEXES", "VIEWS", "cells", "columns_of", "create_table", "quoted", "rows_of"]

_KEYED = frozenset({"connections", "api_calls", "statements", "images"})
_LEFT_OUT = frozenset({"transitions", "intervals", "events"})
"""Columns of `images` that are tables of their own."""

INDEXES = (
    ("api_calls", "image_id"), ("api_calls", "ts"), ("api_calls", "parent_id"), ("statements", "ts"),
    ("statements", "connection_id"), ("statements", "digest"), ("statements", "unit_id"), ("links", "statement_id"),
    ("links", "call_id"), ("transitions", "image_id"), ("transitions", "call_id"), ("intervals", "image_id"),
    ("events", "image_id"), ("findings", "call_id"), ("findings", "image_id"),
)  # fmt: skip

VIEWS = {
    "call_statements": """
        SELECT l.call_id, c.service, c.operation AS call_operation, c.image_id, c.status_code, l.class AS link_class,
               l.relation, l.score, s.id AS statement_id, s.operation, s.tables, s.sql, s.ts, s.dur,
               s.returned_rows, s.affected_rows, s.outcome, s.request_frame, s.response_frame
        FROM links l JOIN statements s ON s.id = l.statement_id JOIN api_calls c ON c.id = l.call_id""",
    "call_costs": """
        SELECT c.id AS call_id, c.service, c.operation, c.method, c.target, c.status_code, c.image_id, c.ts, c.dur,
               count(s.id) AS statements, coalesce(sum(s.dur), 0) AS sql_dur
        FROM api_calls c LEFT JOIN links l ON l.call_id = c.id LEFT JOIN statements s ON s.id = l.statement_id
        GROUP BY c.id, c.service, c.operation, c.method, c.target, c.status_code, c.image_id, c.ts, c.dur""",
    "image_timeline": """
        SELECT t.image_id, i.name, t."from", t."to", t.ts, t.certainty, t.legal, t.call_id, c.operation,
               t.statement_id, t.frame, t.commit_frame
        FROM transitions t JOIN images i ON i.id = t.image_id LEFT JOIN api_calls c ON c.id = t.call_id""",
}
"""View -> its SELECT, in the words of both databases."""

_LARGEST = (1 << 63) - 1


def quoted(name: str) -> str:
    """A name that may be a word of SQL."""
    return f'"{name}"'


def columns_of(table: str) -> tuple[Column, ...]:
    """Columns of a table of the database."""
    if table == "capture":
        return CAPTURE
    return tuple(column for column in TABLES[table] if table != "images" or column.name not in _LEFT_OUT)


def create_table(table: str, types: Mapping[str, str]) -> str:
    """The CREATE TABLE of a table; `types`: type of the schema -> type of the database."""
    columns = columns_of(table)
    described = [f"{quoted(column.name)} {types[column.type]}" for column in columns]
    if table in _KEYED:
        described[0] += " PRIMARY KEY"
    return f"CREATE TABLE {quoted(table)} ({', '.join(described)})"


def rows_of(result: Rows, table: str) -> Iterator[Row]:
    """Rows of a table of the database."""
    return iter([result.capture]) if table == "capture" else result.rows(table)


def cells(row: Row, columns: tuple[Column, ...]) -> list[object]:
    """Values of a row for a database: JSON for lists and objects, text that is UTF-8, integers of 64 bits.

    The largest of these stands for all larger ones (a server may report 2^64-1 rows).
    """
    found: list[object] = []
    for column in columns:
        value = row[column.name]
        if value is None:
            found.append(None)
        elif column.type in ("list", "object"):
            found.append(_utf8(json.dumps(value, ensure_ascii=False, separators=(",", ":"))))
        elif isinstance(value, str):
            found.append(_utf8(value))
        elif type(value) is int:
            found.append(min(value, _LARGEST))
        else:
            found.append(value)
    return found


def _utf8(text: str) -> str:
    """Text without lone surrogates, which a file name may have."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
