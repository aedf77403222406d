"""Results that were written before (`analyze --format json`), read again; plain or compressed, told by their content.

What judges or compares results works on the document; `JsonResult` gives it as a `Result`, as `SavedTrace` is one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from glancetrace.capture.compressed import decompressed
from glancetrace.capture.source import open_source
from glancetrace.document import DOCUMENT_TABLES
from glancetrace.errors import InputError, UsageError
from glancetrace.json_rows import WrongCell, check_document
from glancetrace.result import Result, Row
from glancetrace.rfc3339 import nanoseconds
from glancetrace.schema import OF_IMAGES, SCHEMA, TABLES

if TYPE_CHECKING:
    from glancetrace.explain import Explanation

__all__ = ["JsonResult", "is_result", "read_result"]

_PIECE = 1 << 20
_HEAD = 64


def _read(path: str, limit: int | None = None) -> bytes:
    source = decompressed(open_source(path))
    try:
        data = b""
        while not source.ended and (limit is None or len(data) < limit):
            data = source.read_on(data, _PIECE if limit is None else limit)
        if limit is None and (source.cut_short or source.damaged):
            raise InputError("ends too early or is damaged", where=path, action="write it again with analyze")
    finally:
        source.close()
    return data


def is_result(path: str) -> bool:
    """The file holds a JSON object, not a capture; only regular files are looked into."""
    return path != "-" and os.path.isfile(path) and _read(path, _HEAD).lstrip()[:1] == b"{"


def read_result(path: str) -> Row:
    """The document in a file.

    Raises:
        InputError: it cannot be read, is no JSON, or not a result of this schema.
    """
    import orjson

    action = "write it with glancetrace analyze --format json"
    try:
        document = orjson.loads(_read(path))
    except orjson.JSONDecodeError as error:
        where = f"{path}: line {error.lineno}, column {error.colno}"
        raise InputError("is no JSON", where=where, action=action) from None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise InputError(f"is no result of schema {SCHEMA}", where=path, action=action)
    missing = [name for name in DOCUMENT_TABLES if not isinstance(document.get(name), list)]
    if missing or not isinstance(document.get("capture"), dict):
        raise InputError(f"lacks {', '.join(missing) or 'capture'}", where=path, action=action)
    try:
        check_document(document, DOCUMENT_TABLES)
    except WrongCell as wrong:
        raise InputError(f"is no result of schema {SCHEMA}: {wrong}", where=path, action=action) from None
    return document


class JsonResult(Result):
    """A result that was read from JSON: what `Trace` offers, except what only the decoded capture can tell.

    Args:
        document: what `read_result` gave. path: where it stands.
    """

    def __init__(self, document: Row, path: str) -> None:
        self._document = document
        self.path = path

    def document(self) -> Row:
        """See `Result`."""
        return self._document

    def capture_row(self, *, raw_times: bool = False) -> Row:
        """See `Result`."""
        capture: Row = self._document["capture"]
        if not raw_times:
            return capture
        return {**capture, **{name: nanoseconds(capture[name]) for name in ("first_ts", "last_ts")}}

    def rows(self, table: str, *, raw_times: bool = False) -> Iterator[Row]:
        """See `Result`."""
        if table not in TABLES:
            raise KeyError(table)
        times = [column.name for column in TABLES[table] if column.type == "ts"]
        return (_with_numbers(row, times) if raw_times else row for row in self._plain(table))

    def _plain(self, table: str) -> Iterator[Row]:
        if table in OF_IMAGES:
            return ({"image_id": image["id"], **row} for image in self._document["images"] for row in image[table])
        return iter(self._document[table])

    def count(self, table: str) -> int:
        """See `Result`."""
        if table in OF_IMAGES:
            return sum(len(image[table]) for image in self._document["images"])
        if table not in TABLES:
            raise KeyError(table)
        return len(self._document[table])

    def row(self, table: str, number: int) -> Row | None:
        """See `Result`."""
        if not 0 < number <= self.count(table):
            return None
        times = [column.name for column in TABLES[table] if column.type == "ts"]
        return _with_numbers(self._document[table][number - 1], times)

    def explain(
        self, *, statement: int | None = None, call: int | None = None, frame: int | None = None
    ) -> Explanation:
        """Only the decoded capture can tell.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            "a result does not hold why a statement belongs to a call",
            where=self.path,
            action="analyse the capture again: glancetrace.analyze",
        )


def _with_numbers(row: Row, times: list[str]) -> Row:
    """A copy of the row with its times in ns; those of nested rows, too."""
    made = {**row, **{name: nanoseconds(row[name]) for name in times}}
    for name in ("hops", *OF_IMAGES):
        if name in made:
            made[name] = [{**inner, "ts": nanoseconds(inner["ts"])} for inner in made[name]]
    return made
