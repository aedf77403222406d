"""A first way to share units among calls to Keystone: from the last unit back to the first.

A narrow beam, for what it gets wrong is mended two calls at a time (see `exchange`). It goes back in time, for a
response follows its call's last unit at once, and what a call does last names whom it is about.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from glancetrace.correlate.keystone.chains import Chains
from glancetrace.correlate.keystone.steps import KeystoneUnit

__all__ = ["guess"]

_WORST = 18.0
"""A way that is so much less likely than the best (natural logarithm) is given up."""
_LEFT_OUT = -40.0


class _Decision(NamedTuple):
    """A unit went to a call (-1: to none); the decision before."""

    unit: KeystoneUnit
    call: int
    before: _Decision | None


_Way = tuple[float, tuple[KeystoneUnit | None, ...], _Decision | None]
"""What it is worth, the earliest unit so far of each open call, its last decision."""


def guess(chains: Chains, units: Sequence[KeystoneUnit], width: int) -> dict[int, list[KeystoneUnit]]:
    """Index of a call -> its units in order of time; `units` share candidates, `width` ways are kept."""
    order = sorted(units, key=lambda unit: (-unit.end, -unit.start, unit.connection_id))
    last_place = {call: place for place, unit in enumerate(order) for call in unit.options}
    ways: list[_Way] = [(0.0, (), None)]
    open_: list[int] = []
    for place, unit in enumerate(order):
        for call in unit.options:
            if call not in open_:
                open_.append(call)
                ways = [(score, (*nexts, None), decision) for score, nexts, decision in ways]
        ways = _take(chains, ways, unit, [(call, open_.index(call)) for call in unit.options], width)
        for call in [call for call in open_ if last_place[call] == place]:
            ways = _close(chains, ways, call, open_.index(call), width)
            open_.remove(call)
    found: dict[int, list[KeystoneUnit]] = {}
    decision = ways[0][2]
    while decision is not None:
        if decision.call >= 0:
            found.setdefault(decision.call, []).append(decision.unit)
        decision = decision.before
    for own in found.values():
        own.sort(key=lambda unit: unit.start)
    return found


def _take(
    chains: Chains, ways: list[_Way], unit: KeystoneUnit, places: Sequence[tuple[int, int]], width: int
) -> list[_Way]:
    """The best ways after a unit went to one of its calls, or to none if none can have it."""
    moves: dict[tuple[int, KeystoneUnit | None], float | None] = {}
    found: list[tuple[float, int, int, int]] = []
    for number, (score, nexts, _) in enumerate(ways):
        taken = False
        for call, place in places:
            following = nexts[place]
            key = (call, following)
            if key in moves:
                worth = moves[key]
            elif following is None:
                worth = moves[key] = chains.ending(call, unit)
            else:
                worth = moves[key] = chains.link(call, unit, following)
            if worth is not None:
                taken = True
                found.append((score + worth, -number, call, place))
        if not taken:
            found.append((score + _LEFT_OUT, -number, -1, -1))
    found.sort(reverse=True)
    lowest = found[0][0] - _WORST
    best: dict[tuple[KeystoneUnit | None, ...], _Way] = {}
    for worth, number, call, place in found:
        if worth <= lowest or len(best) == width:
            break
        _, nexts, decision = ways[-number]
        changed = nexts if call < 0 else (*nexts[:place], unit, *nexts[place + 1 :])
        if changed not in best:
            best[changed] = worth, changed, _Decision(unit, call, decision)
    return list(best.values())


def _close(chains: Chains, ways: list[_Way], call: int, place: int, width: int) -> list[_Way]:
    """A call's units are complete."""
    best: dict[tuple[KeystoneUnit | None, ...], _Way] = {}
    for score, nexts, decision in ways:
        first = nexts[place]
        worth = (chains.ending(call, None) if first is None else chains.link(call, None, first)) or 0.0
        others = nexts[:place] + nexts[place + 1 :]
        known = best.get(others)
        if known is None or known[0] < score + worth:
            best[others] = score + worth, others, decision
    return _kept(best, width)


def _kept(best: dict[tuple[KeystoneUnit | None, ...], _Way], width: int) -> list[_Way]:
    ways = sorted(best.values(), key=lambda way: -way[0])[:width]
    return [way for way in ways if way[0] > ways[0][0] - _WORST]
