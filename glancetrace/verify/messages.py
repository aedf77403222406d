"""HTTP messages and MySQL commands in terms that glancetrace and tshark share, and those of a trace.

Every leg of a call and of a proxied statement counts: tshark knows nothing of hops. What the outermost leg says is
taken from the call itself, which is what people are shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from glancetrace.glance.call import ApiCall, Hop, LegMessages
from glancetrace.glance.statement import SqlStatement
from glancetrace.net.run import render_endpoint
from glancetrace.trace import Trace

__all__ = ["COMMAND", "REQUEST", "RESPONSE", "Message", "own_messages"]

REQUEST, RESPONSE, COMMAND = "request", "response", "command"

_WITH_TEXT = frozenset({"COM_QUERY", "COM_STMT_PREPARE"})
"""Commands whose text stands in their packet."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message on the wire.

    Attributes:
        kind: REQUEST, RESPONSE or COMMAND. client, server: `address:port`.
        frame: of its last byte; first_frame of its first one, last_frame the last that can belong to it.
        what: method, status code, or name of the command. text: target, or SQL; "" where there is none.
        complete: seen to its last byte. call_id, statement_id: of the result, None for what tshark tells.
    """

    kind: str
    client: str
    server: str
    frame: int
    what: str
    text: str = ""
    first_frame: int = 0
    last_frame: int = 0
    complete: bool = True
    call_id: int | None = None
    statement_id: int | None = None

    @property
    def content(self) -> tuple[str, str]:
        """What is said, wherever it stands."""
        return self.what, self.text


def own_messages(trace: Trace) -> Iterator[Message]:
    """Everything that a trace says was on the wire; calls that only a log tells of were not seen there."""
    for call in trace.tables.calls:
        for place, hop in enumerate(call.hops):
            if hop.messages is not None:
                yield from _of_leg(call, hop, hop.messages, outermost=place == 0)
    for statement in trace.tables.statements:
        yield from _of_statement(statement)


def _of_leg(call: ApiCall, hop: Hop, leg: LegMessages, *, outermost: bool) -> Iterator[Message]:
    ends = render_endpoint(hop.client), render_endpoint(hop.server)
    method, target, status = leg.method, leg.target, leg.status_code
    sent, answered = leg.request_frame, leg.response_frame
    if outermost:
        method, target, sent, answered = call.method, call.target, call.request_frame, call.response_frame
        status = call.status_code if leg.status_code is not None else None
    yield Message(
        REQUEST,
        *ends,
        frame=sent or hop.first_frame,
        what=method,
        text=target,
        first_frame=hop.first_frame,
        last_frame=sent or hop.last_frame,
        complete=leg.request_complete and sent is not None,
        call_id=call.id,
    )
    if status is not None:
        first = leg.response_first_frame or answered or hop.last_frame
        yield Message(
            RESPONSE,
            *ends,
            frame=answered or first,
            what=str(status),
            first_frame=first,
            last_frame=answered or hop.last_frame,
            complete=leg.response_complete and answered is not None,
            call_id=call.id,
        )


def _of_statement(statement: SqlStatement) -> Iterator[Message]:
    command = statement.command
    text = command.sql or "" if command.command in _WITH_TEXT else ""
    legs = [(hop.client, hop.server, hop.first_frame, hop.request_frame) for hop in statement.hops]
    if not legs:
        ends = statement.connection.client, statement.connection.server
        legs = [(*ends, command.first_frame, command.request_frame)]
    for client, server, first, last in legs:
        yield Message(
            COMMAND,
            render_endpoint(client),
            render_endpoint(server),
            frame=last,
            what=command.command,
            text=text,
            first_frame=first,
            last_frame=last,
            complete=not command.cut,
            statement_id=statement.id,
        )
