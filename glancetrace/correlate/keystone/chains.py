"""How Keystone's calls go from step to step: what a link from a unit to the next of its call is worth.

A call is a chain: its request, its units one after another, its response. What a link is worth is the logarithm of how
likely such a step follows such a step in this operation, and of the density of the wait between them (`gaps`). Both are
learnt from the capture: at first from units that follow each other on one connection, for a call mostly gets the
connection back that it has just returned; then from chains that were found.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

from glancetrace.correlate.facts import CallFacts
from glancetrace.correlate.gaps import FIRST, LAST, GapModel
from glancetrace.correlate.hops import CLOCK_SLACK
from glancetrace.correlate.keystone.queues import Pools
from glancetrace.correlate.keystone.steps import KeystoneUnit

__all__ = ["Chain", "Chains"]

_BEGIN = -1
_END = -2
_TRUST = 2.0
"""Times what is known of all operations counts beside the sightings of one, and an even share beside that."""
_BRIEF = 100_000_000
"""ns within which the next unit on a connection is likely of the same call."""
_NO_ANSWER = -6.0
"""What it is worth that a call without a response ends anywhere."""
_APART = -9.0
"""What it is worth that two connections of two processes serve one call."""
_BETWEEN = ("unit", "unit")

Chain = tuple[int, Sequence[KeystoneUnit]]
"""Index of a call, and its units in order of time."""
_Links = dict[tuple[KeystoneUnit, KeystoneUnit], float | None]
"""Two units -> what it is worth that a call of one operation runs them one after the other."""


class Chains:
    """What links are worth; it learns from chains."""

    def __init__(self, calls: Sequence[CallFacts], units: Sequence[KeystoneUnit], pools: Pools) -> None:
        self._calls = calls
        self._operations = [call.call.operation for call in calls]
        self._steps = 2 + len({unit.step for unit in units})
        self._counts: dict[tuple[str, int], dict[int, float]] = {}
        self._gaps = GapModel()
        self._densities: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
        self._known: dict[tuple[str, int, int], float] = {}
        links: dict[str, _Links] = {operation: {} for operation in self._operations}
        self._links = [links[operation] for operation in self._operations]
        self._pools = pools

    def learn_connections(self, units: Iterable[KeystoneUnit]) -> None:
        """Units that follow each other on a connection: most are of one call."""
        by_connection: dict[int, list[KeystoneUnit]] = defaultdict(list)
        for unit in units:
            by_connection[unit.connection_id].append(unit)
        for own in by_connection.values():
            for unit, following in pairwise(own):
                common = set(unit.options).intersection(following.options)
                operations = {self._operations[call] for call in common}
                if following.start - unit.end < _BRIEF:
                    for operation in operations:
                        self._count(operation, unit.step, following.step, 0.5 / len(operations))
        self._forget_links()

    def learn(self, chains: Iterable[Chain]) -> None:
        """Chains that were found, instead of all that was known."""
        self._counts, self._gaps = {}, GapModel()
        self._densities.clear()
        for call, units in chains:
            operation, last, since = self._operations[call], _BEGIN, self._calls[call].start
            for unit in units:
                self._count(operation, last, unit.step)
                self._gaps.learn((FIRST, operation) if last == _BEGIN else _BETWEEN, unit.start - since)
                last, since = unit.step, unit.end
            if self._calls[call].call.status_code is not None:
                self._count(operation, last, _END)
                self._gaps.learn((operation, LAST), self._calls[call].end - since)
        self._forget_links()

    def _forget_links(self) -> None:
        self._known.clear()
        for links in self._links:
            links.clear()

    def _count(self, operation: str, step: int, following: int, weight: float = 1.0) -> None:
        for key in ((operation, step), ("", step)):
            counts = self._counts.setdefault(key, {})
            counts[following] = counts.get(following, 0.0) + weight

    def _follows(self, operation: str, step: int, following: int) -> float:
        """Logarithm of how likely a step follows another."""
        key = (operation, step, following)
        value = self._known.get(key)
        if value is None:
            share = 1 / self._steps
            for context in ("", operation):
                counts = self._counts.get((context, step), {})
                share = (counts.get(following, 0.0) + _TRUST * share) / (sum(counts.values()) + _TRUST)
            value = self._known[key] = math.log(share)
        return value

    def link(self, call: int, before: KeystoneUnit | None, unit: KeystoneUnit) -> float | None:
        """What it is worth that a call runs a unit next, after `before` or its request; None: it cannot."""
        if before is None:
            return self._follows(self._operations[call], _BEGIN, unit.step) + self.waits(call, None, unit)
        links, key = self._links[call], (before, unit)
        value = links.get(key, math.inf)
        if value == math.inf:
            follows = self.follows(call, before, unit)
            value = links[key] = None if follows is None else follows + self.waits(call, before, unit)
        return value

    def follows(self, call: int, before: KeystoneUnit | None, unit: KeystoneUnit) -> float | None:
        """The part of a link that is told by steps; None: it cannot be, for the one before is not over."""
        if before is None:
            return self._follows(self._operations[call], _BEGIN, unit.step)
        if unit.start - before.end < -CLOCK_SLACK:
            return None
        return self._follows(self._operations[call], before.step, unit.step)

    def waits(self, call: int, before: KeystoneUnit | None, unit: KeystoneUnit) -> float:
        """The part of a link that is told by how long the call waited, and by which connections it uses."""
        if before is None:
            facts = self._calls[call]
            place, gap, connection = (FIRST, self._operations[call]), unit.start - facts.start, facts.connection_id
        else:
            place, gap, connection = _BETWEEN, unit.start - before.end, before.connection_id
        wait = self._density(place, gap)
        return wait + _APART if self._pools.apart(connection, unit.connection_id) else wait

    def _density(self, place: tuple[str, str], gap: int) -> float:
        """Logarithm of the density of a wait, to an eighth of a millisecond."""
        known, rounded = self._densities[place], gap >> 17
        value = known.get(rounded)
        if value is None:
            value = known[rounded] = self._gaps.log_density(place, rounded << 17)
        return value

    def ends(self, call: int) -> tuple[int, int]:
        """When a call began, and when it answered, ns."""
        return self._calls[call].start, self._calls[call].end

    def ending(self, call: int, last: KeystoneUnit | None) -> float:
        """What it is worth that a call answers after a unit, or without any."""
        facts, operation = self._calls[call], self._operations[call]
        if facts.call.status_code is None:
            return _NO_ANSWER
        since = facts.start if last is None else last.end
        follows = self._follows(operation, _BEGIN if last is None else last.step, _END)
        return follows + self._density((operation, LAST), facts.end - since)

    def worth(self, call: int, units: Sequence[KeystoneUnit]) -> float:
        """What a whole chain is worth; minus infinity if it cannot be."""
        total, before = 0.0, None
        for unit in units:
            link = self.link(call, before, unit)
            if link is None:
                return -math.inf
            total, before = total + link, unit
        return total + self.ending(call, before)
