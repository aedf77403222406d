"""Responses of MySQL: which packets make sense where they stand, and where secrets stand in errors and rows.

MySQL Server documentation, "Text Resultset", "Binary Protocol Resultset", "COM_STMT_PREPARE Response". Nothing here
depends on capabilities, which a session that was joined does not tell: a packet is what its first bytes and its place
in the response say.
"""

from __future__ import annotations

from collections import deque

from glancetrace.edit.sanitize.known import KnownSecrets
from glancetrace.edit.sanitize.loose import find_loosely_in_sql
from glancetrace.edit.sanitize.mysql_blocks import DefinitionBlocks
from glancetrace.edit.sanitize.mysql_login import server_secrets
from glancetrace.edit.sanitize.mysql_requests import RequestSpans
from glancetrace.edit.sanitize.mysql_values import Columns, Place, Statement, binary_values, find_in_row, text_values
from glancetrace.edit.sanitize.plan import StreamPlan
from glancetrace.edit.sanitize.spans import Span, find_in_sql, find_in_text
from glancetrace.mysql.commands import ResponseForm, response_form
from glancetrace.mysql.constants import MAX_PACKET_LEN, Command
from glancetrace.mysql.session_state import parse_ok, pull_lenenc

__all__ = ["AUTH", "FIRST", "IDLE", "PREPARED", "ResponseSpans", "begins_answer"]

MORE_RESULTS = 8
IDLE, FIRST, _DEFINITIONS, _ROWS, PREPARED, AUTH, _STRING = range(7)
"""Where a response is: none is awaited, its first packet, definitions, rows, ..."""
_FIRST_STATE = {
    ResponseForm.AUTHENTICATION: AUTH,
    ResponseForm.STRING: _STRING,
    ResponseForm.ROWS: _ROWS,
    ResponseForm.FIELDS: _DEFINITIONS,
}
_LONGEST_ANSWER = 1 << 20
"""Bytes that are tried as one answer behind a gap."""
_LONGEST_COUNT = 9
"""Bytes of a length-encoded integer."""
_OK_SIZE = 11
_OK_HEADER = 1 << 24 | _OK_SIZE - 4
_QUERY, _PING = int(Command.COM_QUERY), int(Command.COM_PING)


class ResponseSpans:
    """Plans the responses of one session.

    Attributes:
        waiting: commands whose responses have not begun. state: where the response under way is; code: its command.
        in_file: the client sends a file (LOCAL INFILE). lost: a packet did not fit, framing is to be found again.
        definitions_left: of the response to COM_STMT_PREPARE.
    """

    def __init__(self, known: KnownSecrets, blocks: DefinitionBlocks, requests: RequestSpans) -> None:
        self._known = known
        self._blocks = blocks
        self._requests = requests
        self.waiting: deque[int] = deque()
        self.state = IDLE
        self.code = 0
        self.in_file = False
        self.lost = False
        self.definitions_left = 0
        self._columns = Columns()
        self._left = 0

    def forget(self) -> None:
        """What was awaited will not come."""
        self.waiting.clear()
        self.state = IDLE

    def skip_row(self) -> bool:
        """A packet is not whole: in the midst of rows it is one, and the next packet is known to follow it."""
        return self.state == _ROWS

    def next(self) -> None:
        """The response to the next request that waits begins with the next packet of the server."""
        if not self.waiting:
            self.state = IDLE
            return
        self.code = self.waiting.popleft()
        self._columns = Columns()
        self._left = 0
        self.state = FIRST if self.code == _QUERY else _FIRST_STATE.get(response_form(self.code), FIRST)

    def _binary(self) -> bool:
        return self.code != _QUERY and response_form(self.code) in (ResponseForm.BINARY, ResponseForm.ROWS)

    def end(self, status_flags: int) -> None:
        """The response is over, or goes on with another result."""
        if status_flags & MORE_RESULTS:
            self.state = FIRST
            self._columns = Columns()
        else:
            if self.code == Command.COM_STMT_EXECUTE and self._requests.executing:
                self._requests.executing.popleft()
            self.next()

    def take_run(self, data: bytes, start: int, stream: StreamPlan) -> bool:
        """Take a run that is the whole response to COM_QUERY or COM_PING; False, and nothing changed, else."""
        if self.code not in (_QUERY, _PING):
            return False
        is_ok = len(data) == _OK_SIZE and int.from_bytes(data[:5], "little") == _OK_HEADER
        if is_ok and data[5] < 0xFB and data[6] < 0xFB:
            if data[7] & MORE_RESULTS:
                return False
            stream.keep(start, start + _OK_SIZE)
            self.next()
            return True
        return self.take_whole(data, start, stream)

    def take_whole(self, data: bytes, start: int, stream: StreamPlan) -> bool:
        """Take a run that is one whole text result set, whose definitions are known; False when it is not."""
        flags = None if self._binary() else self._take_result(data, start, stream)
        if flags is None:
            return False
        self.end(flags)
        return True

    def keep_answers(self, data: bytes, start: int, stream: StreamPlan, segments: list[int]) -> int:
        """Behind a gap the answers to several requests may come at once: keep those that fill segments.

        `segments`: where they begin. Gives the number of bytes that are not kept.
        """
        begin = lost = 0
        for end in sorted({at for at in segments if 0 < at < len(data)} | {len(data)}):
            if self._take_alone(data[begin:end], start + begin, stream):
                begin = end
            elif end - begin > _LONGEST_ANSWER or not begins_answer(data[begin : begin + 5]):
                lost += end - begin
                begin = end
        return lost + len(data) - begin

    def _take_alone(self, data: bytes, start: int, stream: StreamPlan) -> bool:
        """Keep bytes that are a whole answer, an OK or a text result set, to a request that nobody knows."""
        if len(data) > 4 and data[3:5] == b"\1\0" and int.from_bytes(data[:3], "little") == len(data) - 4:
            if parse_ok(data, 4, len(data)) is None:
                return False
            stream.keep(start, start + len(data))
            self._replace_in_text(data, start, stream)
            return True
        columns = self._columns
        understood = self._take_result(data, start, stream) is not None
        self._columns = columns
        return understood

    def _take_result(self, data: bytes, start: int, stream: StreamPlan) -> int | None:
        """Keep a whole text result set: its status flags; None, and nothing kept, when it is none."""
        if len(data) < 12 or data[3] != 1:
            return None
        found = self._blocks.find(data)
        if found is None:
            return None
        block, columns = found
        size = len(data)
        pos = len(block)
        if data[size - 9 : size - 6] == b"\x05\0\0" and data[size - 5] == 0xFE:
            last = size - 9
        elif data[size - 11 : size - 8] == b"\x07\0\0" and data[size - 7] == 0xFE:
            last = size - 11
        else:
            return None
        rows: list[tuple[int, int]] = []
        while pos < last and data[pos + 4] < 0xFE:
            end = pos + 4 + (data[pos] | data[pos + 1] << 8 | data[pos + 2] << 16)
            rows.append((pos + 4, end))
            pos = end
        flags = data[last + 7] | data[last + 8] << 8
        if pos != last:
            return None
        if not columns.secret and not self._known.goes_beyond and self._blocks.is_harmless(data[len(block) : last]):
            stream.keep(start, start + size)
        else:
            stream.keep(start, start + len(block))
            self._columns = columns
            for begin, end in rows:
                stream.keep(start + begin - 4, start + begin)
                if self._row(data[begin:end], start + begin, stream):
                    stream.keep(start + begin, start + end)
                else:
                    self._known.tally.blanked["mysql-not-understood"] += end - begin
            stream.keep(start + last, start + size)
        return flags

    def _row(self, payload: bytes, at: int, stream: StreamPlan) -> bool:
        """A row: True when it was understood."""
        columns = self._columns
        if self._binary():
            places = binary_values(payload, 0, len(payload), columns.columns) if columns.columns else None
        else:
            places = text_values(payload, 0, len(payload), len(columns.columns))
        if places is None:
            return False
        goes_beyond = self._known.goes_beyond
        if columns.secret or columns.value_index >= 0 or goes_beyond or not self._blocks.is_harmless(payload):
            text = payload.decode("latin-1")
            self._known.replace(stream, at, text, find_in_row(text, places, columns))
            if goes_beyond:
                self._replace_beyond(stream, at, text, places)
        return True

    def _replace_beyond(self, stream: StreamPlan, at: int, text: str, places: list[Place]) -> None:
        """Names and addresses in the values of a row."""
        for place in places:
            value = text[place.begin : place.end]
            named = place.number in self._columns.names and self._known.wants_names and value
            spans = [Span(0, len(value), "name", "plain")] if named else self._known.beyond(value)
            self._known.replace(stream, at + place.begin, value, spans)

    def take(self, payload: bytes, at: int, stream: StreamPlan) -> bool:
        """Plan the next packet of the response; True when it was understood."""
        first = payload[0] if payload else -1
        state = self.state
        if state == AUTH:
            if first in (0, 0xFF):
                self.end(0)
            else:
                self._known.conceal_ranges(stream, at, payload, server_secrets(payload))
            return True
        if first == 0xFF and len(payload) >= 3:
            self.read_error(payload, at, stream)
            if payload[1:3] != b"\xff\xff":
                self.end(0)
            return True
        if state == _STRING:
            self.end(0)
            return True
        if state == _ROWS:
            if first == 0xFE and len(payload) < MAX_PACKET_LEN:
                self._end_rows(payload)
                return True
            return self._row(payload, at, stream)
        if state in (_DEFINITIONS, PREPARED):
            return self._definition(payload, at, stream)
        return self._first(payload, first, at, stream)

    def read_error(self, payload: bytes, at: int, stream: StreamPlan) -> None:
        """Plan what an error says."""
        text = payload.decode("latin-1")
        found = [*find_in_sql(text), *find_loosely_in_sql(text), *self._known.beyond(text)]
        self._known.replace(stream, at, text, found)

    def _end_rows(self, payload: bytes) -> None:
        if len(payload) == 5:
            flags = payload[3] | payload[4] << 8
        else:
            ok = parse_ok(payload, 0, len(payload))
            flags = ok.status_flags if ok is not None else 0
        self.end(flags)

    def _first(self, payload: bytes, first: int, at: int, stream: StreamPlan) -> bool:
        """The packet that a response begins with."""
        if first == 0 and response_form(self.code) is ResponseForm.PREPARE:
            return self._prepared(payload)
        if first in (0, 0xFE):
            ok = parse_ok(payload, 0, len(payload))
            self.in_file = False
            self._replace_in_text(payload, at, stream)
            self.end(ok.status_flags if ok is not None else 0)
            return ok is not None or len(payload) == 5
        if first == 0xFB:
            self.in_file = True
            return True
        count, pos = pull_lenenc(payload, 0, len(payload))
        if count <= 0 or len(payload) - pos > 1:
            self.state = IDLE
            self.lost = True
            return False
        cached = len(payload) > pos and not payload[pos] and bool(self._requests.executing)
        statement = self._requests.executing[0] if self._requests.executing else None
        if cached and statement is not None and statement.columns is not None:
            self._columns = statement.columns
            self._left = 0
        else:
            self._columns = Columns()
            self._left = count
        self.state = _DEFINITIONS
        return True

    def _replace_in_text(self, payload: bytes, at: int, stream: StreamPlan) -> None:
        """Replace what an OK says."""
        if self._known.is_hinted(payload):
            text = payload.decode("latin-1")
            self._known.replace(stream, at, text, [*find_in_text(text), *self._known.beyond(text)])

    def _definition(self, payload: bytes, at: int, stream: StreamPlan) -> bool:
        """Column definitions, the EOF behind them, or without it the first row."""
        if payload[:1] == b"\xfe" and len(payload) < 9:
            if self.state == PREPARED:
                self._left -= 1
                self._columns = Columns()
                if self._left <= 0:
                    self.end(0)
            elif response_form(self.code) is ResponseForm.FIELDS:
                self.end(0)
            elif self._left <= 0 and self._columns.columns:
                self.state = _ROWS
            else:
                self._end_rows(payload)
            return True
        if payload[:4] == b"\x03def" and (self._left > 0 or self.state == PREPARED or self.code == 4):
            understood = self._columns.add(payload, 0, len(payload))
            if self.state == _DEFINITIONS:
                self._left -= 1
            else:
                self.definitions_left -= 1
            return understood
        if self.state == PREPARED:
            return False
        self.state = _ROWS
        return self.take(payload, at, stream)

    def _prepared(self, payload: bytes) -> bool:
        """COM_STMT_PREPARE_OK: statement id, numbers of columns and parameters."""
        if len(payload) < 9:
            return False
        number = int.from_bytes(payload[1:5], "little")
        column_count = int.from_bytes(payload[5:7], "little")
        count = int.from_bytes(payload[7:9], "little")
        statement = (
            self._requests.preparing.popleft() if self._requests.preparing else Statement(frozenset(range(count)))
        )
        statement.count = count
        self._requests.statements[number] = statement
        self._left = bool(column_count) + bool(count)
        self.definitions_left = column_count + count
        self.state = PREPARED
        if not self._left:
            self.end(0)
        return True


def begins_answer(data: bytes) -> bool:
    """An answer can begin so: with an OK, an error, or a number of columns."""
    if len(data) < 5 or data[3] != 1:
        return False
    length = int.from_bytes(data[:3], "little")
    return 0 < length <= _LONGEST_COUNT or (data[4] in (0, 0xFF) and length <= _LONGEST_ANSWER)
