"""Which connections are decoded by whom, when several processes decode one capture.

Whose a connection is follows from its endpoints, so nothing has to be agreed on: those that a sample of the capture
shows are dealt out by their packets, any other by a hash. Either every process reads the whole capture and takes its
own connections out of it, or the second one reads it and deals out the packets. The first worker takes everything that
is not MySQL, since equal image data on several connections are hashed once there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from glancetrace.capture.blocks import Int64Array
from glancetrace.capture.segments import SegmentBlock, Segments
from glancetrace.net.grouping import FlowGroups, FlowKey, group_flows

__all__ = ["READER", "Dealt", "Share", "share_out"]

READER = 1
"""The worker that reads, where one deals out the packets: the first has the rows of all others to take."""

_OTHER_WEIGHT = 2.0
"""Work for a packet that is not MySQL's, in units of one that is."""
_SENT_WEIGHT = 1.14
"""Work for a packet of MySQL's whose rows are packed to be sent to the first worker."""
_TAKEN_WEIGHT = 0.2
"""Work that such a packet is for the first worker."""
_READ_WEIGHT = 0.25
"""Work to read a packet and to deal it out."""

_LEAST_PART = 0.5
"""What a worker's part is taken for at least, in equal parts: connections that the sample did not show may be its."""


@dataclass(frozen=True, slots=True)
class Share:
    """The connections of one worker.

    Attributes:
        worker: whose share it is, from 0; count: how many workers there are.
        sql_ports: server ports of MySQL.
        dealt: MySQL connections that the sample shows -> worker.
        alone: the first worker has enough to do with what is not MySQL.
        part: how much of MySQL's packets are the worker's, about; never nothing.
    """

    worker: int
    count: int
    sql_ports: frozenset[int]
    dealt: dict[FlowKey, int]
    alone: bool
    part: float

    def owner(self, key: FlowKey) -> int:
        """Worker that decodes the connections between two endpoints."""
        if key[3] not in self.sql_ports and key[6] not in self.sql_ports:
            return 0
        worker = self.dealt.get(key)
        if worker is None:
            worker = self.alone + crc32(repr(key).encode()) % (self.count - self.alone)
        return worker

    def owners(self, groups: FlowGroups) -> Int64Array:
        """Worker that has each flow of a block, int64[flows]."""
        return np.array([self.owner(key) for key in groups.keys], np.int64)

    def own(self, groups: FlowGroups, owners: Int64Array) -> FlowGroups:
        """The flows of a block that are this worker's; `owners`: whose all of them are."""
        return groups.some(owners == self.worker)


@dataclass(slots=True, eq=False, repr=False)
class Dealt:
    """One worker's part of packets that follow on each other in the capture.

    Attributes:
        block: its segments. groups: the flows of these.
        clock: int64[n], capture time at each of them, ns: the latest of all packets so far.
        packets, payload_bytes: TCP packets and bytes that there are with those of the others.
        last_clock: capture time at the last of all, ns.
    """

    block: Segments
    groups: FlowGroups
    clock: Int64Array
    packets: int
    payload_bytes: int
    last_clock: int


def share_out(
    sample: Sequence[SegmentBlock], sql_ports: frozenset[int], count: int, *, deals: bool = True
) -> list[Share]:
    """Shares of `count` workers, by a sample of the packets; none where more than one is not worth it.

    A good part of the packets must be MySQL's: hashing image data keeps the cores busy without any help. `deals`:
    `READER` reads for all of them, and the first takes what they have decoded; else their work is alike.
    """
    packets: Counter[FlowKey] = Counter()
    for block in sample:
        if len(block):
            groups = group_flows(block)
            packets.update(dict(zip(groups.keys, groups.sizes().tolist(), strict=True)))
    sql = {key: size for key, size in packets.items() if not sql_ports.isdisjoint((key[3], key[6]))}
    total, of_sql = packets.total(), sum(sql.values())
    if count < 2 or not total or of_sql < total / 4:
        return []
    loads = [(total - of_sql) * _OTHER_WEIGHT, *[0.0] * (count - 1)]
    weights = [1.0] * count
    if deals:
        loads[READER] += total * _READ_WEIGHT
        weights[1:] = [_SENT_WEIGHT] * (count - 1)
    dealt: dict[FlowKey, int] = {}
    for key in sorted(sql, key=lambda key: (-sql[key], key)):
        ahead = [load + sql[key] * weight for load, weight in zip(loads, weights, strict=True)]
        worker = dealt[key] = ahead.index(min(ahead))
        loads[worker] = ahead[worker]
        if worker and deals:
            loads[0] += sql[key] * _TAKEN_WEIGHT
    alone = 0 not in dealt.values()
    sizes = [sum(sql[key] for key, owner in dealt.items() if owner == worker) for worker in range(count)]
    parts = [max(size / of_sql, _LEAST_PART / count) for size in sizes]
    return [Share(worker, count, sql_ports, dealt, alone, part) for worker, part in enumerate(parts)]
