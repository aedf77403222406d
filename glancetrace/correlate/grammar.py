"""In which order the calls of a route run their units of work: learnt from calls whose units are known.

Stories are told from their end, as they are solved (see `solve`). A tree of what was seen, by operation and status
code: each node is the later units, its counts are the units that stood before them (or the beginning). Where a node was
seen rarely, what is known of shorter stories (the next two units, the next unit of the operation, the next unit of any)
fills in, and beneath all lies the prior of `glance.sequences`. Each longer story weighs as much as it was seen (Witten
and Bell's interpolation), so nothing is impossible, only unlikely.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from glancetrace.glance.sequences import END, KINDS, START, base_of, preceders

__all__ = ["Route", "RouteGrammar"]

_PRIOR = 0.95
"""Share of the prior that goes to the units it names; the rest is spread over all kinds."""
_TRUST = 2.0
"""Times a shorter story counts beside the sightings of a longer one."""
_MARKS = 6
"""Units of one kind that differ in their marks; what is known of a kind is spread over so many."""
_REFUSED = 0.02
"""How likely a call fails before its first unit."""

_REMEMBERED = 2
"""Next units that are remembered of a call whose work goes on after its response."""

Route = tuple[str, int | None]
"""(operation, status code)."""

_Counts = dict[str, float]


class RouteGrammar:
    """Counts of what stood before what; a `state` is the number of a story (its later units) of a route."""

    def __init__(self) -> None:
        self._counts: dict[tuple[object, ...], _Counts] = defaultdict(lambda: defaultdict(float))
        self._states: dict[tuple[Route, tuple[str, ...]], int] = {}
        self._stories: list[tuple[Route, tuple[str, ...]]] = []
        self._known: dict[tuple[int, str], float] = {}
        self._before: dict[tuple[int, str], int] = {}

    def copy(self) -> RouteGrammar:
        """One that has seen the same, and may see more."""
        other = RouteGrammar()
        for context, counts in self._counts.items():
            other._counts[context].update(counts)
        return other

    def learn(self, route: Route, kinds: Sequence[str], times: int = 1) -> None:
        """So many calls of `route` ran these units, in order of time, and no others."""
        story: tuple[str, ...] = ()
        for kind in (*reversed(kinds), START):
            for context in _contexts(route, story):
                self._counts[context][kind] += times
            story = (*story, kind)
        self._known.clear()

    def learn_run(self, route: Route, kinds: Sequence[str]) -> None:
        """A call of `route` ran these units one after another, in order of time; what else it ran is not known."""
        story = tuple(reversed(kinds))
        for place in range(1, len(story)):
            for context in _contexts(route, story[max(0, place - _REMEMBERED) : place])[1:]:
                self._counts[context][story[place]] += 1
        self._known.clear()

    def state(self, route: Route, story: tuple[str, ...] = ()) -> int:
        """Number of a story, told from its end; without units: of the end of a call."""
        key = (route, story)
        number = self._states.get(key)
        if number is None:
            number = self._states[key] = len(self._stories)
            self._stories.append(key)
        return number

    def before(self, state: int, kind: str, *, forgets: bool = False) -> int:
        """The state that a unit of `kind` makes of `state` by standing before it.

        `forgets`: the story is of a call that may go on for ever, and only its next units matter.
        """
        number = self._before.get((state, kind))
        if number is None:
            route, story = self._stories[state]
            story = (*story, kind)
            number = self._before[state, kind] = self.state(route, story[-_REMEMBERED:] if forgets else story)
        return number

    def log_probability(self, state: int, kind: str) -> float:
        """Natural logarithm of how likely `kind` (or START) stands before."""
        value = self._known.get((state, kind))
        if value is None:
            route, story = self._stories[state]
            value = self._known[state, kind] = math.log(self._probability(route, story, kind))
        return value

    def _probability(self, route: Route, story: tuple[str, ...], kind: str) -> float:
        probability = _prior(route, story[-1] if story else END, kind)
        for context in reversed(_contexts(route, story)):
            counts = self._counts.get(context)
            if counts:
                total = sum(counts.values())
                probability = (counts.get(kind, 0.0) + _TRUST * probability) / (total + _TRUST)
        return probability


def _failed(route: Route) -> bool:
    return route[1] is None or route[1] >= 400


def _contexts(route: Route, story: tuple[str, ...]) -> list[tuple[object, ...]]:
    """What is counted under, from the most telling to the least."""
    last = story[-1] if story else END
    return [(route, story), (route, story[-2:], "two"), (route[0], _failed(route), last), (last,)]


def _prior(route: Route, last: str, kind: str) -> float:
    if last == END and kind == START:
        return _REFUSED
    known = preceders(route[0], last, _failed(route))
    base = START if kind == START else base_of(kind)
    rest = (1 - _PRIOR) / (len(KINDS) + 1)
    share = (_PRIOR / len(known) if base in known else 0.0) + rest
    return share if kind == START else share / _MARKS
