"""Units that more than one call could have run: what is certain teaches how calls behave, then they are solved jointly.

Calls all of whose units are certain tell orders, gaps and processes. With these, each component (units that share
candidate calls, and these calls' other units) is solved as a whole; what came out with confidence is learnt from in
turn, and all is solved again, but for components that came out the same twice, and surely.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from glancetrace.correlate.affinity import Use, Workers, learn_workers
from glancetrace.correlate.candidates import Candidates
from glancetrace.correlate.facts import CallFacts, UnitFacts, tell_kinds
from glancetrace.correlate.gaps import FIRST, LAST, GapModel
from glancetrace.correlate.grammar import RouteGrammar
from glancetrace.correlate.hidden import HiddenCalls
from glancetrace.correlate.improve import improve
from glancetrace.correlate.joined import Joined
from glancetrace.correlate.pool import tell_returns
from glancetrace.correlate.solve import Component, Model, Solution, route_of, solve
from glancetrace.correlate.turns import Pairs, learn_patience, pairs_of_waits
from glancetrace.correlate.yields import Wait, waits_of

__all__ = ["Settled", "settle"]

_ROUNDS = 3
_UNSEEN = 0.0001
"""Units without a call that are expected in a capture in which there were none."""
_SURE = 0.9
"""Probability from which a link is learnt from."""

Settled = tuple[Component, Solution, Model]
Story = tuple[CallFacts, list[UnitFacts]]
"""A call and units of it, in order of their ends."""


def settle(
    certain: Sequence[tuple[CallFacts, UnitFacts]], open_: Sequence[Candidates], stray: int, hidden: HiddenCalls
) -> list[Settled]:
    """Solutions of all components.

    Args:
        certain: calls with units that only they can have run.
        open_: units with more than one candidate, in order of time.
        stray: units that no call can have run. hidden: calls whose requests were not seen.
    """
    units_of: dict[int, list[UnitFacts]] = defaultdict(list)
    call_of = {}
    for call, unit in certain:
        units_of[id(call)].append(unit)
        call_of[id(call)] = call
    unclear = {id(call) for candidates in open_ for call in candidates.calls}
    stories = [(call_of[key], _in_order(units)) for key, units in units_of.items() if key not in unclear]
    parts = [(call_of[key], units) for key, units in units_of.items() if key in unclear]
    components = _components(open_, units_of)
    stray_rate = _stray_rate(certain, open_, stray)
    tell_kinds(unit for _, unit in certain)
    tell_kinds(candidates.unit for candidates in open_)
    hidden.learn(certain)
    uses = [_use(call, units, certain=not call.doubtful) for call, units in (*stories, *parts)]
    settled: list[Settled] = []
    basis: _Basis | None = None
    workers: Workers | None = None
    group_of: Mapping[int, int] = {}
    told_before: list[Use] = []
    steady: dict[int, Settled] = {}
    for _ in range(_ROUNDS):
        runs = [run for component, sure in _how_sure(components, settled) for run in _runs(component, sure)]
        solved = _solved_stories(settled)
        told = [_use(call, units, certain=False) for call, units in solved]
        if workers is None or told != told_before:
            workers, told_before = learn_workers([*uses, *told]), told
        if basis is None or group_of != workers.group_of:
            group_of = workers.group_of
            changed = tell_returns(certain, open_, group_of)
            if basis is None or changed or not basis.holds(group_of):
                basis = _learn_certain([story for story in stories if not story[0].doubtful], group_of)
        model = _learn(basis, solved, runs, workers)
        model.log_stray_rate, model.hidden = stray_rate, hidden
        before = [solution.choice for _, solution, _ in settled]
        settled = [
            steady.get(number) or (component, solve(component, model), model)
            for number, component in enumerate(components)
        ]
        same = [number for number, choice in enumerate(before) if choice == settled[number][1].choice]
        if len(same) == len(components):
            break
        steady = {number: settled[number] for number in same if all(map(_is_sure, settled[number][1].against))}
    for component, solution, model in settled:
        improve(component, solution, model)
    return settled


def _stray_rate(certain: Sequence[tuple[CallFacts, UnitFacts]], open_: Sequence[Candidates], stray: int) -> float:
    """Logarithm of the units per ns that have no call in the capture."""
    times = [unit.start for _, unit in certain] + [candidates.unit.start for candidates in open_]
    return math.log((stray + _UNSEEN) / max(10**9, max(times) - min(times)))


@dataclass(slots=True)
class _Basis:
    """What calls teach whose units are certain; it holds as long as their processes are the same.

    `process_of`: connection id -> process, as far as that is known, of these units; `waits`: what the calls waited for;
    `pairs`: who of them stood in one queue.
    """

    process_of: Mapping[int, int | None]
    grammar: RouteGrammar
    gaps: GapModel
    waits: list[Wait]
    pairs: tuple[Pairs, Pairs]

    def holds(self, group_of: Mapping[int, int]) -> bool:
        """Nothing of it changes with these groups."""
        return all(group_of.get(connection) == process for connection, process in self.process_of.items())


def _learn_certain(certain: Sequence[Story], group_of: Mapping[int, int]) -> _Basis:
    answered = [(call, units) for call, units in certain if not call.goes_on]
    going_on = [(call, units) for call, units in certain if call.goes_on]
    waits = [wait for call, units in certain for wait in waits_of(call, units, group_of)]
    pairs = (pairs_of_waits(answered, group_of, whole=True), pairs_of_waits(going_on, group_of, whole=False))
    process_of = {unit.connection_id: group_of.get(unit.connection_id) for _, units in certain for unit in units}
    basis = _Basis(process_of, RouteGrammar(), GapModel(), waits, pairs)
    _learn_stories(basis.grammar, basis.gaps, answered, going_on)
    return basis


def _learn(basis: _Basis, solved: Sequence[Story], runs: Sequence[Story], workers: Workers) -> Model:
    """What is certain teaches, and calls that were solved, and runs of units that are sure."""
    model = Model(basis.grammar.copy(), basis.gaps.copy(), workers)
    _learn_stories(model.grammar, model.gaps, [(call, units) for call, units in solved if not call.goes_on], runs)
    of_runs = pairs_of_waits(runs, workers.group_of, whole=False)
    model.patience = learn_patience([*basis.pairs, of_runs], model.gaps)
    solved_waits = [wait for call, units in solved for wait in waits_of(call, units, workers.group_of)]
    model.yields.learn([*basis.waits, *solved_waits])
    model.yields.watch(basis.waits)
    return model


def _learn_stories(grammar: RouteGrammar, gaps: GapModel, whole: Sequence[Story], runs: Sequence[Story]) -> None:
    timed = [(call, units) for call, units in whole if not call.call.uncertainty]
    # Most calls of a route run the same units.
    alike = Counter((route_of(call), tuple(unit.kind for unit in units)) for call, units in timed)
    for (route, kinds), times in alike.items():
        grammar.learn(route, kinds, times)
    for call, units in timed:
        _learn_gaps(gaps, call, units)
    for call, units in runs:
        _learn_run(grammar, gaps, call, units)


def _learn_run(grammar: RouteGrammar, gaps: GapModel, call: CallFacts, units: list[UnitFacts]) -> None:
    """Units that followed one another in a call whose work goes on."""
    grammar.learn_run(route_of(call), [unit.kind for unit in units])
    for unit, following in pairwise(units):
        gap = following.start - unit.waits_since(following.start)
        gaps.learn((unit.base, following.base), gap)


def _use(call: CallFacts, units: list[UnitFacts], *, certain: bool) -> Use:
    databases = tuple(unit.connection_id for unit in units)
    return Use(call.connection_id, call.server, databases, inside=len(call.call.hops) > 1, certain=certain)


def _learn_gaps(gaps: GapModel, call: CallFacts, units: list[UnitFacts]) -> None:
    """How long a call waited before, between and after all of its units."""
    if not units:
        gaps.learn((FIRST, LAST), call.end - call.start)
        return
    bases = [unit.base for unit in units]
    gaps.learn((FIRST, bases[0]), units[0].start - call.began(units[0].start))
    untils = [*(unit.start for unit in units[1:]), call.end]
    for unit, place, until in zip(units, pairwise([*bases, LAST]), untils, strict=True):
        gaps.learn(place, until - unit.waits_since(until))


def _is_sure(against: Mapping[int, float]) -> bool:
    """A unit's call is learnt from, for all others together weigh so little beside it."""
    return 1 / (1 + sum(against.values())) >= _SURE


def _solved_stories(settled: Iterable[Settled]) -> list[Story]:
    """Calls all of whose units were given to them with confidence."""
    stories: list[Story] = []
    for component, solution, _ in settled:
        units_of: dict[int, list[UnitFacts]] = defaultdict(list)
        doubtful: set[int] = set()
        for unit, options, call, against in zip(
            component.units, component.options, solution.choice, solution.against, strict=True
        ):
            units_of[call].append(unit)
            if not _is_sure(against):
                doubtful.update(options)
        stories += [
            (component.calls[call], _in_order(units))
            for call, units in units_of.items()
            if call >= 0 and call not in doubtful
        ]
    return stories


def _how_sure(
    components: Sequence[Component], settled: Sequence[Settled]
) -> Iterator[tuple[Component, list[int | None]]]:
    """Components, and for each of their units the call that surely ran it; None where that is open."""
    for component in components if not settled else ():
        yield component, [options[0] if len(options) == 1 else None for options in component.options]
    for component, solution, _ in settled:
        yield (
            component,
            [
                call if _is_sure(against) else None
                for call, against in zip(solution.choice, solution.against, strict=True)
            ],
        )


def _runs(component: Component, sure: Sequence[int | None]) -> Iterator[Story]:
    """Units that surely followed one another in calls whose work goes on: no other can have stood between them."""
    running: dict[int, list[UnitFacts]] = {}
    for unit, options, call in zip(component.units, component.options, sure, strict=True):
        for other in options if call is None else ():
            if other in running:
                yield component.calls[other], _in_order(running.pop(other))
        if call is not None and call >= 0 and component.calls[call].goes_on:
            running.setdefault(call, []).append(unit)
    for call, units in running.items():
        yield component.calls[call], _in_order(units)


def _in_order(units: list[UnitFacts]) -> list[UnitFacts]:
    return sorted(units, key=lambda unit: unit.end)


def _components(open_: Sequence[Candidates], units_of: dict[int, list[UnitFacts]]) -> list[Component]:
    """Units that share candidates, with all other units of these calls."""
    joined = Joined()
    for candidates in open_:
        joined.join(map(id, candidates.calls))
    groups: dict[int, list[Candidates]] = defaultdict(list)
    for candidates in open_:
        groups[joined.find(id(candidates.calls[0]))].append(candidates)
    return [_component(group, units_of) for group in groups.values()]


def _component(group: Sequence[Candidates], units_of: dict[int, list[UnitFacts]]) -> Component:
    calls = list({id(call): call for candidates in group for call in candidates.calls}.values())
    index = {id(call): number for number, call in enumerate(calls)}
    entries: list[tuple[UnitFacts, tuple[int, ...]]] = []
    for candidates in group:
        entries.append((candidates.unit, (*(index[id(call)] for call in candidates.calls), -1)))
    for call in calls:
        entries += [(unit, (index[id(call)],)) for unit in units_of.get(id(call), ())]
    entries.sort(key=lambda entry: (entry[0].start, entry[0].unit.statements[0].id))
    return Component(calls, [unit for unit, _ in entries], [options for _, options in entries])
