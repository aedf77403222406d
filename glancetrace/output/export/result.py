"""The rows that exports are made from: those of a trace, or of a result document that was saved.

Rows have the columns of `glancetrace.schema`; times are integers (ns since the epoch, UTC), as durations are. They are
made when they are asked for, so that a large result need not be in memory as dictionaries.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from glancetrace.document import BUILDERS, RowBuilder
from glancetrace.errors import InputError
from glancetrace.schema import CAPTURE, SCHEMA, TABLES, Column
from glancetrace.trace import Trace

__all__ = ["Result", "Row", "parse_rfc3339", "result_of_document", "result_of_trace"]

Row = dict[str, Any]

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{9})Z", re.ASCII)
_PARTS = ("transitions", "intervals", "events")
"""Tables that stand within their images in a document."""


@dataclass(frozen=True, slots=True)
class Result:
    """What was read (`capture`), and the rows of each table, as often as they are asked for."""

    capture: Row
    tables: Mapping[str, Callable[[], Iterable[Row]]]

    def rows(self, table: str) -> Iterator[Row]:
        """Rows of a table, in its order."""
        return iter(self.tables[table]())


def result_of_trace(trace: Trace) -> Result:
    """The rows of a trace."""
    builder = RowBuilder(trace, raw_times=True)

    def rows_of(table: str) -> Callable[[], Iterable[Row]]:
        return lambda: BUILDERS[table](builder)

    return Result(builder.capture(), {table: rows_of(table) for table in TABLES})


def parse_rfc3339(text: str) -> int:
    """`2020-02-18T04:49:55.993652000Z` as ns since the epoch.

    Raises:
        ValueError: it does not look like this.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return int(datetime.fromisoformat(match[1] + "+00:00").timestamp()) * 1_000_000_000 + int(match[2])


def result_of_document(document: Mapping[str, Any]) -> Result:
    """The rows of a result document, as `analyze --format json` writes it.

    Raises:
        InputError: it is no such document.
    """
    if document.get("schema") != SCHEMA:
        raise InputError(
            f"is no result of schema {SCHEMA}", action="write one with 'glancetrace analyze --format json'"
        )

    def rows_of(table: str) -> Callable[[], Iterable[Row]]:
        return lambda: (_with_times(row, TABLES[table]) for row in _document_rows(document, table))

    return Result(_with_times(document["capture"], CAPTURE), {table: rows_of(table) for table in TABLES})


def _document_rows(document: Mapping[str, Any], table: str) -> Iterator[Row]:
    if table not in _PARTS:
        yield from document[table]
        return
    for image in document["images"]:
        for part in image[table]:
            yield {"image_id": image["id"], **part}


def _with_times(row: Row, columns: Iterable[Column]) -> Row:
    """A row with integers for times."""
    raw = dict(row)
    for column in columns:
        value = row.get(column.name)
        if column.type == "ts" and isinstance(value, str):
            raw[column.name] = parse_rfc3339(value)
        elif column.name in ("hops", *_PARTS) and value:
            raw[column.name] = [{**part, "ts": parse_rfc3339(part["ts"]) if part["ts"] else None} for part in value]
    return raw
