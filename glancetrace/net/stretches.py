"""Stretches of a flow that are in order, though the flow as a whole is not.

One packet captured out of turn would send all others of its flow and block the slow way. Where every packet of a side
begins where the one before it ended, and none acknowledges what the peer has not sent yet, packets can be taken at
once, as soon as the flow has arrived at the numbers with which they begin and nothing waits there any more.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from glancetrace.capture.blocks import Int64Array
from glancetrace.capture.segments import Segments
from glancetrace.net.clean import FlowTable
from glancetrace.net.run import Run

__all__ = ["Packet", "cut_stretch", "find_stretches", "packets_of"]

Packet = tuple[int, int, int, int, int, int, int, int, int, int, int]
"""Side, seq, ack, flags, payload, payload_len, wire_len, ts, frame, capture time before and after the packet."""


def packets_of(
    block: Segments, side: Int64Array, rows: Int64Array, clock: Int64Array, clock_before: int
) -> list[Packet]:
    """Some packets of a block, one by one."""
    before = np.concatenate(([clock_before], clock[:-1]))
    columns = (
        side,
        block.seq,
        block.ack,
        block.flags,
        block.payload,
        block.payload_len,
        block.wire_len,
        block.ts,
        block.frame,
        before,
        clock,
    )
    return list(zip(*(column[rows].tolist() for column in columns), strict=True))


def find_stretches(table: FlowTable, positions: Int64Array) -> tuple[list[int], list[tuple[int, int]]]:
    """Where the stretch ends that begins at each of the `positions` (ascending, whole flows), as an index of them, and
    the next numbers that its side and the peer must have there; an empty stretch ends where it begins."""
    size = len(positions)
    here = np.arange(size)
    side, off = table.side[positions], table.off[positions]
    new_flow = np.diff(table.group[positions], prepend=-1) != 0
    begin = np.maximum.accumulate(np.where(new_flow, here, 0))
    # Newest packet of either side up to each position: from it on, the side is as far off as that packet.
    newest = [np.maximum.accumulate(np.where(side == one, here, -1)) for one in (0, 1)]
    peer_newest = np.where(side == 0, newest[1], newest[0])
    off_peer = np.where(peer_newest >= begin, off[peer_newest], 0)
    before = np.where(side == 0, np.append(-1, newest[0][:-1]), np.append(-1, newest[1][:-1]))
    off_before = np.where(before >= begin, off[before], 0)
    odd = table.special[positions] | (off != off_before) | (table.ahead[positions] > off_peer)
    ends = np.flatnonzero(odd | new_flow)
    stops = np.append(ends, size)[np.searchsorted(ends, here, side="right")]
    expected = (table.expected[positions] + off).tolist()
    expected_peer = (table.expected_peer[positions] + off_peer).tolist()
    return np.where(odd, here, stops).tolist(), list(zip(expected, expected_peer, strict=True))


def cut_stretch(buffer: bytes, packets: Sequence[Packet]) -> list[Run]:
    """Runs of a stretch; `direction` is the side that sent it, payloads point into `buffer`."""
    runs: list[Run] = []
    pieces: list[bytes] = []
    run = Run(-1, b"", [], [], [])
    size = 0
    for packet in packets:
        length = packet[5]
        if not length:
            continue
        side, payload = packet[0], packet[4]
        if side != run.direction:
            run.data = b"".join(pieces)
            run = Run(side, b"", [], [], [])
            runs.append(run)
            pieces.clear()
            size = 0
        run.offsets.append(size)
        run.ts.append(packet[7])
        run.frames.append(packet[8])
        pieces.append(buffer[payload : payload + length])
        size += length
    run.data = b"".join(pieces)
    return runs
