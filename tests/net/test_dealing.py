"""Packets that one process deals out come to the same as if every process had read them all itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from glancetrace.capture.index import PacketIndex
from glancetrace.capture.inputs import open_captures
from glancetrace.capture.segments import SegmentBlock
from glancetrace.dealing import Hand, deal
from glancetrace.forking import Channel, fork
from glancetrace.issues import IssueLog
from glancetrace.net.reassemble import Deal, TcpReassembler
from glancetrace.net.run import Connection
from glancetrace.net.share import Dealt, Share, share_out
from glancetrace.net.verdict import Verdict
from tests.support.degrade import degrade
from tests.support.samples import capture_path
from tests.support.tcp_packets import Recorder

PORTS = frozenset({3306, 13000, 13292})
EPOCH = 700


def _blocks(path: Path, size: int) -> list[SegmentBlock]:
    index = PacketIndex(IssueLog())
    return [index.index(block) for block in open_captures([str(path)], IssueLog(), block_size=size)]


class Worker:
    """Reassembles a share, and writes down what comes of it."""

    def __init__(self, share: Share, deal: Deal | None = None) -> None:
        self.recorders: list[Recorder] = []
        self.issues = IssueLog()
        self.tcp = TcpReassembler(
            self._record,
            self.issues,
            server_ports=PORTS,
            judge=_judge,
            epoch_packets=EPOCH,
            share=share,
            deal=deal,
        )

    def _record(self, connection: Connection) -> Recorder:
        self.recorders.append(Recorder(connection))
        return self.recorders[-1]

    def told(self) -> list[object]:
        self.tcp.finish()
        fed = [(r.connection.id, r.connection.client, r.segments, r.closed) for r in self.recorders]
        issues = [(issue.kind, issue.count, issue.first_frame) for issue in self.issues.rows()]
        return [fed, issues, self.tcp.accounting, self.tcp.first_frames]


def _judge(connection: Connection, _client: bytes, _server: bytes) -> Verdict:
    return Verdict.WANT if connection.server[1] == 9292 else Verdict.SKIP


@pytest.mark.parametrize("name", ["concurrent-old-8", "article-allports"])
@pytest.mark.parametrize("loss", ["", "0.5 % lost"])
def test_dealt_packets_are_those_of_the_share(name: str, loss: str, tmp_path: Path) -> None:
    capture = degrade(capture_path(name), loss, tmp_path / "lossy.pcap") if loss else capture_path(name)
    blocks = _blocks(capture, 1 << 16)
    shares = share_out(blocks, frozenset({3306}), 3)
    assert len(shares) == 3
    dealt: list[list[Dealt]] = [[], []]
    first = Worker(shares[0], partial(deal, [part.append for part in dealt]))
    for block in blocks:
        first.tcp.push(block)
    workers = [first, *map(Worker, shares[1:])]
    for worker, parts in zip(workers[1:], dealt, strict=True):
        for part in parts:
            worker.tcp.push_dealt(part)
    for worker, share in zip(workers, shares, strict=True):
        reader = Worker(share)
        for block in blocks:
            reader.tcp.push(block)
        told = worker.told()
        assert told == reader.told()
        assert told[0]


def _hand_over(parts: list[Dealt], take: Callable[[Iterator[Dealt]], bytes]) -> bytes | None:
    """Send packets to another process; what `take` makes of them there."""
    hand = Hand()
    child = fork(lambda channel: channel.send(take(hand.take(channel))))
    hand.begin()
    try:
        for part in parts:
            hand.give(child, part)
        return None if not hand.end(child) else bytes(child.receive() or b"")
    finally:
        child.close()
        hand.close()
        hand.close()


def _columns(dealt: Dealt) -> list[object]:
    block = dealt.block
    payload = [
        block.data[start : start + size]
        for start, size in zip(block.payload.tolist(), block.payload_len.tolist(), strict=True)
    ]
    rows = (block.frame, block.ts, block.src, block.dst, block.version, block.sport, block.dport, block.seq, block.ack)
    rest = (block.flags, block.payload_len, block.wire_len, dealt.clock)
    columns = [(column.dtype.str, column.tolist()) for column in (*rows, *rest)]
    return [payload, columns, dealt.packets, dealt.payload_bytes, dealt.last_clock]


def test_packets_arrive_as_they_were() -> None:
    blocks = _blocks(capture_path("concurrent-old-8"), 1 << 17)
    assert len(blocks) > 16  # more than are on their way at once
    parts = [Dealt(block, block.ts, len(block) + 5, 99, 7) for block in blocks]
    parts.append(Dealt(blocks[0].rows(slice(0, 0)), blocks[0].ts[:0], 3, 0, 8))  # none of them its own
    arrived = _hand_over(parts, lambda dealt: repr(list(map(_columns, dealt))).encode())
    assert arrived == repr(list(map(_columns, parts))).encode()


def test_who_takes_no_more_is_not_waited_for() -> None:
    block = _blocks(capture_path("article"), 1 << 16)[0]
    parts = [Dealt(block, block.ts, len(block), 0, 0)] * 20
    assert _hand_over(parts, lambda dealt: repr(next(dealt).packets).encode()) is None


def test_a_channel_that_is_closed_loses_what_is_dealt() -> None:
    block = _blocks(capture_path("article"), 1 << 16)[0]
    hand = Hand()
    child: Channel = fork(lambda channel: None)
    hand.begin()
    child.close()
    hand.give(child, Dealt(block, block.ts, 1, 1, 1))
    assert hand.lost
    assert not hand.end(child)
    hand.close()
