"""When a call gave its database connection back: the pool's own queue tells who went on before whom.

SQLAlchemy's pool is a queue (`sqlalchemy.pool.QueuePool`: first in, first out): connections are taken again in the
order in which they were given back. Between the last answer on a connection and its return its call waits for its turn
in a busy process, and the capture does not show how long. But a connection was given back no sooner than those that
were taken again before it. Held against check-ins that the recorder wrote down: so it was for all of 1,200 connections
of two recordings of green threads that seemed to have been given back before one that was taken again earlier.

Threads can be interrupted between taking a connection and their first packet on it, so their connections may look taken
later than they were; green threads cannot. Which of the two a capture shows is learnt from units whose call is certain:
a call that has given nothing back sends nothing on another connection. Where calls are interrupted, of the two waits
that may explain an order (before the return, after the taking) the shorter one is believed: right for about 85 of 100
connections of three recordings of threads.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from glancetrace.correlate.candidates import Candidates
from glancetrace.correlate.facts import CallFacts, UnitFacts

__all__ = ["tell_returns"]

_ENOUGH = 20
"""Connections given back late by certain calls that must be seen before they tell how a service works."""
_INTERRUPTED = 0.005
"""Share of them that went on too early from which on calls are interrupted: a packet may stand out of order."""

_NEVER = 1 << 63

_Queue = list[tuple[int, UnitFacts]]
"""When each connection was taken again (ns), and the unit after which it was given back; in that order."""


def tell_returns(
    certain: Sequence[tuple[CallFacts, UnitFacts]], open_: Sequence[Candidates], process_of: Mapping[int, int]
) -> None:
    """Fill `returned` of all units.

    Args:
        certain: calls with units that only they can have run. open_: units with more than one candidate.
        process_of: connection id -> process, where that is known.
    """
    units = [unit for _, unit in certain] + [candidates.unit for candidates in open_]
    queues = _queues(units, process_of)
    for queue in queues:
        _wait_for_all(queue)
    late = [(call, unit) for call, unit in certain if unit.returned > unit.end]
    starts = _starts(certain)
    interrupted = sum(_goes_on((call,), unit, starts) < unit.returned for call, unit in late)
    if len(late) >= _ENOUGH and interrupted <= _INTERRUPTED * len(late):
        return
    for queue in queues:
        _wait_the_shorter(queue)
    # What is believed may be wrong, so it must not forbid a call to go on with any unit that may be its own.
    starts = _starts([*certain, *((call, candidates.unit) for candidates in open_ for call in candidates.calls)])
    for call, unit in certain:
        unit.returned = min(unit.returned, _goes_on((call,), unit, starts))
    for candidates in open_:
        candidates.unit.returned = min(candidates.unit.returned, _goes_on(candidates.calls, candidates.unit, starts))


def _starts(units: Iterable[tuple[CallFacts, UnitFacts]]) -> dict[int, list[int]]:
    """When units of calls (by their `id`) start, in order, ns."""
    starts: dict[int, list[int]] = defaultdict(list)
    for call, unit in units:
        starts[id(call)].append(unit.start)
    for of_call in starts.values():
        of_call.sort()
    return starts


def _queues(units: Iterable[UnitFacts], process_of: Mapping[int, int]) -> list[_Queue]:
    """Units of each process whose connections were taken again."""
    queues: dict[int, _Queue] = defaultdict(list)
    for unit in units:
        unit.returned = unit.end
        process, taken = process_of.get(unit.connection_id), _taken_again(unit)
        if process is not None and taken is not None:
            queues[process].append((taken, unit))
    for queue in queues.values():
        queue.sort(key=lambda item: (item[0], item[1].end))
    return list(queues.values())


def _taken_again(unit: UnitFacts) -> int | None:
    """When the connection was used next, ns; None if it was closed, or if bytes are missing before that."""
    following = unit.unit.next_unit
    if following is None or following.statements[0].command.after_gap or following.statements[0].operation == "QUIT":
        return None
    return following.ts


def _goes_on(calls: Sequence[CallFacts], unit: UnitFacts, starts: Mapping[int, Sequence[int]]) -> int:
    """When the first of these calls goes on with a unit of its own, ns."""
    first = _NEVER
    for call in calls if unit.returned > unit.end else ():
        of_call = starts.get(id(call), ())
        place = bisect_left(of_call, unit.end)
        if place < len(of_call):
            first = min(first, of_call[place])
    return first


def _wait_for_all(queue: _Queue) -> None:
    """Each connection was given back after all that were taken before it."""
    last = 0
    for _, unit in queue:
        unit.returned = last = max(unit.end, last + 1)


def _wait_the_shorter(queue: _Queue) -> None:
    """The same, but for connections that were rather taken earlier than they were used."""
    last = last_taken = 0
    for taken, unit in queue:
        unit.returned = unit.end
        if unit.end >= last:
            last, last_taken = unit.end, taken
        elif last - unit.end <= taken - last_taken:
            unit.returned = last = last + 1
