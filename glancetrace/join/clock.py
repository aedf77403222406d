"""How far a log's clock is off the capture's, by what both show.

Every pair of a logged call and something in the capture that it can be allows an interval of offsets: a plain leg or a
sealed exchange must lie where the log says, an INSERT or UPDATE of an image must lie within the call about it. The
offset that most calls allow is the right one, whatever the zone of the log and however its clock goes wrong; pairs that
do not belong together allow offsets all over the place. Where several offsets are nearly as good, all calls are placed
with each, and the best fit wins; among equals the nearest to a quarter of an hour (time zones), then the smallest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from glancetrace.glance.statement import SqlStatement
from glancetrace.join.seen import Seen, fits
from glancetrace.logs.call import LoggedCall
from glancetrace.logs.times import SECOND

__all__ = ["Clock", "candidates", "image_writes", "refine"]

_SLACK = 2_000_000
_ZONE = 900 * SECOND
"""Time zones are whole quarters of an hour."""

_STRANGE = 2 * SECOND
"""A call does not take so much longer on one side than on the other, ns."""

_MOST_PAIRS = 60_000
_STRONG, _WEAK = 4, 1
_NEAR = 0.6
_MOST_PEAKS = 12
"""Offsets that are looked at more closely: those that nearly as many calls allow as the best."""

_ENOUGH = 3
"""Calls that must agree on an offset where no id does."""


@dataclass(frozen=True, slots=True)
class Clock:
    """`offset` (ns) added to a log's time gives the capture's, give or take `uncertainty`.

    `calls` agree on it. `known` is False where nothing in the capture tells it, and the clocks were taken as equal.
    """

    offset: int = 0
    uncertainty: int = 0
    calls: int = 0
    known: bool = False


_Interval = tuple[int, int, int, int]
"""Least and most offset, which call, how much it says."""


def image_writes(statements: Sequence[SqlStatement]) -> dict[str, list[int]]:
    """Image id -> times of the statements that write its row, ns."""
    found: dict[str, list[int]] = defaultdict(list)
    for statement in statements:
        if statement.service == "glance":
            for change in statement.changes:
                if change.table == "images" and change.image_id is not None:
                    found[change.image_id].append(statement.command.ts)
    return dict(found)


def candidates(
    calls: Sequence[LoggedCall],
    services: Mapping[int, str | None],
    seen: Sequence[Seen],
    writes: Mapping[str, Sequence[int]],
) -> list[Clock]:
    """What the clock of a log may be, the likeliest first; none where nothing tells.

    Args:
        calls: of the log. services: line -> service. seen: everything that they may be. writes: see `image_writes`.
    """
    intervals = _intervals(calls, services, seen, writes)
    peaks = _peaks(intervals)
    best = max((score for _, _, score in peaks), default=0)
    peaks = [peak for peak in peaks if peak[2] >= _NEAR * best]
    peaks.sort(key=lambda peak: (-peak[2], _strangeness(peak[0], peak[1])))
    found = []
    for low, high, _ in peaks[:_MOST_PEAKS]:
        clock = _clock(low, high, intervals)
        strong = any(weight == _STRONG for a, b, _, weight in intervals if a <= high and low <= b)
        if strong or clock.calls >= min(_ENOUGH, len(calls)):
            found.append(clock)
    return found


def refine(clock: Clock, pairs: Mapping[LoggedCall, Seen]) -> Clock:
    """The clock by those pairs alone that were chosen with it."""
    intervals: list[_Interval] = []
    for number, (call, seen) in enumerate(sorted(pairs.items(), key=lambda pair: pair[0].line)):
        begin, end = _times(call)
        allowed = _allowed(call, begin, end, seen) if begin is not None and end is not None else None
        if allowed is not None:
            intervals.append((*allowed, number, _WEAK))
    peaks = _peaks(intervals)
    if not peaks:
        return clock
    best = max(score for _, _, score in peaks)
    low, high, _ = min(
        (peak for peak in peaks if peak[2] == best), key=lambda peak: abs((peak[0] + peak[1]) // 2 - clock.offset)
    )
    return _clock(low, high, intervals)


def _clock(low: int, high: int, intervals: Sequence[_Interval]) -> Clock:
    agreeing = {call for a, b, call, _ in intervals if a <= high and low <= b}
    offset = 0 if low <= 0 <= high else (low + high) // 2
    return Clock(offset, max(high - offset, offset - low) if offset == 0 else (high - low) // 2, len(agreeing), True)


def _intervals(
    calls: Sequence[LoggedCall],
    services: Mapping[int, str | None],
    seen: Sequence[Seen],
    writes: Mapping[str, Sequence[int]],
) -> list[_Interval]:
    """Offsets that each pair allows; the pairs of the calls that fit the fewest come first, up to a bound."""
    by_call: list[list[_Interval]] = []
    budget = _MOST_PAIRS * 20
    for number, call in enumerate(calls):
        begin, end = _times(call)
        if begin is None or end is None:
            continue
        found: list[_Interval] = []
        for other in seen if budget > 0 else ():
            if fits(call, services.get(call.line), other):
                allowed = _allowed(call, begin, end, other)
                if allowed is not None:
                    strong = other.call is not None and call.request_id and call.request_id == other.call.request_id
                    found.append((*allowed, number, _STRONG if strong else _WEAK))
        budget -= len(seen)
        for image_id in _images_written(call, writes):
            for ts in writes[image_id]:
                found.append((ts - end - call.resolution - _SLACK, ts - begin + _SLACK, number, _STRONG))
        if found:
            by_call.append(found)
    by_call.sort(key=len)
    intervals: list[_Interval] = []
    for found in by_call:
        if intervals and len(intervals) + len(found) > _MOST_PAIRS:
            break
        intervals += found
    return intervals


def _times(call: LoggedCall) -> tuple[int | None, int | None]:
    begin = call.begin if call.begin is not None else call.end
    return begin, call.end if call.end is not None else begin


def _allowed(call: LoggedCall, begin: int, end: int, seen: Seen) -> tuple[int, int] | None:
    """Least and most offset at which the call is what was seen; None if it took too long for that."""
    resolution = call.resolution
    if call.within:
        return seen.ts - end - resolution, seen.end - begin
    starts = seen.ts - begin
    ends = seen.end - end if call.end is not None else starts
    if abs(ends - starts) > _STRANGE + resolution:
        return None
    return min(starts, ends) - resolution - _SLACK, max(starts, ends) + resolution + _SLACK


def _images_written(call: LoggedCall, writes: Mapping[str, Sequence[int]]) -> list[str]:
    """Images whose row the call must have written while it ran."""
    if call.method in ("GET", "HEAD") or call.status_code is None or call.status_code >= 300:
        return []
    parts = call.target.partition("?")[0].split("/")
    named = [part for part in parts if part in writes and parts[-1] in (part, "file", "stage", *_ACTIONS)]
    answer = call.response_json
    created = answer.get("id") if isinstance(answer, dict) and call.method == "POST" else None
    if isinstance(created, str) and created in writes:
        named.append(created)
    return named


_ACTIONS = ("deactivate", "reactivate")


def _peaks(intervals: Sequence[_Interval]) -> list[tuple[int, int, int]]:
    """Stretches of offsets that more allow than their neighbours: from, to, sum over calls of what that says."""
    edges = sorted([(low, 0, call, weight) for low, _, call, weight in intervals]
                   + [(high, 1, call, weight) for _, high, call, weight in intervals])  # fmt: skip
    active: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    score = 0
    peaks: list[tuple[int, int, int]] = []
    start: int | None = None
    for at, closes, call, weight in edges:
        counts = active[call]
        before = _STRONG if counts[1] else (_WEAK if counts[0] else 0)
        counts[weight == _STRONG] += -1 if closes else 1
        after = _STRONG if counts[1] else (_WEAK if counts[0] else 0)
        if after > before:
            start = at
        elif after < before and start is not None:
            peaks.append((start, at, score))
            start = None
        score += after - before
    return peaks


def _strangeness(low: int, high: int) -> tuple[int, int]:
    """How odd it is for a clock to be off by that: least for whole zones, then for little."""
    zone = round((low + high) / 2 / _ZONE) * _ZONE
    return abs(min(max(low, zone), high) - zone), abs(min(max(low, 0), high))
