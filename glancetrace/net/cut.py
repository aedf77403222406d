"""Runs of the flows of a block that are in perfect order, cut where the flow or the direction changes.

What a run needs is computed for all packets at once; per run only slices are left, per packet only its slice of the
payload where a run has several.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from glancetrace.capture.segments import Segments
from glancetrace.net.clean import FlowTable
from glancetrace.net.grouping import FlowGroups
from glancetrace.net.run import Run

__all__ = ["cut_runs"]


def cut_runs(
    block: Segments, groups: FlowGroups, table: FlowTable, wanted: npt.NDArray[np.bool_]
) -> Iterator[tuple[int, list[Run]]]:
    """Yield number of the flow and its runs in capture order; `wanted` is bool[flows].

    `Run.direction` is the side that sent it: which side is the client may become known by the first run.
    """
    positions = np.flatnonzero((block.payload_len[groups.rows] > 0) & wanted[table.group])
    if not len(positions):
        return
    rows = groups.rows[positions]
    lane = table.group[positions] * 2 + table.side[positions]
    starts = np.flatnonzero(np.diff(lane, prepend=-1))
    stops = np.append(starts[1:], len(rows))
    payload_len = block.payload_len[rows]
    payload = block.payload[rows]
    ends = np.cumsum(payload_len)
    begins = ends - payload_len
    offsets = (begins - np.repeat(begins[starts], stops - starts)).tolist()
    froms = payload.tolist()
    tos = (payload + payload_len).tolist()
    ts = block.ts[rows].tolist()
    frames = block.frame[rows].tolist()
    data = block.data
    view = memoryview(data)
    first = [0]
    runs: list[Run] = []
    current = -1
    for start, stop, number in zip(starts.tolist(), stops.tolist(), lane[starts].tolist(), strict=True):
        if number >> 1 != current:
            if runs:
                yield current, runs
            current = number >> 1
            runs = []
        if stop == start + 1:
            runs.append(Run(number & 1, data[froms[start] : tos[start]], first, [ts[start]], [frames[start]]))
        else:
            pieces = [view[a:b] for a, b in zip(froms[start:stop], tos[start:stop], strict=True)]
            runs.append(Run(number & 1, b"".join(pieces), offsets[start:stop], ts[start:stop], frames[start:stop]))
    yield current, runs
