"""When a call gave its database connection back: the pool's own queue tells who went on before whom.

SQLAlchemy's pool is a queue (`sqlalchemy.pool.QueuePool`: first in, first out): connections are taken again in the
order in which they were given back. Between the last answer on a connection and its return its call waits for its turn
in a busy process, and the capture does not show how long. But a connection was given back no sooner than those that
were taken again before it. Held against check-ins that the recorder wrote down: so it was for all of 1,200 connections
of two recordings of green threads that seemed to have been given back before one that was taken again earlier.

Threads can be interrupted between taking a connection and their first packet on it, so their connections may look taken
later than they were, and tell nothing here; green threads cannot. Which of the two a capture shows is learnt from units
whose call is certain: a call that has given nothing back sends nothing on another connection.
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
) -> bool:
    """Fill `returned` of all units; tells whether any of them is another than before.

    Args:
        certain: calls with units that only they can have run. open_: units with more than one candidate.
        process_of: connection id -> process, where that is known.
    """
    units = [unit for _, unit in certain] + [candidates.unit for candidates in open_]
    before = [unit.returned for unit in units]
    for queue in _queues(units, process_of):
        _wait_for_all(queue)
    late = [(call, unit) for call, unit in certain if unit.returned > unit.end]
    starts = _starts(certain)
    early = sum(_goes_on(starts[id(call)], unit) < unit.returned for call, unit in late)
    if len(late) < _ENOUGH or early > _INTERRUPTED * len(late):
        for unit in units:
            unit.returned = unit.end
    return before != [unit.returned for unit in units]


def _starts(units: Iterable[tuple[CallFacts, UnitFacts]]) -> dict[int, list[int]]:
    """When units of calls (by their `id`) start, in order, ns."""
    starts: dict[int, list[int]] = defaultdict(list)
    for call, unit in sorted(units, key=lambda item: item[1].start):
        starts[id(call)].append(unit.start)
    return starts


def _goes_on(starts: Sequence[int], unit: UnitFacts) -> int:
    """When the call whose units start then goes on after one of them, ns."""
    place = bisect_left(starts, unit.end)
    return starts[place] if place < len(starts) else _NEVER


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


def _wait_for_all(queue: _Queue) -> None:
    """Each connection was given back after all that were taken before it."""
    last = 0
    for _, unit in queue:
        unit.returned = last = max(unit.end, last + 1)
