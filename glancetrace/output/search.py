"""Search: where a text stands in the calls and statements, as Wireshark's packet search does it for packets.

What is searched is what was on the wire; what is shown is redacted. Who searches for a password therefore learns which
call carried it, and sees `<redacted>` in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from glancetrace.glance.call import ApiCall
from glancetrace.glance.statement import SqlStatement
from glancetrace.http.exchange import Body, Head
from glancetrace.redact import Redactor
from glancetrace.shown_sql import shown_sql
from glancetrace.trace import Trace

__all__ = ["Hit", "search_trace"]

_BEFORE = 16
_LONGEST = 400


@dataclass(frozen=True, slots=True)
class Hit:
    """One place where the text stands.

    Attributes:
        ts: of the call or statement, ns. where: url, request header, request body, response header, response body,
            statement, parameter or error. excerpt: redacted surroundings, control characters kept.
        call_id: the call, also of a statement that is attributed to one. statement_id: None in a call.
        image_ids: what the call or statement is about. first_frame, last_frame: of the message, if it has any.
    """

    ts: int
    where: str
    excerpt: str
    call_id: int | None
    statement_id: int | None
    image_ids: tuple[str, ...]
    first_frame: int | None
    last_frame: int | None


def excerpt_of(shown: str, pattern: re.Pattern[str]) -> str:
    """The surroundings of the first match in a redacted text; its start where the match itself was redacted."""
    match = pattern.search(shown)
    start = max(0, match.start() - _BEFORE) if match is not None else 0
    end = min(len(shown), start + _LONGEST)
    return f"{'…' if start else ''}{shown[start:end]}{'…' if end < len(shown) else ''}"


def _decode(body: Body) -> str:
    return body.content.decode("utf-8", "replace") if body.content else ""


def _show_body(text: str, body: Body, redactor: Redactor) -> str:
    """A body that was cut may end inside a secret: closing the string lets the redactor see it."""
    return redactor.text(f'{text}"') if body.content_truncated else redactor.text(text)


def _search_head(head: Head, side: str, pattern: re.Pattern[str], redactor: Redactor) -> Iterator[tuple[str, str]]:
    for name, value in head.headers:
        line = f"{name}: {value}"
        if pattern.search(line):
            yield f"{side} header", excerpt_of(f"{name}: {redactor.header(name, value)}", pattern)


def _search_call(call: ApiCall, pattern: re.Pattern[str], redactor: Redactor) -> Iterator[tuple[str, str]]:
    line = f"{call.method} {call.target}"
    if pattern.search(line):
        yield "url", excerpt_of(redactor.text(line), pattern)
    exchange = call.exchange
    if exchange is None:
        return
    sides = (
        ("request", exchange.request, exchange.request_body),
        ("response", exchange.response, exchange.response_body),
    )
    for side, head, body in sides:
        if head is not None:
            yield from _search_head(head, side, pattern, redactor)
        text = _decode(body)
        if text and pattern.search(text):
            yield f"{side} body", excerpt_of(_show_body(text, body, redactor), pattern)


def _search_statement(
    statement: SqlStatement, pattern: re.Pattern[str], redactor: Redactor
) -> Iterator[tuple[str, str]]:
    command = statement.command
    if command.sql is not None and pattern.search(command.sql):
        yield "statement", excerpt_of(shown_sql(statement, redactor) or "", pattern)
    for position, value in enumerate(command.params or (), 1):
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        if pattern.search(text):
            # A bare value does not show whether it is a secret: its statement stands for it.
            shown = text if redactor.reveal else f"{position} of {shown_sql(statement, redactor)}"
            yield "parameter", excerpt_of(shown, pattern)
    if command.error is not None and pattern.search(command.error.message):
        yield "error", excerpt_of(redactor.text(command.error.message), pattern)


def search_trace(trace: Trace, pattern: re.Pattern[str]) -> list[Hit]:
    """All places where `pattern` stands, in order of time."""
    redactor = trace.redactor
    hits = []
    for call in trace.tables.calls:
        about = (call.image_id,) if call.image_id is not None else ()
        hits += [
            Hit(call.ts, where, excerpt, call.id, None, about, call.first_frame or None, call.last_frame or None)
            for where, excerpt in _search_call(call, pattern, redactor)
        ]
    for statement in trace.tables.statements:
        for where, excerpt in _search_statement(statement, pattern, redactor):
            command = statement.command
            link = trace.link_of.get(statement.id)
            last = command.response_frame or command.request_frame
            caller = link.call_id if link is not None else None
            hits.append(
                Hit(command.ts, where, excerpt, caller, statement.id, statement.image_ids, command.first_frame, last)
            )
    hits.sort(key=lambda hit: (hit.ts, hit.first_frame or 0))
    return hits
