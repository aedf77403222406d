"""Whether JSON that says to be a result is one: every row and cell against `glancetrace.schema`.

A column that an older version did not write is filled in as unknown; what is not as the schema says is refused, with
its place, so that whoever reads the document can rely on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from glancetrace.result import Row
from glancetrace.rfc3339 import nanoseconds
from glancetrace.schema import CAPTURE, OF_IMAGES, TABLES, Column

__all__ = ["WrongCell", "check_document"]


class WrongCell(Exception):
    """A place in the document, and what is wrong there."""


_TYPES: Mapping[str, tuple[type, ...]] = {
    "int": (int,),
    "str": (str,),
    "endpoint": (str,),
    "bool": (bool,),
    "float": (int, float),
    "ts": (str,),
    "dur": (int,),
    "list": (list,),
    "object": (dict,),
}


def _columns(**types: str) -> tuple[Column, ...]:
    return tuple(Column(name, kind, "") for name, kind in types.items())


_LISTS: Mapping[str, str | tuple[Column, ...]] = {
    "files": _columns(name="str", first_frame="int", packets="int"),
    "link_types": "int",
    "glance_eras": _columns(host="str", era="int", releases="str"),
    "api_logs": _columns(name="str", format="str", calls="int", used="int", offset="dur", uncertainty="dur"),
    "hops": _columns(client="endpoint", server="endpoint", ts="ts", dur="dur", first_frame="int", last_frame="int"),
    "tables": "str",
    "image_ids": "str",
    "evidence": "str",
    "candidates": "int",
    "rejected": _columns(call_id="int", reason="str"),
    "frames": "int",
    **{name: tuple(column for column in TABLES[name] if column.name != "image_id") for name in OF_IMAGES},
}
"""Columns of type list -> what they list: one of the types, or rows."""

_OBJECTS: Mapping[str, tuple[Column, ...]] = {
    "tls": _columns(version="str", suite="str", sni="str", alpn="str", decrypted="bool", reason="str"),
    "error": _columns(code="int", sqlstate="str", message="str"),
    "wire_checksum": _columns(complete="bool"),
    "accounting": _columns(
        packets_decoded="int", packets_ignored="int", packets_malformed="int", stream_bytes="int",
        stream_bytes_decoded="int", stream_bytes_skipped="int", stream_bytes_missing="int", ignored_reasons="object",
    ),
}  # fmt: skip
"""Columns of type object -> the fields that they always have."""

_KNOWN: Mapping[str, frozenset[str]] = {
    "capture": frozenset({"packets", "bytes", "connections", "accounting"}),
    "connections": frozenset({"id", "protocol", "client", "server", "bytes"}),
    "api_calls": frozenset({"id", "service", "method", "target", "operation", "ts", "tls", "complete", "source"}),
    "statements": frozenset({"id", "service", "kind", "command", "ts", "outcome"}),
    "links": frozenset({"statement_id", "call_id", "class", "score"}),
    "images": frozenset({"id"}),
    "transitions": frozenset({"to", "ts", "certainty"}),
    "intervals": frozenset({"status", "ts"}),
    "events": frozenset({"kind", "ts"}),
    "findings": frozenset({"rule", "severity", "message", "ts"}),
    "issues": frozenset({"kind", "severity", "count"}),
    "files": frozenset({"name", "first_frame", "packets"}),
    "hops": frozenset({"ts"}),
    "rejected": frozenset({"call_id", "reason"}),
    "accounting": frozenset(column.name for column in _OBJECTS["accounting"]),
}
"""Columns that are never null."""

_NUMBERED = ("connections", "api_calls", "statements")
"""Tables whose ids are the places of their rows."""


def check_document(document: Row, tables: Iterable[str]) -> None:
    """Check the rows of a document, and fill in what is not there.

    Raises:
        WrongCell: something is not as the schema says.
    """
    _check_row(document["capture"], CAPTURE, "capture", "capture")
    for table in tables:
        _check_list(document[table], TABLES[table], table, table)
    for table in _NUMBERED:
        for number, row in enumerate(document[table]):
            if row["id"] != number + 1:
                raise WrongCell(f"{table}[{number}].id is not {number + 1}")
    if len({image["id"] for image in document["images"]}) < len(document["images"]):
        raise WrongCell("images has an id twice")
    for number, link in enumerate(document["links"]):
        for column, table in (("statement_id", "statements"), ("call_id", "api_calls")):
            if not 0 < link[column] <= len(document[table]):
                raise WrongCell(f"links[{number}].{column} is not in {table}")


def _check_list(values: list[Any], of: str | tuple[Column, ...], name: str, place: str) -> None:
    """Values of one type, or rows."""
    for number, value in enumerate(values):
        if not isinstance(of, str):
            _check_row(value, of, name, f"{place}[{number}]")
        elif type(value) not in _TYPES[of]:
            raise WrongCell(f"{place}[{number}] is not of type {of}")


def _check_row(row: Any, columns: tuple[Column, ...], name: str, place: str) -> None:
    """A row of what is called `name`."""
    if type(row) is not dict:
        raise WrongCell(f"{place} is no object")
    known = _KNOWN.get(name, frozenset())
    for column in columns:
        value = row.get(column.name)
        if value is not None:
            _check_cell(value, column, f"{place}.{column.name}")
        elif column.name in known:
            raise WrongCell(f"{place}.{column.name} is missing")
        else:
            row[column.name] = [] if column.type == "list" else None


def _check_cell(value: Any, column: Column, place: str) -> None:
    name, kind = column.name, column.type
    if type(value) not in _TYPES[kind]:
        raise WrongCell(f"{place} is not of type {kind}")
    if column.values:
        if value not in column.values:
            raise WrongCell(f"{place} is none of {', '.join(column.values)}")
    elif kind == "ts":
        _check_time(value, place)
    elif kind == "endpoint":
        if not value.rpartition(":")[2].isdecimal():
            raise WrongCell(f"{place} is no address:port")
    elif kind == "list":
        _check_list(value, _LISTS[name], name, place)
    elif kind == "object" and name in _OBJECTS:
        _check_row(value, _OBJECTS[name], name, place)


def _check_time(text: str, place: str) -> None:
    try:
        nanoseconds(text)
    except (ValueError, OverflowError):
        raise WrongCell(f"{place} is no time, as in 2020-02-18T04:49:55.993652000Z") from None
