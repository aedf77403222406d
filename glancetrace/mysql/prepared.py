"""Prepared statements of a session: their text by id, their parameters' types, and values that are bound to them.

MySQL Server documentation, "COM_STMT_EXECUTE" (page_protocol_com_stmt_execute.html: NULL bitmap, types only when
new_params_bind_flag is 1, query attributes behind the parameters), "COM_STMT_SEND_LONG_DATA"; MariaDB,
"COM_STMT_EXECUTE" (id -1: the statement prepared last) and "COM_STMT_BULK_EXECUTE".
"""

from __future__ import annotations

from dataclasses import dataclass, field

from glancetrace.mysql.command import Value
from glancetrace.mysql.constants import ExecuteFlag
from glancetrace.mysql.resultset import Column
from glancetrace.mysql.session_state import pull_lenenc
from glancetrace.mysql.values import pull_binary

__all__ = ["Prepared", "Statements", "bind_bulk", "bind_execute"]

_LAST_PREPARED = 0xFFFFFFFF
_BULK_SEND_TYPES = 128
_INDICATOR_NONE = 0
_MAX_BOUND = 100_000
_MAX_LONG_DATA = 1 << 24
"""Bytes of a value sent ahead that are kept."""

Types = tuple[tuple[int, bool], ...]


@dataclass(slots=True)
class Prepared:
    """A statement on the server. `types`: (field type, unsigned) of each parameter as bound last; `long_data`: values
    sent ahead by COM_STMT_SEND_LONG_DATA, by parameter; `columns`: of its result set, as far as known."""

    statement_id: int
    sql: str
    param_count: int
    columns: tuple[Column, ...] = ()
    types: Types | None = None
    long_data: dict[int, bytearray] = field(default_factory=dict)


class Statements:
    """Prepared statements of one session."""

    __slots__ = ("_by_id", "_last")

    def __init__(self) -> None:
        self._by_id: dict[int, Prepared] = {}
        self._last: Prepared | None = None

    def add(self, prepared: Prepared) -> None:
        """The server has answered COM_STMT_PREPARE."""
        self._by_id[prepared.statement_id] = prepared
        self._last = prepared

    def forget_last(self) -> None:
        """A COM_STMT_PREPARE failed, or its answer is not known: id -1 names nothing."""
        self._last = None

    def of(self, payload: bytes) -> Prepared | None:
        """Statement that a request names in its bytes 1 to 4, None when its text is not known."""
        statement_id = int.from_bytes(payload[1:5], "little")
        return self._last if statement_id == _LAST_PREPARED else self._by_id.get(statement_id)

    def close(self, payload: bytes) -> None:
        """COM_STMT_CLOSE."""
        self._by_id.pop(int.from_bytes(payload[1:5], "little"), None)

    def reset(self, payload: bytes) -> None:
        """COM_STMT_RESET: long data are forgotten."""
        prepared = self.of(payload)
        if prepared is not None:
            prepared.long_data.clear()

    def clear(self) -> None:
        """COM_RESET_CONNECTION, COM_CHANGE_USER."""
        self._by_id.clear()
        self._last = None

    def add_long_data(self, payload: bytes) -> None:
        """COM_STMT_SEND_LONG_DATA: statement id, int<2> parameter, data, which are appended to earlier ones."""
        prepared = self.of(payload)
        if prepared is not None:
            value = prepared.long_data.setdefault(payload[5] | payload[6] << 8, bytearray())
            value.extend(payload[7 : 7 + _MAX_LONG_DATA - len(value)])


def bind_execute(prepared: Prepared, payload: bytes) -> tuple[Value, ...] | None:
    """Values of a COM_STMT_EXECUTE, None when they cannot be read."""
    end = len(payload)
    pos = 10
    count = prepared.param_count
    named = bool(payload[5] & ExecuteFlag.PARAMETER_COUNT_AVAILABLE)
    if named:
        count, pos = pull_lenenc(payload, pos, end)
    if count <= 0:
        return ()
    nulls = payload[pos : pos + (count + 7) // 8]
    pos += len(nulls)
    if pos >= end:
        return None
    if payload[pos]:
        pulled = _pull_types(payload, pos + 1, end, count, named)
        if pulled is None:
            return None
        prepared.types, pos = pulled
    else:
        pos += 1
    if prepared.types is None or len(prepared.types) < count:
        return None
    return _pull_values(prepared, payload, pos, end, nulls)


def _pull_types(payload: bytes, pos: int, end: int, count: int, named: bool) -> tuple[Types, int] | None:
    types: list[tuple[int, bool]] = []
    for _ in range(count):
        if pos + 2 > end:
            return None
        types.append((payload[pos], bool(payload[pos + 1] & 0x80)))
        pos += 2
        if named:
            name_len, pos = pull_lenenc(payload, pos, end)
            pos += max(name_len, 0)
    return tuple(types), pos


def _pull_values(prepared: Prepared, payload: bytes, pos: int, end: int, nulls: bytes) -> tuple[Value, ...] | None:
    """Values in order; those sent ahead have no bytes here. Query attributes behind the parameters are left out."""
    values: list[Value] = []
    long_data, prepared.long_data = prepared.long_data, {}
    for index, (field_type, unsigned) in enumerate((prepared.types or ())[: prepared.param_count]):
        if index in long_data:
            values.append(_text_or_bytes(bytes(long_data[index])))
        elif nulls[index >> 3] >> (index & 7) & 1:
            values.append(None)
        else:
            pulled = pull_binary(payload, pos, end, field_type, unsigned)
            if pulled is None:
                return None
            values.append(pulled[0])
            pos = pulled[1]
    return tuple(values)


def bind_bulk(prepared: Prepared, payload: bytes) -> tuple[Value, ...] | None:
    """Values of all rows of a COM_STMT_BULK_EXECUTE, one after another; DEFAULT and IGNORE come as None."""
    end = len(payload)
    pos = 7
    if payload[5] & _BULK_SEND_TYPES:
        pulled = _pull_types(payload, pos, end, prepared.param_count, named=False)
        if pulled is None:
            return None
        prepared.types, pos = pulled
    types = prepared.types
    if not types:
        return None
    values: list[Value] = []
    while pos < end and len(values) < _MAX_BOUND:
        for field_type, unsigned in types:
            if pos >= end:
                return None
            indicator = payload[pos]
            pos += 1
            if indicator != _INDICATOR_NONE:
                values.append(None)
                continue
            value = pull_binary(payload, pos, end, field_type, unsigned)
            if value is None:
                return None
            values.append(value[0])
            pos = value[1]
    return tuple(values)


def _text_or_bytes(raw: bytes) -> Value:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw
