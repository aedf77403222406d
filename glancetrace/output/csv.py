"""Rows as CSV (RFC 4180), safe to open in a spreadsheet.

A cell that begins like a formula gets an apostrophe in front (OWASP, CSV injection): image names and URLs are chosen by
strangers. Lists and objects are JSON in their cell; what is unknown is empty.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from glancetrace.output.json import dump_document

__all__ = ["neutralise", "render_csv"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - full-width signs count too
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def neutralise(text: str) -> str:
    """`text` as a spreadsheet shows it instead of calculating it, without control characters."""
    text = _CONTROLS.sub("", text)
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, str):
        return neutralise(value)
    if isinstance(value, list | tuple | dict):
        return neutralise(dump_document(value).decode().rstrip("\n")) if value else ""
    return value


def render_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Lines of CSV: the heading, then a line per row."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row.get(column)) for column in columns])
        if buffer.tell() > 1 << 16:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()
