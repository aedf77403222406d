"""What a joint solution holds for and against a link, in numbers: for people who ask why.

Weights are natural logarithms, as the solution adds them up; only differences between calls decide.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from glancetrace.correlate.facts import CallFacts, UnitFacts
from glancetrace.correlate.gaps import FIRST, LAST
from glancetrace.correlate.solve import Component, Model, Solution, route_of
from glancetrace.correlate.yields import waits_of
from glancetrace.glance.sequences import START

__all__ = ["Joint", "Weight", "alternatives", "position", "soften", "weigh"]


@dataclass(frozen=True, slots=True)
class Joint:
    """A unit (`number` of the component's) and the solution in which it got its call."""

    component: Component
    solution: Solution
    model: Model
    number: int


@dataclass(frozen=True, slots=True)
class Weight:
    """One piece of evidence: its name, its weight (None where it decides alone) and what was seen."""

    name: str
    weight: float | None
    text: str


def soften(against: Mapping[int, float]) -> dict[int, float]:
    """Weights of other calls beside the chosen one, at half the difference of their logarithms.

    Waits of one busy moment are long together, and the best of many ways looks better than it is: the sum of terms that
    are taken for independent says more than they do.
    """
    return {call: math.sqrt(weight) for call, weight in against.items()}


def position(joint: Joint) -> tuple[CallFacts, list[int], int]:
    """The call, the numbers of its units in order of time, and the place of the unit among them."""
    component, solution = joint.component, joint.solution
    call = solution.choice[joint.number]
    mine = [number for number, chosen in enumerate(solution.choice) if chosen == call]
    mine.sort(key=lambda number: component.units[number].end)
    return component.calls[call], mine, mine.index(joint.number)


def weigh(joint: Joint) -> list[Weight]:
    """Order, waits, turn and process of the unit in its call."""
    call, mine, place = position(joint)
    units, model = joint.component.units, joint.model
    unit = units[joint.number]
    kinds = [units[number].kind for number in mine]
    state = model.grammar.state(route_of(call), tuple(reversed(kinds[place + 1 :])))
    order = model.grammar.log_probability(state, unit.kind)
    if place == 0:
        order += model.grammar.log_probability(model.grammar.before(state, unit.kind), START)
    status = call.call.status_code or "no response"
    weights = [Weight("order", order, f"unit {place + 1} of {len(mine)} of {call.call.operation} ({status})")]
    base = unit.base
    if place == 0:
        weights.append(_wait(model, (FIRST, base), unit.start - call.began(unit.start), "after the request"))
    else:
        before = units[mine[place - 1]]
        gap = unit.start - before.waits_since(unit.start)
        weights.append(_wait(model, (before.base, base), gap, "after the unit before"))
    if place == len(mine) - 1 and not call.goes_on and call.call.status_code is not None:
        weights.append(_wait(model, (base, LAST), call.end - unit.waits_since(call.end), "before the response"))
    overtaken = _overtaken(joint, mine, place)
    if overtaken:
        waited = ", ".join(f"call {number}" for number in overtaken)
        patience = model.patience.between if place else model.patience.first
        weights.append(Weight("turn", -patience * len(overtaken), f"{waited} of its process waited longer"))
    for waited_for, cost, passed_by in _passed(joint, call, [units[number] for number in mine], place):
        names = ", ".join(f"call {number}" for number in passed_by)
        weights.append(Weight("queue", -cost, f"{names} of its process yielded later and went on before {waited_for}"))
    groups = model.workers.group_of
    own, other = groups.get(call.connection_id), groups.get(unit.connection_id)
    if own is not None and other is not None:
        text = "its connection is of the call's process" if own == other else "its connection is of another process"
        weights.append(Weight("process", model.workers.against(own, other), text))
    return weights


def _overtaken(joint: Joint, mine: list[int], place: int) -> list[int]:
    """Ids of calls of the same process that waited for such a unit before this call did, and got theirs after it."""
    component, groups = joint.component, joint.model.workers.group_of
    unit = component.units[joint.number]
    group = groups.get(unit.connection_id)
    call = component.calls[joint.solution.choice[joint.number]]
    waiting = component.units[mine[place - 1]].waits_since(unit.start) if place else call.began(unit.start)
    last_of: dict[int, UnitFacts] = {}
    found: set[int] = set()
    for other, number in sorted(zip(component.units, joint.solution.choice, strict=True), key=_start):
        beside = component.calls[number]
        before = last_of.get(number)
        since = beside.began(other.start) if before is None else before.waits_since(other.start)
        last_of[number] = other
        if number < 0 or group is None or groups.get(other.connection_id) != group:
            continue
        same = other.base == unit.base and (before is None) == (place == 0)
        same = same and beside.goes_on == call.goes_on
        if same and since < waiting and other.start > unit.start:
            found.add(beside.call.id)
    return sorted(found)


def _passed(
    joint: Joint, call: CallFacts, story: list[UnitFacts], place: int
) -> Iterator[tuple[str, float, list[int]]]:
    """Before the unit, and before its response: what it costs that these calls passed the call in its queue."""
    component, model = joint.component, joint.model
    units_of: dict[int, list[UnitFacts]] = defaultdict(list)
    for unit, number in zip(component.units, joint.solution.choice, strict=True):
        if number >= 0 and component.calls[number] is not call:
            units_of[number].append(unit)
    for units in units_of.values():
        units.sort(key=lambda unit: unit.end)
    for wait in waits_of(call, story, model.workers.group_of):
        before = wait.until == story[place].served
        cost = model.yields.if_passed(wait.place, wait.answer)
        if cost > 0 and (before or (place == len(story) - 1 and wait.place[2] == LAST)):
            passed_by = [
                component.calls[number].call.id
                for number, units in units_of.items()
                for other in waits_of(component.calls[number], units, model.workers.group_of)
                if other.process == wait.process and other.since > wait.since and other.until < wait.until
            ]
            if passed_by:
                yield "it" if before else "its response", cost, sorted(set(passed_by))


def _start(item: tuple[UnitFacts, int]) -> int:
    return item[0].start


def _wait(model: Model, place: tuple[str, str], gap: int, where: str) -> Weight:
    return Weight("wait", model.gaps.log_density(place, gap), f"{gap / 1e6:.3f} ms {where}")


def alternatives(joint: Joint) -> list[tuple[int | None, float]]:
    """(call id, probability) of the calls that could have run the unit instead, the likeliest first; None: no call."""
    against = soften(joint.solution.against[joint.number])
    total = 1 + sum(against.values())
    calls = joint.component.calls
    found = [(calls[call].call.id if call >= 0 else None, weight / total) for call, weight in against.items()]
    return sorted(found, key=lambda item: (-item[1], item[0] or 0))
