"""Which flows of a block are in perfect order, found for all packets at once.

A flow is clean when taking its packets one by one (`glancetrace.net.reorder`) would deliver every payload at once: each
segment begins where the last one of its side ended, none is truncated, none acknowledges what the peer has not sent
yet, SYN comes first or not at all, and nothing comes after a FIN. Sums of lengths within the flow say what is expected
at each packet. All of it depends on the packets of the flow alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from glancetrace.capture.blocks import Int64Array
from glancetrace.capture.segments import Segments
from glancetrace.net.flow import UNKNOWN, UNWANTED, Flow
from glancetrace.net.grouping import FlowGroups
from glancetrace.net.reorder import ACK, FIN, RST, SEQUENCE_BASE, SYN

__all__ = ["FlowTable", "check_flows"]

_BoolArray = npt.NDArray[np.bool_]
_MASK = SEQUENCE_BASE - 1
_HALF = SEQUENCE_BASE >> 1


@dataclass(slots=True, eq=False, repr=False)
class FlowTable:
    """A block by flow; positions are those of `FlowGroups.rows`.

    Attributes:
        group: int64[n], flow of each position. side, flags: int64[n].
        clean: bool[flows].
        nxt: int64[flows, 2], next expected number after the block; base: int64[flows, 2], first number of streams that
            begin in this block; both hold only for clean flows, `UNKNOWN` where the side is not known.
        began: bool[flows, 2], whether the side sent anything that has a place in its stream, or its SYN was answered.
        seen: int64[flows], bit mask of the sides that sent a packet.
        expected, expected_peer: int64[n], next numbers of the packet's side and of its peer before the packet, if all
            before it are in order.
        off: int64[n], how far behind `expected` the packet begins. ahead: int64[n], how many bytes behind
            `expected_peer` it acknowledges.
        special: bool[n], whether the packet does more than to carry data and to acknowledge what is known, or is cut.
    """

    group: Int64Array
    side: Int64Array
    flags: Int64Array
    clean: _BoolArray
    nxt: Int64Array
    base: Int64Array
    began: _BoolArray
    seen: Int64Array
    expected: Int64Array
    expected_peer: Int64Array
    off: Int64Array
    ahead: Int64Array
    special: _BoolArray


def _first_position(mask: _BoolArray, starts: Int64Array) -> Int64Array:
    """Position of the first True of each group, n where there is none."""
    size = len(mask)
    first: Int64Array = np.minimum.reduceat(np.where(mask, np.arange(size), size), starts)
    return first


def check_flows(block: Segments, groups: FlowGroups, flows: list[Flow | None]) -> FlowTable:
    """Judge all flows of a block; `flows` has None for those that are new."""
    rows, starts = groups.rows, groups.starts
    size = len(rows)
    group = np.repeat(np.arange(len(starts)), groups.sizes())
    side = groups.side[rows]
    flags = block.flags[rows].astype(np.int64)
    seq, ack = block.seq[rows], block.ack[rows]
    wire_len = block.wire_len[rows]
    syn, fin = flags & SYN != 0, flags & FIN != 0
    has_ack = flags & ACK != 0
    length = wire_len + fin + syn

    known = np.array([(UNKNOWN, UNKNOWN) if flow is None else flow.nxt for flow in flows], np.int64)
    first = np.stack([_first_position(side == 0, starts), _first_position(side == 1, starts)], axis=1)
    nxt, by_ack = _first_numbers(known, first, seq, ack, has_ack, starts, np.array([flow is None for flow in flows]))

    sent = np.zeros((2, size + 1), np.int64)
    np.cumsum(np.where(side == 0, length, 0), out=sent[0, 1:])
    np.cumsum(np.where(side == 1, length, 0), out=sent[1, 1:])
    at_start = sent[:, starts]
    position = np.arange(size)
    peer = 1 - side
    expected = nxt[group, side] + sent[side, position] - at_start[side, group]
    expected_peer = nxt[group, peer] + sent[peer, position] - at_start[peer, group]

    off = ((seq - expected + _HALF) & _MASK) - _HALF
    ahead = np.where(has_ack, ((ack - expected_peer + _HALF) & _MASK) - _HALF, 0)
    bad = has_ack & (position < first[group, peer]) & ~by_ack[group, peer]
    bad |= (wire_len != block.payload_len[rows]) | (flags & RST != 0)
    bad |= syn & ((known[group, side] != UNKNOWN) | by_ack[group, side] | (position != first[group, side]))
    bad |= syn & ~has_ack & (position != starts[group])
    finished = np.array([0 if flow is None else flow.fins for flow in flows], np.int64)
    fins = np.zeros((2, size + 1), np.int64)
    np.cumsum(fin & (side == 0), out=fins[0, 1:])
    np.cumsum(fin & (side == 1), out=fins[1, 1:])
    fin_before = fins[side, position] - fins[side, starts[group]] + (finished[group] >> side & 1)
    bad |= (length > 0) & (fin_before > 0)
    special = bad | syn | fin
    bad |= (length > 0) & (off != 0) | (ahead > 0)

    clean = ~np.logical_or.reduceat(bad, starts)
    clean &= np.array(
        [flow is None or (flow.order is None and not flow.closed and flow.wanted != UNWANTED) for flow in flows]
    )
    total = (sent[:, np.append(starts[1:], size)] - at_start).T
    after = np.where(nxt == UNKNOWN, UNKNOWN, nxt + total)
    seen = (first[:, 0] < size) + 2 * (first[:, 1] < size)
    began = total > 0
    began[group[syn & has_ack], peer[syn & has_ack]] = True
    base = _bases(known, nxt, first, syn)
    return FlowTable(group, side, flags, clean, after, base, began, seen, expected, expected_peer, off, ahead, special)


def _first_numbers(
    known: Int64Array,
    first: Int64Array,
    seq: Int64Array,
    ack: Int64Array,
    has_ack: _BoolArray,
    starts: Int64Array,
    is_new: _BoolArray,
) -> tuple[Int64Array, _BoolArray]:
    """Number that each side begins the block with, int64[flows, 2], and whether it was known before the side spoke.

    A side that is not known begins with its first packet, or with what the first packet of a new flow acknowledges.
    """
    size = len(seq)
    spoke = first < size
    nxt = np.where(spoke, seq[np.minimum(first, size - 1)] + SEQUENCE_BASE, UNKNOWN)
    acknowledged = (is_new & has_ack[starts])[:, None] & (first != starts[:, None])
    nxt = np.where(acknowledged, ack[starts][:, None] + SEQUENCE_BASE, nxt)
    by_ack = acknowledged | (known != UNKNOWN)
    return np.where(known != UNKNOWN, known, nxt), by_ack


def _bases(known: Int64Array, nxt: Int64Array, first: Int64Array, syn: _BoolArray) -> Int64Array:
    """First byte's 32-bit number of streams that were not known before the block, else `UNKNOWN`."""
    size = len(syn)
    begins_with_syn = (first < size) & syn[np.minimum(first, size - 1)]
    new = (known == UNKNOWN) & (nxt != UNKNOWN)
    return np.where(new, (nxt + begins_with_syn) & _MASK, UNKNOWN)
