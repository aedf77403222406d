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

from glancetrace.join.evidence import nearest_zone, strangeness, surprise
from glancetrace.join.offsets import WEAK, Interval, allowed_offsets, find_peaks
from glancetrace.join.seen import Seen
from glancetrace.logs.call import LoggedCall

__all__ = ["Clock", "candidates", "refine"]

_NEAR = 0.6
_MOST_PEAKS = 16
"""Offsets that are looked at more closely: those that nearly as many calls allow as the best."""

_MOST_PLAIN = 8
"""As many again, of those that are the likeliest before anything is looked at: none, and whole zones."""


@dataclass(frozen=True, slots=True)
class Clock:
    """`offset` (ns) added to a log's time gives the capture's, give or take `uncertainty`.

    `calls` agree on it. `known` is False where nothing in the capture tells it, and the clocks were taken as equal.
    """

    offset: int = 0
    uncertainty: int = 0
    calls: int = 0
    known: bool = False


def candidates(intervals: Sequence[Interval]) -> list[tuple[int, int, Clock]]:
    """What the clock of a log may be: least and most offset, and the clock; none where nothing tells.

    Args:
        intervals: see `find_offsets`.
    """
    peaks = find_peaks(intervals)
    best = max((score for _, _, score in peaks), default=0)
    likely = sorted(peaks, key=lambda peak: (surprise(peak[0], peak[1]), -peak[2]))[:_MOST_PLAIN]
    high = [peak for peak in peaks if peak[2] >= _NEAR * best]
    high.sort(key=lambda peak: (-peak[2], strangeness(peak[0], peak[1])))
    chosen = dict.fromkeys([*likely, *high[:_MOST_PEAKS]])
    found = [(low, high, _clock(low, high, intervals)) for low, high, _ in chosen]
    zones = {0, *(nearest_zone(low, high) for low, high, _ in likely)} if peaks else set()
    for zone in sorted(zones):
        if not any(low <= zone <= high for low, high, _ in found):
            found.append((zone, zone, _clock(zone, zone, intervals)))
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
    zone = nearest_zone(low, high)
    offset = zone if low <= zone <= high else (low + high) // 2
    return Clock(offset, max(high - offset, offset - low), len(agreeing), True)
