"""In which order a worker process serves the calls that wait for the same.

Who waits in a busy process waits in a queue, of threads before the interpreter's lock or of green threads before the
hub. Of two calls of one process that wait for the same after the same, the one that began to wait first goes first in
63 to 78 of 100 cases (nine recorded loads of all three eras; before a call's first unit alone, 51 to 84). Densities of
waits alone say the opposite: they fall steeply, so that serving the last comer at once and the first one late looks
likelier than two waits of middling length. So each call that was overtaken costs.

Calls wait for a unit (or their response) since their last unit, or since their request. A request that waits for its
token to be validated waits for something else, so who still has its first unit before it is overtaken by others at no
cost, as far as the grammar says that it is the first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from glancetrace.correlate.grammar import RouteGrammar
from glancetrace.glance.sequences import START

__all__ = ["OVERTAKEN", "Turns"]

OVERTAKEN = 2.0
"""What it costs (natural logarithm) that a call was overtaken."""
PRIOR = 1.3
STRENGTH = 4.0
NEAR = 3

class Strict(NamedTuple):
    between: float = PRIOR
    first: float = PRIOR

class Wait(NamedTuple):
    since: int
    start: int
    place: tuple

def learn_strict(waits, gaps, show=None):
    """waits: dict (process, following, first) -> list of Wait"""
    pairs = {False: [], True: []}
    for (_, following, first), queue in waits.items():
        queue.sort()
        for number, one in enumerate(queue):
            for other in queue[number + 1 : number + 1 + NEAR]:
                if other.since >= one.start:
                    break
                if other.since >= other.start: continue
                in_turn = one.start <= other.start
                early, late = sorted((one.start, other.start))
                d = gaps.log_density
                difference = d(one.place, early - one.since) + d(other.place, late - other.since) - d(one.place, late - one.since) - d(other.place, early - other.since)
                pairs[first].append((difference, in_turn))
    found = Strict(_fit(pairs[False]), _fit(pairs[True]))
    if DEBUG: print(found, len(pairs[False]), len(pairs[True]))
    return found
DEBUG = False

def _fit(pairs):
    low, high = 0.0, 4.0
    for _ in range(20):
        middle = (low + high) / 2
        slope = sum(in_turn - 1 / (1 + math.exp(-max(-30.0, min(30.0, difference + middle)))) for difference, in_turn in pairs) - (middle - PRIOR) * STRENGTH
        low, high = (middle, high) if slope > 0 else (low, middle)
    return low


class Turns:
    """The queues of the calls of a component, for each progress that a call may have made (see `solve`)."""

    def __init__(self, grammar: RouteGrammar, strict=Strict(2.0, 2.0)) -> None:
        self.strict = strict
        self._grammar = grammar
        self._queues: dict[tuple[int, str], int] = {}
        self._queue_of: list[int] = []
        self._starts: list[int] = []
        self._began: list[int] = []
        self._first: list[float] = []

    def add(self, state: int, start: int, following: str, worker: int | None, began: int, task: bool = False) -> None:
        """The next progress: what follows a wait and starts at `start`, in a process; `began` when its call did, ns."""
        queue = -1 if worker is None else self._queues.setdefault((worker, following, task), len(self._queues))
        self._queue_of.append(queue)
        self._starts.append(start)
        self._began.append(began)
        self._first.append(math.exp(self._grammar.log_probability(state, START)) if queue >= 0 else 0.0)

    def between(self, number: int, others: Sequence[int]) -> float:
        """Cost of the calls that one which waited since a unit of its own has overtaken."""
        starts = self._starts
        start = starts[number]
        return self.strict.between * sum(
            1 - self._first[other] for other in self._beside(number, others) if starts[other] > start
        )

    def first(self, number: int, others: Sequence[int]) -> float:
        """Cost of the calls that one which waited since its request has overtaken, or that have overtaken it."""
        start, began = self._starts[number], self._began[number]
        return self.strict.first * sum(
            self._first[other]
            for other in self._beside(number, others)
            if (self._starts[other] - start) * (self._began[other] - began) < 0
        )

    def _beside(self, number: int, others: Sequence[int]) -> list[int]:
        """Those that wait in the same queue."""
        queue, queues = self._queue_of[number], self._queue_of
        return [other for other in others if queues[other] == queue] if queue >= 0 else []

SOLVED = False
RUNS = True
LEARN = True
FIXED = (2.0, 2.0)
