"""Where in its stream the payload of each packet stands: TCP sequence numbers become offsets of a plan.

A plan counts from the first byte decoded, whose sequence number is its anchor. Between the same endpoints there may be
one connection after the other; a packet belongs to the one that was opened last, as the first reading saw it. Sequence
numbers are 32 bits wide and are unwrapped from packet to packet (RFC 9293, 3.4).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from glancetrace.capture.blocks import Int64Array
from glancetrace.capture.segments import SegmentBlock, Segments
from glancetrace.edit.sanitize.copies import Copies
from glancetrace.edit.sanitize.plan import ConnectionPlan, StreamPlan
from glancetrace.net.clean import FlowTable
from glancetrace.net.flow import Flow, endpoint_of
from glancetrace.net.grouping import FlowGroups, FlowKey, group_flows
from glancetrace.net.reassemble import TcpReassembler

__all__ = ["Offsets", "OpeningReassembler", "Sequences", "StreamRows"]

_MASK = 0xFFFFFFFF
_HALF = 0x80000000
_SYN = 2


class OpeningReassembler(TcpReassembler):
    """Remembers when connections were opened, also those that nobody wants.

    Attributes:
        opened: first frames of the connections between two endpoints, ascending.
        copies: looks for ranges that more than one packet carries; None: nobody does.
    """

    opened: dict[FlowKey, list[int]]
    copies: Copies | None = None

    def _open(self, block: Segments, row: int, key: FlowKey, side: int) -> Flow:
        flow = super()._open(block, row, key, side)
        self.opened.setdefault(key, []).append(flow.connection.first_frame)
        return flow

    def _push_packets(
        self, block: Segments, groups: FlowGroups, known: list[Flow | None], table: FlowTable, clock: Int64Array
    ) -> list[Flow]:
        flows = super()._push_packets(block, groups, known, table, clock)
        if self.copies is not None:
            self.copies.take(block, groups, table)
        return flows


class Sequences:
    """Sequence number and length of every packet's payload, by frame: some bytes per packet."""

    def __init__(self) -> None:
        self._blocks: list[tuple[Int64Array, npt.NDArray[np.uint32], npt.NDArray[np.int32]]] = []
        self._frames = np.empty(0, np.int64)
        self._seq = np.empty(0, np.uint32)
        self._length = np.empty(0, np.int32)

    def add(self, segments: SegmentBlock) -> None:
        """The segments of the next block."""
        seq = (segments.seq + (segments.flags & _SYN != 0)) & _MASK
        self._blocks.append((segments.frame, seq.astype(np.uint32), segments.payload_len.astype(np.int32)))

    def finish(self) -> None:
        """All packets are known."""
        if self._blocks:
            self._frames = np.concatenate([block[0] for block in self._blocks])
            self._seq = np.concatenate([block[1] for block in self._blocks])
            self._length = np.concatenate([block[2] for block in self._blocks])
            self._blocks.clear()

    def anchor(self, stream: StreamPlan) -> bool:
        """Find the anchor of a stream; False when the packets contradict its counting."""
        if not stream.checks:
            return True
        frame, offset, length = np.array(stream.checks, np.int64).reshape(-1, 3).T
        del stream.checks[:]
        row = np.searchsorted(self._frames, frame)
        seq, payload_len = self._seq[row].astype(np.int64), self._length[row]
        whole = length == payload_len
        if not whole.any():
            # What was seen before was cut off the front.
            stream.anchor = int((seq[0] + payload_len[0] - length[0] - offset[0]) & _MASK)
            return True
        anchors = (seq - offset)[whole] & _MASK
        stream.anchor = int(anchors[0])
        return bool((anchors == anchors[0]).all())


@dataclass(slots=True, eq=False)
class StreamRows:
    """Packets of one stream in a block: rows of the segments in capture order, and where their payloads begin."""

    plan: ConnectionPlan
    stream: StreamPlan
    rows: Int64Array
    begin: Int64Array


@dataclass(slots=True)
class _Opening:
    """A connection between two endpoints from `first_frame` on; without a plan nobody wants it."""

    first_frame: int
    plan: ConnectionPlan | None
    client_side: int = 0


class Offsets:
    """Offsets of the packets of one reading; blocks must come in order."""

    def __init__(self, plans: list[ConnectionPlan], opened: dict[FlowKey, list[int]]) -> None:
        self._opened = opened
        self._plans = {plan.connection.first_frame: plan for plan in plans}
        self._openings: dict[FlowKey, list[_Opening]] = {}
        self._last: dict[int, int] = {}

    def of(self, segments: SegmentBlock) -> Iterator[StreamRows]:
        """The packets with a plan, stream by stream."""
        if not len(segments):
            return
        groups = group_flows(segments)
        bounds = [*groups.starts.tolist(), len(groups.rows)]
        for number, key in enumerate(groups.keys):
            rows = groups.rows[bounds[number] : bounds[number + 1]]
            openings = self._of_key(key)
            for index, opening in enumerate(openings):
                plan = opening.plan
                if plan is None:
                    continue
                mine = rows
                if len(openings) > 1:
                    frames = segments.frame[rows]
                    mine = rows[frames >= opening.first_frame]
                    if index + 1 < len(openings):
                        mine = mine[segments.frame[mine] < openings[index + 1].first_frame]
                if len(mine):
                    yield from self._streams(segments, plan, mine, groups.side[mine] ^ opening.client_side)

    def _of_key(self, key: FlowKey) -> list[_Opening]:
        openings = self._openings.get(key)
        if openings is None:
            openings = []
            for first_frame in self._opened.get(key, ()):
                plan = self._plans.get(first_frame)
                client_side = 0
                if plan is not None:
                    client_side = 0 if endpoint_of(key, 0) == plan.connection.client else 1
                openings.append(_Opening(first_frame, plan, client_side))
            self._openings[key] = openings
        return openings

    def _streams(
        self, segments: SegmentBlock, plan: ConnectionPlan, rows: Int64Array, direction: Int64Array
    ) -> Iterator[StreamRows]:
        for side in (0, 1):
            mine = rows[direction == side]
            stream = plan.streams[side]
            if not len(mine):
                continue
            if stream.anchor is None:
                # Nothing was decoded, so nothing may stay: any offset will do.
                yield StreamRows(plan, stream, mine, np.full(len(mine), -_HALF, np.int64))
                continue
            relative = (segments.seq[mine] + (segments.flags[mine] & _SYN != 0) - stream.anchor) & _MASK
            last = self._last.get(id(stream), 0)
            steps = ((np.diff(relative, prepend=last & _MASK) + _HALF) & _MASK) - _HALF
            begin = last + np.cumsum(steps)
            self._last[id(stream)] = int(begin[-1])
            yield StreamRows(plan, stream, mine, begin)
