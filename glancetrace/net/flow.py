"""One TCP connection between two endpoints: what is known of it, and who takes its bytes.

A `Flow` is what stays of a connection between blocks, so it is small: next expected sequence numbers, flags, and the
consumer. Everything about packets that wait for others is in a `Reordering` (see `glancetrace.net.reorder`), which
exists only while some do. Both ends of a flow are numbered as `glancetrace.net.grouping` numbers its sides; which side
is the client is only known to `client_side`, because a judge may find that the first guess was wrong.

Sequence numbers are unwrapped: they go on beyond 2^32 and start at or above 2^32, so that -1 can mean "not known".
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from glancetrace.issues import IssueLog
from glancetrace.net.accounting import TcpAccounting
from glancetrace.net.run import Connection, Endpoint, Run
from glancetrace.net.verdict import Consumer, ConsumerFactory, Probe, Verdict

if TYPE_CHECKING:
    from glancetrace.net.grouping import FlowKey
    from glancetrace.net.reorder import Reordering

__all__ = ["FAR", "JUDGED", "TAIL_LEN", "UNKNOWN", "UNWANTED", "WANTED", "Flow", "Sink", "endpoint_of", "unwrap"]

UNKNOWN = -1
"""A sequence number that is not known yet."""

UNWANTED, JUDGED, WANTED = 0, 1, 2
"""What is done with the bytes of a flow: dropped; kept until the judge decides; fed to the consumer."""

FAR = 1 << 30
"""No window is larger (RFC 7323, 2.3): a sequence number further away is not of the same connection."""

TAIL_LEN = 2048
"""Bytes of each direction that are remembered: more than a segment on any usual link."""

_FAR_AFTER_CLOSE = 16 << 20
_SYN, _ACK = 2, 16
_SEQUENCE_MASK = 0xFFFFFFFF
_SEQUENCE_HALF = 0x80000000


def unwrap(value: int, near: int) -> int:
    """The unwrapped number of the 32-bit sequence number `value` that is closest to `near`."""
    return near + ((value - near + _SEQUENCE_HALF) & _SEQUENCE_MASK) - _SEQUENCE_HALF


def endpoint_of(key: FlowKey, side: int) -> Endpoint:
    """Address and port of one side of a flow."""
    high, low, port = key[1 + 3 * side : 4 + 3 * side]
    address = IPv4Address(low) if key[0] == 4 else IPv6Address(high << 64 | low)
    return str(address), port


class Sink:
    """What all flows of a capture share: where issues and bytes are counted, who makes consumers, what was wanted."""

    __slots__ = ("accounting", "connections", "issues", "make_consumer")

    def __init__(self, make_consumer: ConsumerFactory, issues: IssueLog, accounting: TcpAccounting) -> None:
        self.make_consumer = make_consumer
        self.issues = issues
        self.accounting = accounting
        self.connections: list[Connection] = []


class Flow:
    """State of the newest connection between two endpoints.

    Attributes:
        wanted: `UNWANTED`, `JUDGED` or `WANTED`.
        consumer: takes the runs; None unless wanted and open. probe: keeps the runs while judged.
        client_side: side of the client.
        nxt: next expected sequence number by side, or `UNKNOWN`.
        base: 32-bit sequence number of the first byte of the stream by side, as far as known; else `UNKNOWN`.
        began: by side, whether a byte of the stream was delivered, or its SYN or FIN seen: it cannot begin earlier.
        fins: bit mask of the sides whose FIN was delivered. fin_ts, fin_frame: of the newest FIN.
        gap: bytes given up by side, to be told with the next run. seen: bit mask of the sides that sent a packet.
        last_frame: frame of the newest packet.
        epoch: of the capture when it was last seen; see `glancetrace.net.reassemble`.
        pending_packets, pending_bytes: what the judge's verdict will decide about, for the accounting.
        order: packets that wait for others; None where none do.
        tails: by side, the last bytes delivered, to hold retransmissions against.
        complaints: issues to be counted if the connection turns out to be wanted.
    """

    __slots__ = (
        "base",
        "began",
        "client_side",
        "closed",
        "complaints",
        "connection",
        "consumer",
        "epoch",
        "fin_frame",
        "fin_ts",
        "fins",
        "gap",
        "last_frame",
        "nxt",
        "order",
        "pending_bytes",
        "pending_packets",
        "probe",
        "seen",
        "sink",
        "tails",
        "wanted",
    )

    def __init__(self, sink: Sink, connection: Connection, client_side: int) -> None:
        self.sink = sink
        self.connection = connection
        self.client_side = client_side
        self.wanted = UNWANTED
        self.consumer: Consumer | None = None
        self.probe: Probe | None = None
        self.nxt = [UNKNOWN, UNKNOWN]
        self.base = [UNKNOWN, UNKNOWN]
        self.began = [False, False]
        self.fins = 0
        self.fin_ts = 0
        self.fin_frame = 0
        self.gap = [0, 0]
        self.seen = 0
        self.last_frame = connection.first_frame
        self.epoch = 0
        self.closed = False
        self.pending_packets = 0
        self.pending_bytes = 0
        self.order: Reordering | None = None
        self.complaints: list[tuple[str, int]] = []
        self.tails = [b"", b""]

    def feed(self, side: int, run: Run) -> None:
        """Hand a run of `side` on; its direction is set here."""
        run.direction = direction = side ^ self.client_side
        data = run.data
        if len(data) >= TAIL_LEN or run.gap:
            self.tails[side] = data[-TAIL_LEN:]
        else:
            self.tails[side] = (self.tails[side] + data)[-TAIL_LEN:]
        if self.wanted == WANTED:
            connection = self.connection
            connection.bytes_seen[direction] += len(data)
            if run.gap:
                connection.bytes_missing[direction] += run.gap
                self.sink.accounting.missing_bytes += run.gap
                self.sink.issues.count("tcp-gap", frame=run.frames[0], connection_id=connection.id)
            if self.consumer is not None:
                self.consumer.feed(run)
        elif self.wanted == JUDGED:
            self._judge(run)

    def feed_all(self, runs: list[Run]) -> None:
        """Hand on runs that follow on each other without gaps; `direction` of each is the side that sent it.

        Nearly all runs come this way, so what `feed` does for each of them is done once for all where it can be.
        """
        consumer = self.consumer
        if self.wanted != WANTED or consumer is None:
            for run in runs:
                self.feed(run.direction, run)
            return
        client_side = self.client_side
        bytes_seen = self.connection.bytes_seen
        for run in runs:
            direction = run.direction = run.direction ^ client_side
            bytes_seen[direction] += len(run.data)
            consumer.feed(run)
        self._remember(runs)

    def _remember(self, runs: list[Run]) -> None:
        """Keep the last bytes of runs that were handed on."""
        wanted = [TAIL_LEN, TAIL_LEN]
        pieces: tuple[list[bytes], list[bytes]] = ([], [])
        for run in reversed(runs):
            direction = run.direction
            if wanted[direction] > 0:
                piece = run.data[-wanted[direction] :]
                pieces[direction].append(piece)
                wanted[direction] -= len(piece)
            elif wanted[direction ^ 1] <= 0:
                break
        for direction in (0, 1):
            if pieces[direction]:
                side = direction ^ self.client_side
                kept = self.tails[side][-wanted[direction] :] if wanted[direction] else b""
                self.tails[side] = kept + b"".join(reversed(pieces[direction]))

    def complain(self, kind: str, frame: int) -> None:
        """Count an issue of this connection, now or when it turns out to be wanted."""
        if self.wanted == WANTED:
            self.sink.issues.count(kind, frame=frame, connection_id=self.connection.id)
        elif self.wanted == JUDGED:
            self.complaints.append((kind, frame))

    def want(self) -> None:
        """The connection is of interest: ask for its consumer."""
        self.consumer = self.sink.make_consumer(self.connection)
        if self.consumer is None:
            self.wanted = UNWANTED
        else:
            self.wanted = WANTED
            self.sink.connections.append(self.connection)

    def count(self, packets: int, payload: int) -> None:
        """Account for packets of this connection, and for payload bytes that are neither duplicate nor late."""
        self.pending_packets += packets
        self.pending_bytes += payload
        if self.wanted == JUDGED:
            return
        accounting = self.sink.accounting
        if self.wanted == WANTED:
            accounting.decoded_packets += self.pending_packets
            accounting.decoded_bytes += self.pending_bytes
        else:
            accounting.skipped_packets += self.pending_packets
            accounting.skipped_bytes += self.pending_bytes
        self.pending_packets = self.pending_bytes = 0

    def is_far(self, side: int, seq: int) -> bool:
        """Whether a segment is further away than any window, on a closed connection further than late copies come."""
        far = _FAR_AFTER_CLOSE if self.closed else FAR
        nxt = self.nxt[side]
        return (seq - nxt + far) & _SEQUENCE_MASK > 2 * far and nxt != UNKNOWN

    def is_in_order(self, side: int, expected: int, expected_peer: int) -> bool:
        """Whether `side` and its peer go on with these numbers, nothing waits, and somebody takes what follows."""
        nxt = self.nxt
        return (
            nxt[side] == expected
            and nxt[side ^ 1] == expected_peer
            and self.wanted == WANTED
            and not self.closed
            and not self.fins
            and (self.order is None or not self.order.waits)
        )

    def is_reused_by(self, side: int, seq: int, flags: int) -> bool:
        """Whether a packet that is far away or has SYN set belongs to a new connection between the same endpoints."""
        if not flags & _SYN:
            return self.wanted != UNWANTED
        base = self.base[side]
        if (seq + 1 - base) & _SEQUENCE_MASK == 0 and base != UNKNOWN:
            return False
        return not flags & _ACK or (base != UNKNOWN and self.wanted != UNWANTED)

    def close(self, ts: int, frame: int, how: str) -> None:
        """End the connection; only what tells a late packet from a new connection stays."""
        self.closed = True
        self.order = None
        if how in ("fin", "rst"):
            self.connection.closed = how
        if self.wanted == JUDGED:
            self.wanted = UNWANTED
        self.probe = None
        self.complaints.clear()
        self.tails = [b"", b""]
        self.count(0, 0)
        consumer, self.consumer = self.consumer, None
        if consumer is not None:
            consumer.close(ts, frame, how)

    def _judge(self, run: Run) -> None:
        probe = self.probe
        if probe is None:
            return
        verdict = probe.judge(run)
        if verdict is Verdict.MORE:
            return
        self.probe = None
        if verdict is Verdict.SKIP:
            self.wanted = UNWANTED
            self.complaints.clear()
            return
        swapped = verdict is Verdict.WANT_SWAPPED
        connection = self.connection
        if swapped:
            self.client_side ^= 1
            connection.client, connection.server = connection.server, connection.client
        self.want()
        if self.wanted == WANTED:
            for kind, frame in self.complaints:
                self.complain(kind, frame)
            for kept in probe.runs:
                self.feed(kept.direction ^ swapped ^ self.client_side, kept)
        self.complaints.clear()
