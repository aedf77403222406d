"""Values in MySQL packets and where each stands: rows in text and binary form, parameters of prepared statements.

MySQL Server documentation, "Text Resultset", "Binary Protocol Resultset", "COM_STMT_EXECUTE". A packet is understood
when its values fill it exactly; what is not understood is not kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from glancetrace.edit.sanitize.loose import find_loosely, find_loosely_in_sql, may_hold_loosely
from glancetrace.edit.sanitize.names import is_name_column
from glancetrace.edit.sanitize.spans import Span, find_in_json, find_in_sql, find_in_text, is_secret_column
from glancetrace.mysql.constants import ExecuteFlag, FieldType
from glancetrace.mysql.resultset import Column, parse_column
from glancetrace.mysql.session_state import pull_lenenc
from glancetrace.mysql.values import pull_binary
from glancetrace.redact import is_secret_name

__all__ = ["Columns", "Statement", "binary_values", "execute_values", "find_in_row", "secret_parameters", "text_values"]

_NUMBERS = frozenset(
    int(kind)
    for kind in (
        FieldType.MYSQL_TYPE_TINY, FieldType.MYSQL_TYPE_SHORT, FieldType.MYSQL_TYPE_LONG, FieldType.MYSQL_TYPE_FLOAT,
        FieldType.MYSQL_TYPE_DOUBLE, FieldType.MYSQL_TYPE_NULL, FieldType.MYSQL_TYPE_TIMESTAMP,
        FieldType.MYSQL_TYPE_LONGLONG, FieldType.MYSQL_TYPE_INT24, FieldType.MYSQL_TYPE_DATE, FieldType.MYSQL_TYPE_TIME,
        FieldType.MYSQL_TYPE_DATETIME, FieldType.MYSQL_TYPE_YEAR, FieldType.MYSQL_TYPE_NEWDATE,
    )
)  # fmt: skip
_PLAIN = re.compile(r"[0-9a-f\-]{0,40}|[0-9 :.\-]*")
"""Ids, numbers and times: no secret by what they are."""
_MARK = re.compile(r"'(?:[^'\\]|\\[\s\S])*'|\"(?:[^\"\\]|\\[\s\S])*\"|`[^`]*`|(\?)")


class Place(NamedTuple):
    """A value that is text or bytes: number of its column or parameter, and where it stands in the packet."""

    number: int
    begin: int
    end: int


@dataclass(slots=True)
class Columns:
    """The columns of a result set; `secret`: those whose values are secrets, whatever they are, `names`: names."""

    columns: list[Column] = field(default_factory=list)
    secret: set[int] = field(default_factory=set)
    names: set[int] = field(default_factory=set)
    name_index: int = -1
    value_index: int = -1

    def add(self, data: bytes, pos: int, end: int) -> bool:
        """One more definition; False when it is none."""
        column = parse_column(data, pos, end)
        if column is None:
            return False
        index = len(self.columns)
        parts: list[str] = []
        at = pos
        for _ in range(6):
            length, at = pull_lenenc(data, at, end)
            parts.append(bytes(data[at : at + length]).decode("latin-1"))
            at += length
        real = parts[5]
        if is_name_column(parts[3], real):
            self.names.add(index)
        if is_secret_column(real) or is_secret_column(column.name):
            self.secret.add(index)
        if real == "name":
            self.name_index = index
        if real == "value":
            self.value_index = index
        self.columns.append(column)
        return True


@dataclass(slots=True)
class Statement:
    """A prepared statement: which parameters are secrets, and the types they were bound with."""

    secret: frozenset[int]
    count: int = 0
    types: list[int] = field(default_factory=list)
    columns: Columns | None = None


def text_values(data: bytes, pos: int, end: int, count: int) -> list[Place] | None:
    """Values of a text row; `count` 0: any number of columns."""
    places: list[Place] = []
    index = 0
    while pos < end:
        if data[pos] == 0xFB:
            pos += 1
        else:
            size, begin = pull_lenenc(data, pos, end)
            if size < 0 or begin + size > end:
                return None
            places.append(Place(index, begin, begin + size))
            pos = begin + size
        index += 1
    return places if not count or index == count else None


def _pull_text(data: bytes, pos: int, end: int, kind: int, index: int) -> tuple[Place | None, int] | None:
    pulled = pull_binary(data, pos, end, kind, False)
    if pulled is None:
        return None
    if kind in _NUMBERS:
        return None, pulled[1]
    return Place(index, pull_lenenc(data, pos, end)[1], pulled[1]), pulled[1]


def binary_values(data: bytes, pos: int, end: int, columns: Sequence[Column]) -> list[Place] | None:
    """Values of a binary row that are no numbers and no times."""
    nulls = pos + 1
    pos = nulls + (len(columns) + 9) // 8
    places: list[Place] = []
    for index, column in enumerate(columns):
        bit = index + 2
        if nulls + (bit >> 3) >= end:
            return None
        if data[nulls + (bit >> 3)] >> (bit & 7) & 1:
            continue
        pulled = _pull_text(data, pos, end, column.field_type, index)
        if pulled is None:
            return None
        place, pos = pulled
        if place is not None:
            places.append(place)
    return places if pos == end else None


def execute_values(payload: bytes, statement: Statement) -> list[Place] | None:
    """Parameters of a COM_STMT_EXECUTE that are no numbers; None when they cannot be read."""
    end = len(payload)
    pos, count = 10, statement.count
    named = bool(payload[5] & ExecuteFlag.PARAMETER_COUNT_AVAILABLE)
    if named:
        count, pos = pull_lenenc(payload, pos, end)
    if count <= 0 or pos >= end:
        return [] if pos >= end else None
    nulls = payload[pos : pos + (count + 7) // 8]
    pos += len(nulls)
    if pos >= end:
        return None
    bound, pos = payload[pos], pos + 1
    if bound:
        statement.types = []
        for _ in range(count):
            if pos + 2 > end:
                return None
            statement.types.append(payload[pos])
            pos += 2
            if named:
                length, pos = pull_lenenc(payload, pos, end)
                pos += max(length, 0)
    if len(statement.types) < count:
        return None
    places: list[Place] = []
    for index, kind in enumerate(statement.types[:count]):
        if nulls[index >> 3] >> (index & 7) & 1 or pos >= end:
            continue
        pulled = _pull_text(payload, pos, end, kind, index)
        if pulled is None:
            return None
        place, pos = pulled
        if place is not None:
            places.append(place)
    return places if pos == end else None


def secret_parameters(sql: str) -> tuple[frozenset[int], int]:
    """Which parameters of a statement are secrets, and how many it has: each is put in as a literal and looked for."""
    count = 0

    def put_in(match: re.Match[str]) -> str:
        nonlocal count
        if match[1] is None:
            return match[0]
        count += 1
        return f"'\0{count - 1}'"

    text = _MARK.sub(put_in, sql)
    found = {text[span.begin : span.end] for span in (*find_in_sql(text), *find_loosely_in_sql(text))}
    return frozenset(index for index in range(count) if f"\0{index}" in found), count


def find_in_row(text: str, places: Sequence[Place], columns: Columns) -> Iterator[Span]:
    """Secrets among the values of a row; `text` is the packet that the places point into."""
    name = ""
    for place in places:
        if place.number == columns.name_index:
            name = text[place.begin : place.end]
    holds = may_hold_loosely(text)
    for place in places:
        value = text[place.begin : place.end]
        if place.number in columns.secret or (place.number == columns.value_index and is_secret_name(name)):
            yield Span(place.begin, place.end, "column", "plain")
            continue
        if not holds or value.isdigit() or _PLAIN.fullmatch(value):
            continue
        finder = find_in_json(value, whole=True) if value[:1] in ("{", "[") else find_in_text(value)
        for span in (*finder, *find_loosely(value)):
            yield Span(span.begin + place.begin, span.end + place.begin, span.kind, span.spelling)
