"""Which call ran which of Keystone's statements: whom they name, which process ran them, and step after step.

What names another user, project, role or token is of another call (`identities`), and what is left to one call is
certain. Calls whose units are certain tell which connections are of one process (`queues`, `processes`). The rest is
shared, by which step follows which after how long (`sharing`). Where two calls could have changed places says how sure
each link is (`doubts`). Calls that ask alike are twins in all units that do not tell whom they ask about: then a link
names their group.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from glancetrace.correlate.candidates import OpenCalls
from glancetrace.correlate.choice import Choice
from glancetrace.correlate.facts import CallFacts
from glancetrace.correlate.hidden import Half, HiddenCalls
from glancetrace.correlate.keystone.identities import Identities, learn_identities
from glancetrace.correlate.keystone.processes import part_by_process, tell_processes
from glancetrace.correlate.keystone.queues import Pools
from glancetrace.correlate.keystone.sharing import Sharing, asks_of, looks_of
from glancetrace.correlate.keystone.steps import KeystoneUnit, StepReader
from glancetrace.correlate.link import CERTAIN, INFERRED, TWIN
from glancetrace.correlate.units import UnitOfWork

__all__ = ["choose_by_steps"]

_SILENT = frozenset({"version-list", "version-show", "healthcheck"})
"""Operations that run no SQL."""
_MAX_REJECTED = 8
"""Rejected candidates kept per unit."""
_TOLD_APART = 0.99
"""How sure a choice among calls that ask alike must be to be more than a link to their group."""
_MOST_SURE = 0.98
"""Score of an inferred link at most: of those that nothing spoke against, 95 to 100 % were right."""
_MOST_SURE_CROWDED = 0.9
"""The same where many calls can have run a unit, or a call could not be held against all others."""
_LEAST = 0.5
"""Score of an inferred link at least: below, some other call is likelier, and it is not known which."""
_LEAST_TWIN = 0.85
"""The same of a link to a group, which says little by itself: below, half of such groups were the wrong ones."""
_CROWD = 6
"""Calls that are many."""
_MANY = 16
"""Calls that are too many to tell who ran a unit: above, one link of five was right, for most of the work there was."""
_OF_TOKEN = "audit id of its token"
"""Evidence that no other call can share."""
_DOUBTFUL = 0.9
"""Score at most of a link to a call whose response may be another's."""


def choose_by_steps(
    calls: Sequence[CallFacts], units: Iterable[UnitOfWork], halves: Iterable[Half] = ()
) -> dict[int, Choice]:
    """The call of each unit of Keystone's, by the unit's identity.

    Args:
        calls: all its calls, in order of when they began; each of those that ran at the time was seen, but for
        halves: calls of which only the response was seen.
    """
    calls = [call for call in calls if call.call.operation not in _SILENT]
    reader = StepReader()
    read = [found for unit in units if not unit.setup and (found := reader.read(unit)) is not None]
    read.sort(key=lambda unit: (unit.start, unit.unit.statements[0].id))
    identities = learn_identities(calls, read)
    _find_options(calls, read, identities)
    choices: dict[int, Choice] = {}
    for unit in read:
        if len(unit.options) == 1:
            choices[id(unit.unit)] = _only_choice(calls[unit.options[0]], unit, identities)
    if len(choices) < len(read):
        pools = tell_processes(calls, read)
        part_by_process(calls, read, pools)
        _leave_out_crowded(read)
        sharing = Sharing(calls, read, pools)
        sharing.run()
        for unit in read:
            if unit.options and id(unit.unit) not in choices:
                choice = _choice(calls, sharing, unit, identities, pools)
                if choice is not None:
                    choices[id(unit.unit)] = choice
    _allow_for_unseen(calls, read, halves, choices)
    return {
        unit: choice
        for unit, choice in choices.items()
        if choice.score >= (_LEAST_TWIN if choice.link_class == TWIN else _LEAST)
    }


def _allow_for_unseen(
    calls: Sequence[CallFacts], units: Sequence[KeystoneUnit], halves: Iterable[Half], choices: dict[int, Choice]
) -> None:
    """Lower the scores of units that calls may have run whose requests were not seen, each as likely as any other."""
    longest = max((call.end - call.start for call in calls if call.call.status_code is not None), default=0)
    hidden = HiddenCalls((replace(half, start=max(half.start, half.end - longest)) for half in halves), calls)
    for unit in units:
        choice = choices.get(id(unit.unit))
        count = 0 if choice is None else hidden.number_beside(unit.start, unit.end)
        if choice is not None and count and _OF_TOKEN not in choice.evidence:
            choice.score = round(choice.score * len(unit.options) / (len(unit.options) + count), 3)
            choice.link_class = INFERRED if choice.link_class == CERTAIN else choice.link_class
            choice.evidence = (*choice.evidence, "a call whose request is missing was under way too")


def _find_options(calls: Sequence[CallFacts], units: Sequence[KeystoneUnit], identities: Identities) -> None:
    """Calls that were open and can name whom a unit names."""
    index = {id(call): number for number, call in enumerate(calls)}
    active = OpenCalls(list(calls))
    for unit in units:
        start, end, names = unit.start, unit.end, unit.names
        left: list[CallFacts] = []
        for call in active.at(start):
            if call.latest < end and not call.doubtful:
                reason = "its response came first"
            elif names and identities.unlike(call, unit):
                reason = "is about another user, project, role or token"
            else:
                left.append(call)
                continue
            if len(unit.rejected) < _MAX_REJECTED:
                unit.rejected.append((call.call.id, reason))
        # Packets are captured a little out of order, so the windows have slack; who needs none goes before who does.
        within = [call for call in left if call.start <= start and end <= call.end]
        unit.options = [index[id(call)] for call in within or left]


def _leave_out_crowded(units: Iterable[KeystoneUnit]) -> None:
    """Give up units that so many calls can have run that none of them is likely."""
    for unit in units:
        if len(unit.options) > _MANY:
            unit.options = []


def _choice(
    calls: Sequence[CallFacts], sharing: Sharing, unit: KeystoneUnit, identities: Identities, pools: Pools
) -> Choice | None:
    """The call that a unit went to, how surely, and which others it can be of."""
    number = sharing.call_of.get(unit)
    if number is None:
        return None
    call, doubt = calls[number], sharing.doubts[unit]
    best = (
        f"best of {len(unit.options)} calls, step after step"
        if len(unit.options) > 1
        else "only call left of its process"
    )
    evidence = (*_support(call, unit, identities), *_of_process(call, unit, pools), best)
    choice = Choice(call, INFERRED, 1 - doubt.error, evidence, rejected=unit.rejected)
    others = doubt.others.intersection(unit.options)
    crowded = number in sharing.unsettled or len(unit.options) >= _CROWD
    alike = [other for other in others if asks_of(calls[other]) == asks_of(call)]
    if crowded and not alike:
        same = looks_of(call)
        alike = [other for other in unit.options if other != number and looks_of(calls[other]) == same]
        others = others.union(alike)
    if alike and (choice.score < _TOLD_APART or crowded):
        choice.link_class = TWIN
        choice.candidates = tuple(sorted(calls[other].call.id for other in (number, *alike)))
        choice.group_id = choice.candidates[0]
        choice.score = 1 - doubt.error * (1 - len(alike) / len(others))
    most = _DOUBTFUL if call.doubtful else _MOST_SURE_CROWDED if crowded else _MOST_SURE
    choice.score = min(most, round(choice.score, 3))
    return choice


def _only_choice(call: CallFacts, unit: KeystoneUnit, identities: Identities) -> Choice:
    evidence = (*_support(call, unit, identities), "only call left")
    if call.doubtful:
        evidence = (*evidence, "its response may be another call's, for packets are missing")
        return Choice(call, INFERRED, _DOUBTFUL, evidence, rejected=unit.rejected)
    return Choice(call, CERTAIN, 1.0, evidence, rejected=unit.rejected)


def _support(call: CallFacts, unit: KeystoneUnit, identities: Identities) -> Iterator[str]:
    own = identities.of_call.get(call.call.id)
    if own is not None and unit.audits & own[0]:
        yield _OF_TOKEN
    elif own is not None and unit.names & own[0] - identities.common:
        yield "names whom it is about"


def _of_process(call: CallFacts, unit: KeystoneUnit, pools: Pools) -> Iterator[str]:
    own = pools.pool_of.get(call.connection_id)
    if own is not None and own == pools.pool_of.get(unit.connection_id):
        yield "its connection is of the call's process"
