"""How sure it is that a unit is of the call that it was given to: where two calls could have changed places.

While two calls of a process wait for the same step, either could have gone on with what the other did: there the two
may have been taken for each other. How likely that is, the four links say that are in question. A unit that only one
call can have run cannot have been mistaken, nor can a request and a response, so for another unit to be wrong its call
must have changed places on both sides of it, on the way from what is sure before and on the way to what is sure after.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from glancetrace.correlate.keystone.chains import Chains
from glancetrace.correlate.keystone.steps import KeystoneUnit

__all__ = ["Doubt", "tell_doubts"]

_EVEN = 2.5
"""Differences count that many times less: waits of one busy moment are long together."""
_UNLIKELY = -12.0
"""Difference (natural logarithm) from which on a change of places is not thought of."""
_RARE = -6.0
"""Logarithm of how likely a step follows at least, to be thought of."""


@dataclass(slots=True)
class Doubt:
    """How likely a unit is of another call, and of which (indexes)."""

    error: float = 0.0
    others: frozenset[int] = frozenset()


@dataclass(slots=True)
class _Wait:
    """A link of a call's chain: the unit before (None: the request) and the one after (None: the response)."""

    call: int
    before: KeystoneUnit | None
    after: KeystoneUnit | None
    since: int
    until: int
    worth: float
    kept: float = 1.0
    others: set[int] = field(default_factory=set)


def tell_doubts(chains: Chains, own: Sequence[Sequence[KeystoneUnit]]) -> Mapping[KeystoneUnit, Doubt]:
    """The doubt about each unit; `own`: units of each call in order of time."""
    waits = [_waits(chains, call, units) for call, units in enumerate(own)]
    _meet(chains, sorted((wait for of_call in waits for wait in of_call), key=lambda wait: (wait.since, wait.call)))
    found: dict[KeystoneUnit, Doubt] = {}
    for units, of_call in zip(own, waits, strict=True):
        before, others_before = _since_sure(units, of_call)
        after, others_after = _since_sure(units[::-1], of_call[::-1])
        for place, unit in enumerate(units):
            back = len(units) - 1 - place
            error = (1 - before[place]) * (1 - after[back])
            found[unit] = Doubt(error, others_before[place] | others_after[back])
    return found


def _waits(chains: Chains, call: int, units: Sequence[KeystoneUnit]) -> list[_Wait]:
    waits: list[_Wait] = []
    start, end = chains.ends(call)
    before: KeystoneUnit | None = None
    for after in units:
        since = start if before is None else before.end
        waits.append(_Wait(call, before, after, since, after.start, chains.link(call, before, after) or 0.0))
        before = after
    if units:
        waits.append(_Wait(call, before, None, units[-1].end, end, chains.ending(call, before)))
    return waits


def _since_sure(units: Sequence[KeystoneUnit], waits: Sequence[_Wait]) -> tuple[list[float], list[frozenset[int]]]:
    """For each unit, how likely its call has kept its place since what is sure, and with whom it may have changed."""
    kept, others = 1.0, frozenset[int]()
    found: list[float] = []
    with_whom: list[frozenset[int]] = []
    for unit, wait in zip(units, waits, strict=False):
        kept *= wait.kept
        others |= wait.others
        if len(unit.options) == 1:
            kept, others = 1.0, frozenset()
        found.append(kept)
        with_whom.append(others)
    return found, with_whom


def _meet(chains: Chains, waits: Sequence[_Wait]) -> None:
    """Note where two calls that waited at one time could have changed places."""
    waiting: list[_Wait] = []
    for wait in waits:
        waiting = [other for other in waiting if other.until > wait.since]
        for other in waiting:
            if wait.call != other.call:
                odds = _odds(chains, wait, other)
                if odds > 0:
                    for one, another in ((wait, other), (other, wait)):
                        one.kept *= 1 / (1 + odds)
                        one.others.add(another.call)
        waiting.append(wait)


def _odds(chains: Chains, one: _Wait, other: _Wait) -> float:
    """Odds that what came after two waits came the other way round; 0 where that cannot be."""
    for call, after in ((one.call, other.after), (other.call, one.after)):
        if after is not None and call not in after.options:
            return 0.0
    crossed = 0.0
    for call, before, after in ((one.call, one.before, other.after), (other.call, other.before, one.after)):
        if after is None:
            link = chains.ending(call, before)
        else:
            follows = chains.follows(call, before, after)
            if follows is None or follows < _RARE:
                return 0.0
            link = follows + chains.waits(call, before, after)
        crossed += link
    difference = crossed - one.worth - other.worth
    return math.exp(min(0.0, difference) / _EVEN) if difference > _UNLIKELY else 0.0
