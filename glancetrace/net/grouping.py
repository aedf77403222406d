"""Which packets of a block belong to the same pair of endpoints.

A flow is an unordered pair of endpoints. Each endpoint is mixed into 64 bits; the sum of both names the flow, the order
of both names the side that sent a packet, so no address is ever compared packet by packet. One stable sort then puts
the packets of a flow together in capture order. That two flows share a name is all but impossible unless somebody
builds them for it, so the columns of every group are compared in whole, and a block where they differ is grouped by
the exact columns instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress

import numpy as np
import numpy.typing as npt

from glancetrace.capture.blocks import Int64Array
from glancetrace.capture.segments import SegmentBlock

__all__ = ["FlowGroups", "FlowKey", "group_flows"]

FlowKey = tuple[int, int, int, int, int, int, int]
"""IP version, then address (two halves) and port of side 0, then of side 1."""

_Uint64Array = npt.NDArray[np.uint64]
_BoolArray = npt.NDArray[np.bool_]

# Odd 64-bit constants of the SplitMix64 generator (Steele, Lea, Flood 2014) and its finaliser.
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_SHIFT_1 = np.uint64(30)
_SHIFT_2 = np.uint64(27)
_SHIFT_3 = np.uint64(31)

_IPV4 = np.uint8(4)
_IPV4_COLUMNS = 2
_ADDRESS_BITS = np.uint64(32)
_ADDRESS = np.uint64(0xFFFFFFFF)
_PORT_BITS = np.uint64(16)
_PORT = np.uint64(0xFFFF)


@dataclass(slots=True, eq=False, repr=False)
class FlowGroups:
    """The packets of a block, flow by flow.

    Attributes:
        rows: int64[n], rows of the block by flow, within a flow in capture order.
        starts: int64[flows], where each flow begins in `rows`.
        side: int64[n], side (0 or 1) that sent the packet, by row of the block.
        keys: exact endpoints of each flow.
    """

    rows: Int64Array
    starts: Int64Array
    side: Int64Array
    keys: list[FlowKey]

    def sizes(self) -> Int64Array:
        """Packets of each flow, int64[flows]."""
        return np.diff(self.starts, append=len(self.rows))

    def some(self, wanted: _BoolArray) -> FlowGroups:
        """Some of the flows; `wanted` is bool[flows]."""
        if wanted.all():
            return self
        sizes = self.sizes()
        kept = sizes[wanted]
        keys = list(compress(self.keys, wanted.tolist()))
        return FlowGroups(self.rows[np.repeat(wanted, sizes)], np.cumsum(kept) - kept, self.side, keys)


def _mix_endpoint(address: _Uint64Array, port: Int64Array, version: npt.NDArray[np.uint8]) -> _Uint64Array:
    value: _Uint64Array = (address[:, 0] * _MIX_1 + address[:, 1] + _GOLDEN) * _MIX_2
    value ^= value >> _SHIFT_3
    value += (port << 4 | version).astype(np.uint64) * _GOLDEN
    value = (value ^ (value >> _SHIFT_1)) * _MIX_1
    value = (value ^ (value >> _SHIFT_2)) * _MIX_2
    value ^= value >> _SHIFT_3
    return value


def _is_swapped(block: SegmentBlock, source: _Uint64Array, target: _Uint64Array) -> _BoolArray:
    """Whether the sender is side 1: the endpoint with the greater mix, or the greater endpoint where both are equal."""
    swapped: _BoolArray = source > target
    for row in np.flatnonzero(source == target).tolist():
        sender = (*block.src[row].tolist(), int(block.sport[row]))
        receiver = (*block.dst[row].tolist(), int(block.dport[row]))
        swapped[row] = sender > receiver
    return swapped


def _exact_columns(block: SegmentBlock, swapped: _BoolArray) -> list[npt.NDArray[np.uint64]]:
    """What packets of a flow have in common, as few columns of uint64[n]: those of `FlowKey`, where all is IPv4 those
    of its addresses and of its ports in one each."""
    src, dst = block.src, block.dst
    one, other = (np.where(swapped, dst[:, 1], src[:, 1]), np.where(swapped, src[:, 1], dst[:, 1]))
    port = np.where(swapped, block.dport, block.sport).astype(np.uint64)
    other_port = np.where(swapped, block.sport, block.dport).astype(np.uint64)
    if (block.version == _IPV4).all():
        return [one << _ADDRESS_BITS | other, port << _PORT_BITS | other_port]
    halves = (np.where(swapped, dst[:, 0], src[:, 0]), np.where(swapped, src[:, 0], dst[:, 0]))
    return [block.version.astype(np.uint64), halves[0], one, port, halves[1], other, other_port]


def _keys(columns: list[npt.NDArray[np.uint64]]) -> list[FlowKey]:
    """Keys of flows, from the columns of one packet of each."""
    if len(columns) == _IPV4_COLUMNS:
        addresses, ports = columns
        both = (addresses >> _ADDRESS_BITS, addresses & _ADDRESS, ports >> _PORT_BITS, ports & _PORT)
        rows = zip(*(column.tolist() for column in both), strict=True)
        return [(int(_IPV4), 0, one, port, 0, other, other_port) for one, other, port, other_port in rows]
    return list(zip(*(column.tolist() for column in columns), strict=True))


def group_flows(block: SegmentBlock) -> FlowGroups:
    """Group the packets of a block that is not empty."""
    source = _mix_endpoint(block.src, block.sport, block.version)
    target = _mix_endpoint(block.dst, block.dport, block.version)
    swapped = _is_swapped(block, source, target)
    exact = _exact_columns(block, swapped)
    name = source + target
    rows = np.argsort(name, kind="stable")
    by_flow = name[rows]
    same = by_flow[1:] == by_flow[:-1]
    for column in exact:
        ordered = column[rows]
        if (same & (ordered[1:] != ordered[:-1])).any():
            _, inverse = np.unique(np.stack(exact, axis=1), axis=0, return_inverse=True)
            number = inverse.reshape(-1)
            rows = np.argsort(number, kind="stable")
            same = np.diff(number[rows]) == 0
            break
    starts = np.flatnonzero(np.append(True, ~same))
    keys = _keys([column[rows[starts]] for column in exact])
    return FlowGroups(rows, starts, swapped.astype(np.int64), keys)
