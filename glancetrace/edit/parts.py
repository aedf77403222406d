"""Which packets show a part of a result: a call, a statement, an image, a connection, a finding.

A part is frames on connections: from the first to the last of what was exchanged, with everything in between that the
two sides sent on the same connection (acknowledgements, retransmissions). Of a connection with TLS its beginning up to
the first exchange always comes along: nobody can decrypt the rest without the handshake. With context come the other
hops, and the beginnings of all connections (TCP and MySQL handshakes).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from glancetrace.edit.flows import Pair
from glancetrace.edit.selection import Frames, merge_frames
from glancetrace.glance.call import ApiCall
from glancetrace.glance.statement import SqlStatement
from glancetrace.trace import Finding, Trace

__all__ = ["Part", "PartFinder", "join_parts"]

Part = dict[Pair, Frames]
"""Frames that are wanted, by connection's endpoints."""

_Spans = list[tuple[int, int, int]]
"""Connection id, first and last frame."""


class PartFinder:
    """Finds parts of one trace.

    Args:
        context: with the other hops and the beginnings of the connections.
    """

    def __init__(self, trace: Trace, *, context: bool = False) -> None:
        self._trace = trace
        self._context = context
        self._connections = {row.connection.id: row.connection for row in trace.tables.connections}
        self._first: dict[int, int] = {}
        self._begun = {
            row.connection.id
            for row in trace.tables.connections
            if (context or row.tls is not None) and not row.connection.started_before_capture
        }
        if self._begun:
            self._note_first_exchanges()

    def of_calls(self, ids: Iterable[int]) -> Part:
        """Calls with the statements that they ran and the calls made in their course."""
        wanted = set(ids)
        spans: _Spans = []
        for call in self._trace.tables.calls:
            if call.parent_id in wanted:
                wanted.add(call.id)
            if call.id in wanted:
                spans += self._call(call)
        for call_id in wanted:
            for statement in self._trace.statements_of(call_id):
                spans += self._statement(statement)
        return self._part(spans)

    def of_statements(self, ids: Iterable[int]) -> Part:
        """Statements."""
        statements = self._trace.tables.statements
        return self._part([span for number in ids for span in self._statement(statements[number - 1])])

    def of_image(self, image_id: str, call_ids: Iterable[int]) -> Part:
        """An image: its calls, and all statements that name it."""
        spans = [
            span
            for statement in self._trace.tables.statements
            if image_id in statement.image_ids
            for span in self._statement(statement)
        ]
        return join_parts([self.of_calls(call_ids), self._part(spans)])

    def of_connections(self, ids: Iterable[int]) -> Part:
        """Connections, whole."""
        last = self._trace.capture.packets
        return self._part([(number, self._connections[number].first_frame, last) for number in ids])

    def of_finding(self, finding: Finding) -> Part:
        """A finding: its call, statement or image, else the connections that its frames lie on, around these frames."""
        if finding.call_id is not None:
            return self.of_calls([finding.call_id])
        if finding.statement_id is not None:
            return self.of_statements([finding.statement_id])
        if finding.image_id is not None:
            image = next(image for image in self._trace.tables.images if image.id == finding.image_id)
            return self.of_image(image.id, image.call_ids)
        frames = finding.frames
        calls = [c.id for c in self._trace.tables.calls if any(c.first_frame <= f <= c.last_frame for f in frames)]
        unread = [
            (one.row.connection.id, one.exchange.first_frame, one.exchange.last_frame)
            for one in self._trace.tables.unseen
            if one.exchange.first_frame in frames
        ]
        around = [(c, f, f) for c in self._connections for f in frames]
        # Nobody knows on which connections these frames lie: that alone brings no handshakes.
        return join_parts([self.of_calls(calls), self._part(unread), self._part(around, begun=self._context)])

    def _call(self, call: ApiCall) -> _Spans:
        hops = call.hops if self._context else call.hops[:1]
        return [(hop.connection_id, hop.first_frame, hop.last_frame) for hop in hops]

    def _statement(self, statement: SqlStatement) -> _Spans:
        command = statement.command
        last = max(command.request_frame, command.response_frame or 0)
        spans = [(statement.connection.id, command.first_frame, last)]
        if self._context:
            spans += [(hop.connection_id, hop.first_frame, hop.last_frame) for hop in statement.hops]
        return spans

    def _note_first_exchanges(self) -> None:
        """Where the first exchange of each connection begins."""
        tables = self._trace.tables
        begun = [(hop.connection_id, hop.first_frame) for call in tables.calls for hop in call.hops]
        begun += [(s.connection.id, s.command.first_frame) for s in tables.statements]
        begun += [(hop.connection_id, hop.first_frame) for s in tables.statements for hop in s.hops]
        begun += [(row.connection.id, row.sealed[0].first_frame) for row in tables.connections if row.sealed]
        for number, frame in begun:
            self._first[number] = min(frame, self._first.get(number, frame))

    def _part(self, spans: _Spans, *, begun: bool = True) -> Part:
        frames: dict[Pair, list[tuple[int, int]]] = defaultdict(list)
        for number, first, last in spans:
            connection = self._connections.get(number)
            if connection is None:
                continue
            one, other = sorted((connection.client, connection.server))
            frames[one, other].append((first, last))
            if begun and number in self._begun:
                exchange = self._first.get(number, connection.first_frame)
                frames[one, other].append((connection.first_frame, max(connection.first_frame, exchange - 1)))
        return {pair: merge_frames(ranges) for pair, ranges in frames.items()}


def join_parts(parts: Iterable[Part]) -> Part:
    """What is in one of the parts."""
    frames: dict[Pair, list[tuple[int, int]]] = defaultdict(list)
    for part in parts:
        for pair, ranges in part.items():
            frames[pair] += ranges
    return {pair: merge_frames(ranges) for pair, ranges in frames.items()}
