"""Calls of which the capture shows nothing but the response: they ran units of work, too.

A capture that begins in the middle, or has lost packets, has responses without requests. Such a call was under way up
to its response, and what ran then may be its work, even if only one of the calls that were seen can have run it. How
likely that is follows from what other calls show: how many units of a kind they ran that long before their responses.
It counts for every such call, as far as it can have named the unit's image and runs in the process of its connection.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from glancetrace.correlate.affinity import Workers
from glancetrace.correlate.facts import CallFacts, UnitFacts
from glancetrace.correlate.gaps import LAST, GapModel
from glancetrace.correlate.hops import CLOCK_SLACK
from glancetrace.glance.sequences import base_of

__all__ = ["Half", "HiddenCalls"]


@dataclass(frozen=True, slots=True)
class Half:
    """A call whose request was not seen: when it can have begun, and when it was answered, ns.

    `connection_id`: on which it was answered, that of its innermost leg; `images`: ids that its response names.
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
        self._named = Counter(image for call in calls for image in call.images)
        self._calls = len(calls)
        self._lags = GapModel()
        self._units: Counter[str] = Counter()
        self._taught = 0

    def beside(self, unit: UnitFacts) -> list[Half]:
        """Those that were open while a unit ran, and that can have named its image."""
        place = bisect_left(self._ends, unit.end)
        return [
            half
            for half in self._halves[place:]
            if half.start <= unit.start and (not unit.images or not half.images or unit.images & half.images)
        ]

    def learn(self, certain: Iterable[tuple[CallFacts, UnitFacts]]) -> None:
        """How long before their responses calls run units: these ran these for certain."""
        if not self._halves:
            return
        taught: set[int] = set()
        for call, unit in certain:
            if call.call.status_code is not None and not call.goes_on and unit.end <= call.end:
                base = base_of(unit.kind)
                self._lags.learn((base, LAST), call.end - unit.start)
                self._units[base] += 1
                taught.add(id(call))
        self._taught = len(taught)

    def log_rate(self, unit: UnitFacts, workers: Workers) -> float:
        """Logarithm of how many such units per ns these calls ran then; minus infinity if none of them was open."""
        rate = 0.0
        if not self._halves:
            return -math.inf
        base, process = base_of(unit.kind), workers.group_of.get(unit.connection_id)
        share = self.share(unit)
        for half in self.beside(unit):
            log_density = self._lags.log_density((base, LAST), half.end - unit.start)
            own = workers.group_of.get(half.connection_id)
            if own is not None and process is not None:
                log_density += workers.against(own, process)
            rate += math.exp(log_density) * (1.0 if half.images else share)
        if rate <= 0.0:
            return -math.inf
        return math.log(rate) + math.log((self._units[base] + 1) / (self._taught + 1))

    def share(self, unit: UnitFacts) -> float:
        """Share of the calls that name a unit's image: how likely one names it of which that is not known."""
        if not unit.images:
            return 1.0
        return (max(self._named[image] for image in unit.images) + 1) / (self._calls + 1)
