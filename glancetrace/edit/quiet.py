"""Cuts only where nothing is under way: a piece ends at the next quiet point behind the place where it would end.

A point between two packets is quiet when no HTTP exchange and no MySQL command was begun before it and ended behind it.
Under load there may be none for a long time; after a bound the cut is made all the same.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from glancetrace.capture.blocks import Int64Array
from glancetrace.edit.cutting import Cut
from glancetrace.trace import Trace

__all__ = ["QuietCut", "quiet_points"]

BoolArray = npt.NDArray[np.bool_]


def quiet_points(trace: Trace) -> BoolArray:
    """bool[packets + 1]: whether the capture can be cut behind that frame."""
    tables = trace.tables
    spans = [(hop.first_frame, hop.last_frame) for call in tables.calls for hop in call.hops]
    for statement in tables.statements:
        command = statement.command
        spans.append((command.first_frame, max(command.request_frame, command.response_frame or 0)))
        spans += [(hop.first_frame, hop.last_frame) for hop in statement.hops]
    change = np.zeros(trace.capture.packets + 2, np.int64)
    for first, last in spans:
        change[first] += 1
        change[last] -= 1
    quiet: BoolArray = np.cumsum(change)[:-1] == 0
    return quiet


class QuietCut:
    """A rule that waits for quiet points.

    Args:
        cut: the rule that says where a piece would end.
        quiet: bool by frame, see `quiet_points`.
        bound: packets that it waits for one, at the most.
    """

    def __init__(self, cut: Cut, quiet: BoolArray, bound: int) -> None:
        self._cut = cut
        self._quiet = quiet
        self._bound = bound
        self._ordinal: int | None = None
        self._waited = 0

    def ordinals(self, frames: Int64Array, ts: Int64Array, sizes: Int64Array, preamble_len: int) -> Int64Array:
        """See `Cut`."""
        wanted = self._cut.ordinals(frames, ts, sizes, preamble_len)
        ordinals = np.empty_like(wanted)
        if self._ordinal is None:
            self._ordinal = int(wanted[0])
        can_begin = self._quiet[frames - 1]
        row = 0
        while row < len(wanted):
            later = np.flatnonzero(wanted[row:] != self._ordinal)
            due = row + int(later[0]) if len(later) else len(wanted)
            found = np.flatnonzero(can_begin[due : due + self._bound - self._waited])
            at = due + (int(found[0]) if len(found) else self._bound - self._waited)
            stop = min(at, len(wanted))
            ordinals[row:stop] = self._ordinal
            self._waited += stop - due
            row = stop
            if stop == at and at < len(wanted):
                self._ordinal = int(wanted[at])
                self._waited = 0
        return ordinals

    def begin(self, ts: int) -> None:
        """See `Cut`."""
        self._cut.begin(ts)

    def restart(self) -> None:
        """See `Cut`."""
        self._cut.restart()
        self._ordinal = None
        self._waited = 0
