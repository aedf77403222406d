"""A list of rows in the formats that programs read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from glancetrace.output.csv import render_csv
from glancetrace.output.json import dump_document, dump_rows
from glancetrace.output.target import Target
from glancetrace.schema import SCHEMA, TABLES

__all__ = ["EXTRA_TABLES", "write_rows"]

EXTRA_TABLES: dict[str, tuple[str, ...]] = {
    "timeline": ("image_id", "ts", "dur", "kind", "text", "status", "call_id", "statement_id", "first_frame",
                 "last_frame"),
    "hits": ("ts", "where", "text", "call_id", "statement_id", "image_ids", "first_frame", "last_frame"),
}  # fmt: skip
"""Columns of the lists that are no tables of the result document."""


def write_rows(target: Target, form: str, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows of a table as "json" (one document), "jsonl" (a row per line) or "csv"."""
    if form == "json":
        target.write_json(dump_document({"schema": SCHEMA, table: list(rows)}))
    elif form == "jsonl":
        for line in dump_rows(table, rows):
            target.write_json(line)
    else:
        columns: Sequence[str] = EXTRA_TABLES.get(table) or [column.name for column in TABLES[table]]
        for text in render_csv(columns, rows):
            target.write(text.encode())
