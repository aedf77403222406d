"""Which packets of a block belong to which TCP connection's endpoints."""

from __future__ import annotations

import numpy as np

from glancetrace.capture.blocks import Int64Array, PacketBlock
from glancetrace.capture.index import PacketIndex
from glancetrace.issues import IssueLog
from glancetrace.net.flow import endpoint_of
from glancetrace.net.grouping import FlowKey, group_flows
from glancetrace.net.run import Endpoint

__all__ = ["FlowRows", "Pair"]

Pair = tuple[Endpoint, Endpoint]
"""Two endpoints, the lesser first."""


class FlowRows:
    """Tells the packets of a capture apart by connection; blocks must come in order."""

    def __init__(self) -> None:
        self._index = PacketIndex(IssueLog())
        self._pairs: dict[FlowKey, Pair] = {}

    def of(self, block: PacketBlock) -> tuple[list[tuple[Pair, Int64Array]], Int64Array]:
        """Rows of the block by pair of endpoints, in order of their first rows; and those that are no TCP."""
        segments = self._index.index(block)
        rest = np.ones(len(block), bool)
        if not len(segments):
            return [], np.flatnonzero(rest)
        groups = group_flows(segments)
        rows = (segments.frame - block.first_frame)[groups.rows]
        rest[rows] = False
        bounds = [*groups.starts.tolist(), len(groups.rows)]
        found = [
            (self._pair(key), rows[start:stop])
            for key, start, stop in zip(groups.keys, bounds, bounds[1:], strict=False)
        ]
        found.sort(key=lambda item: int(item[1][0]))
        return found, np.flatnonzero(rest)

    def _pair(self, key: FlowKey) -> Pair:
        pair = self._pairs.get(key)
        if pair is None:
            one, other = sorted((endpoint_of(key, 0), endpoint_of(key, 1)))
            pair = self._pairs[key] = (one, other)
        return pair
