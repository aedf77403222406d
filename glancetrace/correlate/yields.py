"""Who yields first goes on first: the queue of calls that have just given a database connection back.

oslo.db yields whenever a connection returns to its pool (`_thread_yield` in its engines.py: it sleeps for no time, so
that others get their turn). Under eventlet (eras 1 and 2) that is a timer of the hub, timers fire in the order in which
they were set, and what the call sends next it sends without waiting again: so of two calls of a process the one that
gave its connection back first sends first, be it the next unit or the response. Measured on six recordings: of 1,500
calls that ended a unit while others could have passed them, none was passed if the answer to its last statement came
within 32 us. Who has to wait for that answer waits in the hub and yields later; how much later, the pool tells at times
(`pool`). Threads (era 3) are passed in 10 to 50 of 100 cases whatever the answer. So how strictly the queue is kept is
learnt from the capture itself, by how long the answer took and by what the call waits for: an upload waits for its
client, too.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import NamedTuple

from glancetrace.correlate.facts import CallFacts, UnitFacts
from glancetrace.correlate.gaps import LAST

__all__ = ["Wait", "Yields", "waits_of"]

_ANSWERED = (32_000, 64_000, 128_000, 256_000)
"""ns that part answers which were there at once from those that had to be waited for."""
_USUALLY = 0.35
"""How often a call is passed where nothing was seen yet; counts as much as one sighting."""
_TRUST = 2.0
"""Times a broader kind of wait counts beside the sightings of a narrower one."""
_FREE = 2.0
"""Odds (natural logarithm) up to which nothing is charged: a queue that is kept no better tells little."""
_MOST = 6.0

_UPLOADS = frozenset({"image-upload", "image-stage"})
_IMPORT = "image-import"

Place = tuple[str, str, str]
"""(operation, kind of unit before, what follows), kinds without marks."""


class Wait(NamedTuple):
    """A call waited in a process for its next message.

    `since`: it gave the connection of its last unit back, ns (see `pool`); `until`: the first packet of its next unit
    or response, ns; `answer`: how long the last answer of its unit took, ns.
    """

    process: int
    since: int
    until: int
    place: Place
    answer: int


def waits_of(call: CallFacts, units: Sequence[UnitFacts], process_of: Mapping[int, int]) -> Iterator[Wait]:
    """What a call waited for after each of its units.

    Args:
        call: the call. units: all of its units, in order of their ends.
        process_of: connection id -> process, where that is known.
    """
    for unit, following in zip_longest(units, units[1:]):
        process = process_of.get(unit.connection_id)
        if following is None:
            if call.goes_on or call.call.status_code is None:
                return
            until, base = call.end, LAST
        else:
            until, base = following.served, following.base
        if process is not None and until >= unit.end:
            place = (call.call.operation, unit.base, base)
            yield Wait(process, unit.waits_since(until), until, place, unit.answer)


class Yields:
    """How strictly the queues of processes are kept, and waits of calls whose units are certain.

    `strict`: being passed costs anything at all.
    """

    def __init__(self) -> None:
        self.strict = False
        self._counts: dict[object, list[int]] = {}
        self._costs: dict[tuple[int, Place], float] = {}
        self._bystanders: dict[int, _Bystanders] = {}

    def learn(self, waits: Iterable[Wait]) -> None:
        """These waits are known."""
        for of_process in _by_process(waits).values():
            first_served = _first_served_after(of_process)
            for place, wait in enumerate(of_process[:-1], 1):
                if of_process[place].since < wait.until:
                    passed = first_served[place] < wait.until
                    kind = bisect_right(_ANSWERED, wait.answer)
                    for key in ((kind, wait.place),) if _waits_elsewhere(wait.place) else (kind, (kind, wait.place)):
                        self._counts.setdefault(key, [0, 0])[passed] += 1
        self.strict = any(_cost(self._share(kind)) > 0 for kind in range(len(_ANSWERED) + 1))
        self._costs.clear()

    def watch(self, waits: Iterable[Wait]) -> None:
        """These waits are of calls that need not be solved; others pass them, and are passed by them."""
        for process, of_process in _by_process(waits).items() if self.strict else ():
            costs = [self.if_passed(wait.place, wait.answer) for wait in of_process]
            self._bystanders[process] = _Bystanders(of_process, costs)

    def if_passed(self, place: Place, answer: int) -> float:
        """What it costs (natural logarithm) that a call which waits at `place` is passed; `answer` as in `Wait`."""
        key = (bisect_right(_ANSWERED, answer), place)
        cost = self._costs.get(key)
        if cost is None:
            kept, passed = self._counts.get(key, (0, 0))
            share = (passed + _TRUST * self._share(key[0])) / (kept + passed + _TRUST)
            cost = self._costs[key] = _cost(share) if self.strict else 0.0
        return cost

    def cost(self, wait: Wait, passed: bool) -> float:
        """What it costs that a call waited so; `passed`: one of its component is known to have passed it."""
        process, since, until, place, answer = wait
        own = self.if_passed(place, answer)
        bystanders = self._bystanders.get(process)
        if bystanders is None:
            return own if passed else 0.0
        passed = passed or (own > 0 and bystanders.pass_(since, until))
        return (own if passed else 0.0) + bystanders.are_passed(since, until)

    def _share(self, kind: int) -> float:
        """How often calls are passed that wait after such an answer."""
        kept, passed = self._counts.get(kind, (0, 0))
        return (passed + _USUALLY) / (kept + passed + 1)


class _Bystanders:
    """Known waits of a process, in order of their beginning."""

    def __init__(self, waits: Sequence[Wait], costs: Sequence[float]) -> None:
        self._since = [wait.since for wait in waits]
        self._first_served = _first_served_after(waits)
        self._strict_since: list[int] = []
        self._last_served: list[tuple[int, float]] = []
        last = (0, 0.0)
        for wait, cost in zip(waits, costs, strict=True):
            if cost > 0:
                last = max(last, (wait.until, cost))
                self._strict_since.append(wait.since)
                self._last_served.append(last)

    def pass_(self, since: int, until: int) -> bool:
        """One of them yielded later than `since` and was served before `until`."""
        place = bisect_right(self._since, since)
        return place < len(self._since) and self._first_served[place] < until

    def are_passed(self, since: int, until: int) -> float:
        """What it costs that one of them yielded before `since` and was served after `until`."""
        place = bisect_left(self._strict_since, since)
        last, cost = self._last_served[place - 1] if place else (0, 0.0)
        return cost if last > until else 0.0


def _cost(share: float) -> float:
    return max(0.0, min(_MOST, math.log((1 - share) / share)) - _FREE)


def _waits_elsewhere(place: Place) -> bool:
    """For more than its turn: an upload for its client, an import for the store."""
    return place[0] == _IMPORT or (place[0] in _UPLOADS and place[2] == "save")


def _by_process(waits: Iterable[Wait]) -> dict[int, list[Wait]]:
    """Waits of each process in order of their beginning."""
    found: dict[int, list[Wait]] = defaultdict(list)
    for wait in waits:
        found[wait.process].append(wait)
    for of_process in found.values():
        of_process.sort()
    return found


def _first_served_after(waits: Sequence[Wait]) -> list[int]:
    """For each of these waits: when the first of it and those after it was served."""
    served = [wait.until for wait in waits]
    for place in range(len(served) - 2, -1, -1):
        served[place] = min(served[place], served[place + 1])
    return served
