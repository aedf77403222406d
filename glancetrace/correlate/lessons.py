"""What the calls of earlier parts of a capture have taught, for a capture that is attributed in parts.

A capture that is attributed at once learns orders, gaps, processes and hosts from all of its certain calls. In parts it
learns from each call once, in the part in which the call ends, and what was learnt serves that part and those after it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from glancetrace.correlate.affinity import Use
from glancetrace.correlate.facts import CallFacts, UnitFacts
from glancetrace.correlate.solve import Model
from glancetrace.net.run import Endpoint

__all__ = ["Lessons", "Story"]

_USES = 20_000
"""Calls whose connections are remembered; processes come and go."""

_NEVER = 1 << 63

Story = tuple[CallFacts, list[UnitFacts]]
"""A call and units that it ran."""


@dataclass(slots=True)
class Lessons:
    """Counts of what was learnt.

    Attributes:
        model: orders and gaps. uses: connections that served the last calls. homes: (server of a call, address of the
            client of a connection that it used) -> units. until: end of the part from which was learnt last, ns.
    """

    model: Model = field(default_factory=Model)
    uses: deque[Use] = field(default_factory=lambda: deque(maxlen=_USES))
    homes: Counter[tuple[Endpoint, str]] = field(default_factory=Counter)
    until: int = 0

    def begin(self) -> Model:
        """A model that knows what was learnt before."""
        return Model(self.model.grammar.copy(), self.model.gaps.copy())

    def fresh(self, stories: Iterable[Story], until: int = _NEVER) -> list[Story]:
        """Stories from which nothing was learnt yet, of calls that end until then (ns); of those that go on, the units
        that begin until then."""
        return list(self._fresh(stories, until))

    def _fresh(self, stories: Iterable[Story], until: int) -> Iterator[Story]:
        for call, units in stories:
            if call.goes_on:
                units = [unit for unit in units if self.until < unit.start <= until]
                if units:
                    yield call, units
            elif self.until < call.end <= until:
                yield call, units

    def uses_of(self, pairs: Iterable[tuple[CallFacts, UnitFacts]]) -> Iterator[tuple[Endpoint, str]]:
        """Where the hosts of servers have their connections from; of units from which nothing was learnt yet."""
        for call, unit in pairs:
            if unit.start > self.until:
                yield call.server, unit.client

    def remember(self, model: Model, uses: Sequence[Use], until: int) -> None:
        """Take what the part of a capture up to that time (ns) has taught."""
        self.model.grammar, self.model.gaps = model.grammar, model.gaps
        self.uses += uses
        self.until = until
