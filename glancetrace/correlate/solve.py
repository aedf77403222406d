"""Shares the units of a component among its calls, all at once.

A component are calls and units that are candidates of each other. In order of time every unit goes to one of its calls
or to none; a way of doing so is worth the sum of the logarithms of: how likely the route goes on with such a unit
(`grammar`), how likely the wait before it is (`gaps`), whether its connection is one of the call's process
(`affinity`), and, when a call's response comes, how likely the route ends there after such a wait. Units of one call do
not overlap. A beam keeps the best ways; two that have come to the same state are one from there on, and the difference
between them says how sure the better one is of every unit in which they differ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from glancetrace.correlate.affinity import Workers
from glancetrace.correlate.facts import CallFacts, UnitFacts
from glancetrace.correlate.gaps import FIRST, LAST, GapModel
from glancetrace.correlate.grammar import Route, RouteGrammar
from glancetrace.correlate.hops import CLOCK_SLACK
from glancetrace.glance.sequences import END, base_of

__all__ = ["Component", "Model", "Solution", "route_of", "solve"]

_WIDTH = 192
_WORST = 24.0
"""A way that is so much less likely than the best (natural logarithm) is given up."""
_COUNTED = 9.0
"""Differences up to this are counted against a link."""
_NESTED = -6.0
_BROKEN_OFF = -4.0
"""Logarithm of how likely a call goes on after its client has gone away."""
_NO_CALL_KIND = -4.0


@dataclass(slots=True)
class Model:
    """What was learnt: orders, gaps, processes, and how many units per ns have no call in the capture."""

    grammar: RouteGrammar = field(default_factory=RouteGrammar)
    gaps: GapModel = field(default_factory=GapModel)
    workers: Workers = field(default_factory=Workers)
    log_stray_rate: float = math.log(1e-10)


@dataclass(slots=True)
class Component:
    """Units in order of time, and the calls (indexes of `calls`) that each may belong to; -1: to none."""

    calls: list[CallFacts]
    units: list[UnitFacts]
    options: list[tuple[int, ...]]


@dataclass(slots=True)
class Solution:
    """For each unit of a component: the index of its call (-1: none), and the weight of each other call beside it."""

    choice: list[int]
    against: list[dict[int, float]]
    worth: float = 0.0


@dataclass(slots=True, eq=False)
class _Step:
    """One decision of a way, and the ways that were given up for it."""

    before: _Step | None
    unit: int
    call: int
    worse: list[tuple[float, _Step | None]] | None = None


_Progress = tuple[int, int, str, int | None]
"""Of a call: state of its grammar, end of its last unit (or begin of its window), kind of that unit, its process."""

_Way = tuple[float, tuple[_Progress, ...], _Step | None]


def route_of(call: CallFacts) -> Route:
    """What orders and ends are learnt by."""
    return call.call.operation, call.call.status_code


def solve(component: Component, model: Model) -> Solution:
    """The most likely way to share the units of a component."""
    return _Beam(component, model).run()


class _Beam:
    """The best ways up to a moment."""

    def __init__(self, component: Component, model: Model) -> None:
        self._component = component
        self._model = model
        self._open: list[int] = []
        self._ways: list[_Way] = [(0.0, (), None)]

    def run(self) -> Solution:
        component = self._component
        calls = component.calls
        last_unit = {c: i for i, options in enumerate(component.options) for c in options}
        for number, (unit, options) in enumerate(zip(component.units, component.options, strict=True)):
            over = [c for c in self._open if last_unit[c] < number or calls[c].is_over(unit.start)]
            for call in over:
                self._close(call)
            for call in options:
                if call >= 0 and call not in self._open:
                    self._begin(call)
            self._take(number, unit, options)
        for call in list(self._open):
            self._close(call)
        return self._solution()

    def _begin(self, number: int) -> None:
        call = self._component.calls[number]
        worker = self._model.workers.group_of.get(call.connection_id)
        progress: _Progress = (self._model.grammar.state(route_of(call)), call.start, FIRST, worker)
        self._open.append(number)
        self._ways = [(score, (*all_of, progress), step) for score, all_of, step in self._ways]

    def _close(self, number: int) -> None:
        """A call is answered: its units are complete."""
        call = self._component.calls[number]
        position = self._open.index(number)
        del self._open[position]
        grammar, gaps = self._model.grammar, self._model.gaps
        open_end = call.goes_on or call.call.status_code is None
        ways: dict[tuple[_Progress, ...], _Way] = {}
        for score, all_of, step in self._ways:
            state, end, base, _ = all_of[position]
            if not open_end:
                score += grammar.log_probability(state, END)
                score += gaps.log_density((base, LAST), call.end - end)
            _keep(ways, (score, all_of[:position] + all_of[position + 1 :], step))
        self._ways = _best(ways)

    def _take(self, number: int, unit: UnitFacts, options: tuple[int, ...]) -> None:
        """A unit goes to one of its calls, or to none."""
        model = self._model
        grammar, gaps, workers = model.grammar, model.gaps, model.workers
        kind = unit.kind
        base = base_of(kind)
        group = workers.group_of.get(unit.connection_id)
        places = [(call, self._open.index(call) if call >= 0 else -1) for call in options]
        start, end = unit.start, unit.end
        ways: dict[tuple[_Progress, ...], _Way] = {}
        for score, all_of, step in self._ways:
            for call, position in places:
                if position < 0:
                    stray = score + model.log_stray_rate + _NO_CALL_KIND
                    _keep(ways, (stray, all_of, _Step(step, number, -1)))
                    continue
                state, last_end, last, worker = all_of[position]
                facts = self._component.calls[call]
                worth = score + grammar.log_probability(state, kind)
                gap = start - last_end
                if gap < -CLOCK_SLACK:
                    if (base != "members" and not facts.goes_on) or last == FIRST:
                        continue
                    worth += _NESTED + gaps.log_density((last, base), 0)
                else:
                    worth += gaps.log_density((last, base), gap)
                if facts.call.status_code is None and last_end <= facts.end < start:
                    worth += _BROKEN_OFF
                if group is not None:
                    if worker is None:
                        worth += workers.surprise
                        worker = group
                    elif worker != group:
                        worth += workers.against(worker, group)
                progress = (grammar.after(state, kind), max(end, last_end), base, worker)
                changed = (*all_of[:position], progress, *all_of[position + 1 :])
                _keep(ways, (worth, changed, _Step(step, number, call)))
        if ways:
            self._ways = _best(ways)
        else:  # whatever is done with it contradicts what went before
            self._ways = [(score, all_of, _Step(step, number, options[0])) for score, all_of, step in self._ways]

    def _solution(self) -> Solution:
        count = len(self._component.units)
        choice: list[int] = [-1] * count
        against: list[dict[int, float]] = [{} for _ in range(count)]
        ways = sorted(self._ways, key=lambda way: -way[0])
        best = ways[0]
        for score, _, step in ways[1:]:
            _count_against(against, best[2], step, best[0] - score)
        step = best[2]
        while step is not None:
            choice[step.unit] = step.call
            for difference, other in step.worse or ():
                _count_against(against, step, other, difference)
            step = step.before
        return Solution(choice, against, best[0])


def _keep(ways: dict[tuple[_Progress, ...], _Way], way: _Way) -> None:
    """Of two ways that lead to the same state the better one is kept."""
    known = ways.get(way[1])
    if known is None:
        ways[way[1]] = way
        return
    better, worse = (known, way) if known[0] >= way[0] else (way, known)
    difference = better[0] - worse[0]
    if difference < _COUNTED and better[2] is not None:
        step = _Step(
            better[2].before, better[2].unit, better[2].call, [*(better[2].worse or ()), (difference, worse[2])]
        )
        better = (better[0], better[1], step)
    ways[way[1]] = better


def _best(ways: dict[tuple[_Progress, ...], _Way]) -> list[_Way]:
    kept = sorted(ways.values(), key=lambda way: -way[0])[:_WIDTH]
    worst = kept[0][0] - _WORST
    return [way for way in kept if way[0] >= worst]


def _count_against(against: list[dict[int, float]], step: _Step | None, other: _Step | None, difference: float) -> None:
    """Another way was less likely by `difference`: that counts against each unit in which the two differ."""
    weight = math.exp(-difference)
    while step is not None and other is not None and step is not other:
        if step.call != other.call:
            weights = against[step.unit]
            weights[other.call] = weights.get(other.call, 0.0) + weight
        step, other = step.before, other.before
