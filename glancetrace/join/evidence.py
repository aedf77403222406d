"""What speaks for an offset of a log's clock, and what against it, in bits.

A call that is found where the offset puts it counts for it by how unlikely that is by chance: by the share of all
offsets at which something in the capture would do as well. A call that should be in the capture, and is not, counts
against it; so does, far more, one about an image that the SQL of its time does not name. Calls
outside the capture say nothing, or a log that is longer than the capture would be moved until most of it fits
somewhere. A clock that is right needs little to be believed, one in another time zone more, any other the most.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import log2

from glancetrace.glance.statement import SqlStatement
from glancetrace.join.offsets import STRONG, Interval, Span
from glancetrace.join.seen import CREATED, WRITTEN, Seen, is_foreign, traces_of
from glancetrace.logs.call import LoggedCall
from glancetrace.logs.times import MILLISECOND, SECOND

__all__ = [
    "ZONE",
    "Evidence",
    "SqlTraces",
    "chances",
    "contradicts",
    "known_images",
    "nearest_zone",
    "offsets_by_ids",
    "sql_traces",
    "strangeness",
    "surprise",
    "visible_times",
    "weigh",
]

ZONE = 900 * SECOND
"""Time zones are whole quarters of an hour."""

_MOST = 10.0
"""Bits that one call can say at most."""

_MISSED = 3.0
_CONTRADICTED = 20.0
_OTHER_ZONE = 4.0
_EDGE = 200 * MILLISECOND
"""ns that a call must lie within the capture to be missed in it: a log and its service do not take the same moment."""

_SLACK = 20 * MILLISECOND
"""ns by which a statement may lie outside of its call, by clocks and capture."""
_ANY = "any"
_USUAL = 20 * MILLISECOND
"""ns that clocks of hosts in one network may well differ by."""


@dataclass(slots=True)
class SqlTraces:
    """What each of Glance's statements shows of the call that ran it, in order of time: `times` (ns), `traces`.

    A trace is the id of an image that is named, the id with `WRITTEN` if its row is written, `CREATED` for a new row,
    or only `_ANY`.
    """

    times: list[int] = field(default_factory=list)
    traces: list[set[str]] = field(default_factory=list)

    def between(self, low: int, high: int) -> set[str]:
        """Traces of statements that began then, give or take `_SLACK`; none if not all of them were captured."""
        if not self.times or low < self.times[0]:
            return set()
        found = self.traces[bisect_left(self.times, low - _SLACK) : bisect_right(self.times, high + _SLACK)]
        return set().union(*found)


@dataclass(slots=True)
class Evidence:
    """What speaks for an offset.

    `bits`: in sum. `found`: calls that are in the capture; `confirmed`: by ids; `contradicted`: by the SQL of their
    time; `missed`: not there though they should be; `foreign`: of the capture's time, in part at least, about images
    that no SQL names. `explained`: share of what was seen of the log's services.
    """

    found: int = 0
    confirmed: int = 0
    contradicted: int = 0
    missed: int = 0
    foreign: int = 0
    explained: float = 0.0
    bits: float = 0.0


def sql_traces(statements: Sequence[SqlStatement]) -> SqlTraces:
    """What the statements of Glance show of calls."""
    found = SqlTraces()
    for statement in statements:
        if statement.service != "glance" or statement.parsed is None or not statement.parsed.shape.tables:
            continue
        traces = {_ANY, *statement.image_ids}
        for change in statement.changes:
            if change.table == "images" and change.image_id is not None:
                traces |= {change.image_id, change.image_id + WRITTEN}
                if change.operation == "INSERT":
                    traces.add(CREATED)
        found.times.append(statement.command.ts)
        found.traces.append(traces)
    return found


def known_images(sql: SqlTraces) -> frozenset[str]:
    """Ids of images that any statement names, each also with `WRITTEN`."""
    ids = {trace.removesuffix(WRITTEN) for traces in sql.traces for trace in traces} - {_ANY, CREATED}
    return frozenset(ids | {image_id + WRITTEN for image_id in ids})


def contradicts(call: LoggedCall, low: int, high: int, sql: SqlTraces) -> bool:
    """The SQL between two moments (ns) was captured, and is not that of the call."""
    needed = traces_of(call)
    if not needed or not sql.times or high > sql.times[-1]:
        return False
    found = sql.between(low, high)
    return bool(found) and not needed <= found


def chances(intervals: Iterable[Interval], span: Span) -> dict[int, float]:
    """Number of a call -> bits that it says to be found: -log2 of the share of the capture where it would be, too."""
    first, last = span
    whole = max(1, (last or 0) - (first or 0))
    by_call: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for low, high, number, weight in intervals:
        by_call[number].append((low, high, weight))
    found = {}
    for number, spans in by_call.items():
        strong = [one for one in spans if one[2] == STRONG]
        found[number] = min(_MOST, max(0.0, -log2(min(1.0, _covered(strong or spans) / whole))))
    return found


def offsets_by_ids(intervals: Iterable[Interval]) -> dict[int, list[tuple[int, int]]]:
    """Number of a call -> offsets that ids allow."""
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for low, high, number, weight in intervals:
        if weight == STRONG:
            found[number].append((low, high))
    return found


def visible_times(seen: Iterable[Seen]) -> dict[str | None, tuple[int, int]]:
    """Service -> first and last moment at which the capture shows a call of it, ns."""
    found: dict[str | None, tuple[int, int]] = {}
    for one in seen:
        first, last = found.get(one.service, (one.ts, one.ts))
        found[one.service] = min(first, one.ts), max(last, one.ts)
    return found


def _covered(spans: list[tuple[int, int, int]]) -> int:
    """Length of a union of intervals."""
    total, reached = 0, -(1 << 62)
    for low, high, _ in sorted(spans):
        total += max(0, high - max(low, reached))
        reached = max(reached, high)
    return max(1, total)


def nearest_zone(low: int, high: int) -> int:
    """The whole quarter of an hour that is nearest to an offset between two, ns."""
    return round((low + high) / 2 / ZONE) * ZONE


def strangeness(low: int, high: int) -> tuple[int, int]:
    """How odd it is for a clock to be off by that: least for whole zones, then for little."""
    zone = nearest_zone(low, high)
    return abs(min(max(low, zone), high) - zone), abs(min(max(low, 0), high))


def surprise(low: int, high: int) -> float:
    """Bits that an offset between two must have for it to be believed, besides what any must."""
    apart, far = strangeness(low, high)
    zone = _OTHER_ZONE if far >= ZONE // 2 else 0.0
    return zone + log2(1 + apart / _USUAL)


def _is_confirmed(call: LoggedCall, seen: Seen) -> bool:
    """By an id: the SQL of what was seen is that of the call."""
    return any(trace in seen.traces for trace in traces_of(call) if trace != CREATED)


def weigh(
    calls: Sequence[LoggedCall],
    services: Mapping[int, str | None],
    offset: tuple[int, int],
    found: Mapping[LoggedCall, Seen],
    chance: Mapping[int, float],
    by_ids: Mapping[int, Sequence[tuple[int, int]]],
    sql: SqlTraces,
    visible: Mapping[str | None, tuple[int, int]],
) -> Evidence:
    """What the calls say of an offset.

    Args:
        calls, services: of the log. offset: least and most, ns. found: where the calls are with it. chance: `chances`.
        by_ids: `offsets_by_ids`. sql: see `sql_traces`. visible: see `visible_times`.
    """
    low, high = offset
    known = known_images(sql)
    evidence = Evidence(found=len(found), bits=-surprise(low, high))
    for number, call in enumerate(calls):
        begin = call.begin if call.begin is not None else call.end
        if begin is None:
            continue
        end = call.end if call.end is not None else begin
        first, last = begin + low, max(begin, end) + call.resolution + high
        seen = found.get(call)
        evidence.foreign += (
            bool(sql.times) and last >= sql.times[0] and first <= sql.times[-1] and is_foreign(call, known)
        )
        named = any(a <= high and low <= b for a, b in by_ids.get(number, ()))
        if seen is not None or named:
            evidence.confirmed += named or (seen is not None and _is_confirmed(call, seen))
            evidence.bits += chance.get(number, 0.0)
        elif contradicts(call, first, last, sql):
            evidence.contradicted += 1
            evidence.bits -= _CONTRADICTED
        else:
            times = visible.get(services.get(call.line))
            if times is not None and not call.probe and times[0] + _EDGE <= first and last <= times[1] - _EDGE:
                evidence.missed += 1
                evidence.bits -= _MISSED
    return evidence
