"""Differences that have a reason: what tshark does not show, does not undo, or takes for something else.

A rule looks at a difference and at what is known of its connection, and may name it. Named differences are told, not
dropped; they do not count as contradictions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from glancetrace.glance.ports import FOREIGN_PORTS
from glancetrace.glance.routes import match_route
from glancetrace.net.run import render_endpoint
from glancetrace.trace import Trace
from glancetrace.verify.messages import COMMAND, REQUEST, RESPONSE, Message

__all__ = ["REASONS", "Context", "context_of", "name_own", "name_theirs", "note_request"]

REASONS: dict[str, str] = {
    "not-to-its-end": "the message was not seen to its end; tshark shows only those that were",
    "bytes-missing": "bytes of the connection are not in the capture; tshark waits for them for ever",
    "file-contents": "tshark takes the file that LOAD DATA LOCAL sends for commands",
    "compressed": "tshark does not join commands that span several compressed packets",
    "other-service": "no request to Keystone, Glance, Swift or the registry: glancetrace has no call for it",
    "request-not-captured": "the response to a request before the capture; glancetrace has no call for it",
    "bodies-apart": "a body is too large for tshark to put HTTP together: it takes a piece of one for a message",
}
"""Name -> why it is no fault."""

_Ends = tuple[str, str]


@dataclass(slots=True)
class Context:
    """What the rules know.

    Attributes:
        ports: port -> service. compressed: MySQL connections with compression. lossy: connections of which bytes are
            missing.
        files: (first frame, last frame) of LOAD DATA LOCAL, by connection.
        with_bodies: tshark put bodies together.
        asked, others: requests that tshark saw on a connection so far, and those of other services whose response is
            still to come.
    """

    ports: Mapping[int, str]
    with_bodies: bool
    compressed: set[_Ends] = field(default_factory=set)
    lossy: set[_Ends] = field(default_factory=set)
    files: dict[_Ends, list[tuple[int, int]]] = field(default_factory=dict)
    asked: Counter[_Ends] = field(default_factory=Counter)
    others: Counter[_Ends] = field(default_factory=Counter)


def context_of(trace: Trace, ports: Mapping[int, str], *, with_bodies: bool) -> Context:
    """What a trace tells of its connections."""
    context = Context(ports, with_bodies)
    connections = [row.connection for row in trace.tables.connections]
    context.lossy = {
        (render_endpoint(c.client), render_endpoint(c.server)) for c in connections if any(c.bytes_missing)
    }
    for statement in trace.tables.statements:
        command = statement.command
        ends = render_endpoint(statement.connection.client), render_endpoint(statement.connection.server)
        if command.session.compressed:
            context.compressed.add(ends)
        if (command.sql or "").lstrip()[:9].upper() == "LOAD DATA":
            last = command.response_frame or command.request_frame
            context.files.setdefault(ends, []).append((command.first_frame, last))
    return context


def name_own(message: Message, context: Context) -> str | None:
    """Why tshark may not show a message of the result; None where nothing says."""
    if not message.complete:
        return "not-to-its-end"
    if (message.client, message.server) in context.lossy:
        return "bytes-missing"
    if message.kind == COMMAND and (message.client, message.server) in context.compressed:
        return "compressed"
    return None


def name_theirs(message: Message, context: Context) -> str | None:
    """Why the result may not have a message that tshark shows; None where nothing says. Called in order of frames."""
    ends = message.client, message.server
    if ends in context.lossy:
        return "bytes-missing"
    if message.kind == COMMAND:
        if ends in context.compressed:
            return "compressed"
        within = (first < message.frame <= last for first, last in context.files.get(ends, ()))
        return "file-contents" if any(within) else None
    if message.kind == REQUEST and _is_other(message, context.ports):
        context.others[ends] += 1
        return "other-service"
    if message.kind == RESPONSE:
        if context.others[ends]:
            context.others[ends] -= 1
            return "other-service"
        if not context.asked[ends]:
            return "request-not-captured"
    return None if context.with_bodies else "bodies-apart"


def note_request(message: Message, context: Context) -> None:
    """A request that tshark saw: what comes after it on that connection may answer it."""
    if message.kind == REQUEST:
        context.asked[message.client, message.server] += 1


def _is_other(request: Message, ports: Mapping[int, str]) -> bool:
    """No call is made of such a request (see `glancetrace.glance.calls`)."""
    port = int(request.server.rpartition(":")[2])
    service = ports.get(port)
    return (service is None and port in FOREIGN_PORTS) or match_route(request.what, request.text, service) is None
