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
        if len(states) == 1 and one != two and not none:  # nothing to share yet
            first_last, second_last = states[0]
            link = chains.link(first, first_last, unit) if one else chains.link(second, second_last, unit)
            if link is None:
                return Shared()
            states, best = [(unit, second_last) if one else (first_last, unit)], [best[0] + link]
            backs.append([(0, 0 if one else 1)])
            continue
        index: dict[Before, int] = {}
        after: list[Before] = []
        scores: list[float] = []
        back: list[tuple[int, int]] = []
        lowest = max(best) - _WORST
        for source, (state, score) in enumerate(zip(states, best, strict=True)):
            if score < lowest:
                continue  # given up
            one_last, two_last = state
            to_one = chains.link(first, one_last, unit) if one else None
            to_two = chains.link(second, two_last, unit) if two else None
            moves: list[tuple[Before, int, float]] = []
            if to_one is not None and (to_two is None or to_one > to_two - _WORST):
                moves.append(((unit, two_last), 0, score + to_one))
            if to_two is not None and (to_one is None or to_two > to_one - _WORST):
                moves.append(((one_last, unit), 1, score + to_two))
            if none:
                moves.append((state, 2, score + _LEFT_OUT))
            for target, whose, worth in moves:
                number = index.get(target)
                if number is None:
                    index[target] = len(after)
                    after.append(target)
                    scores.append(worth)
                    back.append((source, whose))
                elif worth > scores[number]:
                    scores[number] = worth
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
