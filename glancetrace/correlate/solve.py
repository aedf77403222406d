"""Shares the units of a component among its calls, all at once.

A component are calls and units that are candidates of each other. One after another every unit goes to one of its
calls or to none; a way of doing so is worth the sum of the logarithms of: how likely such a unit stands there in the
route (`grammar`), how likely the wait behind it is (`gaps`), whether its connection is one of the call's process
(`affinity`), whether the calls of a process are served in their turn (`turns`, `yields`), and, once the begin of a call
is reached, how likely the route begins so. Units of one call do not overlap. A beam keeps the best ways; two that have
come to the same state are one from there on, and the difference between them says how sure the better one is of every
unit in which they differ.

Time runs backwards, from unit to unit in the order in which their connections were given back (`pool`): a response
follows its call's last unit within milliseconds, while a request may wait for a free thread, or for its token to be
validated, for seconds. Told from the end, what is sure comes first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from glancetrace.correlate.affinity import Workers
from glancetrace.correlate.facts import CallFacts, UnitFacts
from glancetrace.correlate.gaps import FIRST, LAST, GapModel
from glancetrace.correlate.grammar import Route, RouteGrammar
from glancetrace.correlate.hidden import HiddenCalls
from glancetrace.correlate.hops import CLOCK_SLACK
from glancetrace.correlate.turns import Patience, Turns
from glancetrace.correlate.yields import Wait, Yields
from glancetrace.glance.sequences import START

__all__ = ["Component", "Model", "Solution", "route_of", "solve"]

_WIDTH = 600
"""Ways that are kept at most."""
_NARROWEST = 32
_STEP = 1800
"""Ways times options of one unit that are looked at: many ways are cheap where two calls share it."""
_EFFORT = 600_000
"""The same of all units of a component; above that the beam is narrower, and less sure. What is saved is left."""
_WORST = 14.0
"""A way that is so much less likely than the best (natural logarithm) is given up."""
_COUNTED = 9.0
"""Differences up to this are counted against a link."""
_NESTED = -6.0
_BROKEN_OFF = -4.0
"""Logarithm of how likely a call goes on after its client has gone away."""
_NO_CALL_KIND = -6.0
_IMPOSSIBLE = 1000.0
"""What it costs that a unit contradicts those after it: more than anything that is merely unlikely."""
_OPEN_END = math.log(1e-9)
"""Logarithm of how likely, per ns, the last unit of a call whose work goes on after its response stands where it does.

About what any other unit is worth: or else ways that give such a call its last unit early look better than all others
until these have done so, too, and push them out.
"""


@dataclass(slots=True)
class Model:
    """What was learnt: orders, gaps, processes, and how many units per ns have no call in the capture.

    `hidden`: calls of which the capture has only the response.
    """

    grammar: RouteGrammar = field(default_factory=RouteGrammar)
    gaps: GapModel = field(default_factory=GapModel)
    workers: Workers = field(default_factory=Workers)
    yields: Yields = field(default_factory=Yields)
    patience: Patience = field(default_factory=Patience)
    log_stray_rate: float = math.log(1e-10)
    hidden: HiddenCalls = field(default_factory=lambda: HiddenCalls((), ()))

    def log_stray(self, unit: UnitFacts) -> float:
        """Logarithm of how likely, per ns, a unit like this one is of none of the calls that were seen."""
        stray = self.log_stray_rate + _NO_CALL_KIND
        rate = self.hidden.log_rate(unit, self.workers)
        return stray if rate == -math.inf else max(stray, rate) + math.log1p(math.exp(-abs(stray - rate)))


@dataclass(slots=True)
class Component:
    """Units in order of time, and the calls (indexes of `calls`) that each may belong to; -1: to none."""

    calls: list[CallFacts]
    units: list[UnitFacts]
    options: list[tuple[int, ...]]


@dataclass(slots=True)
class Solution:
    """For each unit of a component: the index of its call (-1: none), and the weight of each other call beside it.

    `crowded`: calls that were open when there were too many ways to keep.
    """

    choice: list[int]
    against: list[dict[int, float]]
    worth: float = 0.0
    crowded: set[int] = field(default_factory=set)


class _Placed(NamedTuple):
    """What is looked at of a unit each time that it is put before others: see `UnitFacts`; `group`: its process."""

    kind: str
    base: str
    start: int
    end: int
    returned: int
    served: int
    answer: int
    group: int | None


@dataclass(slots=True, eq=False)
class _Step:
    """One decision of a way, and the ways that were given up for it."""

    before: _Step | None
    unit: int
    call: int
    worse: list[tuple[float, _Step | None]] | None = None


_NEVER = 1 << 63
"""When a call whose work goes on is served after its last unit, ns."""

_Progress = tuple[int, int, int, str, int | None, int, bool]
"""Of a call: its number, state of its grammar, start of its next unit (or its response), kind of that unit, process,
first packet of that unit, and whether another call that began to wait later is served before."""

_Way = tuple[float, tuple[int, ...], _Step | None]
"""What it is worth, numbers of the progress of all open calls, its last decision."""


def route_of(call: CallFacts) -> Route:
    """What orders and ends are learnt by."""
    return call.call.operation, call.call.status_code


def solve(component: Component, model: Model) -> Solution:
    """The most likely way to share the units of a component."""
    return _Beam(component, model).run()


class _Beam:
    """The best ways, from the end of time back to a moment."""

    def __init__(self, component: Component, model: Model) -> None:
        self._component = component
        self._model = model
        self._open: list[int] = []
        self._ways: list[_Way] = [(0.0, (), None)]
        self._numbers: dict[_Progress, int] = {}
        self._progress: list[_Progress] = []
        self._serving: list[tuple[int, int | None, int]] = []
        self._turns = Turns(model.grammar, model.patience)
        self._crowded: set[int] = set()
        self._effort = _EFFORT
        self._options_left = sum(map(len, component.options))
        self._width = _NARROWEST

    def run(self) -> Solution:
        component = self._component
        calls = component.calls
        order = sorted(range(len(component.units)), key=lambda number: (-component.units[number].returned, -number))
        earliest = {call: place for place, number in enumerate(order) for call in component.options[number]}
        for place, number in enumerate(order):
            unit, options = component.units[number], component.options[number]
            for call in [c for c in self._open if earliest[c] < place or calls[c].earliest > unit.returned]:
                self._close(call)
            for call in options:
                if call >= 0 and call not in self._open:
                    self._begin(call)
            self._take(number, unit, options)
        for call in range(len(calls)):
            if call not in earliest:
                self._begin(call)
        for call in list(self._open):
            self._close(call)
        return self._solution()

    def _number(self, progress: _Progress) -> int:
        number = self._numbers.get(progress)
        if number is None:
            number = self._numbers[progress] = len(self._progress)
            self._progress.append(progress)
            call, state, start, base, worker, served, passed = progress
            self._serving.append((served, worker, number if passed else -1))
            facts = self._component.calls[call]
            queue = None if worker is None else (worker, base, facts.goes_on)
            self._turns.add(state, start, queue, facts.began(start))
        return number

    def _begin(self, call: int) -> None:
        facts = self._component.calls[call]
        worker = self._model.workers.group_of.get(facts.connection_id)
        served = _NEVER if _open_ended(facts) else facts.end
        number = self._number(
            (call, self._model.grammar.state(route_of(facts)), facts.end, LAST, worker, served, False)
        )
        self._open.append(call)
        self._ways = [(score, (*all_of, number), step) for score, all_of, step in self._ways]

    def _close(self, call: int) -> None:
        """The beginning of a call is reached: its units are complete."""
        position = self._open.index(call)
        del self._open[position]
        worth = {number: self._ending(number) for number in {all_of[position] for _, all_of, _ in self._ways}}
        ways: dict[tuple[int, ...], _Way] = {}
        for score, all_of, step in self._ways:
            number = all_of[position]
            others = all_of[:position] + all_of[position + 1 :]
            _keep(ways, score + worth[number] - self._turns.first(number, others), others, step)
        self._ways = _best(ways, self._width)

    def _ending(self, number: int) -> float:
        """How likely a call begins as it does in this progress."""
        call, state, start, base, *_ = self._progress[number]
        facts = self._component.calls[call]
        if base == LAST and _open_ended(facts):
            return 0.0
        gap = max(start - facts.began(start), facts.call.uncertainty)
        return self._model.grammar.log_probability(state, START) + self._model.gaps.log_density((FIRST, base), gap)

    def _take(self, unit_number: int, unit: UnitFacts, options: tuple[int, ...]) -> None:
        """A unit goes to one of its calls, or to none."""
        self._width = max(_NARROWEST, min(_WIDTH, _STEP // len(options), self._effort // self._options_left))
        self._effort -= len(self._ways) * len(options)
        self._options_left -= len(options)
        stray = self._model.log_stray(unit) if options[-1] < 0 else 0.0
        places = [(call, self._open.index(call)) for call in options if call >= 0]
        moves: dict[int, tuple[float, int] | None] = {}
        ways: dict[tuple[int, ...], _Way] = {}
        lowest = self._ways[0][0] + stray - _WORST if options[-1] < 0 else -math.inf
        process = self._model.workers.group_of.get(unit.connection_id)
        kind, end = unit.kind, unit.end
        placed = _Placed(kind, unit.base, unit.start, end, unit.returned, unit.served, unit.answer, process)
        queues = process is not None and self._model.yields.strict
        overtaken = self._turns.between
        for score, all_of, step in self._ways:
            if options[-1] < 0:
                _keep(ways, score + stray, all_of, _Step(step, unit_number, -1))
            for call, position in places:
                number = all_of[position]
                if number in moves:
                    move = moves[number]
                else:
                    move = moves[number] = self._move(number, unit, placed, score, lowest)
                # The best ways come first: what is too unlikely after one of them is so after the others.
                if move is not None and score + move[0] >= lowest:
                    worth = score + move[0] - overtaken(number, all_of)
                    if worth < lowest:
                        continue
                    lowest = max(lowest, worth - _WORST)
                    others = self._passed(all_of, number, process, end) if queues else all_of
                    changed = (*others[:position], move[1], *others[position + 1 :])
                    if changed in ways:
                        _keep(ways, worth, changed, _Step(step, unit_number, call))
                    else:
                        ways[changed] = worth, changed, _Step(step, unit_number, call)
        if ways:
            self._ways = _best(ways, self._width)
            if len(ways) > self._width == len(self._ways):
                self._crowded.update(self._open)
        else:  # whatever is done with it contradicts what comes later
            self._ways = [
                (score - _IMPOSSIBLE, all_of, _Step(step, unit_number, options[0]))
                for score, all_of, step in self._ways
            ]

    def _move(
        self, number: int, unit: UnitFacts, placed: _Placed, score: float, lowest: float
    ) -> tuple[float, int] | None:
        """What it is worth to put a unit before a call's others, and the progress after that.

        None: it cannot be, or a way that is worth `score` without it would be worth less than `lowest` with it.
        """
        call, state, next_start, following, worker, served, passed = self._progress[number]
        kind, base, start, end, returned, unit_served, answer, group = placed
        facts, model = self._component.calls[call], self._model
        worth = math.log(model.hidden.share(unit)) if facts.runs_anything and not facts.images else 0.0
        if following == LAST and _open_ended(facts):
            worth += _OPEN_END
            if facts.call.status_code is None and start > next_start:
                worth += _BROKEN_OFF
        else:
            worth += model.grammar.log_probability(state, kind)
            gap = next_start - (end if returned == end else unit.waits_since(next_start))
            if following == LAST and gap >= facts.end - facts.latest:
                gap = max(gap, facts.call.uncertainty)
            if gap >= -CLOCK_SLACK:
                worth += model.gaps.log_density((base, following), gap)
                if group is not None and model.yields.strict:
                    since = end if returned == end else unit.waits_since(served)
                    place = (facts.call.operation, base, following)
                    worth -= model.yields.cost(Wait(group, since, served, place, answer), passed)
            elif following != LAST and ("members" in (base, following) or facts.goes_on):
                worth += _NESTED + model.gaps.log_density((base, following), 0)
            else:
                return None
        if group is not None and worker is None:
            worth += model.workers.surprise
            worker = group
        elif group is not None and worker != group and worker is not None:
            worth += model.workers.against(worker, group)
        if score + worth < lowest:
            return None
        after = model.grammar.before(state, kind, forgets=facts.goes_on)
        return worth, self._number((call, after, start, base, worker, unit_served, False))

    def _passed(self, all_of: tuple[int, ...], one: int, process: int | None, end: int) -> Sequence[int]:
        """The progress of all open calls when a unit that ends at `end` goes to `one`: it passes those of its process
        that are served after it.

        All of them began to wait before, for the units before their waits ended earlier and are yet to come.
        """
        serving = self._serving
        served = serving[one][0]
        if served < end or served == _NEVER:
            return all_of
        changed: list[int] | None = None
        for place, number in enumerate(all_of):
            until, group, passed = serving[number]
            if until > served and group == process and passed != number:
                if passed < 0:
                    passed = self._number((*self._progress[number][:6], True))
                    serving[number] = until, group, passed
                if changed is None:
                    changed = list(all_of)
                changed[place] = passed
        return all_of if changed is None else changed

    def _solution(self) -> Solution:
        count = len(self._component.units)
        choice: list[int] = [-1] * count
        against: list[dict[int, float]] = [{} for _ in range(count)]
        ways = sorted(self._ways, key=_worth, reverse=True)
        best = ways[0]
        for score, _, step in ways[1:]:
            _count_against(against, best[2], step, best[0] - score)
        step = best[2]
        while step is not None:
            choice[step.unit] = step.call
            for difference, other in step.worse or ():
                _count_against(against, step, other, difference)
            step = step.before
        return Solution(choice, against, best[0], self._crowded)


def _open_ended(call: CallFacts) -> bool:
    """Its response, if there was one, does not end its work."""
    return call.goes_on or call.call.status_code is None


def _keep(ways: dict[tuple[int, ...], _Way], score: float, all_of: tuple[int, ...], step: _Step | None) -> None:
    """Of two ways that lead to the same state the better one is kept."""
    known = ways.get(all_of)
    if known is None:
        ways[all_of] = (score, all_of, step)
        return
    difference = known[0] - score
    better, worse = (known[2], step) if difference >= 0 else (step, known[2])
    if abs(difference) < _COUNTED and better is not None:
        better = _Step(better.before, better.unit, better.call, [*(better.worse or ()), (abs(difference), worse)])
    ways[all_of] = (max(score, known[0]), all_of, better)


def _best(ways: dict[tuple[int, ...], _Way], width: int) -> list[_Way]:
    kept = sorted(ways.values(), key=_worth, reverse=True)[:width]
    worst = kept[0][0] - _WORST
    return kept if kept[-1][0] >= worst else [way for way in kept if way[0] >= worst]


def _worth(way: _Way) -> float:
    return way[0]


def _count_against(against: list[dict[int, float]], step: _Step | None, other: _Step | None, difference: float) -> None:
    """Another way was less likely by `difference`: that counts against each unit in which the two differ."""
    weight = math.exp(-difference)
    while step is not None and other is not None and step is not other:
        if step.call != other.call:
            weights = against[step.unit]
            weights[other.call] = weights.get(other.call, 0.0) + weight
        step, other = step.before, other.before
