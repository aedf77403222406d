"""MySQL: which bytes of a stream are packets that make sense, and where secrets stand in them.

Packets are followed one by one (MySQL Server documentation, "MySQL Packets", "Connection Phase", "Command Phase"). A
header is kept when its packet is where one must be, its payload when it is understood; in a session that was joined, or
lost packets, nothing is kept until the client sends a request. Nearly all packets are runs of their own, a plain
request or the whole response to one, and are taken whole.
"""

from __future__ import annotations

from collections.abc import Callable

from glancetrace.edit.sanitize.known import KnownSecrets
from glancetrace.edit.sanitize.mysql_blocks import DefinitionBlocks
from glancetrace.edit.sanitize.mysql_frames import Frames
from glancetrace.edit.sanitize.mysql_login import answer_secrets, greeting_secrets, reply_secrets, server_secrets
from glancetrace.edit.sanitize.mysql_requests import RequestSpans
from glancetrace.edit.sanitize.mysql_responses import (
    AUTH,
    FIRST,
    IDLE,
    PREPARED,
    ResponseSpans,
    begins_answer,
)
from glancetrace.edit.sanitize.plan import ConnectionPlan, PlacedRun, StreamPlan
from glancetrace.mysql.commands import PLAUSIBLE_LEN, ResponseForm, is_request, response_form
from glancetrace.mysql.compressed import is_compressed_request
from glancetrace.mysql.constants import MAX_PACKET_LEN, Capability, Command
from glancetrace.mysql.handshake import is_ssl_request, proxy_header_len
from glancetrace.mysql.recognise import is_greeting, is_refusal
from glancetrace.net.run import FROM_CLIENT, FROM_SERVER, Run

__all__ = ["MysqlSpans"]

_COMPRESSION = Capability.CLIENT_COMPRESS | Capability.CLIENT_ZSTD_COMPRESSION_ALGORITHM
_QUERY, _PING = int(Command.COM_QUERY), int(Command.COM_PING)

LOGIN, COMMANDS, TLS, OFF = "login", "commands", "tls", "off"


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
        self._skip = [0, 0]
        self._synced = [not plan.connection.started_before_capture] * 2
        self._may_sync = True
        self._greeted = False
        self._answered = False
        self._capabilities = _COMPRESSION
        self._requests = RequestSpans(known)
        self._responses = ResponseSpans(known, blocks, self._requests)
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
            taken = (
                self._responses.state == FIRST
                and self._synced[1]
                and self._responses.take_run(data, start, self.streams[FROM_SERVER])
            )
        if taken:
            self._direction = direction
        return taken

    def _take_request(self, data: bytes, size: int, start: int) -> bool:
        code = data[4]
        if self._responses.state != IDLE or not self._synced[0] or self._responses.in_file or self._long_request:
            return False
        if int.from_bytes(data[:4], "little") != size - 4 or size > MAX_PACKET_LEN:
            return False
        if code == _QUERY and size > 6 and data[5] > 0x20 and data[6] != 1:
            payload = data[4:]
            if self._known.is_request_hinted(payload):
                self._requests.read_sql(code, payload, start + 4, self.streams[FROM_CLIENT])
        elif code != _PING or size != 5:
            return False
        self.streams[FROM_CLIENT].keep(start, start + size)
        self._responses.code = code
        self._responses.state = FIRST
        return True

    def feed(self, run: PlacedRun) -> None:
        """The next run, in the order of the wire."""
        turn = run.direction != self._direction
        self._direction = run.direction
        if self._frames is not None:
            self._frames.feed(run, turn)
            return
        if run.gap:
            self._pass_gap(run.direction, run.gap)
        if run.data and self.phase != OFF:
            self.take(run.direction, run.data, run.start, turn or bool(run.gap), run)

    def close(self) -> None:
        """The connection is over: packets that have not ended are not kept."""
        for direction in (0, 1):
            if self.phase == COMMANDS and self._synced[direction]:
                self._cut(direction)
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
        if self._skip[direction]:
            skipped = min(self._skip[direction], len(data))
            self._skip[direction] -= skipped
            self._blank(skipped)
            data, start = data[skipped:], start + skipped
            if not data:
                return
        if direction == FROM_CLIENT and self.phase == COMMANDS and not self._synced[0]:
            if turn:
                self._blank(len(held))
                held.clear()
                self._may_sync = True
            if not self._may_sync:
                self._blank(len(data))
                return
        elif self.phase == COMMANDS and not self._synced[direction] and not self._sync_server(data, turn):
            segments = [at - len(run.data) + len(data) for at in run.offsets] if run is not None else []
            self._blank(self._responses.keep_answers(data, start, self.streams[FROM_SERVER], segments))
            return
        if direction == FROM_SERVER and self._responses.state == IDLE and self._held[0] and self.phase == COMMANDS:
            # It answers a request whose end is missing, which only the client's next bytes will show.
            left = self._need[0] - len(self._held[0])
            if self._synced[0] and not self.lenient and self._cut(FROM_CLIENT):
                self._skip[0] = left
        awaits = direction == FROM_SERVER and self._responses.state == FIRST and not held and not self.lenient
        if awaits and self._responses.take_whole(data, start, self.streams[FROM_SERVER]):
            return
        if held:
            held += data
            if len(held) < self._need[direction]:
                return
            data, start = bytes(held), self._starts[direction]
            held.clear()
        if direction == FROM_CLIENT and self.phase == COMMANDS and not self._synced[0] and not self._sync(data):
            if self._may_sync:
                self._hold(direction, data, 0, start, len(data) + 1)
            else:
                self._blank(len(data))
            return
        self._walk(direction, data, start, run)

    def _sync(self, data: bytes) -> bool:
        """Whether a request begins here; `_may_sync` says whether more bytes may tell."""
        length = int.from_bytes(data[:3], "little")
        if len(data) < min(PLAUSIBLE_LEN, 4 + max(1, length)):
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
        if turn and self._responses.state != IDLE and begins_answer(data):
            self._synced[1] = True
            self._responses.lost = False
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
                    if self._known.addresses is not None:
                        header = data[pos : pos + header_len]
                        stream.replace(start + pos, self._known.addresses.proxy_header(header))
                    pos += header_len
                    continue
            if size - pos < 4:
                self._hold(direction, data, pos, start, 4)
                return
            length = data[pos] | data[pos + 1] << 8 | data[pos + 2] << 16
            end = pos + 4 + length
            plausible = min(4 + length, PLAUSIBLE_LEN)
            if direction == FROM_CLIENT and size - pos < plausible:
                self._hold(direction, data, pos, start, plausible)
                return
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
                understood = self._responses.take(payload, at, stream)
                self._synced[1] &= not self._responses.lost
            if understood:
                stream.keep(at, at + length)
            else:
                self._blank(length)
            pos = end
            if self.phase == TLS:
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
            return self._responses.state != IDLE or data[pos + 4 : pos + 5] == b"\xff"
        if self._long_request or self._responses.in_file or self._responses.state == AUTH:
            return True
        if self.lenient:
            return is_request(data[pos : pos + 3] + b"\0" + data[pos + 4 : pos + 7], 0)
        return is_request(data, pos)

    def _pass_gap(self, direction: int, gap: int) -> None:
        """Bytes are missing: inside a packet whose end is known, or framing is lost."""
        held = self._held[direction]
        if self._skip[direction] >= gap:
            self._skip[direction] -= gap
            return
        left = self._need[direction] - len(held) if len(held) >= 4 else 0
        inside = self.phase == COMMANDS and self._synced[direction] and not self._skip[direction] and left >= gap
        if inside and self._cut(direction):
            self._skip[direction] = left - gap
            return
        self._blank(len(held))
        held.clear()
        self._skip[direction] = 0
        self._responses.in_file = self._long_request = False
        self._synced[direction] = False
        if direction == FROM_SERVER and self._responses.state != IDLE:
            self._responses.state = FIRST
        if self.phase == LOGIN:
            self.phase = COMMANDS
            self._synced = [False, False]

    def _cut(self, direction: int) -> bool:
        """What is held of a packet is all that there is: keep its header and the beginning of a statement."""
        held = bytes(self._held[direction])
        if len(held) < 5:
            return False
        start, stream = self._starts[direction], self.streams[direction]
        if direction == FROM_CLIENT:
            if len(held) < PLAUSIBLE_LEN or held[3] or self._long_request or not is_request(held, 0):
                return False
            if self._request(held[4:], start + 4, stream, 0, cut=True):
                stream.keep(start + 4, start + len(held))
        elif not self._responses.skip_row():
            return False
        stream.keep(start, start + 4)
        self._held[direction].clear()
        return True

    def _blank(self, length: int) -> None:
        if length:
            self._known.tally.blanked["mysql-not-understood"] += length

    # The connection phase.

    def _login(self, direction: int, payload: bytes, at: int, stream: StreamPlan) -> bool:
        if direction == FROM_SERVER:
            return self._login_server(payload, at, stream)
        if self._answered:
            self._known.conceal_ranges(stream, at, payload, reply_secrets(payload))
            return True
        if is_ssl_request(payload):
            self.phase = TLS
            return True
        self._answered = True
        self._capabilities &= int.from_bytes(payload[:4], "little")
        self._known.conceal_ranges(stream, at, payload, answer_secrets(payload))
        return True

    def _login_server(self, payload: bytes, at: int, stream: StreamPlan) -> bool:
        if not self._greeted:
            self._greeted = True
            begin = b"\xff\0\0\0" + payload[:2]
            if is_refusal(begin):
                self._responses.read_error(payload, at, stream)
                return True
            if not is_greeting(begin):
                self.phase = OFF
                return False
            version_end = payload.find(b"\0", 1)
            low = payload[version_end + 14 : version_end + 16]
            high = payload[version_end + 19 : version_end + 21]
            self._capabilities &= int.from_bytes(low + high, "little")
            self._known.conceal_ranges(stream, at, payload, greeting_secrets(payload))
        elif payload[:1] == b"\0" and self._answered:
            self.phase = COMMANDS
            self._synced = [True, True]
            if self._capabilities & _COMPRESSION:
                self._start_frames()
        elif payload[:1] == b"\xff":
            self._responses.read_error(payload, at, stream)
        else:
            self._known.conceal_ranges(stream, at, payload, server_secrets(payload))
        return True

    # Requests.

    def _request(self, payload: bytes, at: int, stream: StreamPlan, sequence: int, *, cut: bool = False) -> bool:
        if self._long_request:
            self._long_request = len(payload) == MAX_PACKET_LEN
            return False
        if self._responses.in_file:
            return not payload
        if self._responses.state == AUTH and (sequence or self.lenient):
            self._known.conceal_ranges(stream, at, payload, reply_secrets(payload))
            return True
        if self._responses.state == PREPARED and not self._responses.definitions_left:
            self._responses.end(0)
        if not payload:
            return True
        code = payload[0]
        self._long_request = len(payload) == MAX_PACKET_LEN
        form = response_form(code)
        if form is not ResponseForm.NONE:
            if not self._synced[1]:
                self._responses.forget()
            self._responses.waiting.append(code)
            if self._responses.state == IDLE:
                self._responses.next()
        return self._requests.read(code, payload, at, stream, cut=cut)
