"""Results that were written before (`analyze --format json`), read again; plain or compressed, told by their content.

The way back from the document to its rows is not needed: what judges or compares results works on the document.
"""

from __future__ import annotations

import os
from typing import Any

from glancetrace.capture.compressed import decompressed
from glancetrace.capture.source import open_source
from glancetrace.errors import InputError
from glancetrace.schema import SCHEMA

__all__ = ["is_result", "read_result"]

_PIECE = 1 << 20
_HEAD = 64
_TABLES = ("connections", "api_calls", "statements", "links", "images", "findings", "issues")


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


def read_result(path: str) -> dict[str, Any]:
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
    missing = [name for name in _TABLES if not isinstance(document.get(name), list)]
    if missing or not isinstance(document.get("capture"), dict):
        raise InputError(f"lacks {', '.join(missing) or 'capture'}", where=path, action=action)
    return document
