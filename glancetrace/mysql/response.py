"""The response to one command, packet by packet, until it is complete.

MySQL Server documentation, "COM_QUERY Response", "Text Resultset", "COM_STMT_PREPARE Response", "LOCAL INFILE Data";
MariaDB, "Result Set Packets" and "COM_STMT_PREPARE". What depends on capabilities is read off the bytes, since a
session that began before the capture hides them:

- behind the definitions an EOF packet has 5 bytes, an OK packet with header 0xFE (CLIENT_DEPRECATE_EOF) at least 7;
- a column count packet with one byte too many says whether definitions follow: in front of the count with MySQL's
  CLIENT_OPTIONAL_RESULTSET_METADATA, behind it with MARIADB_CLIENT_CACHE_METADATA.

A row cannot begin with 0xFE unless its packet is full (a field of 16 MiB), and never with 0xFF.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from glancetrace.mysql.command import ColumnPolicy, MysqlCommand
from glancetrace.mysql.commands import ResponseForm
from glancetrace.mysql.constants import MAX_PACKET_LEN, ServerStatus
from glancetrace.mysql.packets import HEADER_LEN, Channel
from glancetrace.mysql.prepared import Prepared
from glancetrace.mysql.resultset import Column, Plan, binary_row, parse_column, plan_columns, text_row
from glancetrace.mysql.session_state import PROGRESS_REPORT, parse_err, parse_ok, pull_lenenc, tracked_schema

__all__ = ["MAX_ROWS_KEPT", "Outcome", "ResponseReader"]

MAX_ROWS_KEPT = 100_000
"""Rows kept per command; further ones are only counted."""

_MORE_RESULTS = int(ServerStatus.SERVER_MORE_RESULTS_EXISTS)
_CURSOR_EXISTS = int(ServerStatus.SERVER_STATUS_CURSOR_EXISTS)
_EOF_LEN = 5
_PREPARE_OK_LEN = 12


class Outcome(Enum):
    """What reading came to."""

    MORE = auto()
    """More bytes are needed."""
    DONE = auto()
    """The response is complete."""
    LOST = auto()
    """The next packet does not belong to this response."""


class State(Enum):
    """What kind of packet comes next."""

    FIRST = auto()
    DEFINITIONS = auto()
    DEFINITIONS_END = auto()
    ROWS = auto()
    PREPARED = auto()
    PREPARED_END = auto()
    FIELDS = auto()
    DONE = auto()


class ResponseReader:
    """Reads the response of `command`.

    Attributes:
        takes_client_data: the client sends further packets before the response goes on (file data, authentication).
        sequence: sequence id that the next packet must have, None when any will do.
        takes_file: these are file data (LOCAL INFILE).
        damaged: bytes are missing within rows.
        perhaps_done: complete, unless one more EOF packet follows (capabilities not known).
        schema: schema the session changed to, if the response says so.
        prepared: the statement that the response is about.
    """

    __slots__ = (
        "_binary",
        "_columns",
        "_form",
        "_left",
        "_left_columns",
        "_parts",
        "_plan",
        "_policy",
        "_row_continues",
        "_state",
        "command",
        "damaged",
        "deprecate_eof",
        "perhaps_done",
        "prepared",
        "schema",
        "sequence",
        "takes_client_data",
        "takes_file",
    )

    def __init__(
        self,
        command: MysqlCommand,
        form: ResponseForm,
        policy: ColumnPolicy,
        prepared: Prepared | None,
        sequence: int | None,
        deprecate_eof: bool | None,
    ) -> None:
        self.command = command
        self.prepared = prepared
        self.sequence = sequence
        self.deprecate_eof = deprecate_eof
        self.schema: str | None = None
        self.takes_client_data = form is ResponseForm.AUTHENTICATION
        self.takes_file = False
        self.perhaps_done = False
        self.damaged = False
        self._form = form
        self._policy = policy
        self._binary = form in (ResponseForm.BINARY, ResponseForm.ROWS)
        self._state = State.FIRST
        self._columns: list[Column] = []
        self._left = 0
        self._left_columns = 0
        self._plan: Plan | None = None
        self._parts: list[bytes] = []
        self._row_continues = False
        if form is ResponseForm.ROWS:
            self._begin_rows(tuple(prepared.columns) if prepared else ())
        elif form is ResponseForm.FIELDS:
            self._state = State.FIELDS

    def read(self, channel: Channel) -> Outcome:
        """Consume what belongs to the response."""
        command = self.command
        while self._state is not State.DONE:
            available = channel.available
            if available and command.response_ts is None:
                command.response_ts = channel.place(channel.pos)[0]
            if available < HEADER_LEN:
                channel.need = HEADER_LEN
                return Outcome.MORE
            data, pos = channel.data, channel.pos
            length = data[pos] | data[pos + 1] << 8 | data[pos + 2] << 16
            if self.sequence is not None and data[pos + 3] != self.sequence:
                return Outcome.LOST
            if length and available <= HEADER_LEN:
                channel.need = HEADER_LEN + 1
                return Outcome.MORE
            if self._skips_row(data, pos, length):
                channel.consume(HEADER_LEN + length)
            elif available < HEADER_LEN + length:
                channel.need = HEADER_LEN + length
                return Outcome.MORE
            else:
                if not self._take(data, pos + HEADER_LEN, length):
                    return Outcome.LOST
                channel.consume(HEADER_LEN + length)
            if self.sequence is not None:
                self.sequence = data[pos + 3] + 1 & 0xFF
            if channel.skip:
                channel.need = 1
                return Outcome.MORE
        return Outcome.DONE

    def survives_gap(self, channel: Channel, gap: int) -> bool:
        """Bytes are missing: true when they all lie in a row, so that the next packet is known; the row is counted."""
        if channel.skip:
            if gap > channel.skip:
                return False
            channel.skip -= gap
            return True
        held = channel.take()
        if self._state is not State.ROWS or len(held) <= HEADER_LEN:
            return False
        length = int.from_bytes(held[:3], "little")
        left = HEADER_LEN + length - len(held)
        if not self._is_row(held[HEADER_LEN], length) or gap > left:
            return False
        self._drop_row(length)
        self.sequence = None if self.sequence is None else self.sequence + 1 & 0xFF
        channel.consume(HEADER_LEN + length)
        channel.skip -= gap
        return True

    def client_sent(self, sequence: int, length: int) -> None:
        """The client sent a packet of file data or authentication; an empty one ends file data."""
        self.sequence = None
        if self.takes_file and not length:
            self.takes_client_data = self.takes_file = False
            self.sequence = sequence + 1 & 0xFF

    def _is_row(self, first: int, length: int) -> bool:
        return self._row_continues or first < 0xFE or (first == 0xFE and length == MAX_PACKET_LEN)

    def _skips_row(self, data: bytes, pos: int, length: int) -> bool:
        """Count a row that nobody wants; true when there was one, so that its bytes can be dropped."""
        if self._state is not State.ROWS or (self._plan is not None and not self._row_continues):
            return False
        if not self._row_continues and (not length or not self._is_row(data[pos + HEADER_LEN], length)):
            return False
        if not self._row_continues:
            self._count_row()
        self._row_continues = length == MAX_PACKET_LEN
        return True

    def _count_row(self) -> None:
        self.command.returned_rows = (self.command.returned_rows or 0) + 1

    def _drop_row(self, length: int) -> None:
        """A row of which bytes are missing: counted, without values."""
        if not self._row_continues and not self._parts:
            self._count_row()
        self._parts.clear()
        self.command.rows_complete = False
        self._row_continues = length == MAX_PACKET_LEN

    def _take(self, data: bytes, start: int, length: int) -> bool:
        """A whole packet; false when it cannot belong to the response."""
        if length == MAX_PACKET_LEN:
            self._parts.append(data[start : start + length])
            return True
        end = start + length
        if self._parts:
            self._parts.append(data[start:end])
            data, start = b"".join(self._parts), 0
            end = len(data)
            self._parts.clear()
        first = data[start] if end > start else -1
        if first == 0xFF:
            return self._take_error(data, start, end)
        return _TAKERS[self._state](self, data, start, end, first)

    def _take_error(self, data: bytes, start: int, end: int) -> bool:
        error = parse_err(data, start, end)
        if error is None:
            return False
        if error.code != PROGRESS_REPORT:
            self.command.error = error
            self._state = State.DONE
        return True

    def _take_ok(self, data: bytes, start: int, end: int, *, of_rows: bool) -> bool:
        """OK packet: ends the response, or this result of it. `of_rows`: it stands where an EOF packet would."""
        ok = parse_ok(data, start, end)
        if ok is None:
            return False
        if not of_rows:
            self.command.affected_rows = ok.affected_rows
            self.command.last_insert_id = ok.last_insert_id
        schema = tracked_schema(data, ok, end)
        if schema is not None:
            self.schema = schema
        self._end_result(ok.status_flags)
        return True

    def _end_result(self, status_flags: int) -> None:
        self.command.status_flags = status_flags
        self._columns = []
        self._plan = None
        self._state = State.FIRST if status_flags & _MORE_RESULTS else State.DONE

    def _take_first(self, data: bytes, start: int, end: int, first: int) -> bool:
        length = end - start
        if self._form is ResponseForm.STRING:
            self._state = State.DONE
            return True
        if self._form is ResponseForm.AUTHENTICATION and first != 0:
            self.sequence = None
            return True
        if self._form is ResponseForm.PREPARE:
            return self._take_prepared(data, start, end, first)
        if first == 0 and length >= 7:
            return self._take_ok(data, start, end, of_rows=False)
        if first == 0xFE and length == _EOF_LEN:
            self._end_result(data[start + 3] | data[start + 4] << 8)
            return True
        if first == 0xFE and length >= 7:
            return self._take_ok(data, start, end, of_rows=True)
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
            if pos != end:
                return False
        elif pos != end:
            return False
        if count <= 0:
            return False
        self._left = count
        self._state = State.DEFINITIONS if follows else State.DEFINITIONS_END
        if not follows and self.prepared is not None:
            self._columns = list(self.prepared.columns)
        return True

    def _take_definition(self, data: bytes, start: int, end: int, first: int) -> bool:
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
        if self._binary and self.prepared is not None and columns:
            self.prepared.columns = columns
        self.deprecate_eof = not (first == 0xFE and end - start == _EOF_LEN)
        self._begin_rows(columns)
        if self.deprecate_eof:
            return self._take_row(data, start, end, first)
        status_flags = data[start + 3] | data[start + 4] << 8
        if status_flags & _CURSOR_EXISTS:
            self._end_result(status_flags)
        return True

    def _begin_rows(self, columns: tuple[Column, ...]) -> None:
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
            if end - start == _EOF_LEN:
                self._end_result(data[start + 3] | data[start + 4] << 8)
                return True
            return self._take_ok(data, start, end, of_rows=True)
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

    def _take_prepared(self, data: bytes, start: int, end: int, first: int) -> bool:
        """COM_STMT_PREPARE_OK: int<4> statement id, int<2> columns, int<2> parameters, filler, warnings, flag."""
        if first != 0 or end - start < _PREPARE_OK_LEN:
            return False
        column_count = data[start + 5] | data[start + 6] << 8
        param_count = data[start + 7] | data[start + 8] << 8
        statement_id = int.from_bytes(data[start + 1 : start + 5], "little")
        self.prepared = Prepared(statement_id, self.command.sql or "", param_count)
        if end - start > _PREPARE_OK_LEN and not data[start + _PREPARE_OK_LEN]:
            param_count = column_count = 0
        self._left, self._left_columns = param_count, column_count
        self._next_definitions()
        return True

    def _next_definitions(self) -> None:
        """Go on to the parameters' definitions, then to the columns', then to the end."""
        if self._left:
            self._state = State.PREPARED
        elif self._left_columns:
            self._left, self._left_columns = self._left_columns, 0
            self._columns = []
            self._state = State.PREPARED
        else:
            self._state = State.DONE

    def _take_prepared_definition(self, data: bytes, start: int, end: int, first: int) -> bool:
        column = parse_column(data, start, end)
        if column is None or self.prepared is None:
            return False
        self._columns.append(column)
        self._left -= 1
        if self._left:
            return True
        if not self._left_columns:
            self.prepared.columns = tuple(self._columns)
            self.perhaps_done = self.deprecate_eof is None
        self._state = State.PREPARED_END
        if self.deprecate_eof:
            self._next_definitions()
        return True

    def _take_prepared_end(self, data: bytes, start: int, end: int, first: int) -> bool:
        """EOF packet behind definitions, or what follows where there are none (CLIENT_DEPRECATE_EOF)."""
        self.deprecate_eof = not (first == 0xFE and end - start == _EOF_LEN)
        self.perhaps_done = False
        self._next_definitions()
        if not self.deprecate_eof:
            self.command.status_flags = data[start + 3] | data[start + 4] << 8
            return True
        return self._state is State.PREPARED and self._take_prepared_definition(data, start, end, first)

    def _take_field(self, data: bytes, start: int, end: int, first: int) -> bool:
        """COM_FIELD_LIST: definitions up to EOF or OK."""
        if first == 0xFE:
            return self._take_row(data, start, end, first)
        return parse_column(data, start, end) is not None


_Taker = Callable[[ResponseReader, bytes, int, int, int], bool]

_TAKERS: dict[State, _Taker] = {
    State.FIRST: ResponseReader._take_first,
    State.DEFINITIONS: ResponseReader._take_definition,
    State.DEFINITIONS_END: ResponseReader._take_definitions_end,
    State.ROWS: ResponseReader._take_row,
    State.PREPARED: ResponseReader._take_prepared_definition,
    State.PREPARED_END: ResponseReader._take_prepared_end,
    State.FIELDS: ResponseReader._take_field,
}
