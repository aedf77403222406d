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

from glancetrace.correlate.grammar import RouteGrammar
from glancetrace.glance.sequences import START

__all__ = ["OVERTAKEN", "Turns"]

OVERTAKEN = 2.0
"""What it costs (natural logarithm) that a call was overtaken."""


class Turns:
    """The queues of the calls of a component, for each progress that a call may have made (see `solve`)."""

    def __init__(self, grammar: RouteGrammar) -> None:
        self._grammar = grammar
        self._queues: dict[tuple[int, str], int] = {}
        self._queue_of: list[int] = []
        self._starts: list[int] = []
        self._began: list[int] = []
        self._first: list[float] = []

    def add(self, state: int, start: int, following: str, worker: int | None, began: int) -> None:
        """The next progress: what follows a wait and starts at `start`, in a process; `began` when its call did, ns."""
        queue = -1 if worker is None else self._queues.setdefault((worker, following), len(self._queues))
        self._queue_of.append(queue)
        self._starts.append(start)
        self._began.append(began)
        self._first.append(math.exp(self._grammar.log_probability(state, START)) if queue >= 0 else 0.0)

    def between(self, number: int, others: Sequence[int]) -> float:
        """Cost of the calls that one which waited since a unit of its own has overtaken."""
        starts = self._starts
        start = starts[number]
        return OVERTAKEN * sum(
            1 - self._first[other] for other in self._beside(number, others) if starts[other] > start
        )

    def first(self, number: int, others: Sequence[int]) -> float:
        """Cost of the calls that one which waited since its request has overtaken, or that have overtaken it."""
        start, began = self._starts[number], self._began[number]
        return OVERTAKEN * sum(
            self._first[other]
            for other in self._beside(number, others)
            if (self._starts[other] - start) * (self._began[other] - began) < 0
        )

    def _beside(self, number: int, others: Sequence[int]) -> list[int]:
        """Those that wait in the same queue."""
        queue, queues = self._queue_of[number], self._queue_of
        return [other for other in others if queues[other] == queue] if queue >= 0 else []
