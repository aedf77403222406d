"""Attributes units of work to calls: what contradicts nobody but one call is certain, the rest is solved jointly.

A unit belongs to one call. Candidates are calls whose innermost leg was between the end of its request and the first
byte of its response while the unit ran; a candidate that contradicts the unit (another image, a write that the
operation cannot make, other rows than its response shows) is out, with the reason. One left is certain; of several the
joint solution says which, and how surely. Nobody left: work that goes on after a response is tied to its call by task
and image ids; the rest stays without a parent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter

from glancetrace.correlate.candidates import Candidates, OpenCalls, find_candidates
from glancetrace.correlate.choice import Choice
from glancetrace.correlate.facts import CallFacts, UnitFacts, UnitReader, call_facts
from glancetrace.correlate.hidden import Half, HiddenCalls
from glancetrace.correlate.hosts import Hosts, learn_hosts
from glancetrace.correlate.intent import tell_intent
from glancetrace.correlate.joint import Settled, settle
from glancetrace.correlate.keystone.choose import choose_by_steps
from glancetrace.correlate.later import LaterWork
from glancetrace.correlate.link import CERTAIN, INFERRED, TWIN, Link
from glancetrace.correlate.roles import learn_roles
from glancetrace.correlate.rowids import images_of_rows
from glancetrace.correlate.tasks import tell_unseen_tasks
from glancetrace.correlate.twins import find_twins
from glancetrace.correlate.units import UnitOfWork, sets_up
from glancetrace.correlate.validation import validated_at, validations_within
from glancetrace.correlate.weighing import Joint, soften
from glancetrace.glance.call import ApiCall

__all__ = ["attribute"]

_CONNECT = 2_000_000_000
"""ns within which a new connection is used by whoever opened it."""

_OPENER = 0.9
"""How sure it is that who used a new connection first had opened it: a pool may hand it to somebody else."""

_VAGUE = 100_000_000
"""ns by which times of a call may be off that says for sure what ran in it."""

_DOUBTFUL = 0.9
"""Score at most of a link to a call whose response may be another's: until when it ran is not known."""

_ONE_SEEN = "only call left of those whose requests were seen"

_HARMLESS = frozenset({"token-validate", "version-list", "version-show", "healthcheck"})

_TOLD_APART = 0.99
"""How sure a choice between twins must be to be more than a link to their group."""

_MOST_SURE = 0.999
"""Score of an inferred link at most."""

_MOST_SURE_CROWDED = 0.98
"""The same where ways of sharing had to be forgotten: the right one may be among them."""


def attribute(
    calls: list[ApiCall], units_by_service: dict[str, list[UnitOfWork]], halves: Sequence[Half] = ()
) -> list[Link]:
    """Links of all statements that a call ran; also settles `kind` of the others.

    Args:
        calls: all calls with ids, hops folded, in order of time.
        units_by_service: service -> its units of work.
        halves: calls of which only the response was seen.
    """
    links: list[Link] = []
    project_of = {
        call.subject_token: call.project_id for call in calls if call.subject_token and call.project_id is not None
    }
    roles_of = {call.subject_token: tuple(sorted(call.roles)) for call in calls if call.subject_token and call.roles}
    validated, within = validated_at(calls), validations_within(calls)
    for service, units in units_by_service.items():
        facts = [
            call_facts(call, project_of, validated, within.get(call.id, ()))
            for call in calls
            if call.service == service
        ]
        if service == "glance":
            facts += [call_facts(call, project_of) for call in calls if call.service == "registry"]
            hidden = HiddenCalls((half for half in halves if half.service == service), facts)
            links += _attribute_service(facts, units, hidden, roles_of)
        else:
            own = [half for half in halves if half.service == service]
            links += _attribute_keystone(facts, units, _hidden_callers(calls, project_of), own)
    links.sort(key=attrgetter("statement_id"))
    return links


def _beginning(facts: CallFacts) -> tuple[int, int]:
    return facts.earliest, facts.call.id


def _read_units(units: list[UnitOfWork]) -> list[UnitFacts]:
    reader = UnitReader(images_of_rows(statement for unit in units for statement in unit.statements))
    facts: list[UnitFacts] = []
    opened: dict[int, int] = {}
    for unit in units:
        served = opened.pop(id(unit), unit.statements[0].command.ts)
        if not unit.setup:
            facts.append(reader.read(unit))
            facts[-1].served = served
        elif unit.next_unit is not None and sets_up(unit):
            first = unit.statements[0].connection.first_ts
            opened[id(unit.next_unit)] = first if served - first < _CONNECT else served
    facts.sort(key=lambda unit: (unit.start, unit.unit.statements[0].id))
    tell_intent(facts)
    return facts


def _attribute_service(
    calls: list[CallFacts], units: list[UnitOfWork], hidden: HiddenCalls, roles_of: Mapping[str, tuple[str, ...]]
) -> list[Link]:
    calls.sort(key=_beginning)
    facts = _read_units(units)
    hidden.add_tasks(tell_unseen_tasks(facts, calls))
    sweep = _sweep(calls, facts, hidden, Hosts({}))
    if len({call.server for call in calls}) > 1:
        hosts = learn_hosts(
            (call.server, unit.client)
            for call, unit in sweep.certain
            if sweep.choices[id(unit.unit)].link_class == CERTAIN
        )
        if hosts:
            sweep = _sweep(calls, facts, hidden, hosts)
    choices = sweep.choices
    if sweep.unclear:
        _part_by_roles(sweep, hidden, roles_of)
        rejected = {id(candidates.unit): candidates.rejected for candidates in sweep.unclear}
        for settled in settle(sweep.certain, sweep.unclear, sweep.stray, hidden):
            _choose(settled, rejected, choices)
    before = {id(unit.next_unit): unit for unit in units if unit.next_unit is not None}
    return [link for unit in units for link in _links(unit, choices, id(unit) in sweep.beside, before.get(id(unit)))]


@dataclass(slots=True)
class _Swept:
    """What one pass over time tells.

    `choices`: by id of the unit; `certain`: units of which at most one call can have been the cause, with it;
    `unclear`: units that several calls can have run; `stray`: how many nobody can have run; `beside`: ids of units
    that ran while no call was open.
    """

    choices: dict[int, Choice] = field(default_factory=dict)
    certain: list[tuple[CallFacts, UnitFacts]] = field(default_factory=list)
    unclear: list[Candidates] = field(default_factory=list)
    stray: int = 0
    beside: set[int] = field(default_factory=set)


def _sweep(calls: list[CallFacts], units: list[UnitFacts], hidden: HiddenCalls, hosts: Hosts) -> _Swept:
    """The calls that can have run each unit, in order of time."""
    swept = _Swept()
    later, active = LaterWork(calls, units, hosts), OpenCalls(calls)
    for unit in units:
        later.until(unit.start)
        open_calls = active.at(unit.start)
        choice = later.by_task(unit)
        if choice is None:
            candidates = find_candidates(unit, open_calls, later.at_work(unit), hosts)
            if _is_open(candidates, hidden):
                swept.unclear.append(candidates)
            elif candidates.calls:
                choice = _only_choice(candidates)
            else:
                choice = later.by_image(unit)
                if not hidden.beside(unit):
                    swept.stray += choice is None
                    if calls and candidates.alone:
                        swept.beside.add(id(unit.unit))
        if choice is not None:
            swept.choices[id(unit.unit)] = choice
            later.learn(choice.call, unit)
            swept.certain.append((choice.call, unit))
    return swept


def _is_open(candidates: Candidates, hidden: HiddenCalls) -> bool:
    """More than one call can have run a unit, or one that was seen and one that was not.

    Not so what is tied to the one that was seen by ids of its own, or goes on after its response.
    """
    calls, unit = candidates.calls, candidates.unit
    if len(calls) != 1 or unit.tasks or unit.inserts_image or calls[0].goes_on:
        return len(calls) > 1
    return bool(hidden.beside(unit))


def _part_by_roles(swept: _Swept, hidden: HiddenCalls, roles_of: Mapping[str, tuple[str, ...]]) -> None:
    """Callers who see deleted images and those who do not have run different units of the unclear ones."""
    roles = learn_roles(
        roles_of, ((call, unit) for call, unit in swept.certain if swept.choices[id(unit.unit)].link_class == CERTAIN)
    )
    unclear, swept.unclear = swept.unclear, []
    for candidates in map(roles.part, unclear):
        if _is_open(candidates, hidden):
            swept.unclear.append(candidates)
        else:
            choice = swept.choices[id(candidates.unit.unit)] = _only_choice(candidates)
            swept.certain.append((choice.call, candidates.unit))


def _only_choice(candidates: Candidates) -> Choice:
    """The only call that can have run a unit; after its response, an image id is all that ties it to the call."""
    (call,), unit = candidates.calls, candidates.unit
    if unit.start <= call.end:
        evidence = (*_support(call, unit), "only call left")
        if call.doubtful:
            evidence = (*evidence, "its response may be another call's, for packets are missing")
            return Choice(call, INFERRED, _DOUBTFUL, evidence, _relation(call, unit), candidates.rejected)
        return Choice(call, CERTAIN, 1.0, evidence, _relation(call, unit), candidates.rejected)
    after = "image id, after the client went away" if call.call.status_code is None else "image id, after the response"
    return Choice(call, INFERRED, 0.9, (after,), _relation(call, unit), candidates.rejected)


def _relation(call: CallFacts, unit: UnitFacts) -> str:
    """A call has all units of its own behind it when it answers; its task may be about one."""
    return "async" if unit.end > call.end and call.call.status_code is not None else "in_request"


def _choose(settled: Settled, rejected: dict[int, list[tuple[int, str]]], choices: dict[int, Choice]) -> None:
    """Choices of a component's units, but for those that are certain."""
    component, solution, model = settled
    calls = component.calls
    twins = find_twins(calls)
    for number, unit in enumerate(component.units):
        options, chosen = component.options[number], solution.choice[number]
        against = soften(solution.against[number])
        if chosen < 0 or len(options) == 1:
            continue
        total = 1 + sum(against.values())
        group = tuple(other for other in twins[chosen] if other in options)
        best = f"best of {len(options) - 1} calls, with all their units" if len(options) > 2 else _ONE_SEEN
        evidence = (*_support(calls[chosen], unit), best)
        relation = _relation(calls[chosen], unit)
        joint = Joint(component, solution, model, number)
        choice = Choice(calls[chosen], INFERRED, 1 / total, evidence, relation, rejected[id(unit)], joint=joint)
        if len(group) > 1 and 1 / total < _TOLD_APART:
            choice.link_class = TWIN
            choice.candidates = tuple(sorted(calls[other].call.id for other in group))
            choice.group_id = choice.candidates[0]
            choice.score = (1 + sum(against.get(other, 0.0) for other in group)) / total
        most_sure = _MOST_SURE_CROWDED if chosen in solution.crowded else _MOST_SURE
        choice.score = min(most_sure, round(choice.score, 3))
        choices[id(unit.unit)] = choice


def _hidden_callers(calls: list[ApiCall], project_of: dict[str, str]) -> list[CallFacts]:
    """Calls that may have made calls to Keystone which the capture does not show.

    Glance asks Keystone about its clients' tokens, on a port that few captures have; where one is seen, all are.
    """
    if any(call.service == "keystone" and call.parent_id is not None for call in calls):
        return []
    return [
        call_facts(call, project_of)
        for call in calls
        if call.service == "glance" and (call.token or (call.source == "log" and call.operation not in _HARMLESS))
    ]


def _attribute_keystone(
    calls: list[CallFacts], units: list[UnitOfWork], hidden: list[CallFacts], halves: Sequence[Half]
) -> list[Link]:
    """Links of Keystone's units; where calls were not seen that may have run them, of those that one alone can have."""
    calls.sort(key=_beginning)
    vague = any(facts.call.uncertainty > _VAGUE for facts in calls)
    choices = _choose_sure(calls, units, hidden) if hidden or vague else choose_by_steps(calls, units, halves)
    return [link for unit in units for link in _links(unit, choices, alone=False)]


def _choose_sure(calls: list[CallFacts], units: list[UnitOfWork], hidden: list[CallFacts]) -> dict[int, Choice]:
    """The call of each unit that only one can have run, whatever it does."""
    # Who asked at an uncertain moment can have run what others seem to have run; validations are hidden ones anyway.
    vague = [facts for facts in calls if facts.call.uncertainty > _VAGUE]
    hidden = hidden + [facts for facts in vague if facts.call.operation not in _HARMLESS]
    calls = [facts for facts in calls if facts.call.uncertainty <= _VAGUE]
    hidden.sort(key=_beginning)
    active, unseen = OpenCalls(calls), OpenCalls(hidden)
    choices: dict[int, Choice] = {}
    reader = UnitReader({})
    for unit in sorted(units, key=lambda unit: (unit.ts, unit.statements[0].id)):
        open_calls, others = active.at(unit.ts), unseen.at(unit.ts)
        if unit.setup or others or not open_calls or _several_ran_at(open_calls, unit.ts, unit.end_ts):
            continue
        candidates = find_candidates(reader.read(unit), open_calls, [])
        if len(candidates.calls) == 1 and not candidates.calls[0].doubtful:
            call = candidates.calls[0]
            choices[id(unit)] = Choice(call, CERTAIN, 1.0, ("only call left",), rejected=candidates.rejected)
    return choices


def _several_ran_at(open_calls: list[CallFacts], start: int, end: int) -> bool:
    """Calls that run whatever there is were at work all the time: more than one can have run what ran then."""
    fit = (call.runs_anything and call.start <= start and (end <= call.end or call.goes_on) for call in open_calls)
    return any(fit) and any(fit)


def _support(call: CallFacts, unit: UnitFacts) -> list[str]:
    """What speaks for a call, rarest first."""
    support: list[str] = []
    if not unit.telling:
        return support
    if unit.images & call.images:
        support.append("image id")
    if unit.writes:
        support.append("writes what the operation writes")
    if unit.guarded_to:
        support.append(f"sets {', '.join(sorted(unit.guarded_to))}")
    if unit.inserts_image and call.created:
        support.append("creates the image")
    if unit.reads_list and call.call.operation == "image-list":
        support.append("lists images")
    return support


def _links(unit: UnitOfWork, choices: dict[int, Choice], alone: bool, before: UnitOfWork | None = None) -> list[Link]:
    """Links of a unit's statements; set-up goes to whoever used the new connection next.

    Without a call the statements are background work if they ran `alone`, with no call open that they could be of.
    """
    choice = choices.get(id(unit))
    if unit.setup:
        choice = _opener(unit, choices) if sets_up(unit) or before is None else _rest(before, choices)
    if choice is None:
        for statement in unit.statements:
            if statement.kind == "request":
                statement.kind = "background" if alone else "unattributed"
        return []
    return [
        Link(
            statement.id,
            choice.call.call.id,
            choice.link_class,
            choice.relation,
            choice.score,
            choice.evidence,
            choice.group_id,
            choice.candidates,
            choice.rejected,
            choice.joint,
        )
        for statement in unit.statements
        if statement.kind == "request"
    ]


def _rest(before: UnitOfWork, choices: dict[int, Choice]) -> Choice | None:
    """The call of the unit before missing bytes, for what follows them ends it."""
    return _lesser(choices.get(id(before)), "ends the unit before the missing bytes")


def _opener(unit: UnitOfWork, choices: dict[int, Choice]) -> Choice | None:
    """The call that opened a connection: it has the first unit after the set-up `unit` that is more than set-up."""
    following = unit.next_unit
    if following is None or following.ts - unit.end_ts >= _CONNECT:
        return None
    while following is not None and following.setup:
        following = following.next_unit
    return _lesser(choices.get(id(following)), "first to use the new connection")


def _lesser(choice: Choice | None, evidence: str) -> Choice | None:
    """The same call, for a reason that is less sure."""
    if choice is None:
        return None
    link_class = choice.link_class if choice.link_class == TWIN else INFERRED
    score = min(choice.score, _OPENER)
    return replace(choice, link_class=link_class, score=score, evidence=(evidence,))
