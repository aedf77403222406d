"""Why a statement was linked to its call: class, evidence, what was rejected, its place in the call, what is missing.

`explain` gives plain data; `Explanation.lines` says it in words, `Explanation.row` as a JSON object.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from glancetrace.correlate.keystone.steps import step_of
from glancetrace.correlate.link import CERTAIN, EXACT, TWIN, Link
from glancetrace.correlate.weighing import Weight, alternatives, position, weigh
from glancetrace.errors import UsageError
from glancetrace.glance.call import ApiCall
from glancetrace.glance.sequences import kind_of_unit
from glancetrace.glance.statement import SqlStatement
from glancetrace.shown_sql import shown_sql
from glancetrace.trace import Trace

__all__ = ["Explanation", "UnitExplanation", "explain"]

_SHOWN = 100
"""Characters of a statement that are shown."""
_NAMED = 8
"""Calls that are named of those that were open."""


@dataclass(slots=True)
class UnitExplanation:
    """Why a unit of work is (or is not) linked to a call.

    Attributes:
        unit_id, statement_ids, first_frame, sql: the unit, and the first of its statements that is more than a ping.
        call_id, link_class, relation, score, group_id, candidates: as in the links table; None and empty without one.
        evidence: what speaks for the link, with weights where a joint solution decided.
        rejected: (call id, reason). alternatives: (call id or None, probability) that the joint solution weighed.
        place: the units of the call in order, and which of them it is (from 1); empty and None where not known.
        kind: what became of its statements (request, background, unattributed ...).
        open_calls: of a unit without a call, the calls to its service that were open all the time while it ran.
    """

    unit_id: int | None
    statement_ids: list[int]
    first_frame: int
    sql: str
    kind: str
    call_id: int | None = None
    link_class: str | None = None
    relation: str | None = None
    score: float | None = None
    group_id: int | None = None
    candidates: tuple[int, ...] = ()
    evidence: list[Weight] = field(default_factory=list)
    rejected: list[tuple[int, str]] = field(default_factory=list)
    alternatives: list[tuple[int | None, float]] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    place: int | None = None
    open_calls: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Explanation:
    """Why a call, a statement or a frame was read as it was: its units, and what would make the links surer."""

    subject: str
    units: list[UnitExplanation]
    to_be_sure: list[str]

    def row(self) -> dict[str, Any]:
        """As a JSON object."""
        row = asdict(self)
        for unit in row["units"]:
            unit["class"] = unit.pop("link_class")
            unit["rejected"] = [{"call_id": call_id, "reason": reason} for call_id, reason in unit["rejected"]]
            unit["alternatives"] = [{"call_id": call_id, "probability": p} for call_id, p in unit["alternatives"]]
        return row

    def lines(self) -> Iterator[str]:
        """In words."""
        yield self.subject
        for unit in self.units:
            yield ""
            yield from _unit_lines(unit)
        if self.to_be_sure:
            yield ""
            yield "To be sure, capture or switch on"
            for wish in self.to_be_sure:
                yield f"  {wish}"

    def __str__(self) -> str:
        return "\n".join(self.lines())


def _unit_lines(unit: UnitExplanation) -> Iterator[str]:
    first, last = unit.statement_ids[0], unit.statement_ids[-1]
    yield f"unit {unit.unit_id}, statements {first} to {last}, frame {unit.first_frame}: {unit.sql}"
    if unit.call_id is None:
        more = len(unit.open_calls) - _NAMED
        named = ", ".join(map(str, unit.open_calls[:_NAMED])) or "none"
        yield f"  no call ({unit.kind}); open while it ran: {named}{f' and {more} more' if more > 0 else ''}"
    else:
        score = "" if unit.score is None else f", score {unit.score:g}"
        yield f"  call {unit.call_id}: {unit.link_class}, {unit.relation}{score}"
    if unit.candidates:
        yield f"  one of the twins {', '.join(map(str, unit.candidates))}, chosen by time"
    for weight in unit.evidence:
        number = "" if weight.weight is None else f" {weight.weight:+.1f}"
        yield f"  for it{number}: {weight.name}{': ' if weight.text else ''}{weight.text}"
    if unit.place is not None:
        yield f"  place {unit.place} in {' | '.join(unit.units)}"
    for call_id, probability in unit.alternatives:
        yield f"  instead, {probability:.1%}: {'no call' if call_id is None else f'call {call_id}'}"
    for call_id, reason in unit.rejected:
        yield f"  not call {call_id}: {reason}"


def explain(
    trace: Trace, *, statement: int | None = None, call: int | None = None, frame: int | None = None
) -> Explanation:
    """Explain the links of a statement's unit of work, of a call, or of what a frame belongs to.

    Raises:
        UsageError: not exactly one is given, or there is no such row.
    """
    if [statement, call, frame].count(None) != 2:
        raise UsageError("one of statement, call and frame is needed", action="name one of them")
    tables = trace.tables
    if frame is not None:
        statement, call = _at_frame(trace, frame)
    if statement is not None:
        if not 1 <= statement <= len(tables.statements):
            raise UsageError(f"no statement {statement}", action=f"there are 1 to {len(tables.statements)}")
        row = tables.statements[statement - 1]
        own = [s for s in tables.statements if s.unit_id == row.unit_id]
        units = [_explain_unit(trace, own)]
        return Explanation(f"statement {statement}", units, _wishes(trace, units))
    assert call is not None
    if not 1 <= call <= len(tables.calls):
        raise UsageError(f"no call {call}", action=f"there are 1 to {len(tables.calls)}")
    units = [_explain_unit(trace, own) for own in _units_of(trace, call)]
    return Explanation(_describe(trace, tables.calls[call - 1]), units, _wishes(trace, units))


def _describe(trace: Trace, call: ApiCall) -> str:
    status = "no response" if call.status_code is None else call.status_code
    return f"call {call.id}: {call.method} {trace.redactor.text(call.target)}, {status}, {call.operation}"


def _at_frame(trace: Trace, frame: int) -> tuple[int | None, int | None]:
    """The statement, or else the call, that a frame belongs to: it begins or ends there, or else is nearest around."""
    best: tuple[int, int | None, int | None] | None = None
    for statement in trace.tables.statements:
        command = statement.command
        last = command.response_frame or command.request_frame
        if command.first_frame <= frame <= last:
            exact = frame in (command.first_frame, command.request_frame, last)
            best = min(filter(None, (best, (0 if exact else 1 + last - command.first_frame, statement.id, None))))
    for call in trace.tables.calls:
        if call.first_frame <= frame <= call.last_frame:
            exact = frame in (call.first_frame, call.request_frame, call.response_frame, call.last_frame)
            found = (0 if exact else 1 + call.last_frame - call.first_frame, None, call.id)
            best = found if best is None or found[0] < best[0] else best
    if best is None:
        raise UsageError(f"frame {frame} is of no statement and no call", action="name a frame of one of them")
    return best[1], best[2]


def _units_of(trace: Trace, call: int) -> list[list[SqlStatement]]:
    """Statements of a call by units of work, in order."""
    units: dict[int | None, list[SqlStatement]] = {}
    for statement in trace.statements_of(call):
        units.setdefault(statement.unit_id, []).append(statement)
    return list(units.values())


def _explain_unit(trace: Trace, statements: list[SqlStatement]) -> UnitExplanation:
    first = next((s for s in statements if s.kind not in ("ping", "setup")), statements[0])
    unit = UnitExplanation(
        unit_id=first.unit_id,
        statement_ids=[s.id for s in statements],
        first_frame=first.command.first_frame,
        sql=" ".join((shown_sql(first, trace.redactor) or first.command.command).split())[:_SHOWN],
        kind=first.kind,
    )
    link = next((trace.link_of[s.id] for s in statements if s.id in trace.link_of), None)
    if link is not None:
        _take_link(trace, unit, link)
    else:
        unit.open_calls = [call.id for call in trace.tables.calls if _open_during(call, statements)]
    return unit


def _open_during(call: ApiCall, statements: list[SqlStatement]) -> bool:
    """A call to the statements' service was open from the first of them to the last."""
    whose = statements[0].service
    if call.service != whose and (call.service, whose) != ("registry", "glance"):
        return False
    return call.ts <= statements[0].command.ts and (call.dur is None or call.ts + call.dur >= statements[-1].end_ts)


def _take_link(trace: Trace, unit: UnitExplanation, link: Link) -> None:
    unit.call_id, unit.link_class, unit.relation, unit.score = link.call_id, link.link_class, link.relation, link.score
    unit.group_id, unit.candidates, unit.rejected = link.group_id, link.candidates, list(link.rejected)
    unit.evidence = [Weight(text, None, "") for text in link.evidence]
    if link.joint is None:
        unit.units = [_kind(own) for own in _units_of(trace, link.call_id)]
        ids = [own[0].unit_id for own in _units_of(trace, link.call_id)]
        unit.place = ids.index(unit.unit_id) + 1 if unit.unit_id in ids else None
        return
    _, mine, place = position(link.joint)
    unit.evidence += weigh(link.joint)
    unit.alternatives = alternatives(link.joint)
    unit.units = [link.joint.component.units[number].kind for number in mine]
    unit.place = place + 1


def _kind(statements: list[SqlStatement]) -> str:
    """What a unit does; one that only ends a transaction belongs to the set-up of its connection."""
    if all(s.operation in ("COMMIT", "ROLLBACK") for s in statements):
        return "set-up"
    if statements[0].service == "keystone":
        return step_of(statements)
    reads = [s for s in statements if s.parsed is not None and "images" in s.parsed.shape.tables]
    lists = any(s.parsed is not None and s.parsed.shape.limit is not None and not s.image_ids for s in reads)
    return kind_of_unit(statements, lists)


def _wishes(trace: Trace, units: list[UnitExplanation]) -> list[str]:
    """What would have to be captured, or switched on, for links that are not sure."""
    unsure = [unit for unit in units if unit.link_class not in (EXACT, CERTAIN)]
    if not unsure:
        return []
    calls = trace.tables.calls
    wishes = []
    if not any(len(call.hops) > 1 for call in calls if call.service == "glance"):
        wishes.append("the side of Glance behind the proxy (port 9292): its connections tell the worker process")
    if not any(call.service == "keystone" and call.parent_id is not None for call in calls):
        wishes.append("Glance's requests to Keystone (port 5000): a call begins its SQL after its token is validated")
    lossy = any(sum(row.connection.bytes_missing) for row in trace.tables.connections)
    if lossy:
        wishes.append("the packets that are missing: tcpdump with a larger buffer (-B 65536), or a smaller filter")
    if any(unit.link_class == TWIN for unit in unsure):
        wishes.append("nothing on the wire tells twins apart: only Glance's own log with request ids does")
    wishes.append("request ids in the SQL itself: OSProfiler, or SQL comments")
    return wishes
