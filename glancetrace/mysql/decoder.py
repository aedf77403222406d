"""The MySQL decoder: runs of both directions of one connection in, `MysqlCommand` rows out.

A request is a client packet with sequence id 0; its response is everything the server sends until the response is
complete. Requests wait in a `Pipeline` in the order in which they were sent, and responses belong to its head.

Two ways lead through: nearly all commands are one run with one packet, answered by one run that holds a whole
response, and go through `glancetrace.mysql.whole`; everything else goes through channels, `RequestReader` and
`Answers`. Both give the same rows.

A session that is joined in the middle, or that lost its framing in a gap, is taken up again where the client's bytes
look like a request; server bytes before the response to it are skipped. In a session whose start was not seen nothing
is a row until a response has fitted: another protocol on the port gives one issue and no rows.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from glancetrace.issues import IssueLog
from glancetrace.mysql.answers import Answers
from glancetrace.mysql.command import ColumnPolicy, MysqlCommand, MysqlSession
from glancetrace.mysql.commands import ResponseForm, request_text, response_form
from glancetrace.mysql.compressed import CompressedLayer, is_compressed_request
from glancetrace.mysql.constants import COMMAND_NAMES, Capability, Command
from glancetrace.mysql.login import ConnectionPhase, LoginOutcome
from glancetrace.mysql.packets import Channel
from glancetrace.mysql.pipeline import Pipeline
from glancetrace.mysql.requests import Request, RequestReader, SyncOutcome
from glancetrace.mysql.resultset import DefinitionsCache
from glancetrace.mysql.whole import take_whole_request, take_whole_response
from glancetrace.net.run import FROM_CLIENT, FROM_SERVER, Connection, Run

__all__ = ["MysqlDecoder"]

_MAX_FRUITLESS = 64
"""Turns without anything like a command after which a joined connection counts as another protocol."""

_COMPRESSION = Capability.CLIENT_COMPRESS | Capability.CLIENT_ZSTD_COMPRESSION_ALGORITHM


class Phase(Enum):
    """Where the session is."""

    CONNECTION = auto()
    COMMANDS = auto()
    OFF = auto()
    """Not decoded any further."""


class MysqlDecoder:
    """Decodes one connection; rows go to `emit` in the order of the requests.

    Attributes:
        session: what is known of the session.
        awaits_tls: the client asked for TLS: runs from the wire are ignored from now on, and packets go on (sequence
            ids included) with what `feed_decrypted` is given. bytes_encrypted: bytes of those runs.
        on_tls: told of that, instead of an issue, by whoever decrypts; gets what follows in the run, if anything does.
            From then on it is given the runs from the wire.
    """

    def __init__(
        self,
        connection: Connection,
        emit: Callable[[MysqlCommand], None],
        issues: IssueLog,
        column_policy: ColumnPolicy,
        definitions: DefinitionsCache,
    ) -> None:
        self.session = MysqlSession(connection.id)
        self.awaits_tls = False
        self.bytes_encrypted = 0
        self.on_tls: Callable[[Run | None], None] | None = None
        self._issues = issues
        self._policy = column_policy
        self._definitions = definitions
        self._pipeline = Pipeline(self.session, emit, issues)
        self._login = ConnectionPhase(self.session, connection.started_before_capture)
        self._phase = Phase.CONNECTION
        self._requests = RequestReader(Channel(), self._take_request)
        self._answers = Answers(self._pipeline, column_policy)
        self._layer: CompressedLayer | None = None
        self._direction = -1
        self._turned = False
        """The direction has changed since the last packets of a compressed session: a frame may span runs."""
        self._fruitless = 0
        self._after_gap = False
        """Client bytes are missing since the last request."""
        self._fast = False
        """Nothing is under way but perhaps the head: whole requests and responses need no channel."""

    def feed(self, run: Run) -> None:
        """Decode the next run of the connection, in wire order."""
        if self._fast and not run.gap:
            if run.direction == FROM_CLIENT:
                if take_whole_request(run, self._pipeline, self._definitions):
                    self._direction = FROM_CLIENT
                    return
            elif take_whole_response(run, self._pipeline, self._policy, self._definitions):
                self._direction = FROM_SERVER
                return
        if self.awaits_tls:
            self.bytes_encrypted += len(run.data)
        else:
            self._take(run)

    def feed_decrypted(self, run: Run) -> None:
        """Decode a run that the TLS layer has decrypted, in place of the wire's."""
        self._take(run)

    def close(self, ts: int, frame: int, how: str) -> None:
        """The connection has ended (`how`: fin, rst, or "" for the end of the capture): emit what is under way."""
        if self._phase is Phase.OFF:
            return
        self._answers.finish_if_perhaps_done()
        self._answers.settle_doubt(believed=True)
        if self._fruitless and not self._pipeline.confirmed:
            self._stop("protocol-unknown", frame)
            return
        if self._phase is Phase.COMMANDS and self._requests.synced:
            self._requests.cut()
        self._answers.abandon_all()
        self._stop(None, frame)

    def _take(self, run: Run) -> None:
        if self._phase is Phase.OFF:
            return
        self._fast = False
        turn = run.direction != self._direction
        self._direction = run.direction
        if self._layer is None:
            self._take_packets(run, turn)
        else:
            self._turned = self._turned or turn
            for inner in self._layer.push(run, turn):
                self._take_packets(inner, self._turned)
                if inner.data:
                    self._turned = False
            self.session.compressed = self._layer.algorithm or self.session.compressed
            return
        self._fast = (
            self._phase is Phase.COMMANDS
            and self._pipeline.confirmed
            and self._answers.idle
            and self._requests.idle
            and not self._after_gap
            and not self.awaits_tls
        )

    def _take_packets(self, run: Run, turn: bool) -> None:
        if run.direction == FROM_CLIENT:
            self._answers.finish_if_perhaps_done()
            self._answers.settle_doubt(believed=not run.gap)
        else:
            if run.gap:
                self._answers.settle_doubt(believed=False)
            if self._phase is Phase.COMMANDS and self._pipeline.head is None:
                # What follows an answer unasked is nobody's, in the same run as in the next.
                if turn:
                    self._requests.interrupt(cut=self._pipeline.confirmed)
            elif not self._requests.synced:
                self._requests.give_up_sync()
        if run.gap:
            self._pass_gap(run, turn)
        if not run.data or self._phase is Phase.OFF:
            return
        if run.direction == FROM_CLIENT:
            if self._requests.push(run, turn):
                self._read_client()
        elif self._answers.channel.push(run):
            self._read_server()

    def _pass_gap(self, run: Run, turn: bool) -> None:
        """Bytes are missing before `run`; `turn`: the other direction spoke before."""
        if self._phase is Phase.CONNECTION:
            self._join()
        if run.direction == FROM_CLIENT:
            before = self._pipeline.ordinal
            self._answers.pass_client_gap()
            self._requests.pass_gap(run.gap)
            self._after_gap = True
            if turn and self._pipeline.ordinal != before:
                # The server has answered a request that was there but for its end.
                self._answers.abandon_all()
        else:
            self._answers.pass_gap(run.gap)

    def _join(self) -> None:
        """Go on without having seen the session's start."""
        self._phase = Phase.COMMANDS
        self._requests.synced = False

    def _stop(self, kind: str | None, frame: int) -> None:
        """No more rows."""
        if kind is not None:
            self._count(kind, frame)
        self._answers.stop()
        self._phase = Phase.OFF
        self._fast = False
        self._requests.lose_framing()

    def _count(self, kind: str, frame: int) -> None:
        self._issues.count(kind, frame=frame, connection_id=self.session.connection_id)

    # Client bytes.

    def _read_client(self) -> None:
        requests = self._requests
        channel = requests.channel
        if self._phase is Phase.CONNECTION:
            frame = channel.place(channel.pos)[1]
            if not self._end_login(self._login.read_client(channel), frame):
                return
            if not requests.synced:
                requests.expect()
        if not requests.synced and not self._sync():
            return
        while channel.available and requests.synced and self._phase is Phase.COMMANDS:
            frame = channel.place(channel.pos)[1]
            if not requests.read(self._answers.reader):
                if not requests.synced:
                    self._count("mysql-malformed", frame)
                return

    def _sync(self) -> bool:
        """Look for a request where there is no framing; true when one begins here."""
        requests = self._requests
        channel = requests.channel
        outcome = requests.sync()
        if outcome is SyncOutcome.MORE:
            return False
        frame = channel.place(channel.pos)[1]
        if outcome is SyncOutcome.REQUEST:
            self._count("mysql-resynchronised", frame)
            return True
        if not self._pipeline.confirmed and self._layer is None:
            compressed = is_compressed_request(channel.take())
            if compressed is None:
                channel.need = channel.available + 1
                return False
            if compressed:
                self._count("mysql-resynchronised", frame)
                self._start_compression(channel)
                return False
        requests.give_up_sync()
        self._fruitless += 1
        if self._fruitless >= _MAX_FRUITLESS and not self._pipeline.confirmed:
            self._stop("protocol-unknown", frame)
        return False

    def _start_compression(self, channel: Channel) -> None:
        """What the client's channel holds are frames of the compressed protocol."""
        self._layer = CompressedLayer(self._count)
        self._requests.lenient = True
        self._requests.synced = True
        held = channel.take_run(FROM_CLIENT)
        if held is None:
            return
        for inner in self._layer.push(held, turn=True):
            self._take_packets(inner, turn=True)

    def _take_request(self, request: Request) -> None:
        payload = request.payload
        code = payload[0]
        pipeline = self._pipeline
        pipeline.ordinal += 1
        command = MysqlCommand(
            self.session,
            pipeline.ordinal,
            COMMAND_NAMES[code],
            request_text(payload),
            None,
            *request.first,
            *request.last,
            cut=request.cut,
            after_gap=self._after_gap,
        )
        self._after_gap = False
        self._answers.expect(command.first_frame)
        sequence = -1 if self._requests.lenient or request.sequence < 0 else request.sequence + 1 & 0xFF
        pipeline.add(command, code, b"" if code == Command.COM_QUERY else payload, sequence)
        if response_form(code) is ResponseForm.STREAM:
            self._answers.abandon()
            self._stop(None, command.first_frame)

    # Server bytes.

    def _read_server(self) -> None:
        channel = self._answers.channel
        if self._phase is Phase.CONNECTION:
            frame = channel.place(channel.pos)[1]
            if not self._end_login(self._login.read_server(channel), frame):
                return
        if not self._answers.read():
            self._requests.lose_framing()
            self._fruitless += 1

    def _begin_tls(self, frame: int) -> None:
        """The client asked for TLS; what it sent behind that is encrypted."""
        self.session.tls = self.awaits_tls = True
        follows = self._requests.channel.take_run(FROM_CLIENT)
        if self.on_tls is None:
            self._count("tls-not-decrypted", frame)
        else:
            self.on_tls(follows)

    def _leave_to_tls(self, frame: int) -> None:
        """A session that is encrypted and began before the capture: nothing of it will be a packet here."""
        runs = self._requests.channel.take_run(FROM_CLIENT), self._answers.take_rest()
        self._stop("tls-not-decrypted" if self.on_tls is None else None, frame)
        for run in runs:
            if run is not None and self.on_tls is not None:
                self.on_tls(run)

    def _end_login(self, outcome: LoginOutcome, frame: int) -> bool:
        """Act on what reading the connection phase came to; true when commands follow."""
        if outcome is LoginOutcome.MORE:
            return False
        if outcome is LoginOutcome.COMMANDS:
            self._phase = Phase.COMMANDS
            self._pipeline.confirmed = True
            self._pipeline.status_flags = self._login.status_flags
            capabilities = self.session.capabilities or 0
            self._answers.begin(deprecate_eof=bool(capabilities & Capability.CLIENT_DEPRECATE_EOF))
            if capabilities & _COMPRESSION:
                self.session.compressed = "zlib" if capabilities & Capability.CLIENT_COMPRESS else "zstd"
                self._start_compression(self._requests.channel)
        elif outcome is LoginOutcome.JOINED:
            self._join()
        elif outcome is LoginOutcome.TLS:
            self._begin_tls(frame)
        elif outcome is LoginOutcome.ENCRYPTED:
            self.session.tls = True
            self._leave_to_tls(frame)
        else:
            self._stop("protocol-unknown" if outcome is LoginOutcome.FOREIGN else None, frame)
        return self._phase is Phase.COMMANDS
