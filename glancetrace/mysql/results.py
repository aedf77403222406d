"""Responses with results: OK, or result sets in text or binary form, one after another, or a request for a file.

MySQL Server documentation, "COM_QUERY Response", "Text Resultset", "COM_STMT_EXECUTE Response", "COM_STMT_FETCH",
"LOCAL INFILE Data"; MariaDB, "Result Set Packets". What depends on capabilities is read off the bytes, since a session
that began before the capture hides them:

- behind the definitions an EOF packet has 5 bytes; where there is none (CLIENT_DEPRECATE_EOF) an OK packet with header
  0xFE has at least 7;
- a column count packet with one byte too many says whether definitions follow: in front of the count with MySQL's
  CLIENT_OPTIONAL_RESULTSET_METADATA, behind it with MARIADB_CLIENT_CACHE_METADATA.

A row cannot begin with 0xFE unless its packet is full (a field of 16 MiB), and never with 0xFF.
"""

from __future__ import annotations

from enum import Enum, auto

from glancetrace.mysql.command import ColumnPolicy, MysqlCommand
from glancetrace.mysql.constants import MAX_PACKET_LEN, ServerStatus
from glancetrace.mysql.prepared import Prepared
from glancetrace.mysql.response import ResponseReader, is_eof
from glancetrace.mysql.resultset import Column, Plan, binary_row, parse_column, plan_columns, text_row
from glancetrace.mysql.session_state import pull_lenenc

__all__ = ["MAX_ROWS_KEPT", "FetchReader", "ResultReader"]

MAX_ROWS_KEPT = 100_000
"""Rows kept per command; further ones are only counted."""

_CURSOR_EXISTS = int(ServerStatus.SERVER_STATUS_CURSOR_EXISTS)
_OK_MIN_LEN = 7


class State(Enum):
    """What kind of packet comes next."""

    FIRST = auto()
    DEFINITIONS = auto()
    DEFINITIONS_END = auto()
    ROWS = auto()


class ResultReader(ResponseReader):
    """Reads OK, result sets and requests for a file. `binary`: rows are in binary form."""

    __slots__ = ("_binary", "_columns", "_left", "_plan", "_policy", "_row_goes_on", "_state")

    def __init__(
        self,
        command: MysqlCommand,
        prepared: Prepared | None,
        sequence: int | None,
        deprecate_eof: bool | None,
        policy: ColumnPolicy,
        *,
        binary: bool,
    ) -> None:
        super().__init__(command, prepared, sequence, deprecate_eof)
        self._policy = policy
        self._binary = binary
        self._state = State.FIRST
        self._columns: list[Column] = []
        self._left = 0
        self._plan: Plan | None = None
        self._row_goes_on = False
        """The last packet was a full one of a row that is not kept: the next one belongs to it."""

    def _skips(self, first: int, length: int) -> bool:
        """A row that nobody wants is counted by its header."""
        if self._state is not State.ROWS or (self._plan is not None and not self._row_goes_on):
            return False
        if not self._row_goes_on:
            if first < 0 or not _is_row(first, length):
                return False
            self._count_row()
        self._row_goes_on = length == MAX_PACKET_LEN
        return True

    def _drops(self, first: int, length: int) -> bool:
        """A row of which bytes are missing is counted, without values."""
        if self._state is not State.ROWS or not (self._parts or self._row_goes_on or _is_row(first, length)):
            return False
        if not self._row_goes_on:
            self._count_row()
        self._parts.clear()
        self.command.rows_complete = False
        self._row_goes_on = length == MAX_PACKET_LEN
        return True

    def _take_packet(self, data: bytes, start: int, end: int, first: int) -> bool:
        state = self._state
        if state is State.ROWS:
            return self._take_row(data, start, end, first)
        if state is State.DEFINITIONS:
            return self._take_definition(data, start, end)
        if state is State.FIRST:
            return self._take_first(data, start, end, first)
        return self._take_definitions_end(data, start, end, first)

    def _take_first(self, data: bytes, start: int, end: int, first: int) -> bool:
        length = end - start
        if first == 0 and length >= _OK_MIN_LEN:
            return self._take_ok(data, start, end, of_rows=False)
        if first == 0xFE:
            return self._take_end_of_rows(data, start, end)
        if first == 0xFB:
            self.takes_client_data = self.takes_file = True
            self.sequence = None
            return True
        return self._take_count(data, start, end)

    def _take_count(self, data: bytes, start: int, end: int) -> bool:
        """Column count packet, with or without a flag that says whether definitions follow."""
        count, pos = pull_lenenc(data, start, end)
        follows = 1
        if pos + 1 == end and data[pos] <= 1 and count > 0:
            follows = data[pos]
        elif pos != end and count in (0, 1):
            follows = count
            count, pos = pull_lenenc(data, pos, end)
        if count <= 0 or pos + (pos < end and data[pos] <= 1) != end:
            return False
        self._left = count
        self._columns = []
        self._state = State.DEFINITIONS if follows else State.DEFINITIONS_END
        if not follows and self.prepared is not None:
            self._columns = list(self.prepared.columns)
        return True

    def _take_definition(self, data: bytes, start: int, end: int) -> bool:
        column = parse_column(data, start, end)
        if column is None:
            return False
        self._columns.append(column)
        self._left -= 1
        if not self._left:
            self._state = State.DEFINITIONS_END
        return True

    def _take_definitions_end(self, data: bytes, start: int, end: int, first: int) -> bool:
        columns = tuple(self._columns)
        if self._binary and self.prepared is not None:
            self.prepared.columns = columns
        self.deprecate_eof = not is_eof(first, end - start)
        self._begin_rows(columns)
        if self.deprecate_eof:
            return self._take_row(data, start, end, first)
        if data[start + 3] & _CURSOR_EXISTS:
            return self._take_end_of_rows(data, start, end)
        return True

    def _begin_rows(self, columns: tuple[Column, ...]) -> None:
        """Definitions are known: find out what of the rows is wanted. Only one result set's rows are kept."""
        command = self.command
        self._state = State.ROWS
        self._plan = None
        if command.returned_rows is None:
            command.returned_rows = 0
        if command.rows is None and command.sql is not None:
            self._plan = plan_columns(columns, self._policy(command.sql, command.schema))
        if self._plan is not None:
            command.columns = self._plan.names
            command.rows = []
            command.rows_complete = True

    def _take_row(self, data: bytes, start: int, end: int, first: int) -> bool:
        if first == 0xFE and end - start < MAX_PACKET_LEN:
            return self._take_end_of_rows(data, start, end)
        if first < 0:
            return False
        self._count_row()
        plan, command = self._plan, self.command
        if plan is None or command.rows is None:
            return True
        row = binary_row(data, start, end, plan) if self._binary else text_row(data, start, end, plan.indexes)
        if row is None or len(command.rows) >= MAX_ROWS_KEPT:
            command.rows_complete = False
        else:
            command.rows.append(row)
        return True

    def _count_row(self) -> None:
        self.command.returned_rows = (self.command.returned_rows or 0) + 1

    def _end_result(self, status_flags: int) -> None:
        super()._end_result(status_flags)
        self._plan = None
        self._state = State.FIRST


class FetchReader(ResultReader):
    """Reads the answer to COM_STMT_FETCH: rows in binary form, whose definitions came with COM_STMT_EXECUTE."""

    __slots__ = ()

    def __init__(
        self,
        command: MysqlCommand,
        prepared: Prepared | None,
        sequence: int | None,
        deprecate_eof: bool | None,
        policy: ColumnPolicy,
    ) -> None:
        super().__init__(command, prepared, sequence, deprecate_eof, policy, binary=True)
        self._begun = True
        self._begin_rows(prepared.columns if prepared is not None else ())


def _is_row(first: int, length: int) -> bool:
    return first < 0xFE or (first == 0xFE and length == MAX_PACKET_LEN)
