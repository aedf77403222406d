"""Who yields first goes on first: the queue of calls that have just given a database connection back.

oslo.db yields whenever a connection returns to its pool (`_thread_yield` in its engines.py: sleep for no time, so that
others get their turn). Under eventlet (eras 1 and 2) that is a timer of the hub, timers fire in the order in which they
were set, and before its next message the call does not wait again: so of two calls of a process the one that ended its
unit first sends first whatever comes next, the next unit or the response. Measured: of 1,900 calls that ended a unit
while others could have passed them, none was passed if the answer to its last statement had come within 32 us. Whose
answer took longer had to wait for it in the hub, yields later, and may be passed: in 10 to 60 of 100 cases. Threads
(era 3) are passed in 10 to 50 of 100 cases whatever the answer. So how strictly the queue is kept is learnt from the
capture itself, by the time that the answer took and by what the call waits for: an upload waits for its client, too.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

__all__ = ["Wait", "Yields"]

_ANSWERED = (32_000, 64_000, 128_000, 256_000)
"""ns that part answers which came at once from those that had to be waited for."""
_USUALLY = 0.35
"""How often a call is passed where nothing was seen yet; counts as much as one sighting."""
_TRUST = 2.0
"""Times a broader kind of wait counts beside the sightings of a narrower one."""
_FREE = 2.0
"""Natural logarithm of the odds up to which nothing is charged: a queue that is kept no better decides nothing."""
_MOST = 6.0

_UPLOADS = frozenset({"image-upload", "image-stage"})
_GOES_ON = frozenset({"image-import"})

Place = tuple[str, str, str]
"""(operation, kind of unit before, what follows), kinds without marks."""


class Wait(NamedTuple):
    """A call waited in a process for its next message.

    `since`: its unit ended, ns; `until`: the first packet of its next unit or response, ns; `answer`: how long the last
    answer of its unit took, ns.
    """

    process: int
    since: int
    until: int
    place: Place
    answer: int


class Yields:
    """How strictly the queues of processes are kept, and waits of calls whose units are certain."""

    def __init__(self) -> None:
        self._kept: dict[object, list[int]] = defaultdict(lambda: [0, 0])
        self._known: dict[tuple[Place, int], float] = {}
        self._bystanders: dict[int, _Bystanders] = {}

    def learn(self, waits: Iterable[Wait]) -> None:
        """These waits are known."""
        by_process = _by_process(waits)
        for of_process in by_process.values():
            passed = _first_served_after(of_process)
            for wait, following, earliest in zip(of_process, of_process[1:], passed[1:], strict=False):
                if following.since < wait.until:
                    kind = bisect_right(_ANSWERED, wait.answer)
                    for key in ((kind, wait.place),) if _elsewhere(wait.place) else (kind, (kind, wait.place)):
                        self._kept[key][earliest < wait.until] += 1
        self._known.clear()

    def watch(self, waits: Iterable[Wait]) -> None:
        """These waits are of calls that need not be solved; others pass them, and are passed by them."""
        for process, of_process in _by_process(waits).items():
            self._bystanders[process] = _Bystanders(of_process, [self.passed(w.place, w.answer) for w in of_process])

    def passed(self, place: Place, answer: int) -> float:
        """What it costs (natural logarithm) that a call which waits at `place` is passed; `answer` as in `Wait`."""
        key = (place, bisect_right(_ANSWERED, answer))
        cost = self._known.get(key)
        if cost is None:
            kept, passed = self._kept[key[1]]
            share = (passed + _USUALLY) / (kept + passed + 1)
            kept, passed = self._kept[key[1], place]
            share = (passed + _TRUST * share) / (kept + passed + _TRUST)
            cost = self._known[key] = max(0.0, min(_MOST, math.log((1 - share) / share)) - _FREE)
        return cost

    def cost(self, wait: Wait, passed: bool) -> float:
        """What it costs that a call waited so; `passed`: it is known to have been passed."""
        bystanders = self._bystanders.get(wait.process)
        own = self.passed(wait.place, wait.answer)
        if bystanders is None:
            return own if passed else 0.0
        passed = passed or (own > 0 and bystanders.pass_(wait.since, wait.until))
        return (own if passed else 0.0) + bystanders.are_passed(wait.since, wait.until)


class _Bystanders:
    """Known waits of a process."""

    def __init__(self, waits: Sequence[Wait], costs: Sequence[float]) -> None:
        self._since = [wait.since for wait in waits]
        self._served = _first_served_after(waits)
        strict = [(wait.since, wait.until, cost) for wait, cost in zip(waits, costs, strict=True) if cost > 0]
        self._strict_since = [since for since, _, _ in strict]
        self._last: list[tuple[int, float]] = []
        last = (0, 0.0)
        for _, until, cost in strict:
            last = max(last, (until, cost))
            self._last.append(last)

    def pass_(self, since: int, until: int) -> bool:
        """One of them yielded later than `since` and was served before `until`."""
        place = bisect_right(self._since, since)
        return place < len(self._served) and self._served[place] < until

    def are_passed(self, since: int, until: int) -> float:
        """What it costs that one of them yielded before `since` and was served after `until`."""
        place = bisect_left(self._strict_since, since)
        if not place:
            return 0.0
        last, cost = self._last[place - 1]
        return cost if last > until else 0.0


def _elsewhere(place: Place) -> bool:
    """It waits for something else than its turn: an upload for its client, an import for the store."""
    return place[0] in _GOES_ON or (place[0] in _UPLOADS and place[2] == "save")


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
