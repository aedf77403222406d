"""Result sets: column definitions, rows in text and binary form, and a cache of definitions.

MySQL Server documentation, "Text Resultset" (page_protocol_com_query_response_text_resultset.html), "Column
Definition", "Binary Protocol Resultset"; MariaDB, "Result Set Packets" (extended metadata before the fixed-length
fields). Only the columns that somebody wants are cut out of a row, and nothing behind the last of them is looked at.

A service sends the same few statements again and again, so the definitions that open a response are compared, as one
block of bytes (sequence ids included), with those seen before, and walked only when they are new.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from glancetrace.mysql.command import Value
from glancetrace.mysql.session_state import pull_lenenc
from glancetrace.mysql.values import pull_binary

__all__ = [
    "Column",
    "Definitions",
    "DefinitionsCache",
    "Plan",
    "binary_row",
    "parse_column",
    "plan_columns",
    "text_row",
]

_UNSIGNED_FLAG = 0x20
_FIXED_LEN = 12
_KEY_LEN = 64

_ROWS = 2048
_LONGEST_ROW = 4096
"""Rows that are remembered: how many, and of how many bytes at most."""
_TEXTS = 1 << 12
_LONGEST_TEXT = 4096
"""The same of requests."""


class Column(NamedTuple):
    """What a column definition says and a row needs."""

    name: str
    field_type: int
    unsigned: bool


class Plan(NamedTuple):
    """Which columns of a result set are wanted: their names and ascending indexes, and all columns."""

    names: tuple[str, ...]
    indexes: tuple[int, ...]
    columns: tuple[Column, ...]


def parse_column(data: bytes, pos: int, end: int) -> Column | None:
    """Protocol::ColumnDefinition41 in `data[pos:end]`, None when it is none."""
    name = b""
    for index in range(6):
        length, pos = pull_lenenc(data, pos, end)
        if length < 0 or pos + length > end:
            return None
        if index == 4:
            name = bytes(data[pos : pos + length])
        pos += length
    if (end - pos > 1 + _FIXED_LEN and data[pos] != _FIXED_LEN) or pos + 1 + _FIXED_LEN > end:
        length, pos = pull_lenenc(data, pos, end)
        pos += max(length, 0)
    if pos + 1 + _FIXED_LEN > end:
        return None
    flags = data[pos + 8] | data[pos + 9] << 8
    return Column(name.decode("utf-8", "replace"), data[pos + 7], bool(flags & _UNSIGNED_FLAG))


def plan_columns(columns: tuple[Column, ...], wanted: frozenset[str] | None) -> Plan | None:
    """The wanted ones of `columns`, None when there are none."""
    if not wanted:
        return None
    indexes = tuple(index for index, column in enumerate(columns) if column.name in wanted)
    if not indexes:
        return None
    return Plan(tuple(columns[index].name for index in indexes), indexes, columns)


def text_row(data: bytes, pos: int, end: int, indexes: tuple[int, ...]) -> tuple[Value, ...] | None:
    """Wanted values of a ProtocolText::ResultsetRow, None when the row's fields do not fit."""
    values: list[Value] = []
    field = 0
    # Cutting text is faster than decoding each value; only values that are not ASCII have to be decoded.
    row = data[pos:end]  # no copy where it is all of `data`
    text = row.decode("latin-1")
    end -= pos
    pos = 0
    try:
        for index in indexes:
            while field < index:
                size = row[pos]
                if size < 0xFB:
                    pos += size + 1
                elif size == 0xFB:
                    pos += 1
                else:
                    size, pos = pull_lenenc(row, pos, end)
                    if size < 0:
                        return None
                    pos += size
                field += 1
            field += 1
            size = row[pos]
            pos += 1
            if size == 0xFB:
                values.append(None)
                continue
            if size > 0xFB:
                size, pos = pull_lenenc(row, pos - 1, end)
                if size < 0:
                    return None
            stop = pos + size
            value = text[pos:stop]
            values.append(value if value.isascii() else row[pos:stop].decode("utf-8", "replace"))
            pos = stop
    except IndexError:
        return None
    return tuple(values) if pos <= end else None


def binary_row(data: bytes, pos: int, end: int, plan: Plan) -> tuple[Value, ...] | None:
    """Wanted values of a binary row (header 0x00, NULL bitmap with offset 2, values), None when they do not fit."""
    nulls = pos + 1
    pos = nulls + (len(plan.columns) + 9) // 8
    if pos > end:
        return None
    values: list[Value] = []
    wanted = set(plan.indexes)
    for index in range(plan.indexes[-1] + 1):
        value: Value = None
        bit = index + 2
        if not data[nulls + (bit >> 3)] >> (bit & 7) & 1:
            column = plan.columns[index]
            pulled = pull_binary(data, pos, end, column.field_type, column.unsigned)
            if pulled is None:
                return None
            value, pos = pulled
        if index in wanted:
            values.append(value)
    return tuple(values)


def _plain_column_count(data: bytes) -> int:
    """Number of columns that the packet at the start of `data` announces; 0 when that is not one byte, or when no
    definitions follow (a flag before the count with MySQL, behind it with MariaDB, says so)."""
    length, first = data[0], data[4]
    if data[1] or data[2] or first > 250:
        return 0
    if length == 1:
        return first
    if length != 2:
        return 0
    if data[5] == 1:
        return first
    return data[5] if first == 1 and 1 < data[5] <= 250 else 0


@dataclass(frozen=True, slots=True)
class Definitions:
    """A block of packets from column count to last definition: its bytes, number of columns, what is wanted of it."""

    block: bytes
    count: int
    plan: Plan | None


class DefinitionsCache:
    """Definitions seen at the start of responses; shared by all connections, holds at most `limit` blocks.

    It also holds rows and texts: while an image is uploaded or waited for, services read the same row again and again.

    Attributes:
        texts: a request, with its header -> text of the statement in it; filled by `text`.
    """

    __slots__ = ("_blocks", "_count", "_rows", "limit", "texts")

    def __init__(self, limit: int = 2000) -> None:
        self.limit = limit
        self._blocks: dict[tuple[frozenset[str] | None, bytes], list[Definitions]] = {}
        self._count = 0
        self._rows: dict[tuple[tuple[int, ...], bytes], tuple[Value, ...]] = {}
        self.texts: dict[bytes, str] = {}

    def text(self, data: bytes, begin: int) -> str:
        """Text of the statement that begins there in a request; equal requests have one and the same."""
        text = data[begin:].decode("utf-8", "replace")
        if len(data) <= _LONGEST_TEXT:
            if len(self.texts) >= _TEXTS:
                self.texts.clear()
            self.texts[data] = text
        return text

    def row(self, data: bytes, indexes: tuple[int, ...]) -> tuple[Value, ...] | None:
        """Wanted values of the row `data`, as `text_row` reads them."""
        key = (indexes, data)
        row = self._rows.get(key)
        if row is None:
            row = text_row(data, 0, len(data), indexes)
            if row is not None and len(data) <= _LONGEST_ROW:
                if len(self._rows) >= _ROWS:
                    self._rows.clear()
                self._rows[key] = row
        return row

    def find(self, data: bytes, wanted: frozenset[str] | None) -> Definitions | None:
        """Definitions that `data`, a response from its first packet on, starts with; None when they are not there."""
        key = (wanted, data[:_KEY_LEN])
        for known in self._blocks.get(key, ()):
            if data.startswith(known.block):
                return known
        return self._learn(data, wanted, key)

    def _learn(
        self, data: bytes, wanted: frozenset[str] | None, key: tuple[frozenset[str] | None, bytes]
    ) -> Definitions | None:
        """Walk the definitions; only the usual ones: a count of one byte, all packets there."""
        count = _plain_column_count(data)
        if not count:
            return None
        columns: list[Column] = []
        pos = 4 + data[0]
        for sequence in range(2, count + 2):
            end = pos + 4 + int.from_bytes(data[pos : pos + 3], "little")
            if end > len(data) or end < pos + 5 or data[pos + 3] != sequence & 0xFF:
                return None
            column = parse_column(data, pos + 4, end)
            if column is None:
                return None
            columns.append(column)
            pos = end
        learned = Definitions(bytes(data[:pos]), count, plan_columns(tuple(columns), wanted))
        if self._count >= self.limit:
            self._blocks.clear()
            self._count = 0
        self._blocks.setdefault(key, []).append(learned)
        self._count += 1
        return learned
