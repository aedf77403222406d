"""Which calls matter to an epoch, and when the fewest are open."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from glancetrace.correlate.units import UnitOfWork
from glancetrace.glance.call import ApiCall

__all__ = ["NearCalls"]

_FEW = 20_000
"""Calls that are all looked at in every epoch."""

_BEFORE = 120_000_000_000
"""ns for which a call's later work is looked for, where there are more."""

_GOES_ON = frozenset({"image-import", "task-create"})
"""Operations whose work may end long after they were answered."""

_NEVER = 1 << 63


class NearCalls:
    """The calls of a capture, in order of time and with ids."""

    def __init__(self, calls: Sequence[ApiCall]) -> None:
        self._calls = calls
        self._starts = [call.ts - call.uncertainty for call in calls]
        self._ends = [_end(call) for call in calls]
        self._sorted_starts = sorted(self._starts)
        self._sorted_ends = sorted(self._ends)

    def of(self, units: Sequence[UnitOfWork]) -> list[ApiCall]:
        """Calls that may have run one of these units, or that tell something about those that may."""
        calls = list(self._calls)
        if len(calls) <= _FEW or not units:
            return calls
        since = min(unit.ts for unit in units) - _BEFORE
        until = max(unit.end_ts for unit in units) + _BEFORE
        return [
            call
            for call, start, end in zip(calls, self._starts, self._ends, strict=True)
            if start <= until and (end >= since or call.operation in _GOES_ON)
        ]

    def open_since(self, ts: int) -> int:
        """The first moment at which a call began that is open at that time, ns; the time itself if there is none."""
        starts = (start for start, end in zip(self._starts, self._ends, strict=True) if start < ts <= end)
        return min(starts, default=ts)

    def quietest(self, units: Sequence[UnitOfWork], since: int, until: int) -> int:
        """The last moment between two (ns) at which a unit begins while the fewest calls and other units are open."""
        starts = sorted(unit.ts for unit in units)
        ends = sorted(unit.end_ts for unit in units)
        best, fewest = until, _NEVER
        for ts in starts[bisect_left(starts, since) : bisect_right(starts, until)]:
            is_open = bisect_left(starts, ts) - bisect_left(ends, ts)
            is_open += bisect_left(self._sorted_starts, ts) - bisect_left(self._sorted_ends, ts)
            if is_open <= fewest:
                best, fewest = ts, is_open
        return best


def _end(call: ApiCall) -> int:
    if call.dur is not None:
        return call.ts + call.dur + call.uncertainty
    return _NEVER if call.response_ts is None else call.response_ts + call.uncertainty
