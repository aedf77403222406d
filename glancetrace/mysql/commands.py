"""Requests: which commands there are, how they are told from other bytes, what their text is, how they are answered.

MySQL Server documentation, "Command Phase" (page_protocol_command_phase.html) and "COM_QUERY"
(page_protocol_com_query.html) with its query attributes.
"""

from __future__ import annotations

from enum import Enum, auto

from glancetrace.mysql.constants import COMMAND_NAMES, Command
from glancetrace.mysql.session_state import pull_lenenc
from glancetrace.mysql.values import pull_binary

__all__ = ["PLAUSIBLE_LEN", "ResponseForm", "is_request", "parse_query_text", "request_text", "response_form"]

PLAUSIBLE_LEN = 7
"""Bytes of a packet that `is_request` looks at."""


class ResponseForm(Enum):
    """How a command is answered."""

    NONE = auto()
    """Not at all."""
    GENERIC = auto()
    """OK, ERR, EOF, LOCAL INFILE or result sets (text)."""
    BINARY = auto()
    """The same, with rows in binary form."""
    ROWS = auto()
    """Binary rows without definitions, up to EOF."""
    FIELDS = auto()
    """Column definitions up to EOF."""
    PREPARE = auto()
    """COM_STMT_PREPARE_OK, definitions of parameters and columns."""
    STRING = auto()
    """One packet of text."""
    AUTHENTICATION = auto()
    """Authentication packets both ways up to OK or ERR."""
    STREAM = auto()
    """Replication: no end."""


_FORMS: dict[int, ResponseForm] = {
    Command.COM_QUIT: ResponseForm.NONE,
    Command.COM_STMT_CLOSE: ResponseForm.NONE,
    Command.COM_STMT_SEND_LONG_DATA: ResponseForm.NONE,
    Command.COM_STMT_EXECUTE: ResponseForm.BINARY,
    Command.COM_STMT_BULK_EXECUTE: ResponseForm.BINARY,
    Command.COM_STMT_FETCH: ResponseForm.ROWS,
    Command.COM_FIELD_LIST: ResponseForm.FIELDS,
    Command.COM_STMT_PREPARE: ResponseForm.PREPARE,
    Command.COM_STATISTICS: ResponseForm.STRING,
    Command.COM_CHANGE_USER: ResponseForm.AUTHENTICATION,
    Command.COM_BINLOG_DUMP: ResponseForm.STREAM,
    Command.COM_BINLOG_DUMP_GTID: ResponseForm.STREAM,
    Command.COM_TABLE_DUMP: ResponseForm.STREAM,
}

_EXACT_LEN: dict[int, int] = {
    Command.COM_QUIT: 1,
    Command.COM_STATISTICS: 1,
    Command.COM_PROCESS_INFO: 1,
    Command.COM_PROCESS_KILL: 5,
    Command.COM_DEBUG: 1,
    Command.COM_PING: 1,
    Command.COM_STMT_CLOSE: 5,
    Command.COM_STMT_RESET: 5,
    Command.COM_SET_OPTION: 3,
    Command.COM_STMT_FETCH: 9,
    Command.COM_RESET_CONNECTION: 1,
}

_MIN_LEN: dict[int, int] = {
    Command.COM_QUERY: 2,
    Command.COM_STMT_PREPARE: 2,
    Command.COM_FIELD_LIST: 2,
    Command.COM_INIT_DB: 2,
    Command.COM_CHANGE_USER: 4,
    Command.COM_STMT_EXECUTE: 10,
    Command.COM_STMT_SEND_LONG_DATA: 7,
    Command.COM_STMT_BULK_EXECUTE: 7,
    Command.COM_BINLOG_DUMP: 11,
    Command.COM_BINLOG_DUMP_GTID: 11,
    Command.COM_REGISTER_SLAVE: 11,
}

_WHITE_SPACE = frozenset(b"\t\n\v\f\r")
_TEXT_COMMANDS: frozenset[int] = frozenset(
    (Command.COM_QUERY, Command.COM_STMT_PREPARE, Command.COM_INIT_DB, Command.COM_FIELD_LIST)
)


def response_form(code: int) -> ResponseForm:
    """How the command `code` is answered."""
    return _FORMS.get(code, ResponseForm.GENERIC)


def is_request(data: bytes, pos: int) -> bool:
    """A packet that can be a request begins at `pos`; looks at `PLAUSIBLE_LEN` bytes, or at the whole packet.

    Random bytes pass with a chance of about 1 in 2 000; other protocols that use such ports (HTTP, TLS, AMQP) do not.
    """
    length = int.from_bytes(data[pos : pos + 3], "little")
    if len(data) < pos + 5 or not length or data[pos + 3]:
        return False
    code = data[pos + 4]
    if code not in COMMAND_NAMES or length != _EXACT_LEN.get(code, length) or length < _MIN_LEN.get(code, 1):
        return False
    if code in _TEXT_COMMANDS:
        if len(data) == pos + 5:
            return False
        first = data[pos + 5]
        return first >= 0x20 or first in _WHITE_SPACE or _has_attributes(data, pos + 4, pos + 4 + length)
    return True


def _has_attributes(data: bytes, pos: int, end: int) -> bool:
    """Query attributes stand before the text: a count, and the number of sets, which is always 1.

    No statement has 0x01 as its second character, so this holds without knowing the capabilities.
    """
    return data[pos] == Command.COM_QUERY and end - pos > 2 and data[pos + 2 : pos + 3] == b"\x01"


def parse_query_text(payload: bytes) -> bytes:
    """Text of COM_QUERY, behind its query attributes if there are any."""
    end = len(payload)
    if not _has_attributes(payload, 0, end):
        return payload[1:]
    count = payload[1]
    pos = 3
    if not count:
        return payload[pos:]
    nulls = payload[pos : pos + (count + 7) // 8]
    pos += len(nulls) + 1
    types: list[tuple[int, bool]] = []
    for _ in range(count):
        if pos + 2 > end:
            return payload[1:]
        types.append((payload[pos], bool(payload[pos + 1] & 0x80)))
        name_len, pos = pull_lenenc(payload, pos + 2, end)
        pos += max(name_len, 0)
    for index, (field_type, unsigned) in enumerate(types):
        if nulls[index >> 3] >> (index & 7) & 1:
            continue
        value = pull_binary(payload, pos, end, field_type, unsigned)
        if value is None:
            return payload[1:]
        pos = value[1]
    return payload[pos:]


def request_text(payload: bytes) -> str | None:
    """Text of a request that has one: statement, or schema of COM_INIT_DB, else None."""
    code = payload[0]
    if code == Command.COM_QUERY:
        return parse_query_text(payload).decode("utf-8", "replace")
    if code in (Command.COM_STMT_PREPARE, Command.COM_INIT_DB):
        return payload[1:].decode("utf-8", "replace")
    return None
