"""Results as JSON: one document with a newline at its end, or one row per line (https://jsonlines.org)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import orjson

from glancetrace.document import BUILDERS, DOCUMENT_TABLES, RowBuilder
from glancetrace.schema import SCHEMA
from glancetrace.trace import Trace

__all__ = ["dump_document", "dump_rows", "render_json", "render_jsonl"]


_ROWS_AT_ONCE = 512


def dump_document(document: Mapping[str, Any] | Sequence[Any]) -> bytes:
    """A document as JSON. What orjson refuses (lone surrogates in a file's name, integers beyond 64 bits) the standard
    library writes."""
    try:
        return orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def dump_rows(table: str, rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """Rows as lines, each with the name of its table in front."""
    for row in rows:
        yield dump_document({"table": table, **row})


def render_json(trace: Trace) -> Iterator[bytes]:
    """The whole result as one document of schema `glancetrace/1`, in pieces: its rows need not all be there at once."""
    builder = RowBuilder(trace)
    yield dump_document({"schema": SCHEMA, "capture": builder.capture()})[:-2]
    for table in DOCUMENT_TABLES:
        rows = BUILDERS[table](builder)
        yield b',"%b":[' % table.encode()
        separator = b""
        while piece := list(islice(rows, _ROWS_AT_ONCE)):
            yield separator + dump_document(piece)[1:-2]
            separator = b","
        yield b"]"
    yield b"}\n"


def render_jsonl(trace: Trace) -> Iterator[bytes]:
    """The whole result, a row per line: the capture, then every table that `render_document` has."""
    builder = RowBuilder(trace)
    yield from dump_rows("capture", [builder.capture()])
    for table in DOCUMENT_TABLES:
        yield from dump_rows(table, BUILDERS[table](builder))
