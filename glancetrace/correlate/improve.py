"""Mends a solution call by call: two calls at a time share their units anew, until no pair does better.

A beam looks at all open calls at once and must forget most ways of sharing; when dozens of calls wait for the same
image it may forget the best. Two calls alone have few ways, and all of them are kept.
"""

from __future__ import annotations

from glancetrace.correlate.solve import Component, Model, Solution, solve

__all__ = ["improve"]

_SWEEPS = 4
_BETTER = 0.01
"""Gain (natural logarithm) from which another way is taken."""


def improve(component: Component, solution: Solution, model: Model) -> bool:
    """Change `solution.choice` where two calls can share their units better; tells whether anything changed."""
    if not solution.crowded:
        return False
    shared: dict[tuple[int, int], None] = {}
    for options in component.options:
        calls = [call for call in options if call >= 0]
        for index, one in enumerate(calls):
            for other in calls[index + 1 :]:
                shared[one, other] = None
    units_of: dict[int, list[int]] = {call: [] for pair in shared for call in pair}
    for number, call in enumerate(solution.choice):
        if call in units_of:
            units_of[call].append(number)
    changed_ever = False
    dirty = solution.crowded
    for sweep in range(_SWEEPS):
        changed: set[int] = set()
        for one, other in shared:
            touched = one in dirty or other in dirty or one in changed or other in changed
            touched = touched if sweep else one in dirty and other in dirty
            if touched and _share(component, solution, (one, other), units_of, model):
                changed |= {one, other}
        if not changed:
            break
        changed_ever = True
        dirty = changed
    return changed_ever


def _share(
    component: Component, solution: Solution, calls: tuple[int, int], units_of: dict[int, list[int]], model: Model
) -> bool:
    """Share the units of two calls anew."""
    choice = solution.choice
    units = sorted([*units_of[calls[0]], *units_of[calls[1]]])
    movable = [number for number in units if sum(call in component.options[number] for call in calls) > 1]
    if not movable:
        return False
    place = {call: index for index, call in enumerate(calls)}
    chosen = [component.units[number] for number in units]
    facts = [component.calls[call] for call in calls]
    options = [tuple(place[call] for call in component.options[number] if call in place) for number in units]
    now: list[tuple[int, ...]] = [(place[choice[number]],) for number in units]
    before = solve(Component(facts, chosen, now), model)
    after = solve(Component(facts, chosen, options), model)
    if after.worth <= before.worth + _BETTER:
        return False
    for number, call, against in zip(units, after.choice, after.against, strict=True):
        choice[number] = calls[call]
        weights = {other: weight for other, weight in solution.against[number].items() if other not in calls}
        weights.update((calls[other], weight) for other, weight in against.items())
        solution.against[number] = weights
    for call in calls:
        units_of[call] = [number for number in units if choice[number] == call]
    return True
