"""MySQL: which bytes of a stream are packets that make sense, and where secrets stand in them.

Packets are followed one by one, requests and responses (MySQL Server documentation, "Command Phase", "Text Resultset");
nothing here depends on capabilities, which a session that was joined does not tell: a packet is what its first bytes
and its place in the response say. A header is kept when its packet is where one must be, its payload when it is
understood. Nearly all responses are one run that begins with column definitions seen before; they are compared as one
block and their rows are looked at only if a secret may be in them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from glancetrace.edit.sanitize.known import KnownSecrets
from glancetrace.edit.sanitize.mysql_frames import Frames
from glancetrace.edit.sanitize.mysql_login import (
    answer_secrets,
    change_user_secrets,
    greeting_secrets,
    reply_secrets,
    server_secrets,
)
from glancetrace.edit.sanitize.mysql_values import (
    Columns,
    Statement,
    binary_values,
    execute_values,
    find_in_row,
    secret_parameters,
    text_values,
)
from glancetrace.edit.sanitize.plan import ConnectionPlan, PlacedRun, StreamPlan
from glancetrace.edit.sanitize.spans import Span, find_in_sql, find_in_text
from glancetrace.mysql.commands import ResponseForm, is_request, response_form
from glancetrace.mysql.compressed import is_compressed_request
from glancetrace.mysql.constants import MAX_PACKET_LEN, Capability, Command
from glancetrace.mysql.handshake import is_ssl_request, proxy_header_len
from glancetrace.mysql.recognise import is_greeting, is_refusal
from glancetrace.mysql.session_state import parse_ok, pull_lenenc
from glancetrace.net.run import FROM_CLIENT, FROM_SERVER, Run

__all__ = ["DefinitionBlocks", "MysqlSpans"]

_HINTS = (
    b"gaaaa", b"eyj", b"pass", b"secret", b"token", b"key", b"uthorization", b"ookie", b"_sig=", b"signature", b"blob",
    b"@", b"$", b"identified",
)  # fmt: skip
"""One of these stands in lower case wherever one of `redact.HINTS` stands; a test holds them against each other."""
_MORE_RESULTS = 8
_COMPRESSION = Capability.CLIENT_COMPRESS | Capability.CLIENT_ZSTD_COMPRESSION_ALGORITHM
_SQL_TEXT = frozenset((Command.COM_QUERY, Command.COM_STMT_PREPARE, Command.COM_CREATE_DB, Command.COM_FIELD_LIST))
_PLAIN = frozenset(
    (
        Command.COM_QUIT, Command.COM_INIT_DB, Command.COM_DROP_DB, Command.COM_REFRESH, Command.COM_SHUTDOWN,
        Command.COM_STATISTICS, Command.COM_PROCESS_INFO, Command.COM_PROCESS_KILL, Command.COM_DEBUG, Command.COM_PING,
        Command.COM_STMT_CLOSE, Command.COM_STMT_RESET, Command.COM_SET_OPTION, Command.COM_STMT_FETCH,
        Command.COM_RESET_CONNECTION,
    )
)  # fmt: skip
_KEY_LEN = 64
_LONGEST_BLOCKS = 2000
_REMEMBERED_ROWS = 4096

LOGIN, COMMANDS, OFF = "login", "commands", "off"
_IDLE, _FIRST, _DEFINITIONS, _ROWS, _PREPARED, _AUTH, _STRING = range(7)
_FIRST_STATE = {
    ResponseForm.AUTHENTICATION: _AUTH,
    ResponseForm.STRING: _STRING,
    ResponseForm.ROWS: _ROWS,
    ResponseForm.FIELDS: _DEFINITIONS,
}
_QUERY, _PING = int(Command.COM_QUERY), int(Command.COM_PING)
_OK_SIZE = 11
_OK_HEADER = 1 << 24 | _OK_SIZE - 4


def _is_hinted(data: bytes) -> bool:
    """A secret may be in these bytes."""
    lower = data.lower()
    for hint in _HINTS:  # noqa: SIM110 - a generator costs more than the search
        if hint in lower:
            return True
    return False


class DefinitionBlocks:
    """Definitions that responses began with, and rows that hold no secret; shared by all connections."""

    def __init__(self) -> None:
        self.known: dict[bytes, list[tuple[bytes, Columns]]] = {}
        self.harmless: set[bytes] = set()
        self._count = 0

    def find(self, data: bytes) -> tuple[bytes, Columns] | None:
        """The block that a response begins with, and its columns."""
        key = data[:_KEY_LEN]
        for known in self.known.get(key, ()):
            if data.startswith(known[0]):
                return known
        return self._learn(data, key)

    def _learn(self, data: bytes, key: bytes) -> tuple[bytes, Columns] | None:
        if len(data) < 6 or data[0] != 1 or data[1] or data[2] or not 0 < data[4] <= 250:
            return None
        columns = Columns()
        pos = 5
        for _ in range(data[4]):
            end = pos + 4 + int.from_bytes(data[pos : pos + 3], "little")
            if end > len(data) or not columns.add(data, pos + 4, end):
                return None
            pos = end
        if data[pos : pos + 3] == b"\x05\0\0" and data[pos + 4 : pos + 5] == b"\xfe":
            pos += 9
        learned = (data[:pos], columns)
        if self._count >= _LONGEST_BLOCKS:
            self.known.clear()
            self._count = 0
        self.known.setdefault(key, []).append(learned)
        self._count += 1
        return learned

    def is_harmless(self, rows: bytes) -> bool:
        """No secret can show in these bytes by what it is."""
        if rows in self.harmless:
            return True
        if _is_hinted(rows):
            return False
        if len(self.harmless) >= _REMEMBERED_ROWS:
            self.harmless.clear()
        self.harmless.add(rows)
        return True


class MysqlSpans:
    """Plans one connection; fed with placed runs.

    Attributes:
        on_tls: told when the client asks for TLS, with what follows in the run.
        streams: the plans of both directions.
    """

    def __init__(
        self, plan: ConnectionPlan, known: KnownSecrets, blocks: DefinitionBlocks, on_tls: Callable[[PlacedRun], None]
    ) -> None:
        self.streams: tuple[StreamPlan, StreamPlan] = plan.streams
        self.on_tls = on_tls
        self._known = known
        self._blocks = blocks
        self.phase = COMMANDS if plan.connection.started_before_capture else LOGIN
        self._direction = -1
        self._held = (bytearray(), bytearray())
        self._starts = [0, 0]
        self._need = [0, 0]
        self._synced = [not plan.connection.started_before_capture] * 2
        self._may_sync = True
        self._greeted = False
        self._answered = False
        self._capabilities = _COMPRESSION
        self._waiting: deque[int] = deque()
        self._state = _IDLE
        self._code = 0
        self._columns = Columns()
        self._left = 0
        self._definitions_left = 0
        self._statements: dict[int, Statement] = {}
        self._preparing: deque[Statement] = deque()
        self._executing: deque[Statement | None] = deque()
        self._in_file = False
        self._long_request = False
        self._frames: Frames | None = None
        self.lenient = False

    def take_whole(self, run: Run, start: int) -> bool:
        """Take a run that is one plain request, or the whole response to it; False, and nothing changed, else."""
        direction, data = run.direction, run.data
        size = len(data)
        if run.gap or size < 5 or self.phase != COMMANDS or self._frames is not None or self._held[direction]:
            return False
        if direction == FROM_CLIENT:
            taken = self._take_request(data, size, start)
        else:
            taken = self._state == _FIRST and self._synced[1] and self._take_response(data, size, start)
        if taken:
            self._direction = direction
        return taken

    def _take_request(self, data: bytes, size: int, start: int) -> bool:
        code = data[4]
        if self._state != _IDLE or not self._synced[0] or self._in_file or self._long_request:
            return False
        if int.from_bytes(data[:4], "little") != size - 4 or size > MAX_PACKET_LEN:
            return False
        if code == _QUERY and size > 6 and data[5] > 0x20 and data[6] != 1:
            if _is_hinted(data):
                self._read_sql(code, data[4:], start + 4, self.streams[FROM_CLIENT])
        elif code != _PING or size != 5:
            return False
        self.streams[FROM_CLIENT].keep(start, start + size)
        self._code = code
        self._state = _FIRST
        return True

    def _take_response(self, data: bytes, size: int, start: int) -> bool:
        if self._code != _QUERY and self._code != _PING:
            return False
        if size == _OK_SIZE and int.from_bytes(data[:5], "little") == _OK_HEADER and data[5] < 0xFB and data[6] < 0xFB:
            if data[7] & _MORE_RESULTS:
                return False
            self.streams[FROM_SERVER].keep(start, start + size)
            self._next_response()
            return True
        return self._whole(data, start)

    def feed(self, run: PlacedRun) -> None:
        """The next run, in the order of the wire."""
        turn = run.direction != self._direction
        self._direction = run.direction
        if self._frames is not None:
            self._frames.feed(run, turn)
            return
        if run.gap:
            self._pass_gap(run.direction)
        if run.data and self.phase != OFF:
            self.take(run.direction, run.data, run.start, turn or bool(run.gap), run)

    def close(self) -> None:
        """The connection is over: packets that have not ended are not kept."""
        for direction in (0, 1):
            self._blank(len(self._held[direction]))
            self._held[direction].clear()
        if self._frames is not None:
            self._frames.close()

    def settled(self, direction: int) -> bool:
        """No packet is under way."""
        return not self._held[direction]

    def take(self, direction: int, data: bytes, start: int, turn: bool, run: PlacedRun | None = None) -> None:
        """Bytes of a direction that stand at `start` of its stream."""
        held = self._held[direction]
        if direction == FROM_CLIENT and self.phase == COMMANDS and not self._synced[0]:
            if turn:
                self._blank(len(held))
                held.clear()
                self._may_sync = True
            if not self._may_sync:
                self._blank(len(data))
                return
        elif direction == FROM_SERVER and self.phase == COMMANDS and not self._synced[1]:
            if not self._sync_server(data, turn):
                self._blank(len(data))
                return
        if not held and direction == FROM_SERVER and self._state == _FIRST and self._whole(data, start):
            return
        if held:
            held += data
            if len(held) < self._need[direction]:
                return
            data, start = bytes(held), self._starts[direction]
            held.clear()
        if direction == FROM_CLIENT and self.phase == COMMANDS and not self._synced[0] and not self._sync(data):
            if self._may_sync:
                self._hold(direction, data, 0, start, 7)
            else:
                self._blank(len(data))
            return
        self._walk(direction, data, start, run)

    def _sync(self, data: bytes) -> bool:
        """Whether a request begins here; `_may_sync` says whether more bytes may tell."""
        length = int.from_bytes(data[:3], "little")
        if len(data) < min(7, 4 + max(1, length)) and self._may_sync:
            return False
        self._may_sync = False
        if is_request(data, 0):
            self._synced = [True, self._synced[1]]
            return True
        if is_compressed_request(data) and not self.lenient:
            self._start_frames()
            return True
        return False

    def _sync_server(self, data: bytes, turn: bool) -> bool:
        if turn and self._state != _IDLE and len(data) > 4 and data[3] == 1:
            self._synced[1] = True
            return True
        return False

    def _start_frames(self) -> None:
        self._synced = [True, True]
        self._frames = Frames(self.streams, self._known, self._inner)

    def _inner(self, plan: ConnectionPlan) -> MysqlSpans:
        """What reads the packets in frames."""
        inner = MysqlSpans(plan, self._known, self._blocks, self.on_tls)
        inner.phase = COMMANDS
        inner.lenient = True
        inner._synced = [True, True]
        return inner

    def _hold(self, direction: int, data: bytes, pos: int, start: int, need: int) -> None:
        held = self._held[direction]
        held += data[pos:]
        self._starts[direction] = start + pos
        self._need[direction] = need

    def _walk(self, direction: int, data: bytes, start: int, run: PlacedRun | None) -> None:
        """Packets from the beginning of `data` on; what is left of the last one is held."""
        pos = 0
        size = len(data)
        stream = self.streams[direction]
        while pos < size and self.phase != OFF:
            if self._frames is not None:
                assert run is not None
                self._frames.feed(PlacedRun(direction, data[pos:], [0], [0], [0], 0, start + pos), True)
                return
            if not self._greeted and direction == FROM_CLIENT and self.phase == LOGIN:
                header_len = proxy_header_len(data[pos:])
                if header_len:
                    stream.keep(start + pos, start + pos + header_len)
                    pos += header_len
                    continue
            if size - pos < 4:
                self._hold(direction, data, pos, start, 4)
                return
            length = data[pos] | data[pos + 1] << 8 | data[pos + 2] << 16
            end = pos + 4 + length
            if not self._fits(direction, data, pos):
                self._synced[direction] = False
                self._blank(size - pos)
                if self.phase == LOGIN:
                    self.phase = OFF
                return
            if end > size:
                self._hold(direction, data, pos, start, 4 + length)
                return
            stream.keep(start + pos, start + pos + 4)
            payload = data[pos + 4 : end]
            at = start + pos + 4
            if self.phase == LOGIN:
                understood = self._login(direction, payload, at, stream)
            elif direction == FROM_CLIENT:
                understood = self._request(payload, at, stream, data[pos + 3])
            else:
                understood = self._response(payload, at, stream)
            if understood:
                stream.keep(at, at + length)
            else:
                self._blank(length)
            pos = end
            if self.phase == "tls":
                self.phase = OFF
                rest = data[pos:]
                self.on_tls(PlacedRun(direction, rest, [0], [0], [0], 0, start + pos))
                return
        if self.phase == OFF:
            self._blank(size - pos)

    def _fits(self, direction: int, data: bytes, pos: int) -> bool:
        """A packet can begin here."""
        if self.phase == LOGIN:
            return True
        if direction == FROM_SERVER:
            return self._state != _IDLE or data[pos + 4 : pos + 5] == b"\xff"
        if self._long_request or self._in_file or self._state == _AUTH:
            return True
        if self.lenient:
            return is_request(data[pos : pos + 3] + b"\0" + data[pos + 4 : pos + 7], 0)
        return is_request(data, pos) or len(data) - pos < 7

    def _pass_gap(self, direction: int) -> None:
        self._blank(len(self._held[direction]))
        self._held[direction].clear()
        self._in_file = self._long_request = False
        self._synced[direction] = False
        if direction == FROM_SERVER:
            self._state = _IDLE
            self._waiting.clear()
        if self.phase == LOGIN:
            self.phase = COMMANDS
            self._synced = [False, False]

    def _blank(self, length: int) -> None:
        if length:
            self._known.tally.blanked["mysql-not-understood"] += length

    def _conceal(self, stream: StreamPlan, at: int, payload: bytes, ranges: list[tuple[int, int]]) -> None:
        for begin, end in ranges:
            self._known.conceal(stream, at + begin, payload[begin:end], "mysql-authentication")

    # The connection phase.

    def _login(self, direction: int, payload: bytes, at: int, stream: StreamPlan) -> bool:
        if direction == FROM_SERVER:
            return self._login_server(payload, at, stream)
        if self._answered:
            self._conceal(stream, at, payload, reply_secrets(payload))
            return True
        if is_ssl_request(payload):
            self.phase = "tls"
            return True
        self._answered = True
        self._capabilities &= int.from_bytes(payload[:4], "little")
        self._conceal(stream, at, payload, answer_secrets(payload))
        return True

    def _login_server(self, payload: bytes, at: int, stream: StreamPlan) -> bool:
        if not self._greeted:
            self._greeted = True
            begin = b"\xff\0\0\0" + payload[:2]
            if is_refusal(begin):
                return True
            if not is_greeting(begin):
                self.phase = OFF
                return False
            version_end = payload.find(b"\0", 1)
            low = payload[version_end + 14 : version_end + 16]
            high = payload[version_end + 19 : version_end + 21]
            self._capabilities &= int.from_bytes(low + high, "little")
            self._conceal(stream, at, payload, greeting_secrets(payload))
        elif payload[:1] == b"\0" and self._answered:
            self.phase = COMMANDS
            self._synced = [True, True]
            if self._capabilities & _COMPRESSION:
                self._start_frames()
        else:
            self._conceal(stream, at, payload, server_secrets(payload))
        return True

    # Requests.

    def _request(self, payload: bytes, at: int, stream: StreamPlan, sequence: int) -> bool:
        if self._long_request:
            self._long_request = len(payload) == MAX_PACKET_LEN
            return False
        if self._in_file:
            return not payload
        if self._state == _AUTH and (sequence or self.lenient):
            self._conceal(stream, at, payload, reply_secrets(payload))
            return True
        if self._state == _PREPARED and not self._definitions_left:
            self._end_response(0)
        code = payload[0]
        self._long_request = len(payload) == MAX_PACKET_LEN
        form = response_form(code)
        if form is not ResponseForm.NONE:
            self._waiting.append(code)
            if self._state == _IDLE:
                self._next_response()
        return self._read_request(code, payload, at, stream)

    def _read_request(self, code: int, payload: bytes, at: int, stream: StreamPlan) -> bool:
        if code in _SQL_TEXT:
            self._read_sql(code, payload, at, stream)
            return True
        if code in _PLAIN:
            if code == Command.COM_STMT_CLOSE:
                self._statements.pop(int.from_bytes(payload[1:5], "little"), None)
            return True
        if code == Command.COM_CHANGE_USER:
            self._conceal(stream, at, payload, change_user_secrets(payload))
            return True
        if code == Command.COM_STMT_EXECUTE:
            return self._read_execute(payload, at, stream)
        if code == Command.COM_STMT_SEND_LONG_DATA:
            self._read_long_data(payload, at, stream)
            return True
        stream.keep(at, at + 1)
        return False

    def _read_sql(self, code: int, payload: bytes, at: int, stream: StreamPlan) -> None:
        hinted = _is_hinted(payload)
        text = payload.decode("latin-1") if hinted or code == Command.COM_STMT_PREPARE else ""
        if hinted:
            spans = [Span(span.begin + 1, span.end + 1, span.kind, span.spelling) for span in find_in_sql(text[1:])]
            self._known.replace(stream, at, text, spans)
        if code == Command.COM_STMT_PREPARE:
            self._preparing.append(Statement(*secret_parameters(text[1:])))

    def _statement(self, payload: bytes) -> Statement | None:
        number = int.from_bytes(payload[1:5], "little")
        if number == 0xFFFFFFFF and self._statements:
            return next(reversed(self._statements.values()))
        return self._statements.get(number)

    def _read_execute(self, payload: bytes, at: int, stream: StreamPlan) -> bool:
        stream.keep(at, at + min(10, len(payload)))
        statement = self._statement(payload)
        self._executing.append(statement)
        places = execute_values(payload, statement or Statement(frozenset()))
        if places is None:
            return len(payload) <= 10
        text = payload.decode("latin-1")
        spans: list[Span] = []
        for place in places:
            if statement is not None and place.index in statement.secret:
                spans.append(Span(place.begin, place.end, "parameter", "plain"))
            else:
                found = find_in_text(text[place.begin : place.end])
                spans += [Span(one.begin + place.begin, one.end + place.begin, one.kind, one.spelling) for one in found]
        self._known.replace(stream, at, text, spans)
        return True

    def _read_long_data(self, payload: bytes, at: int, stream: StreamPlan) -> None:
        statement = self._statement(payload)
        text = payload.decode("latin-1")
        if statement is None or int.from_bytes(payload[5:7], "little") in statement.secret:
            spans = [Span(7, len(text), "parameter", "plain")]
        else:
            spans = [Span(one.begin + 7, one.end + 7, one.kind, one.spelling) for one in find_in_text(text[7:])]
        self._known.replace(stream, at, text, [span for span in spans if span.begin < span.end])

    # Responses.

    def _next_response(self) -> None:
        """The response to the next request that waits begins with the next packet of the server."""
        if not self._waiting:
            self._state = _IDLE
            return
        self._code = self._waiting.popleft()
        self._columns = Columns()
        self._left = 0
        self._state = _FIRST if self._code == _QUERY else _FIRST_STATE.get(response_form(self._code), _FIRST)

    def _binary(self) -> bool:
        return self._code != _QUERY and response_form(self._code) in (ResponseForm.BINARY, ResponseForm.ROWS)

    def _end_response(self, status_flags: int) -> None:
        if status_flags & _MORE_RESULTS:
            self._state = _FIRST
            self._columns = Columns()
        else:
            if self._code == Command.COM_STMT_EXECUTE and self._executing:
                self._executing.popleft()
            self._next_response()

    def _whole(self, data: bytes, start: int) -> bool:
        """Take a run that is one whole text result set, whose definitions are known; False when it is not."""
        if self._binary() or len(data) < 12 or data[3] != 1 or self.lenient:
            return False
        found = self._blocks.find(data)
        if found is None:
            return False
        block, columns = found
        size = len(data)
        pos = len(block)
        if data[size - 9 : size - 6] == b"\x05\0\0" and data[size - 5] == 0xFE:
            last = size - 9
        elif data[size - 11 : size - 8] == b"\x07\0\0" and data[size - 7] == 0xFE:
            last = size - 11
        else:
            return False
        rows: list[tuple[int, int]] = []
        while pos < last and data[pos + 4] < 0xFE:
            end = pos + 4 + (data[pos] | data[pos + 1] << 8 | data[pos + 2] << 16)
            rows.append((pos + 4, end))
            pos = end
        flags = data[last + 7] | data[last + 8] << 8
        if pos != last:
            return False
        stream = self.streams[FROM_SERVER]
        if not columns.secret and self._blocks.is_harmless(data[len(block) : last]):
            stream.keep(start, start + size)
        else:
            stream.keep(start, start + len(block))
            self._columns = columns
            for begin, end in rows:
                stream.keep(start + begin - 4, start + begin)
                if self._row(data[begin:end], start + begin, stream):
                    stream.keep(start + begin, start + end)
                else:
                    self._blank(end - begin)
            stream.keep(start + last, start + size)
        self._end_response(flags)
        return True

    def _row(self, payload: bytes, at: int, stream: StreamPlan) -> bool:
        """A row: True when it was understood."""
        columns = self._columns
        if self._binary():
            places = binary_values(payload, 0, len(payload), columns.columns) if columns.columns else None
        else:
            places = text_values(payload, 0, len(payload), len(columns.columns))
        if places is None:
            return False
        if columns.secret or columns.value_index >= 0 or not self._blocks.is_harmless(payload):
            text = payload.decode("latin-1")
            self._known.replace(stream, at, text, find_in_row(text, places, columns))
        return True

    def _response(self, payload: bytes, at: int, stream: StreamPlan) -> bool:
        first = payload[0] if payload else -1
        state = self._state
        if state == _AUTH:
            if first in (0, 0xFF):
                self._end_response(0)
            else:
                self._conceal(stream, at, payload, server_secrets(payload))
            return True
        if first == 0xFF and len(payload) >= 3:
            text = payload.decode("latin-1")
            self._known.replace(stream, at, text, find_in_sql(text))
            if payload[1:3] != b"\xff\xff":
                self._end_response(0)
            return True
        if state == _STRING:
            self._end_response(0)
            return True
        if state == _ROWS:
            if first == 0xFE and len(payload) < MAX_PACKET_LEN:
                self._end_rows(payload)
                return True
            return self._row(payload, at, stream)
        if state in (_DEFINITIONS, _PREPARED):
            return self._definition(payload, at, stream)
        return self._first(payload, first, at, stream)

    def _end_rows(self, payload: bytes) -> None:
        if len(payload) == 5:
            flags = payload[3] | payload[4] << 8
        else:
            ok = parse_ok(payload, 0, len(payload))
            flags = ok.status_flags if ok is not None else 0
        self._end_response(flags)

    def _first(self, payload: bytes, first: int, at: int, stream: StreamPlan) -> bool:
        """The packet that a response begins with."""
        if first == 0 and response_form(self._code) is ResponseForm.PREPARE:
            return self._prepared(payload)
        if first in (0, 0xFE):
            ok = parse_ok(payload, 0, len(payload))
            self._in_file = False
            text = payload.decode("latin-1")
            if _is_hinted(payload):
                self._known.replace(stream, at, text, find_in_text(text))
            self._end_response(ok.status_flags if ok is not None else 0)
            return ok is not None or len(payload) == 5
        if first == 0xFB:
            self._in_file = True
            return True
        count, pos = pull_lenenc(payload, 0, len(payload))
        if count <= 0 or len(payload) - pos > 1:
            self._synced[1] = False
            self._state = _IDLE
            return False
        cached = len(payload) > pos and not payload[pos] and bool(self._executing)
        statement = self._executing[0] if self._executing else None
        if cached and statement is not None and statement.columns is not None:
            self._columns = statement.columns
            self._left = 0
        else:
            self._columns = Columns()
            self._left = count
        self._state = _DEFINITIONS
        return True

    def _definition(self, payload: bytes, at: int, stream: StreamPlan) -> bool:
        """Column definitions, the EOF behind them, or without it the first row."""
        if payload[:1] == b"\xfe" and len(payload) < 9:
            if self._state == _PREPARED:
                self._left -= 1
                self._columns = Columns()
                if self._left <= 0:
                    self._end_response(0)
            elif response_form(self._code) is ResponseForm.FIELDS:
                self._end_response(0)
            elif self._left <= 0 and self._columns.columns:
                self._state = _ROWS
            else:
                self._end_rows(payload)
            return True
        if payload[:4] == b"\x03def" and (self._left > 0 or self._state == _PREPARED or self._code == 4):
            understood = self._columns.add(payload, 0, len(payload))
            if self._state == _DEFINITIONS:
                self._left -= 1
            else:
                self._definitions_left -= 1
            return understood
        if self._state == _PREPARED:
            return False
        self._state = _ROWS
        return self._response(payload, at, stream)

    def _prepared(self, payload: bytes) -> bool:
        """COM_STMT_PREPARE_OK: statement id, numbers of columns and parameters."""
        if len(payload) < 9:
            return False
        number = int.from_bytes(payload[1:5], "little")
        column_count = int.from_bytes(payload[5:7], "little")
        count = int.from_bytes(payload[7:9], "little")
        statement = self._preparing.popleft() if self._preparing else Statement(frozenset(range(count)))
        statement.count = count
        self._statements[number] = statement
        self._left = bool(column_count) + bool(count)
        self._definitions_left = column_count + count
        self._state = _PREPARED
        if not self._left:
            self._end_response(0)
        return True
