"""In which order a worker process serves the calls that wait for the same.

Who waits in a busy process waits in a queue, of threads before the interpreter's lock or of green threads before the
hub. Of two calls of one process that wait for the same, the one that began to wait first goes first in 67 to 93 of 100
cases (recorded loads of all three eras, from the moment a connection was given back, see `pool`; before a call's first
unit, where requests wait for a free thread, 47 to 91). Densities of waits alone say the opposite: they fall steeply, so
that serving the last comer at once and the first one late looks likelier than two waits of middling length. So each
call that was overtaken costs. How much is learnt from pairs of waits that are known: it is the weight at which the
densities and the order of arrival together foretell best who of the two is served first (a logistic regression with
the densities as offset), for waits between units and for those before the first one.

Calls wait for a unit (or their response) since their last unit, or since their request. A request that waits for its
token to be validated waits for something else, so who still has its first unit before it is overtaken by others at no
cost, as far as the grammar says that it is the first. A task does more between its units than waiting for its turn,
and stands in no queue with calls that do not.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from glancetrace.correlate.facts import CallFacts, UnitFacts
from glancetrace.correlate.gaps import FIRST, LAST, GapModel, Place
from glancetrace.correlate.grammar import RouteGrammar
from glancetrace.glance.sequences import START

__all__ = ["Pairs", "Patience", "Queue", "Turns", "learn_patience", "pairs_of_waits"]

_USUAL = 1.3
"""What it costs (natural logarithm) that a call was overtaken, where nothing was seen yet."""
_TRUST = 4.0
"""Weight of that beside what was seen: as much as some 20 pairs of waits."""
_NEXT = 3
"""Waits that begin next after one are compared with it."""
_PAIRS = 250
"""Pairs of waits that are looked at; more would not tell more."""
_STEPS = 8
_SMALL = 0.001
_MOST = 4.0
_FAR = 30.0
"""Differences beyond this are all the same."""


class Patience(NamedTuple):
    """What it costs (natural logarithm) that a call was overtaken: `between` its units, before its `first` one."""

    between: float = _USUAL
    first: float = _USUAL


class _Wait(NamedTuple):
    """A call waited from `since` to `until`, ns; `place` as the gap model knows it."""

    since: int
    until: int
    place: Place


Queue = tuple[int, str, bool]
"""(process, what is waited for, by calls whose work goes on after their response)."""
Story = tuple[CallFacts, Sequence[UnitFacts]]
_Pair = tuple[_Wait, _Wait]
Pairs = dict[bool, list[_Pair]]
"""Waits that lasted at one time in one queue, by whether they are those before the first unit."""
_Queues = dict[tuple[Queue, bool], list[_Wait]]
"""Waits in a queue, and whether they are those before the first unit."""


def pairs_of_waits(stories: Iterable[Story], process_of: Mapping[int, int], *, whole: bool) -> Pairs:
    """Pairs of known waits of which the second one began while the first one lasted.

    Args:
        stories: calls with units that followed one another, in order of their ends; calls that go on and calls that do
            not never stand in one queue. process_of: connection id -> process, where that is known.
        whole: these are all units of the calls.
    """
    queues: _Queues = defaultdict(list)
    for call, units in stories:
        _add_waits(queues, call, units, process_of, whole=whole)
    pairs: Pairs = {False: [], True: []}
    for (_, first), queue in queues.items():
        pairs[first] += _pairs(queue)
    return pairs


def learn_patience(seen: Sequence[Pairs], gaps: GapModel) -> Patience:
    """How much it costs to be overtaken; `gaps`: how long calls wait."""
    between, first = ([pair for pairs in seen for pair in pairs[which]] for which in (False, True))
    return Patience(_fit(between, gaps), _fit(first, gaps))


def _add_waits(
    queues: _Queues, call: CallFacts, units: Sequence[UnitFacts], process_of: Mapping[int, int], *, whole: bool
) -> None:
    before: UnitFacts | None = None
    for unit in units:
        base, process = unit.base, process_of.get(unit.connection_id)
        if before is not None:
            since, last = before.waits_since(unit.start), before.base
        else:
            since, last = call.began(unit.start), FIRST
        if process is not None and since <= unit.start and (whole or before is not None):
            queue = queues[(process, base, call.goes_on), before is None]
            queue.append(_Wait(since, unit.start, (last, base)))
        before = unit
    if not whole or before is None or call.goes_on or call.call.status_code is None:
        return
    process = process_of.get(before.connection_id)
    if process is not None and before.end <= call.end:
        wait = _Wait(before.waits_since(call.end), call.end, (before.base, LAST))
        queues[(process, LAST, False), False].append(wait)


def _pairs(queue: list[_Wait]) -> Iterator[_Pair]:
    """Waits of which the second one began while the first one lasted."""
    queue.sort()
    for place, one in enumerate(queue, 1):
        for other in queue[place : place + _NEXT]:
            if other.since >= one.until:
                break
            yield one, other


def _fit(pairs: Sequence[_Pair], gaps: GapModel) -> float:
    """The weight of the order of arrival that makes what was seen likeliest (Newton's method)."""
    seen = [_seen(one, other, gaps) for one, other in pairs[:: len(pairs) // _PAIRS + 1]]
    weight = _USUAL
    for _ in range(_STEPS):
        slope, curvature = _TRUST * (_USUAL - weight), _TRUST
        for difference, in_turn in seen:
            likely = 1 / (1 + math.exp(-difference - weight))
            slope += in_turn - likely
            curvature += likely * (1 - likely)
        step = slope / curvature
        weight = max(0.0, min(_MOST, weight + step))
        if abs(step) < _SMALL:
            break
    return weight


def _seen(one: _Wait, other: _Wait, gaps: GapModel) -> tuple[float, bool]:
    """How much the densities speak for the order of arrival (natural logarithm), and whether it was kept."""
    early, late = sorted((one.until, other.until))
    in_turn = gaps.log_density(one.place, early - one.since) + gaps.log_density(other.place, late - other.since)
    overtaken = gaps.log_density(one.place, late - one.since) + gaps.log_density(other.place, early - other.since)
    return max(-_FAR, min(_FAR, in_turn - overtaken)), one.until <= other.until


class Turns:
    """The queues of the calls of a component, for each progress that a call may have made (see `solve`)."""

    def __init__(self, grammar: RouteGrammar, patience: Patience) -> None:
        self._grammar = grammar
        self._patience = patience
        self._queues: dict[Queue, int] = {}
        self._queue_of: list[int] = []
        self._starts: list[int] = []
        self._began: list[int] = []
        self._states: list[int] = []
        self._first_of: dict[int, float] = {}

    def add(self, state: int, start: int, queued: Queue | None, began: int) -> None:
        """The next progress: a wait in a queue, up to `start`; `began` when its call did, ns."""
        queue = -1 if queued is None else self._queues.setdefault(queued, len(self._queues))
        self._queue_of.append(queue)
        self._starts.append(start)
        self._began.append(began)
        self._states.append(state)

    def _likely_first(self, number: int) -> float:
        """How likely nothing stands before what a progress knows."""
        state = self._states[number]
        known = self._first_of.get(state)
        if known is None:
            known = self._first_of[state] = math.exp(self._grammar.log_probability(state, START))
        return known

    def between(self, number: int, others: Sequence[int]) -> float:
        """Cost of the calls that one which waited since a unit of its own has overtaken."""
        queues, starts = self._queue_of, self._starts
        queue, start = queues[number], starts[number]
        if queue < 0:
            return 0.0
        cost = 0.0
        for other in others:
            if queues[other] == queue and starts[other] > start:
                cost += 1 - self._likely_first(other)
        return self._patience.between * cost

    def first(self, number: int, others: Sequence[int]) -> float:
        """Cost of the calls that one which waited since its request has overtaken, or that have overtaken it."""
        start, began = self._starts[number], self._began[number]
        return self._patience.first * sum(
            self._likely_first(other)
            for other in self._beside(number, others)
            if (self._starts[other] - start) * (self._began[other] - began) < 0
        )

    def _beside(self, number: int, others: Sequence[int]) -> list[int]:
        """Those that wait in the same queue."""
        queue, queues = self._queue_of[number], self._queue_of
        return [other for other in others if queues[other] == queue] if queue >= 0 else []
