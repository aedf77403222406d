"""Attributes units of work to calls: ids as evidence and contradiction, then containment in time.

A unit belongs to one call. Candidates are calls whose innermost leg was between the end of its request and the first
byte of its response while the unit ran; a candidate that contradicts the unit (another image, a write that the
operation cannot make) is out, with the reason. One left is certain when an id supports it, or when nothing else was
open; of several the one with the most evidence, then the one begun last, is inferred. Nobody left: work that goes on
after a response is tied to its call by task and image ids; the rest stays without a parent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from glancetrace.correlate.facts import CallFacts, UnitFacts, call_facts, contradiction, unit_facts
from glancetrace.correlate.hops import CLOCK_SLACK
from glancetrace.correlate.link import CERTAIN, EXACT, INFERRED, Link
from glancetrace.correlate.units import UnitOfWork
from glancetrace.glance.call import ApiCall

__all__ = ["attribute"]

_CONNECT = 2_000_000_000
"""ns within which a new connection is used by whoever opened it."""

_OPENER = 0.9
"""How sure it is that who used a new connection first had opened it: a pool may hand it to somebody else."""

_MAX_REJECTED = 8
"""Rejected candidates kept per unit; under load there are dozens, and the nearest say most."""


@dataclass(slots=True)
class _Choice:
    """The call chosen for a unit, and why."""

    call: CallFacts
    link_class: str
    score: float
    evidence: tuple[str, ...]
    relation: str = "in_request"
    rejected: list[tuple[int, str]] = field(default_factory=list)


def attribute(calls: list[ApiCall], units_by_service: dict[str, list[UnitOfWork]]) -> list[Link]:
    """Links of all statements that a call ran; also settles `kind` of the others.

    Args:
        calls: all calls with ids, hops folded, in order of time.
        units_by_service: service -> its units of work.
    """
    links: list[Link] = []
    project_of = {
        call.subject_token: call.project_id for call in calls if call.subject_token and call.project_id is not None
    }
    for service, units in units_by_service.items():
        facts = [call_facts(call, project_of) for call in calls if call.service == service]
        if service == "glance":
            facts += [call_facts(call, project_of) for call in calls if call.service == "registry"]
        links += _attribute_service(facts, units)
    links.sort(key=lambda link: link.statement_id)
    return links


def _attribute_service(calls: list[CallFacts], units: list[UnitOfWork]) -> list[Link]:
    calls.sort(key=lambda facts: (facts.start, facts.call.id))
    facts = sorted((unit_facts(unit) for unit in units), key=lambda unit: (unit.start, unit.unit.statements[0].id))
    choices: dict[int, _Choice] = {}
    going_on = _GoingOn()
    active: list[CallFacts] = []
    position = 0
    for unit in facts:
        while position < len(calls) and calls[position].start <= unit.start + CLOCK_SLACK:
            active.append(calls[position])
            position += 1
        still_open = []
        for call in active:
            if call.end + CLOCK_SLACK >= unit.start:
                still_open.append(call)
            elif call.goes_on:
                going_on.add(call)
        active = still_open
        if unit.unit.setup:
            continue
        unit.alone = bool(calls) and not active
        choice = going_on.choose_by_task(unit) or _choose(unit, active) or going_on.choose_by_image(unit)
        if choice is not None:
            choices[id(unit.unit)] = choice
            going_on.learn(choice.call, unit)
    return [link for unit in facts for link in _links(unit.unit, choices, unit.alone)]


def _choose(unit: UnitFacts, active: list[CallFacts]) -> _Choice | None:
    """The best of the calls that were open while the unit ran."""
    left: list[CallFacts] = []
    rejected: list[tuple[int, str]] = []
    for call in reversed(active):
        if call.end + CLOCK_SLACK < unit.end:
            reason: str | None = "its response came first"
        else:
            reason = contradiction(call, unit)
        if reason is None:
            left.append(call)
        elif len(rejected) < _MAX_REJECTED:
            rejected.append((call.call.id, reason))
    # Packets are captured a little out of order, so the windows have slack; who needs none goes before who does.
    left = [call for call in left if call.start <= unit.start and unit.end <= call.end] or left
    if not left:
        return None
    if len(left) == 1:
        return _Choice(left[0], CERTAIN, 1.0, (*_support(left[0], unit), "only call left"), rejected=rejected)
    supports = [_support(call, unit) for call in left]
    most = max(map(len, supports))
    equals = [call for call, support in zip(left, supports, strict=True) if len(support) == most]
    best = max(equals, key=lambda call: call.start)
    evidence = (*supports[left.index(best)], f"nearest of {len(left)}")
    return _Choice(best, INFERRED, round(1 / len(equals), 3), evidence, rejected=rejected)


def _support(call: CallFacts, unit: UnitFacts) -> list[str]:
    """What speaks for a call, rarest first."""
    support = []
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


class _GoingOn:
    """Calls whose work goes on after their response, by the ids that tie it to them."""

    def __init__(self) -> None:
        self._by_image: dict[str, CallFacts] = {}
        self._by_task: dict[str, CallFacts] = {}
        self._by_request_id: dict[str, CallFacts] = {}

    def add(self, call: CallFacts) -> None:
        """A call was answered whose operation may go on."""
        for image_id in call.images:
            self._by_image[image_id] = call
        if call.call.request_id:
            self._by_request_id[call.call.request_id] = call

    def learn(self, call: CallFacts, unit: UnitFacts) -> None:
        """Tasks that a call's unit created carry its later work."""
        if call.sql.goes_on:
            for task in unit.tasks:
                self._by_task[task] = call

    def choose_by_task(self, unit: UnitFacts) -> _Choice | None:
        """The call whose task the unit works on."""
        for keys, index, evidence in (
            (unit.request_ids, self._by_request_id, "request id of the task"),
            (unit.tasks, self._by_task, "task id"),
        ):
            call = _only(keys, index)
            if call is not None:
                relation = "async" if unit.start > call.end else "in_request"
                return _Choice(call, EXACT, 1.0, (evidence,), relation=relation)
        return None

    def choose_by_image(self, unit: UnitFacts) -> _Choice | None:
        """The call whose image the unit works on: answered, or broken off by the client."""
        call = _only(unit.images, self._by_image)
        if call is None or contradiction(call, unit) is not None:
            return None
        if call.call.status_code is None:
            return _Choice(call, INFERRED, 0.9, ("image id, after the client went away",))
        return _Choice(call, INFERRED, 0.9, ("image id, after the response",), relation="async")


def _only(keys: frozenset[str], index: dict[str, CallFacts]) -> CallFacts | None:
    """The one call that these keys lead to."""
    found = {id(index[key]): index[key] for key in keys if key in index}
    return next(iter(found.values())) if len(found) == 1 else None


def _links(unit: UnitOfWork, choices: dict[int, _Choice], alone: bool) -> Iterable[Link]:
    """Links of a unit's statements; set-up goes to whoever used the new connection next.

    Without a call the statements are background work if they ran `alone`, with no call open that they could be of.
    """
    choice = choices.get(id(unit))
    if unit.setup and unit.next_unit is not None and unit.next_unit.ts - unit.end_ts < _CONNECT:
        choice = _next_choice(unit, choices)
    for statement in unit.statements:
        if statement.kind in ("ping", "health"):
            continue
        if choice is None:
            if statement.kind == "request":
                statement.kind = "background" if alone else "unattributed"
        elif statement.kind != "setup":
            yield Link(
                statement_id=statement.id,
                call_id=choice.call.call.id,
                link_class=INFERRED if unit.setup else choice.link_class,
                relation=choice.relation,
                score=min(choice.score, _OPENER) if unit.setup else choice.score,
                evidence=("first to use the new connection",) if unit.setup else choice.evidence,
                rejected=choice.rejected,
            )


def _next_choice(unit: UnitOfWork, choices: dict[int, _Choice]) -> _Choice | None:
    """Choice of the first unit after `unit` that is more than set-up."""
    following = unit.next_unit
    while following is not None and following.setup:
        following = following.next_unit
    return choices.get(id(following)) if following is not None else None
