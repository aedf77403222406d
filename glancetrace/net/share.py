"""Which connections are decoded by whom, when several processes decode one capture.

Every process reads and indexes the whole capture and takes its own connections out of it. Whose a connection is follows
from its endpoints alone, so nothing has to be agreed on or remembered. The last worker takes everything that is not
MySQL, since equal image data on several connections are hashed once there, and as much of the rest as makes its share
of the packets equal to the others'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from glancetrace.capture.segments import SegmentBlock
from glancetrace.net.grouping import FlowGroups, FlowKey

__all__ = ["Share", "share_out"]

_RANGE = 1 << 16
_OTHER_WEIGHT = 2.0
"""Work for a packet that is not MySQL's, in units of one that is."""
_LAST = 0.9
"""The last worker's share of an equal one: its rows, and those of others, have to come to the first one yet."""


@dataclass(frozen=True, slots=True)
class Share:
    """The connections of one worker.

    Attributes:
        worker: whose share it is, from 0; count: how many workers there are.
        sql_ports: server ports of MySQL. last_sql: part of the MySQL connections that the last worker takes, 0 to 1.
    """

    worker: int
    count: int
    sql_ports: frozenset[int]
    last_sql: float

    def owner(self, key: FlowKey) -> int:
        """Worker that decodes the connections between two endpoints."""
        last = self.count - 1
        if key[3] not in self.sql_ports and key[6] not in self.sql_ports:
            return last
        point = crc32(repr(key).encode()) % _RANGE / _RANGE
        if point < self.last_sql:
            return last
        return min(int((point - self.last_sql) / (1 - self.last_sql) * last), last - 1)

    def own(self, groups: FlowGroups) -> FlowGroups:
        """The flows of a block that are this worker's."""
        ours = np.array([self.owner(key) == self.worker for key in groups.keys], bool)
        if ours.all():
            return groups
        sizes = np.diff(groups.starts, append=len(groups.rows))
        kept = sizes[ours]
        keys = [key for key, mine in zip(groups.keys, ours.tolist(), strict=True) if mine]
        return FlowGroups(groups.rows[np.repeat(ours, sizes)], np.cumsum(kept) - kept, groups.side, keys)


def share_out(sample: Sequence[SegmentBlock], sql_ports: frozenset[int], count: int) -> list[Share]:
    """Shares of `count` workers, by a sample of the packets; none where more than one is not worth it.

    Reading and indexing is done by each of them, so a worker must take a good part of the connections' packets, and
    hashing image data keeps the cores busy without any help.
    """
    ports = np.array(sorted(sql_ports))
    total = float(sum(map(len, sample)))
    sql = float(sum((np.isin(block.sport, ports) | np.isin(block.dport, ports)).sum() for block in sample))
    other = (total - sql) * _OTHER_WEIGHT
    if count < 2 or not total or sql < total / 4:
        return []
    equal = (sql + other) / count
    last_sql = max(0.0, (equal * _LAST - other) / sql)
    return [Share(worker, count, sql_ports, last_sql) for worker in range(count)]
