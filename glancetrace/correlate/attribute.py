"""Attributes units of work to calls: ids as evidence and contradiction, then containment in time.

A unit belongs to one call. Candidates are calls whose innermost leg was between the end of its request and the first
byte of its response while the unit ran; a candidate that contradicts the unit (another image, a write that the
operation cannot make) is out, with the reason. One left is certain; of several the one with the most evidence, then the
one begun last, is inferred. Nobody left: work that goes on after a response is tied to its call by task and image ids;
the rest stays without a parent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import attrgetter

from glancetrace.correlate.facts import CallFacts, UnitFacts, UnitReader, call_facts, contradiction
from glancetrace.correlate.link import CERTAIN, EXACT, INFERRED, Link
from glancetrace.correlate.units import UnitOfWork
from glancetrace.glance.call import ApiCall

__all__ = ["attribute"]

_CONNECT = 2_000_000_000
"""ns within which a new connection is used by whoever opened it."""

_OPENER = 0.9
"""How sure it is that who used a new connection first had opened it: a pool may hand it to somebody else."""

_VAGUE = 100_000_000
"""ns by which times of a call may be off that says for sure what ran in it."""

_HARMLESS = frozenset({"token-validate", "version-list", "version-show", "healthcheck"})

_CLEANING_UP = 60_000_000_000
"""ns within which a service has noticed that a client went away, and put the image in order."""

_START = attrgetter("start")
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


def _beginning(facts: CallFacts) -> tuple[int, int]:
    return facts.earliest, facts.call.id


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
        else:
            links += _attribute_sure(facts, units, _hidden_callers(calls, project_of))
    links.sort(key=attrgetter("statement_id"))
    return links


def _attribute_service(calls: list[CallFacts], units: list[UnitOfWork]) -> list[Link]:
    calls.sort(key=_beginning)
    reader = UnitReader()
    facts = [reader.read(unit) for unit in units if not unit.setup]
    facts.sort(key=lambda unit: (unit.start, unit.unit.statements[0].id))
    choices: dict[int, _Choice] = {}
    alone: set[int] = set()
    going_on = _GoingOn()
    active = _Active(calls, going_on)
    for unit in facts:
        open_calls = active.at(unit.start)
        if calls and not open_calls:
            alone.add(id(unit.unit))
        choice = going_on.choose_by_task(unit) or _choose(unit, open_calls) or going_on.choose_by_image(unit)
        if choice is not None:
            choices[id(unit.unit)] = choice
            going_on.learn(choice.call, unit)
    return [link for unit in units for link in _links(unit, choices, id(unit) in alone)]


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


def _attribute_sure(calls: list[CallFacts], units: list[UnitOfWork], hidden: list[CallFacts]) -> list[Link]:
    """Links of units that only one call can have run: Keystone's statements name nothing that tells calls apart."""
    # Who asked at an uncertain moment can have run what others seem to have run; validations are hidden ones anyway.
    vague = [facts for facts in calls if facts.call.uncertainty > _VAGUE]
    hidden = hidden + [facts for facts in vague if facts.call.operation not in _HARMLESS]
    calls = [facts for facts in calls if facts.call.uncertainty <= _VAGUE]
    calls.sort(key=_beginning)
    hidden.sort(key=_beginning)
    reader = UnitReader()
    facts = [reader.read(unit) for unit in units if not unit.setup]
    facts.sort(key=lambda unit: (unit.start, unit.unit.statements[0].id))
    going_on = _GoingOn()
    active, unseen = _Active(calls, going_on), _Active(hidden, going_on)
    choices: dict[int, _Choice] = {}
    for unit in facts:
        choice = _choose(unit, active.at(unit.start))
        if not unseen.at(unit.start) and choice is not None and choice.link_class == CERTAIN:
            choices[id(unit.unit)] = choice
    return [link for unit in units for link in _links(unit, choices, alone=False)]


class _Active:
    """Calls that are open, as time goes on; `calls` are in order of when they can have begun."""

    def __init__(self, calls: list[CallFacts], going_on: _GoingOn) -> None:
        self._calls = calls
        self._going_on = going_on
        self._next = 0
        self._open: list[CallFacts] = []
        self._first_end = 0

    def at(self, ts: int) -> list[CallFacts]:
        """Calls open at `ts`, which must not fall, in order of when they can have begun."""
        calls = self._calls
        began = self._next
        while self._next < len(calls) and calls[self._next].earliest <= ts:
            self._open.append(calls[self._next])
            self._next += 1
        if self._next > began or self._first_end < ts:
            for call in self._open:
                if call.latest < ts and call.goes_on:
                    self._going_on.add(call)
            self._open = [call for call in self._open if call.latest >= ts]
            self._first_end = min((call.latest for call in self._open), default=ts)
        return self._open


def _choose(unit: UnitFacts, open_calls: list[CallFacts]) -> _Choice | None:
    """The best of the calls that were open while the unit ran."""
    left: list[CallFacts] = []
    rejected: list[tuple[int, str]] = []
    end = unit.end
    for call in reversed(open_calls):
        if call.latest < end:
            reason: str | None = "its response came first"
        else:
            reason = None if call.runs_anything else contradiction(call, unit)
        if reason is None:
            left.append(call)
        elif len(rejected) < _MAX_REJECTED:
            rejected.append((call.call.id, reason))
    if not left:
        return None
    # Packets are captured a little out of order, so the windows have slack; who needs none goes before who does.
    start = unit.start
    left = [call for call in left if call.start <= start and end <= call.end] or left
    if len(left) == 1:
        return _Choice(left[0], CERTAIN, 1.0, (*_support(left[0], unit), "only call left"), rejected=rejected)
    equals = left
    if unit.telling:
        supports = [_support(call, unit) for call in left]
        most = max(map(len, supports))
        equals = [call for call, support in zip(left, supports, strict=True) if len(support) == most]
    best = max(equals, key=_START)
    evidence = (*_support(best, unit), f"nearest of {len(left)}")
    return _Choice(best, INFERRED, round(1 / len(equals), 3), evidence, rejected=rejected)


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
        if call.call.status_code is None and unit.start - call.end > _CLEANING_UP:
            return None
        if call.call.status_code is None:
            return _Choice(call, INFERRED, 0.9, ("image id, after the client went away",))
        return _Choice(call, INFERRED, 0.9, ("image id, after the response",), relation="async")


def _only(keys: frozenset[str], index: dict[str, CallFacts]) -> CallFacts | None:
    """The one call that these keys lead to."""
    found = {id(index[key]): index[key] for key in keys if key in index}
    return next(iter(found.values())) if len(found) == 1 else None


def _links(unit: UnitOfWork, choices: dict[int, _Choice], alone: bool) -> list[Link]:
    """Links of a unit's statements; set-up goes to whoever used the new connection next.

    Without a call the statements are background work if they ran `alone`, with no call open that they could be of.
    """
    choice = choices.get(id(unit))
    if unit.setup:
        choice = _opener(unit, choices)
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
            rejected=choice.rejected,
        )
        for statement in unit.statements
        if statement.kind == "request"
    ]


def _opener(unit: UnitOfWork, choices: dict[int, _Choice]) -> _Choice | None:
    """The call that opened a connection: it has the first unit after the set-up `unit` that is more than set-up."""
    following = unit.next_unit
    if following is None or following.ts - unit.end_ts >= _CONNECT:
        return None
    while following is not None and following.setup:
        following = following.next_unit
    first = choices.get(id(following))
    if first is None:
        return None
    score = min(first.score, _OPENER)
    return _Choice(first.call, INFERRED, score, ("first to use the new connection",), first.relation, first.rejected)
