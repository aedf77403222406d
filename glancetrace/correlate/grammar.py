"""In which order the calls of a route run their units of work: learnt from calls whose units are known.

A tree of what was seen, by operation and status code: each node is the units so far, its counts are the units that came
next (or the end). Where a node was seen rarely, what is known of shorter stories (last two units, last unit of the
operation, last unit of any operation) fills in, and beneath all lies the prior of `glance.sequences`. Each longer story
weighs as much as it was seen (Witten and Bell's interpolation), so nothing is impossible, only unlikely.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from glancetrace.glance.sequences import END, KINDS, START, base_of, followers

__all__ = ["RouteGrammar"]

_PRIOR = 0.95
"""Share of the prior that goes to the units it names; the rest is spread over all kinds."""

_TRUST = 2.0
"""Times a shorter story counts beside the sightings of a longer one."""

_MARKS = 6
"""Units of one kind that differ in their marks; what is known of a kind is spread over so many."""

_FAILED = 0.3
"""How likely an error ends a call after any unit."""
_REFUSED = 0.02
"""How likely a call was refused before its first unit."""

Route = tuple[str, int | None]
"""(operation, status code)."""

_Counts = dict[str, float]


class RouteGrammar:
    """Counts of what followed what; `state`s are numbers of stories of a route, 0 is unknown."""

    def __init__(self) -> None:
        self._counts: dict[tuple[object, ...], _Counts] = defaultdict(lambda: defaultdict(float))
        self._states: dict[tuple[Route, tuple[str, ...]], int] = {}
        self._stories: list[tuple[Route, tuple[str, ...]]] = []
        self._known: dict[tuple[int, str], float] = {}

    def learn(self, route: Route, kinds: Sequence[str], weight: float = 1.0) -> None:
        """A call of `route` ran these units, and no others."""
        story: tuple[str, ...] = ()
        for kind in (*kinds, END):
            for context in _contexts(route, story):
                self._counts[context][kind] += weight
            story = (*story, kind)
        self._known.clear()

    def learn_all(self, stories: Iterable[tuple[Route, Sequence[str]]]) -> None:
        """As `learn`, of many calls."""
        for route, kinds in stories:
            self.learn(route, kinds)

    def state(self, route: Route, story: tuple[str, ...] = ()) -> int:
        """Number of a story."""
        key = (route, story)
        number = self._states.get(key)
        if number is None:
            number = self._states[key] = len(self._stories)
            self._stories.append(key)
        return number

    def after(self, state: int, kind: str) -> int:
        """The state that follows `state` when a unit of `kind` comes."""
        route, story = self._stories[state]
        return self.state(route, (*story, kind))

    def log_probability(self, state: int, kind: str) -> float:
        """Natural logarithm of how likely `kind` (or END) is to come next."""
        value = self._known.get((state, kind))
        if value is None:
            route, story = self._stories[state]
            value = self._known[state, kind] = math.log(self._probability(route, story, kind))
        return value

    def _probability(self, route: Route, story: tuple[str, ...], kind: str) -> float:
        probability = _prior(route, story[-1] if story else START, kind)
        for context in reversed(_contexts(route, story)):
            counts = self._counts.get(context)
            if counts:
                total = sum(counts.values())
                probability = (counts.get(kind, 0.0) + _TRUST * probability) / (total + _TRUST)
        return probability


def _contexts(route: Route, story: tuple[str, ...]) -> list[tuple[object, ...]]:
    """What a next unit is counted under, from the most telling to the least."""
    last = story[-1] if story else START
    operation, status = route
    return [(route, story), (route, story[-2:], "two"), (operation, status is None or status >= 400, last), (last,)]


def _prior(route: Route, last: str, kind: str) -> float:
    operation, status = route
    known = followers(operation, last)
    if kind == END and (status is None or status >= 400):
        return _REFUSED if last == START else _FAILED
    base = END if kind == END else base_of(kind)
    rest = (1 - _PRIOR) / (len(KINDS) + 1)
    share = (_PRIOR / len(known) if base in known else 0.0) + rest
    return share if kind == END else share / _MARKS
