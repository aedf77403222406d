"""Two calls share their units anew, in the best way.

Calls that ask Keystone the same at the same time, in one process, take the same steps one after another. What two of
them ran is one row of units in order of time, and each unit goes to one of the two. A way of sharing is worth the sum
of its links, from a call's request over its units to its response (see `Chains`), so all that matters of a way is which
unit each of the two ran last. Mostly there is one such state, now and then a few, when both calls wait for the same,
so the best way is found in one pass (Viterbi's algorithm).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from glancetrace.correlate.keystone.chains import Chains
from glancetrace.correlate.keystone.steps import KeystoneUnit

__all__ = ["Shared", "share"]

_WORST = 7.0
"""A way that is so much less likely than the best (natural logarithm) is given up."""
_LEFT_OUT = -30.0
"""What it is worth that a unit goes to none, where it had none before: less than anything that may be."""

Before = tuple[KeystoneUnit | None, KeystoneUnit | None]
"""The last unit of each call."""


@dataclass(slots=True)
class Shared:
    """The best way: for each unit whose it is (0, 1; 2: of none), what that is `worth`; `open`: there are others."""

    choice: list[int] = field(default_factory=list)
    worth: float = -math.inf
    open: bool = False


def share(
    chains: Chains, calls: tuple[int, int], units: Sequence[KeystoneUnit], may: Sequence[tuple[bool, bool, bool]]
) -> Shared:
    """The best way in which two calls share units.

    Args:
        chains: what links are worth. calls: their indexes. units: in order of their starts.
        may: for each unit, whether the first call can have run it, whether the second can, whether none can.
    """
    first, second = calls
    shared = Shared()
    states: list[Before] = [(None, None)]
    best = [0.0]
    backs: list[list[tuple[int, int]]] = []
    for unit, (one, two, none) in zip(units, may, strict=True):
        index: dict[Before, int] = {}
        after: list[Before] = []
        scores: list[float] = []
        back: list[tuple[int, int]] = []
        lowest = max(best) - _WORST
        for source, (state, score) in enumerate(zip(states, best, strict=True)):
            if score < lowest:
                continue  # given up
            moves = _moves(chains, calls, state, unit, (one, two))
            if none:
                moves.append((state, 2, _LEFT_OUT))
            for target, whose, worth in moves:
                number = index.get(target)
                if number is None:
                    number = index[target] = len(after)
                    after.append(target)
                    scores.append(score + worth)
                    back.append((source, whose))
                elif score + worth > scores[number]:
                    scores[number] = score + worth
                    back[number] = source, whose
        if not after:
            return Shared()
        shared.open = shared.open or len(after) > 1
        states, best = after, scores
        backs.append(back)
    worths = [
        score + chains.ending(first, one) + chains.ending(second, two)
        for score, (one, two) in zip(best, states, strict=True)
    ]
    shared.worth = max(worths)
    place = worths.index(shared.worth)
    for back in reversed(backs):
        place, whose = back[place]
        shared.choice.append(whose)
    shared.choice.reverse()
    return shared


def _moves(
    chains: Chains, calls: tuple[int, int], state: Before, unit: KeystoneUnit, may: tuple[bool, bool]
) -> list[tuple[Before, int, float]]:
    """Ways to go on from a state: the next state, whose the unit is then, and what that is worth."""
    one = chains.follows(calls[0], state[0], unit) if may[0] else None
    two = chains.follows(calls[1], state[1], unit) if may[1] else None
    moves: list[tuple[Before, int, float]] = []
    if one is not None and (two is None or one > two - _WORST):
        moves.append(((unit, state[1]), 0, one + chains.waits(calls[0], state[0], unit)))
    if two is not None and (one is None or two > one - _WORST):
        moves.append(((state[0], unit), 1, two + chains.waits(calls[1], state[1], unit)))
    return moves
