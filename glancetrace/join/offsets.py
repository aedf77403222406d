"""Which offsets of a log's clock are possible, by every pair of a call and something in the capture that it may be.

Ids come first: an image whose row a call wrote, a request id. Of a log much longer than the capture only those calls
are compared otherwise that were made near it, by what the ids say, or else in any time zone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from glancetrace.glance.statement import SqlStatement
from glancetrace.join.seen import Seen, fits
from glancetrace.logs.call import LoggedCall
from glancetrace.logs.times import SECOND

__all__ = ["STRONG", "WEAK", "Interval", "Span", "allowed_offsets", "find_offsets", "find_peaks", "image_writes"]

_SLACK = 2_000_000
_STRANGE = 2 * SECOND
"""A call does not take so much longer on one side than on the other, ns."""

_MOST_PAIRS = 60_000
_MOST_COMPARED = 1_000_000
_NEAR = 60 * SECOND
_HOUR = 3600 * SECOND
_ZONES = 15 * _HOUR
"""No time zone is farther from UTC, ns."""

STRONG, WEAK = 4, 1

Interval = tuple[int, int, int, int]
"""Least and most offset, which call, how much it says."""

Span = tuple[int | None, int | None]


def image_writes(statements: Sequence[SqlStatement]) -> dict[str, list[int]]:
    """Image id -> times of the statements that write its row, ns."""
    found: dict[str, list[int]] = defaultdict(list)
    for statement in statements:
        if statement.service == "glance":
            for change in statement.changes:
                if change.table == "images" and change.image_id is not None:
                    found[change.image_id].append(statement.command.ts)
    return dict(found)


def find_offsets(
    calls: Sequence[LoggedCall],
    services: Mapping[int, str | None],
    seen: Sequence[Seen],
    writes: Mapping[str, Sequence[int]],
    span: Span,
) -> list[Interval]:
    """Offsets that each pair allows; up to a bound, beginning with the calls that fit the fewest things.

    Args:
        calls: of the log. services: line -> service. seen: everything that they may be. writes: see `image_writes`.
        span: first and last moment of the capture, ns.
    """
    by_ids = _by_ids(calls, seen, writes)
    by_call: list[list[Interval]] = []
    for number in _chosen(calls, len(seen), by_ids, span):
        call = calls[number]
        found = [
            (*allowed, number, WEAK)
            for other in seen
            if fits(call, services.get(call.line), other) and (allowed := allowed_offsets(call, other)) is not None
        ]
        if found:
            by_call.append(found)
    by_call.sort(key=len)
    intervals = by_ids
    for found in by_call:
        if intervals and len(intervals) + len(found) > _MOST_PAIRS:
            break
        intervals += found
    return intervals


def _by_ids(calls: Sequence[LoggedCall], seen: Sequence[Seen], writes: Mapping[str, Sequence[int]]) -> list[Interval]:
    by_request_id: dict[str, list[Seen]] = defaultdict(list)
    for one in seen:
        if one.call is not None and one.call.request_id:
            by_request_id[one.call.request_id].append(one)
    intervals: list[Interval] = []
    for number, call in enumerate(calls):
        for one in by_request_id.get(call.request_id or "", ()):
            allowed = allowed_offsets(call, one) if fits(call, None, one) else None
            if allowed is not None:
                intervals.append((*allowed, number, STRONG))
        begin, end = _times(call)
        if begin is None or end is None:
            continue
        for image_id in _images_written(call, writes):
            for ts in writes[image_id]:
                intervals.append((ts - end - call.resolution - _SLACK, ts - begin + _SLACK, number, STRONG))
    return intervals


def _chosen(calls: Sequence[LoggedCall], count: int, by_ids: Sequence[Interval], span: Span) -> Sequence[int]:
    """Calls that are compared with everything that was seen."""
    first, last = span
    if len(calls) * count <= _MOST_COMPARED or first is None or last is None:
        return range(len(calls))
    peaks = find_peaks(by_ids)
    low, high, _ = max(peaks, key=lambda peak: peak[2], default=(0, 0, 0))
    chosen = []
    for number, call in enumerate(calls):
        begin, _end = _times(call)
        if begin is None:
            continue
        if peaks:
            near = first - _NEAR <= begin + high and begin + low <= last + _NEAR
        else:
            near = abs(begin - first) < _ZONES and (begin - first + _NEAR) % _HOUR <= last - first + 2 * _NEAR
        if near:
            chosen.append(number)
    step = max(1, len(chosen) * count // _MOST_COMPARED)
    return chosen[::step]


def _times(call: LoggedCall) -> tuple[int | None, int | None]:
    begin = call.begin if call.begin is not None else call.end
    return begin, call.end if call.end is not None else begin


def allowed_offsets(call: LoggedCall, seen: Seen) -> tuple[int, int] | None:
    """Least and most offset at which the call is what was seen; None if it took too long for that."""
    begin, end = _times(call)
    if begin is None or end is None:
        return None
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


def find_peaks(intervals: Sequence[Interval]) -> list[tuple[int, int, int]]:
    """Stretches of offsets that more allow than their neighbours: from, to, sum over calls of what that says."""
    edges = sorted([(low, 0, call, weight) for low, _, call, weight in intervals]
                   + [(high, 1, call, weight) for _, high, call, weight in intervals])  # fmt: skip
    active: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    score = 0
    peaks: list[tuple[int, int, int]] = []
    start: int | None = None
    for at, closes, call, weight in edges:
        counts = active[call]
        before = STRONG if counts[1] else (WEAK if counts[0] else 0)
        counts[weight == STRONG] += -1 if closes else 1
        after = STRONG if counts[1] else (WEAK if counts[0] else 0)
        if after > before:
            start = at
        elif after < before and start is not None:
            peaks.append((start, at, score))
            start = None
        score += after - before
    return peaks
