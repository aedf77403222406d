"""Calls of which the capture shows nothing but the response: they ran units of work, too.

A capture that begins in the middle, or has lost packets, has responses without requests. Such a call was under way up
to its response, and what ran then may be its work, even if only one of the calls that were seen can have run it. How
likely that is follows from what other calls show: how many units of a kind they ran that long before their responses.
It counts for every such call, as far as it can have named the unit's image and runs in the process of its connection.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from glancetrace.correlate.affinity import Workers
from glancetrace.correlate.facts import CallFacts, UnitFacts
from glancetrace.correlate.gaps import LAST, GapModel
from glancetrace.correlate.hops import CLOCK_SLACK

__all__ = ["Half", "HiddenCalls"]

_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Half:
    """A call whose request was not seen: when it can have begun, and when it was answered, ns.

    `connection_id`: on which it was answered, that of its innermost leg; `images`: ids that its response names. The
    same of a task (see `tasks`): when it was last at work, and a connection that it used.
    """

    service: str
    start: int
    end: int
    connection_id: int = 0
    images: frozenset[str] = frozenset()


class HiddenCalls:
    """Calls of one service whose requests were not seen, and what other calls teach about when they ran their units."""

    def __init__(self, halves: Iterable[Half], calls: Sequence[CallFacts]) -> None:
        self._halves = sorted(halves, key=lambda half: (half.end, half.start, half.connection_id))
        self._ends = [half.end + CLOCK_SLACK for half in self._halves]
        starts = accumulate((half.start for half in reversed(self._halves)), min)
        self._first_start = list(starts)[::-1]
        self._named = Counter(image for call in calls for image in call.images)
        self._calls = len(calls)
        self._lags = GapModel()
        self._units: Counter[str] = Counter()
        self._taught = 0
        self._tasks: dict[str, list[Half]] = defaultdict(list)
        self._later: Counter[str] = Counter()
        self._lasted = 0

    def add_tasks(self, tasks: Iterable[Half]) -> None:
        """Tasks of calls that were not seen, which name one image each."""
        for task in tasks:
            for image in task.images:
                self._tasks[image].append(task)

    def beside(self, unit: UnitFacts) -> list[Half]:
        """Those that were open while a unit ran, and that can have named its image."""
        if not self._halves and not self._tasks:
            return []
        return self._beside(unit) + self._tasks_beside(unit)

    def number_beside(self, start: int, end: int) -> int:
        """How many were open from `start` to `end`, ns, whatever image they named."""
        place = bisect_left(self._ends, end)
        until = bisect_right(self._first_start, start, place)
        return sum(half.start <= start for half in self._halves[place:until])

    def _beside(self, unit: UnitFacts) -> list[Half]:
        place = bisect_left(self._ends, unit.end)
        until = bisect_right(self._first_start, unit.start, place)
        return [
            half
            for half in self._halves[place:until]
            if half.start <= unit.start and (not unit.images or not half.images or unit.images & half.images)
        ]

    def _tasks_beside(self, unit: UnitFacts) -> list[Half]:
        """Tasks of unseen calls that were at work on a unit's image."""
        return [
            task
            for image in sorted(unit.images)
            for task in self._tasks.get(image, ())
            if task.start <= unit.start and unit.end <= task.end
        ]

    def learn(self, certain: Iterable[tuple[CallFacts, UnitFacts]]) -> None:
        """How long before their responses calls run units, and how many after: these ran these for certain."""
        if not self._halves and not self._tasks:
            return
        taught: set[int] = set()
        lasted: dict[int, int] = {}
        for call, unit in certain:
            if call.call.status_code is None:
                continue
            base = unit.base
            if not call.goes_on and unit.end <= call.end:
                self._lags.learn((base, LAST), call.end - unit.start)
                self._units[base] += 1
                taught.add(id(call))
            elif call.goes_on and unit.start > call.end:
                self._later[base] += 1
                lasted[id(call)] = max(lasted.get(id(call), 0), unit.end - call.end)
        self._taught = len(taught)
        self._lasted = sum(lasted.values())

    def log_rate(self, unit: UnitFacts, workers: Workers) -> float:
        """Logarithm of how many such units per ns these calls ran then; minus infinity if none of them was open."""
        if not self._halves and not self._tasks:
            return -math.inf
        base, process = unit.base, workers.group_of.get(unit.connection_id)
        share = self.share(unit)
        per_call = (self._units[base] + 1) / (self._taught + 1)
        of_task = (self._later[base] + 1) / (self._lasted + _SECOND)
        rate = 0.0
        for half in self._beside(unit):
            log_density = self._lags.log_density((base, LAST), half.end - unit.start)
            likely = (1.0 if half.images else share) * _in_process(half, process, workers)
            rate += math.exp(log_density) * per_call * likely
        for task in self._tasks_beside(unit):
            rate += of_task * _in_process(task, process, workers)
        return math.log(rate) if rate > 0.0 else -math.inf

    def share(self, unit: UnitFacts) -> float:
        """Share of the calls that name a unit's image: how likely one names it of which that is not known."""
        if not unit.images:
            return 1.0
        return (max(self._named[image] for image in unit.images) + 1) / (self._calls + 1)


def _in_process(half: Half, process: int | None, workers: Workers) -> float:
    """How likely one runs a unit in a process, beside one of which the process is not known."""
    own = workers.group_of.get(half.connection_id)
    return 1.0 if own is None or process is None else math.exp(workers.against(own, process))
