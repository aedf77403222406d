"""Ranges of streams that more than one packet carries: they must become the same bytes in all of them.

Found for all packets of a block at once, beside the reassembly, which has grouped them by connection: a payload that
begins before the end of one that came before is a copy, or reaches into one. Sequence numbers are unwrapped from packet
to packet, as in `offsets`; which offset they are shows when the first reading is over.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from glancetrace.capture.blocks import Int64Array
from glancetrace.capture.segments import Segments
from glancetrace.edit.sanitize.plan import ConnectionPlan
from glancetrace.net.clean import FlowTable
from glancetrace.net.flow import endpoint_of
from glancetrace.net.grouping import FlowGroups, FlowKey

__all__ = ["Copies"]

_MASK = 0xFFFFFFFF
_HALF = 0x80000000
_SYN = 2
_SPAN = 1 << 42
"""No two places of a stream in one block are so far from each other."""


@dataclass(slots=True)
class _Lane:
    """One direction between two endpoints: unwrapped sequence numbers.

    `origin`: of the first packet. last: of the newest packet; high: behind the furthest payload, None before the first.
    """

    origin: int
    last: int
    high: int | None = None
    ranges: list[tuple[int, int]] = field(default_factory=list)


class Copies:
    """Looks for them while blocks are reassembled.

    Args:
        opened: first frames of the connections between two endpoints, ascending.
    """

    def __init__(self, opened: dict[FlowKey, list[int]]) -> None:
        self._opened = opened
        self._lanes: dict[tuple[FlowKey, int, int], _Lane] = {}

    def take(self, block: Segments, groups: FlowGroups, table: FlowTable) -> None:
        """The packets of the next block, whose connections are opened."""
        frame = block.frame[groups.rows]
        # Where a connection was opened between the packets of a flow, those before it are of another one.
        cuts = sorted(
            {
                cut
                for key, first in zip(groups.keys, frame[groups.starts].tolist(), strict=True)
                if self._opened[key][-1] > first
                for cut in self._opened[key]
                if cut > first
            }
        )
        begin = 0
        for end in [*cuts, int(block.frame[-1]) + 1]:
            positions = np.flatnonzero((frame >= begin) & (frame < end)) if cuts else np.arange(len(frame))
            if len(positions):
                self._take(block, groups, table, positions, end)
            begin = end

    def _take(self, block: Segments, groups: FlowGroups, table: FlowTable, positions: Int64Array, before: int) -> None:
        """Packets of which none is of an older connection than another one of its flow."""
        lane = table.group[positions] * 2 + table.side[positions]
        order = np.argsort(lane, kind="stable")
        lane = lane[order]
        rows = groups.rows[positions[order]]
        starts = np.flatnonzero(np.diff(lane, prepend=-1))
        seq = (block.seq[rows] + (block.flags[rows] & _SYN != 0)) & _MASK
        lanes = [
            self._lane(groups.keys[number >> 1], number & 1, before, first)
            for number, first in zip(lane[starts].tolist(), seq[starts].tolist(), strict=True)
        ]
        last = np.array([one.last for one in lanes], np.int64)
        steps = np.diff(seq, prepend=0)
        steps[starts] = seq[starts] - last
        steps = ((steps + _HALF) & _MASK) - _HALF
        total = np.cumsum(steps)
        number = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(lane)))
        # Behind the last packet of the block before, by lane.
        begin = total - (total[starts] - steps[starts])[number]
        for one, step in zip(lanes, begin[np.append(starts[1:], len(lane)) - 1].tolist(), strict=True):
            one.last += step
        carries = np.flatnonzero(block.payload_len[rows] > 0)
        if len(carries):
            number = number[carries]
            begin = begin[carries]
            self._find(lanes, last, number, begin, begin + block.payload_len[rows[carries]])

    def _find(
        self, lanes: list[_Lane], last: Int64Array, number: Int64Array, begin: Int64Array, end: Int64Array
    ) -> None:
        """Payloads, lane by lane, counted from `last` of their lane; those of the next lane stand far behind."""
        starts = np.flatnonzero(np.diff(number, prepend=-1))
        shift = number * _SPAN
        speaking = number[starts].tolist()
        known = [lanes[one].high for one in speaking]
        high = np.array([-_HALF if one is None else one for one in known], np.int64)
        high = np.where([one is None for one in known], -_SPAN // 4, high - last[number[starts]]) + shift[starts]
        reached = end + shift
        reached[starts] = np.maximum(reached[starts], high)
        reached = np.maximum.accumulate(reached)
        before = np.append(0, reached[:-1])
        before[starts] = high
        for row in np.flatnonzero(begin + shift < before).tolist():
            one = int(number[row])
            base = int(last[one])
            lanes[one].ranges.append((base + int(begin[row]), base + int(end[row])))
        behind = reached[np.append(starts[1:], len(number)) - 1] - shift[starts] + last[number[starts]]
        for one, value in zip(speaking, behind.tolist(), strict=True):
            lanes[one].high = value

    def _lane(self, key: FlowKey, side: int, before: int, first: int) -> _Lane:
        """The lane of the newest connection that was opened before a frame; `first`: sequence number, if it is new."""
        opening = next(frame for frame in reversed(self._opened[key]) if frame < before)
        name = (key, opening, side)
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = _Lane(first, first)
        return lane

    def finish(self, plans: Iterable[ConnectionPlan]) -> None:
        """All packets are known, and where the streams begin: tell the plans."""
        by_frame = {plan.connection.first_frame: plan for plan in plans}
        for (key, opening, side), lane in self._lanes.items():
            plan = by_frame.get(opening)
            if plan is None or not lane.ranges:
                continue
            stream = plan.streams[side if endpoint_of(key, 0) == plan.connection.client else side ^ 1]
            if stream.anchor is not None:
                shift = ((lane.origin - stream.anchor + _HALF) & _MASK) - _HALF - lane.origin
                stream.copied = _overlapping([(begin + shift, end + shift) for begin, end in lane.ranges])


def _overlapping(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The ranges in order, those that overlap joined, those that only touch not."""
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(ranges):
        if joined and begin < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((begin, end))
    return joined
