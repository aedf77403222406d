"""The story of an image, line by line: its calls, their SQL, its status changes, what else happened."""

from __future__ import annotations

from dataclasses import dataclass

from glancetrace.glance.call import ApiCall
from glancetrace.glance.statement import SqlStatement
from glancetrace.output.gist import describe_result, describe_statement
from glancetrace.timeline.image import ImageEvent, ImageStory, Transition
from glancetrace.trace import Trace

__all__ = ["StoryLine", "tell_story"]

_RANK = {"call": 0, "sql": 1}


@dataclass(frozen=True, slots=True)
class StoryLine:
    """One thing that happened.

    Attributes:
        image_id: of whom. ts: when, ns. dur: how long, ns, None if it has no length or an unknown one.
        kind: call, sql, status, or the kind of an event. text: what, secrets replaced, control characters kept.
        status: of a status line, the new one. failed: a call answered with an error or not at all, a failed statement.
        first_frame, last_frame: what proves it. call_id, statement_id: rows that it comes from.
    """

    image_id: str
    ts: int
    dur: int | None
    kind: str
    text: str
    status: str | None
    failed: bool
    first_frame: int | None
    last_frame: int | None
    call_id: int | None
    statement_id: int | None


def _call_line(image: ImageStory, call: ApiCall, trace: Trace) -> StoryLine:
    code = "no response" if call.status_code is None else str(call.status_code)
    text = f"#{call.id} {code} {call.operation}: {call.method} {trace.redactor.text(call.target)}"
    if call.request_id:
        text += f" ({call.request_id})"
    if call.source == "log":
        text += ", from a log"
    failed = call.status_code is None or call.status_code >= 400
    return StoryLine(image.id, call.ts, call.dur, "call", text, None, failed, call.first_frame or None,
                     call.last_frame or None, call.id, None)  # fmt: skip


def _sql_line(image: ImageStory, statement: SqlStatement, call_id: int | None, trace: Trace) -> StoryLine:
    command = statement.command
    caller = f"#{call_id}" if call_id is not None else statement.kind
    result = describe_result(statement)
    if statement.outcome == "rolled_back" and statement.operation in ("INSERT", "UPDATE", "DELETE"):
        result += ", rolled back"
    text = f"{caller} {'' if result == 'OK' else f'{result}: '}{describe_statement(statement, trace.redactor)}"
    dur = None if command.response_end_ts is None else command.response_end_ts - command.ts
    return StoryLine(image.id, command.ts, dur, "sql", text, None, command.error is not None, command.first_frame,
                     command.response_frame or command.request_frame, call_id, statement.id)  # fmt: skip


def _status_line(image: ImageStory, change: Transition) -> StoryLine:
    text = f"{change.from_status or '(new)'} → {change.to_status}"
    notes = [] if change.certainty == "observed" else [change.certainty]
    notes += [] if change.legal else ["not a legal change"]
    notes += ["seen in a response only"] if change.source == "api" else []
    text += f" ({', '.join(notes)})" if notes else ""
    return StoryLine(image.id, change.ts, None, "status", text, change.to_status, False, change.frame,
                     change.commit_frame or change.frame, change.call_id, change.statement_id)  # fmt: skip


def _event_line(image: ImageStory, event: ImageEvent, trace: Trace) -> StoryLine:
    return StoryLine(image.id, event.ts, None, event.kind, trace.redactor.text(event.summary), None, False,
                     event.frame, event.frame, event.call_id, event.statement_id)  # fmt: skip


def tell_story(trace: Trace, image: ImageStory, *, with_sql: bool = True) -> list[StoryLine]:
    """Lines of one image in order of time.

    The calls are those that name or changed the image, and what they called in turn (Keystone apart); the SQL is
    theirs, and whatever else names the image.
    """
    own = {call.id for call in trace.tables.calls if call.image_id == image.id}.union(image.call_ids)
    calls = [
        call
        for call in trace.tables.calls
        if call.id in own or (call.parent_id in own and call.service != "keystone")
    ]  # fmt: skip
    lines = [_call_line(image, call, trace) for call in calls]
    if with_sql:
        shown: dict[int, int | None] = {
            statement.id: call.id for call in calls for statement in trace.statements_of(call.id)
        }
        for statement in trace.tables.statements:
            if image.id in statement.image_ids and statement.id not in shown:
                link = trace.link_of.get(statement.id)
                shown[statement.id] = link.call_id if link is not None else None
        statements = trace.tables.statements
        lines += [_sql_line(image, statements[key - 1], call_id, trace) for key, call_id in shown.items()]
    lines += [_status_line(image, change) for change in image.transitions]
    lines += [_event_line(image, event, trace) for event in image.events]
    lines.sort(key=lambda line: (line.ts, _RANK.get(line.kind, 2), line.first_frame or 0, line.statement_id or 0))
    return lines
