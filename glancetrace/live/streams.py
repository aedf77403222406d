"""Packets become exchanges and commands as they come: stage A for a capture that never ends.

Index, reassembly and decoders, TLS included, are those of `glancetrace.decode`. What is different is memory: rows are
handed out after every block and not kept, a connection is forgotten when it ends, and one that was silent for `IDLE` is
given up; if it speaks again, it is joined in the middle, as one that is older than the capture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from glancetrace.capture.blocks import PacketBlock
from glancetrace.capture.index import PacketIndex
from glancetrace.glance.bodies import is_image_data, make_body_policy
from glancetrace.glance.routes import match_route
from glancetrace.http.exchange import BodyPlan, Head, HttpExchange
from glancetrace.http.hashing import HashPool
from glancetrace.issues import IssueLog
from glancetrace.mysql.command import MysqlCommand
from glancetrace.net.flow import UNWANTED
from glancetrace.net.reassemble import TcpReassembler
from glancetrace.net.run import Connection, Run
from glancetrace.net.verdict import Consumer
from glancetrace.streams import ConnectionDecoder, Stage
from glancetrace.tls.secrets import SecretStore

__all__ = ["IDLE", "Harvest", "LiveIssues", "LiveSecrets", "Streams"]

IDLE = 7200_000_000_000
"""ns without a packet after which a connection is given up: TCP's own keep-alive asks after two hours."""

_EPOCH_PACKETS = 1 << 14
_LOOK_EVERY = 60_000_000_000
_SESSIONS = 20_000
"""Sessions of TLS 1.2 that may be resumed, the newest."""


class LiveIssues(IssueLog):
    """Counts issues for the whole watch, not per connection: there is no end of connections."""

    __slots__ = ()

    def count(
        self,
        kind: str,
        *,
        frame: int | None = None,
        connection_id: int | None = None,
        times: int = 1,
        where: str | None = None,
    ) -> None:
        """See `IssueLog`."""
        super().count(kind, frame=frame, times=times, where=where)


class LiveSecrets(SecretStore):
    """Keeps no list of the connections that were seen, and of sessions only the newest."""

    def note_client(self, client_random: bytes) -> None:
        """See `SecretStore`."""

    def note_premaster(self, encrypted: bytes) -> None:
        """See `SecretStore`."""

    def remember_session(self, known_by: bytes, master: bytes) -> None:
        """See `SecretStore`."""
        super().remember_session(known_by, master)
        while len(self._sessions) > _SESSIONS:
            del self._sessions[next(iter(self._sessions))]


@dataclass(slots=True)
class Harvest:
    """What a block brought: finished exchanges and commands, and connections that ended."""

    exchanges: list[tuple[HttpExchange, Connection]]
    commands: list[tuple[MysqlCommand, Connection]]
    ended: list[Connection]


class _LiveReassembler(TcpReassembler):
    """Can give up connections, and keeps no list of those that were."""

    def expire(self, before: int) -> None:
        """Give up the connections whose last packet is older than `before` (ns)."""
        flows = self._flows
        silent = [k for k, flow in flows.items() if flow.wanted != UNWANTED and flow.connection.last_ts < before]
        for key in silent:
            flow = flows.pop(key)
            if not flow.closed:
                self._end(flow, flow.connection.last_ts, flow.last_frame, "end")

    def forget_connections(self) -> None:
        """Keep no connection for the sake of a list of them all."""
        self._sink.connections.clear()

    @property
    def open_count(self) -> int:
        """Connections whose state is held."""
        return len(self._flows)


class _Consumer:
    """Stands before a connection's decoder, to know who is speaking and when it ends."""

    def __init__(self, streams: Streams, connection: Connection, decoder: ConnectionDecoder) -> None:
        self._streams = streams
        self._connection = connection
        self._decoder = decoder

    def feed(self, run: Run) -> None:
        self._streams.speaking = self._connection
        self._decoder.feed(run)
        del self._decoder.row.sealed[:-1]  # the newest may still grow; nobody asks for the others

    def close(self, ts: int, frame: int, how: str) -> None:
        self._decoder.close(ts, frame, how)
        self._streams.end(self._connection)


class Streams:
    """Takes blocks of packets, gives what they bring.

    Attributes:
        uploads: connection -> image whose data are on their way on it.
        speaking: the connection whose bytes are being decoded.
    """

    def __init__(self, ports: Mapping[int, str], issues: IssueLog, secrets: SecretStore) -> None:
        self.uploads: dict[Connection, str] = {}
        self.speaking: Connection | None = None
        self._ports = ports
        self._index = PacketIndex(issues)
        self._plan = make_body_policy(None)
        self._stage = Stage(ports, (), issues, HashPool(), secrets)
        self._stage.body_policy = self._plan_body
        self._ended: list[Connection] = []
        self._reassembler = _LiveReassembler(
            self._consumer, issues, server_ports=frozenset(ports), judge=self._stage.judge, epoch_packets=_EPOCH_PACKETS
        )
        self._looked = 0

    @property
    def connection_count(self) -> int:
        """Connections seen so far, of all kinds."""
        return self._reassembler.accounting.connections

    @property
    def open_count(self) -> int:
        """Connections whose state is held, decoders included."""
        return max(self._reassembler.open_count, len(self._stage.decoders))

    def push(self, block: PacketBlock) -> Harvest:
        """Take the next packets."""
        self._reassembler.push(self._index.index(block))
        now = int(block.ts[-1])
        if now - self._looked > _LOOK_EVERY:
            self._looked = now
            self._reassembler.expire(now - IDLE)
        return self._harvest()

    def finish(self) -> Harvest:
        """Nothing follows: end all connections."""
        self._index.finish()
        self._reassembler.finish()
        return self._harvest()

    def end(self, connection: Connection) -> None:
        """A connection is over."""
        self._stage.decoders.pop(connection, None)
        self.uploads.pop(connection, None)
        self._ended.append(connection)

    def _consumer(self, connection: Connection) -> Consumer:
        return _Consumer(self, connection, self._stage.consumer(connection))

    def _plan_body(self, request: Head, response: Head | None) -> BodyPlan:
        """Bodies of the API are kept as always, and nothing is hashed; an upload that begins is remembered."""
        connection = self.speaking
        if response is None and connection is not None and is_image_data(request, None):
            match = match_route(request.method, request.target, self._ports.get(connection.server[1]))
            image_id = match.params.get("image_id") if match is not None else None
            if image_id:
                self.uploads[connection] = image_id
        return self._plan(request, response)

    def _harvest(self) -> Harvest:
        stage = self._stage
        harvest = Harvest(stage.exchanges.copy(), stage.commands.copy(), self._ended.copy())
        stage.exchanges.clear()  # the decoders hold these very lists
        stage.commands.clear()
        self._ended.clear()
        self._reassembler.forget_connections()
        for exchange, connection in harvest.exchanges:
            if is_image_data(exchange.request, None):
                self.uploads.pop(connection, None)
        return harvest
