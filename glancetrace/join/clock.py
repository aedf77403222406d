"""How far a log's clock is off the capture's, by what both show.

Every pair of a logged call and something in the capture that it can be allows an interval of offsets: a plain leg or a
sealed exchange must lie where the log says, an INSERT or UPDATE of an image must lie within the call about it. The
offset that most calls allow is the right one, whatever the zone of the log and however its clock goes wrong; pairs that
do not belong together allow offsets all over the place. Where several offsets are nearly as good, all calls are placed
with each, and the best fit wins; among equals the nearest to a quarter of an hour (time zones), then the smallest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from glancetrace.join.offsets import STRONG, WEAK, Interval, Span, allowed_offsets, find_offsets, find_peaks
from glancetrace.join.seen import Seen
from glancetrace.logs.call import LoggedCall
from glancetrace.logs.times import SECOND

__all__ = ["Clock", "candidates", "refine"]

_ZONE = 900 * SECOND
"""Time zones are whole quarters of an hour."""

_ZONES = 60 * _ZONE
"""No time zone is farther from UTC."""

_FARTHEST = 26 * 3600 * SECOND
"""No clock is off by more, of which only times and sizes of calls tell."""

_NEAR = 0.6
_MOST_PEAKS = 12
"""Offsets that are looked at more closely: those that nearly as many calls allow as the best."""

_ENOUGH = 3
"""Calls that must agree on an offset where no id does; of a shorter log all, on that of a time zone."""


@dataclass(frozen=True, slots=True)
class Clock:
    """`offset` (ns) added to a log's time gives the capture's, give or take `uncertainty`.

    `calls` agree on it. `known` is False where nothing in the capture tells it, and the clocks were taken as equal.
    """

    offset: int = 0
    uncertainty: int = 0
    calls: int = 0
    known: bool = False


def candidates(
    calls: Sequence[LoggedCall],
    services: Mapping[int, str | None],
    seen: Sequence[Seen],
    writes: Mapping[str, Sequence[int]],
    span: Span,
) -> list[Clock]:
    """What the clock of a log may be, the likeliest first; none where nothing tells.

    Args:
        calls, services, seen, writes, span: see `find_offsets`.
    """
    intervals = find_offsets(calls, services, seen, writes, span)
    peaks = find_peaks(intervals)
    best = max((score for _, _, score in peaks), default=0)
    peaks = [peak for peak in peaks if peak[2] >= _NEAR * best]
    peaks.sort(key=lambda peak: (-peak[2], _strangeness(peak[0], peak[1])))
    found = []
    for low, high, _ in peaks[:_MOST_PEAKS]:
        clock = _clock(low, high, intervals)
        strong = any(weight == STRONG for a, b, _, weight in intervals if a <= high and low <= b)
        enough = clock.calls >= _ENOUGH and abs(clock.offset) <= _FARTHEST
        alone = clock.calls == len(calls) and abs(clock.offset) <= _ZONES and _strangeness(low, high)[0] <= SECOND
        if strong or enough or alone:
            found.append(clock)
    return found


def refine(clock: Clock, pairs: Mapping[LoggedCall, Seen]) -> Clock:
    """The clock by those pairs alone that were chosen with it."""
    intervals: list[Interval] = []
    for number, (call, seen) in enumerate(sorted(pairs.items(), key=lambda pair: pair[0].line)):
        allowed = allowed_offsets(call, seen)
        if allowed is not None:
            intervals.append((*allowed, number, WEAK))
    peaks = find_peaks(intervals)
    if not peaks:
        return clock
    best = max(score for _, _, score in peaks)
    low, high, _ = min(
        (peak for peak in peaks if peak[2] == best), key=lambda peak: abs((peak[0] + peak[1]) // 2 - clock.offset)
    )
    return _clock(low, high, intervals)


def _clock(low: int, high: int, intervals: Sequence[Interval]) -> Clock:
    agreeing = {call for a, b, call, _ in intervals if a <= high and low <= b}
    offset = 0 if low <= 0 <= high else (low + high) // 2
    return Clock(offset, max(high - offset, offset - low) if offset == 0 else (high - low) // 2, len(agreeing), True)


def _strangeness(low: int, high: int) -> tuple[int, int]:
    """How odd it is for a clock to be off by that: least for whole zones, then for little."""
    zone = round((low + high) / 2 / _ZONE) * _ZONE
    return abs(min(max(low, zone), high) - zone), abs(min(max(low, 0), high))
