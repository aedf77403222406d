"""Packets that one process deals out come to the same as if every process had read them all itself."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from glancetrace.capture.index import PacketIndex
from glancetrace.capture.inputs import open_captures
from glancetrace.capture.mapped import Mapping
from glancetrace.capture.segments import SegmentBlock
from glancetrace.dealing import Hand, deal, hands, keep_own
from glancetrace.forking import Channel, fork
from glancetrace.issues import IssueLog
from glancetrace.net.grouping import group_flows
from glancetrace.net.reassemble import Deal, TcpReassembler
from glancetrace.net.run import Connection
from glancetrace.net.share import READER, Dealt, Share, share_out
from glancetrace.net.verdict import Verdict
from tests.support.degrade import degrade
from tests.support.samples import capture_path
from tests.support.tcp_packets import Recorder

PORTS = frozenset({3306, 13000, 13292})
EPOCH = 700


def _blocks(path: Path, size: int, *, mapped: bool = False) -> list[SegmentBlock]:
    index = PacketIndex(IssueLog())
    return [index.index(block) for block in open_captures([str(path)], IssueLog(), block_size=size, mapped=mapped)]


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
    dealt: dict[int, list[Dealt]] = {share.worker: [] for share in shares if share.worker != READER}
    dealing = partial(deal, {worker: parts.append for worker, parts in dealt.items()})
    workers = [Worker(share, dealing if share.worker == READER else None) for share in shares]
    for block in blocks:
        workers[READER].tcp.push(block)
    for number, parts in dealt.items():
        for part in parts:
            workers[number].tcp.push_dealt(part)
    for worker, share in zip(workers, shares, strict=True):
        reader = Worker(share)
        for block in blocks:
            reader.tcp.push(block)
        told = worker.told()
        assert told == reader.told()
        assert told[0]


def _hand_over(parts: list[Dealt], take: Callable[[Hand], bytes]) -> bytes | None:
    """Send packets to another process; what `take` makes of them there."""
    hand = Hand()

    def work(channel: Channel) -> None:
        hand.takes()
        channel.send(take(hand))

    child = fork(work)
    hand.gives()
    try:
        for number, part in enumerate(parts, 1):
            hand.position = number, len(parts)
            hand.give(part)
        hand.end()
        return None if hand.lost else bytes(child.receive() or b"")
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
    groups = dealt.groups
    rows = (block.frame, block.ts, block.seq, block.ack, block.flags, block.payload_len, block.wire_len, dealt.clock)
    columns = [(column.dtype.str, column.tolist()) for column in (*rows, groups.rows, groups.starts, groups.side)]
    return [payload, columns, groups.keys, dealt.packets, dealt.payload_bytes, dealt.last_clock]


def _all_of(block: SegmentBlock, packets: int = 1, payload_bytes: int = 2, last_clock: int = 3) -> Dealt:
    """All packets of a block, dealt to one."""
    return Dealt(block, group_flows(block), block.ts, packets, payload_bytes, last_clock)


def _nothing_of(block: SegmentBlock) -> Dealt:
    """None of a block's packets."""
    dealt: list[Dealt] = []
    groups = group_flows(block)
    deal({0: dealt.append}, block, groups, np.ones(len(groups.keys), np.int64), block.ts)
    return dealt[0]


def test_packets_arrive_as_they_were() -> None:
    blocks = _blocks(capture_path("concurrent-old-8"), 1 << 17)
    assert len(blocks) > 16  # more than are on their way at once
    parts = [_all_of(block, len(block) + 5, 99, 7) for block in blocks]
    parts.append(_nothing_of(blocks[0]))

    def take(hand: Hand) -> bytes:
        return repr([(_columns(dealt), hand.position) for dealt in iter(hand.take, None)]).encode()

    sent = [(_columns(dealt), (number, len(parts))) for number, dealt in enumerate(parts, 1)]
    assert _hand_over(parts, take) == repr(sent).encode()


def test_what_lies_in_a_plain_file_is_taken_from_there(tmp_path: Path) -> None:
    plain = tmp_path / "plain.pcap"
    plain.write_bytes(gzip.decompress(capture_path("concurrent-old-8").read_bytes()))
    blocks = _blocks(plain, 1 << 17, mapped=True)
    assert sum(isinstance(block.data, Mapping) for block in blocks) > 8
    parts = [_all_of(block) for block in blocks]

    def take(hand: Hand) -> bytes:
        return repr([_columns(dealt) for dealt in iter(hand.take, None)]).encode()

    arrived = _hand_over(parts, take)
    assert arrived == repr(list(map(_columns, parts))).encode()
    plain.rename(tmp_path / "elsewhere.pcap")
    plain.write_bytes(b"another file")
    assert _hand_over(parts, take) in (None, b"")


def test_who_takes_no_more_is_not_waited_for() -> None:
    block = _blocks(capture_path("article"), 1 << 16)[0]
    parts = [_all_of(block)] * 20
    assert _hand_over(parts, lambda hand: repr(hand.take()).encode()) is None


def test_who_has_gone_is_dealt_nothing() -> None:
    block = _blocks(capture_path("article"), 1 << 16)[0]
    hand = Hand()
    fork(lambda channel: None).close()
    hand.gives()
    hand.give(_all_of(block))
    assert hand.lost
    hand.end()
    hand.close()


def test_a_reader_that_ends_before_the_capture_is_noticed() -> None:
    block = _blocks(capture_path("article"), 1 << 16)[0]
    ways = hands([0, 2])

    def read(channel: Channel) -> None:
        keep_own(ways, READER)
        ways[0].give(_all_of(block))

    child = fork(read)
    keep_own(ways, 0)
    dealt = ways[0].take()
    assert dealt is not None
    assert len(dealt.block) == len(block)
    with pytest.raises(BrokenPipeError):
        ways[0].take()
    child.close()
    for hand in ways.values():
        hand.close()
