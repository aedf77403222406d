"""Rows of a `Trace` as plain dictionaries, with the columns of `glancetrace.schema`, in its order.

One builder per table; the result document is these tables under their names. Values are ready to be shown: secrets are
replaced, endpoints rendered, times RFC 3339. Callers that want numbers for times ask for `raw_times`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from glancetrace.correlate.units import ERA_RELEASES
from glancetrace.glance.call import ApiCall
from glancetrace.glance.statement import SqlStatement
from glancetrace.issues import KINDS
from glancetrace.net.run import Endpoint, render_endpoint
from glancetrace.rfc3339 import rfc3339
from glancetrace.schema import SCHEMA
from glancetrace.shown_sql import shown_sql
from glancetrace.timeline.image import ImageEvent, ImageStory, StatusInterval, Transition
from glancetrace.trace import CaptureSummary, Trace

__all__ = ["BUILDERS", "DOCUMENT_TABLES", "RowBuilder", "capture_row", "render_document"]

Row = dict[str, Any]
Clock = Callable[[int | None], Any]


def capture_row(capture: CaptureSummary, clock: Clock = rfc3339) -> Row:
    """What was read, times as `clock` gives them."""
    accounting = capture.accounting
    return {
        "files": [{"name": f.name, "first_frame": f.first_frame, "packets": f.packets} for f in capture.files],
        "packets": capture.packets,
        "bytes": capture.bytes,
        "first_ts": clock(capture.first_ts),
        "last_ts": clock(capture.last_ts),
        "link_types": capture.link_types,
        "connections": capture.connections,
        "glance_eras": [
            {"host": host, "era": era, "releases": ERA_RELEASES[era]} for host, era in capture.glance_eras.items()
        ],
        "api_logs": [
            {
                "name": log.name,
                "format": log.format,
                "calls": log.calls,
                "used": log.used,
                "offset": log.offset,
                "uncertainty": log.uncertainty,
            }
            for log in capture.api_logs
        ],
        "accounting": {
            "packets_decoded": accounting.packets_decoded,
            "packets_ignored": accounting.packets_ignored,
            "packets_malformed": accounting.packets_malformed,
            "stream_bytes": accounting.stream_bytes,
            "stream_bytes_decoded": accounting.stream_bytes_decoded,
            "stream_bytes_skipped": accounting.stream_bytes_skipped,
            "stream_bytes_missing": accounting.stream_bytes_missing,
            "ignored_reasons": dict(sorted(accounting.ignored_reasons.items())),
        },
    }


class RowBuilder:
    """Builds rows of one trace.

    Args:
        trace: where they come from.
        raw_times: leave times as integer nanoseconds.
    """

    def __init__(self, trace: Trace, *, raw_times: bool = False) -> None:
        self.trace = trace
        self._time: Clock = (lambda ts: ts) if raw_times else rfc3339
        self._endpoints: dict[Endpoint, str] = {}
        self._sides: dict[int, tuple[str | None, str | None]] = {}

    def _endpoint(self, endpoint: Endpoint) -> str | None:
        """`address:port`; None for an end that is not known, port 0 where only the address is."""
        if not endpoint[0]:
            return None
        text = self._endpoints.get(endpoint)
        if text is None:
            text = self._endpoints[endpoint] = render_endpoint(endpoint)
        return text

    def capture(self) -> Row:
        """The capture itself."""
        return capture_row(self.trace.capture, self._time)

    def connections(self) -> Iterator[Row]:
        """Connections of interest."""
        for row in self.trace.tables.connections:
            connection, session = row.connection, row.session
            yield {
                "id": connection.id,
                "protocol": row.protocol,
                "client": self._endpoint(connection.client),
                "server": self._endpoint(connection.server),
                "user": session.user if session else None,
                "schema": session.schema if session else None,
                "mysql_thread_id": session.thread_id if session else None,
                "started_before_capture": connection.started_before_capture,
                "bytes": sum(connection.bytes_seen),
                "tls": row.tls.as_row() if row.tls else None,
            }

    def _hop(self, hop: Any) -> Row:
        return {
            "client": self._endpoint(hop.client),
            "server": self._endpoint(hop.server),
            "ts": self._time(hop.ts),
            "dur": hop.dur,
            "first_frame": hop.first_frame or None,
            "last_frame": hop.last_frame or None,
        }

    def call(self, call: ApiCall) -> Row:
        """One API call."""
        return {
            "id": call.id,
            "service": call.service,
            "method": call.method,
            "target": self.trace.redactor.text(call.target),
            "route": call.route,
            "route_prefix": call.route_prefix,
            "operation": call.operation,
            "image_id": call.image_id,
            "status_code": call.status_code,
            "request_id": call.request_id,
            "ts": self._time(call.ts),
            "request_end_ts": self._time(call.request_end_ts),
            "response_ts": self._time(call.response_ts),
            "dur": call.dur,
            "request_body_bytes": call.request_body_bytes,
            "response_body_bytes": call.response_body_bytes,
            "client": self._endpoint(call.client),
            "server": self._endpoint(call.server),
            "connection_id": call.connection_id or None,
            "tls": call.tls,
            "complete": call.complete,
            "source": call.source,
            "uncertainty": call.uncertainty,
            "certainty": call.certainty,
            "parent_id": call.parent_id,
            "hops": [self._hop(hop) for hop in call.hops],
            "first_frame": call.first_frame or None,
            "last_frame": call.last_frame or None,
            "request_frame": call.request_frame,
            "response_frame": call.response_frame,
        }

    def api_calls(self) -> Iterator[Row]:
        """All API calls."""
        return map(self.call, self.trace.tables.calls)

    def statement(self, statement: SqlStatement) -> Row:
        """One SQL statement."""
        command = statement.command
        session = command.session
        shape = statement.parsed.shape if statement.parsed is not None else None
        error = command.error
        end = command.response_end_ts
        ts = command.ts
        sides = self._sides.get(session.connection_id)
        if sides is None:
            connection = statement.connection
            sides = self._endpoint(connection.client), self._endpoint(connection.server)
            self._sides[session.connection_id] = sides
        return {
            "id": statement.id,
            "service": statement.service,
            "schema": statement.schema,
            "connection_id": session.connection_id,
            "mysql_thread_id": session.thread_id,
            "ordinal": command.ordinal,
            "unit_id": statement.unit_id,
            "outcome": statement.outcome,
            "commit_frame": statement.commit_frame,
            "kind": statement.kind,
            "command": command.command,
            "operation": statement.operation,
            "tables": shape.tables if shape is not None else (),
            "sql": shown_sql(statement, self.trace.redactor),
            "digest": shape.digest if shape is not None else None,
            "image_ids": statement.image_ids,
            "ts": self._time(ts),
            "dur": end - ts if end is not None else None,
            "returned_rows": command.returned_rows,
            "affected_rows": command.affected_rows,
            "error": None
            if error is None
            else {
                "code": error.code,
                "sqlstate": error.sqlstate,
                "message": self.trace.redactor.text(error.message),
            },
            "client": sides[0],
            "server": sides[1],
            "hops": [self._hop(hop) for hop in statement.hops] if statement.hops else (),
            "first_frame": command.first_frame,
            "last_frame": command.response_frame or command.request_frame,
            "request_frame": command.request_frame,
            "response_frame": command.response_frame,
        }

    def statements(self) -> Iterator[Row]:
        """All SQL statements."""
        return map(self.statement, self.trace.tables.statements)

    def links(self) -> Iterator[Row]:
        """Statement -> call."""
        shown: list[tuple[int, str]] | None = None
        rejected: list[Row] = []
        for link in self.trace.tables.links:
            if link.rejected is not shown:  # statements of a unit share the list
                shown = link.rejected
                rejected = [{"call_id": call_id, "reason": reason} for call_id, reason in shown]
            yield {
                "statement_id": link.statement_id,
                "call_id": link.call_id,
                "class": link.link_class,
                "relation": link.relation,
                "score": link.score,
                "evidence": link.evidence,
                "group_id": link.group_id,
                "candidates": link.candidates,
                "rejected": rejected,
            }

    def transition(self, transition: Transition) -> Row:
        """One status change, without its image."""
        return {
            "from": transition.from_status,
            "to": transition.to_status,
            "ts": self._time(transition.ts),
            "source": transition.source,
            "certainty": transition.certainty,
            "legal": transition.legal,
            "statement_id": transition.statement_id,
            "call_id": transition.call_id,
            "frame": transition.frame,
            "commit_frame": transition.commit_frame,
        }

    def interval(self, interval: StatusInterval) -> Row:
        """Time in one status, without its image."""
        return {"status": interval.status, "ts": self._time(interval.ts), "dur": interval.dur}

    def event(self, event: ImageEvent) -> Row:
        """One other event, without its image."""
        return {
            "kind": event.kind,
            "ts": self._time(event.ts),
            "summary": self.trace.redactor.text(event.summary),
            "statement_id": event.statement_id,
            "call_id": event.call_id,
            "frame": event.frame,
            "dur": event.dur,
            "bytes": event.bytes,
            "connection_id": event.connection_id,
            "certainty": event.certainty,
        }

    def image(self, image: ImageStory) -> Row:
        """One image with its story."""
        wire = image.wire_checksum
        return {
            "id": image.id,
            "name": image.name,
            "status": image.status,
            "size": image.size,
            "checksum": image.checksum,
            "os_hash_algo": image.os_hash_algo,
            "os_hash_value": image.os_hash_value,
            "wire_checksum": None
            if wire is None
            else {**wire, "bytes": image.wire_bytes, "complete": image.wire_complete},
            "existed_before": image.existed_before,
            "first_status_certainty": image.first_status_certainty,
            "transitions": [self.transition(t) for t in image.transitions],
            "intervals": [self.interval(i) for i in image.intervals],
            "events": [self.event(e) for e in image.events],
        }

    def images(self) -> Iterator[Row]:
        """All images."""
        return map(self.image, self.trace.tables.images)

    def transitions(self) -> Iterator[Row]:
        """Status changes of all images, with the image."""
        for image in self.trace.tables.images:
            for transition in image.transitions:
                yield {"image_id": image.id, **self.transition(transition)}

    def intervals(self) -> Iterator[Row]:
        """Times in a status of all images, with the image."""
        for image in self.trace.tables.images:
            for interval in image.intervals:
                yield {"image_id": image.id, **self.interval(interval)}

    def events(self) -> Iterator[Row]:
        """Other events of all images, with the image."""
        for image in self.trace.tables.images:
            for event in image.events:
                yield {"image_id": image.id, **self.event(event)}

    def findings(self) -> Iterator[Row]:
        """Findings."""
        for finding in self.trace.tables.findings:
            yield {
                "rule": finding.rule,
                "severity": finding.severity,
                "message": self.trace.redactor.text(finding.message),
                "image_id": finding.image_id,
                "call_id": finding.call_id,
                "statement_id": finding.statement_id,
                "ts": self._time(finding.ts),
                "frames": finding.frames,
            }

    def issues(self) -> Iterator[Row]:
        """What is wrong with the capture."""
        for issue in self.trace.tables.issues:
            kind = KINDS[issue.kind]
            yield {
                "kind": issue.kind,
                "severity": kind.severity,
                "count": issue.count,
                "meaning": kind.meaning,
                "remedy": kind.remedy,
                "first_frame": issue.first_frame,
                "connection_id": issue.connection_id,
                "where": issue.where,
            }


BUILDERS: dict[str, Callable[[RowBuilder], Iterator[Row]]] = {
    "connections": RowBuilder.connections,
    "api_calls": RowBuilder.api_calls,
    "statements": RowBuilder.statements,
    "links": RowBuilder.links,
    "images": RowBuilder.images,
    "transitions": RowBuilder.transitions,
    "intervals": RowBuilder.intervals,
    "events": RowBuilder.events,
    "findings": RowBuilder.findings,
    "issues": RowBuilder.issues,
}
"""Table of `glancetrace.schema` -> its rows."""

DOCUMENT_TABLES = ("connections", "api_calls", "statements", "links", "images", "findings", "issues")
"""Tables of the result document, in its order."""


def render_document(trace: Trace) -> Row:
    """The whole result as one document of schema `glancetrace/1`."""
    builder = RowBuilder(trace)
    document: Row = {"schema": SCHEMA, "capture": builder.capture()}
    for table in DOCUMENT_TABLES:
        document[table] = list(BUILDERS[table](builder))
    return document
