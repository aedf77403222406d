"""Values in binary form, as in binary rows, bound parameters and query attributes.

MySQL Server documentation, "Binary Protocol Resultset", section "Binary Protocol Value"
(page_protocol_binary_resultset.html). Dates and times become text as MySQL prints it, other fixed-length types
numbers; strings become text when they are UTF-8, else stay bytes.
"""

from __future__ import annotations

import struct

from glancetrace.mysql.constants import FieldType
from glancetrace.mysql.session_state import pull_lenenc

__all__ = ["Value", "pull_binary"]

Value = str | bytes | int | float | None

_INT_LEN = {
    FieldType.MYSQL_TYPE_TINY: 1,
    FieldType.MYSQL_TYPE_SHORT: 2,
    FieldType.MYSQL_TYPE_YEAR: 2,
    FieldType.MYSQL_TYPE_LONG: 4,
    FieldType.MYSQL_TYPE_INT24: 4,
    FieldType.MYSQL_TYPE_LONGLONG: 8,
}
_INTEGERS = {int(field_type): length for field_type, length in _INT_LEN.items()}
_FLOATS = {int(FieldType.MYSQL_TYPE_FLOAT): struct.Struct("<f"), int(FieldType.MYSQL_TYPE_DOUBLE): struct.Struct("<d")}
_DATES = frozenset(
    int(t)
    for t in (
        FieldType.MYSQL_TYPE_DATE,
        FieldType.MYSQL_TYPE_NEWDATE,
        FieldType.MYSQL_TYPE_DATETIME,
        FieldType.MYSQL_TYPE_TIMESTAMP,
    )
)
_BYTES_ONLY = frozenset((int(FieldType.MYSQL_TYPE_BIT), int(FieldType.MYSQL_TYPE_GEOMETRY)))


def pull_binary(data: bytes, pos: int, end: int, field_type: int, unsigned: bool) -> tuple[Value, int] | None:
    """Value at `pos` and the offset behind it; None when it does not fit before `end`."""
    length = _INTEGERS.get(field_type)
    if length is not None:
        if pos + length > end:
            return None
        return int.from_bytes(data[pos : pos + length], "little", signed=not unsigned), pos + length
    layout = _FLOATS.get(field_type)
    if layout is not None:
        return (layout.unpack_from(data, pos)[0], pos + layout.size) if pos + layout.size <= end else None
    if field_type == FieldType.MYSQL_TYPE_NULL:
        return None, pos
    size, start = pull_lenenc(data, pos, end)
    stop = start + size
    if size < 0 or stop > end:
        return None
    if field_type in _DATES:
        return _date_text(data[start:stop], field_type == FieldType.MYSQL_TYPE_DATE), stop
    if field_type == FieldType.MYSQL_TYPE_TIME:
        return _time_text(data[start:stop]), stop
    raw = bytes(data[start:stop])
    if field_type in _BYTES_ONLY:
        return raw, stop
    try:
        return raw.decode("utf-8"), stop
    except UnicodeDecodeError:
        return raw, stop


def _date_text(raw: bytes, date_only: bool) -> str:
    """0, 4, 7 or 11 bytes: year, month, day, hour, minute, second, microseconds."""
    year, month, day, hour, minute, second, micros = struct.unpack("<HBBBBBI", raw[:11].ljust(11, b"\0"))
    date = f"{year:04}-{month:02}-{day:02}"
    if date_only and len(raw) <= 4:
        return date
    fraction = f".{micros:06}" if len(raw) > 7 else ""
    return f"{date} {hour:02}:{minute:02}:{second:02}{fraction}"


def _time_text(raw: bytes) -> str:
    """0, 8 or 12 bytes: sign, days, hours, minutes, seconds, microseconds; hours go beyond 24 as MySQL prints them."""
    negative, days, hours, minutes, seconds, micros = struct.unpack("<BIBBBI", raw[:12].ljust(12, b"\0"))
    sign = "-" if negative else ""
    fraction = f".{micros:06}" if len(raw) > 8 else ""
    return f"{sign}{days * 24 + hours:02}:{minutes:02}:{seconds:02}{fraction}"
