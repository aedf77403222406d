"""TCP packets as tests write them, the blocks that the index would make of them, and a consumer that keeps all."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import NamedTuple

import numpy as np

from glancetrace.capture.segments import SegmentBlock
from glancetrace.issues import IssueLog
from glancetrace.net.reassemble import EPOCH_PACKETS, TcpReassembler
from glancetrace.net.run import Connection, Run
from glancetrace.net.verdict import Judge

__all__ = [
    "ACK",
    "CLIENT",
    "FIN",
    "RST",
    "SERVER",
    "SYN",
    "Packet",
    "Recorder",
    "Result",
    "Segment",
    "block_of",
    "from_client",
    "from_server",
    "reassemble",
]

FIN, SYN, RST, ACK = 1, 2, 4, 16
CLIENT = ("192.0.2.1", 40000)
SERVER = ("192.0.2.9", 3306)


class Packet(NamedTuple):
    """One packet; `wire_len` is its payload's true length where the capture truncated it."""

    source: tuple[str, int]
    target: tuple[str, int]
    seq: int
    ack: int
    flags: int
    payload: bytes = b""
    ts: int = 0
    wire_len: int | None = None


def from_client(seq: int, ack: int, payload: bytes = b"", flags: int = ACK, *, ts: int = 0) -> Packet:
    """A packet from `CLIENT` to `SERVER`."""
    return Packet(CLIENT, SERVER, seq, ack, flags, payload, ts)


def from_server(seq: int, ack: int, payload: bytes = b"", flags: int = ACK, *, ts: int = 0) -> Packet:
    """A packet from `SERVER` to `CLIENT`."""
    return Packet(SERVER, CLIENT, seq, ack, flags, payload, ts)


def _addresses(endpoints: Sequence[tuple[str, int]]) -> np.ndarray[tuple[int, int], np.dtype[np.uint64]]:
    numbers = [int(ip_address(address)) for address, _ in endpoints]
    return np.array([(number >> 64, number & (1 << 64) - 1) for number in numbers], np.uint64).reshape(-1, 2)


def block_of(packets: Sequence[Packet], first_frame: int = 1) -> SegmentBlock:
    """The block that the index would make of `packets`."""
    lengths = np.array([len(packet.payload) for packet in packets], np.int64)
    return SegmentBlock(
        data=b"".join(packet.payload for packet in packets),
        frame=np.arange(first_frame, first_frame + len(packets)),
        ts=np.array([packet.ts for packet in packets], np.int64),
        src=_addresses([packet.source for packet in packets]),
        dst=_addresses([packet.target for packet in packets]),
        version=np.array([ip_address(packet.source[0]).version for packet in packets], np.uint8),
        sport=np.array([packet.source[1] for packet in packets], np.int64),
        dport=np.array([packet.target[1] for packet in packets], np.int64),
        seq=np.array([packet.seq % 2**32 for packet in packets], np.int64),
        ack=np.array([packet.ack % 2**32 for packet in packets], np.int64),
        flags=np.array([packet.flags for packet in packets], np.uint8),
        payload=np.cumsum(lengths) - lengths,
        payload_len=lengths,
        wire_len=np.array(
            [len(p.payload) if p.wire_len is None else p.wire_len for p in packets],
            np.int64,
        ),
    )


class Segment(NamedTuple):
    """A segment as it came out, with the bytes missing before it."""

    direction: int
    data: bytes
    ts: int
    frame: int
    gap: int


@dataclass
class Recorder:
    """Writes down what one connection was fed."""

    connection: Connection
    segments: list[Segment] = field(default_factory=list)
    closed: tuple[int, int, str] | None = None

    def feed(self, run: Run) -> None:
        """Check the form of a run and keep its segments."""
        assert self.closed is None
        assert run.offsets[0] == 0
        assert len(run.offsets) == len(run.ts) == len(run.frames)
        assert run.data or run.gap
        ends = [*run.offsets[1:], len(run.data)]
        gap = run.gap
        for begin, end in zip(run.offsets, ends, strict=True):
            assert begin < end or not run.data
            self.segments.append(Segment(run.direction, run.data[begin:end], *run.at(begin), gap))
            gap = 0

    def close(self, ts: int, frame: int, how: str) -> None:
        """Keep how it ended."""
        assert self.closed is None
        self.closed = (ts, frame, how)

    def stream(self, direction: int) -> list[int | bytes]:
        """One direction: bytes that follow each other, and lengths of gaps."""
        parts: list[int | bytes] = []
        for segment in self.segments:
            if segment.direction != direction:
                continue
            if segment.gap:
                parts.append(segment.gap)
            last = parts[-1] if parts else None
            if isinstance(last, bytes):
                parts[-1] = last + segment.data
            elif segment.data:
                parts.append(segment.data)
        return parts


@dataclass
class Result:
    """What came of a capture."""

    tcp: TcpReassembler
    issues: IssueLog
    recorders: list[Recorder]

    def kinds(self) -> dict[str, int]:
        """Issues by kind."""
        return {issue.kind: issue.count for issue in self.issues.rows()}

    def only(self) -> Recorder:
        """The only connection."""
        (recorder,) = self.recorders
        return recorder


def reassemble(
    packets: Sequence[Packet],
    *,
    cuts: Iterable[int] = (),
    fast: bool = True,
    server_ports: frozenset[int] = frozenset({3306}),
    judge: Judge | None = None,
    make: Callable[[Connection], Recorder | None] = Recorder,
    epoch_packets: int = EPOCH_PACKETS,
) -> Result:
    """Reassemble `packets` in blocks that are cut at the positions `cuts`, and check that the accounting balances."""
    issues = IssueLog()
    recorders: list[Recorder] = []

    def consumer(connection: Connection) -> Recorder | None:
        recorder = make(connection)
        if recorder is not None:
            recorders.append(recorder)
        return recorder

    tcp = TcpReassembler(
        consumer, issues, server_ports=server_ports, judge=judge, fast=fast, epoch_packets=epoch_packets
    )
    edges = [0, *sorted(cut for cut in set(cuts) if 0 < cut < len(packets)), len(packets)]
    for begin, end in itertools.pairwise(edges):
        tcp.push(block_of(packets[begin:end], begin + 1))
    tcp.finish()
    totals = tcp.accounting
    assert totals.packets == totals.decoded_packets + totals.skipped_packets == len(packets)
    parts = totals.decoded_bytes + totals.skipped_bytes + totals.duplicate_bytes + totals.late_bytes
    assert totals.payload_bytes == parts == sum(len(packet.payload) for packet in packets)
    fed = [sum(len(segment.data) for segment in recorder.segments) for recorder in recorders]
    assert totals.decoded_bytes == sum(fed)
    assert [sum(recorder.connection.bytes_seen) for recorder in recorders] == fed
    assert totals.missing_bytes == sum(segment.gap for recorder in recorders for segment in recorder.segments)
    recorders.sort(key=lambda recorder: recorder.connection.id)
    assert [recorder.connection for recorder in recorders] == tcp.connections
    assert all(recorder.closed for recorder in recorders)
    return Result(tcp, issues, recorders)
