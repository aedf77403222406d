"""A result as OpenTelemetry traces, which Jaeger, Tempo and collectors (`otlpjsonfile`) import.

Specification: OTLP 1.x, JSON Protobuf Encoding (opentelemetry.io/docs/specs/otlp): a `TracesData` object; ids are hex,
64-bit integers text, enums numbers. Attributes are those of the stable semantic conventions for HTTP and database
spans; what they do not have stands under `glancetrace.`.

A call is a server span of its service; a call made in its course (token validation, registry, Swift) and its statements
(client spans) are its children. Status changes of images are events of the call that caused them. Ids are made from the
capture's times and the ids of the result: the same capture, the same spans. SQL that no call is known to have run is
left out: a trace tells of a request, and pings would bury them; the resources say how much that is.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from glancetrace.output.export.rows import Row, Rows
from glancetrace.output.json import dump_document

__all__ = ["render_otlp"]

_SERVER, _CLIENT = 2, 3
"""`Span.SpanKind`."""
_ERROR = 2
"""`Status.StatusCode`."""
_SPANS_AT_ONCE = 512
_FLAGS = 0x100
"""`SpanFlags`: it is known that the parent is not remote; the lowest bit would mean sampled."""


@dataclass(frozen=True, slots=True)
class _Ids:
    """Ids of traces and spans; `seed` tells captures apart, `root` is the outermost call of each call."""

    seed: bytes
    root: Mapping[int, int]

    def trace(self, call_id: int) -> str:
        """32 hex digits."""
        return self._digest("trace", self.root[call_id], 16)

    def span(self, kind: str, number: int) -> str:
        """16 hex digits."""
        return self._digest(kind, number, 8)

    def _digest(self, kind: str, number: int, size: int) -> str:
        return hashlib.blake2b(f"{kind} {number}".encode(), key=self.seed, digest_size=size).hexdigest()


def render_otlp(result: Rows, version: str = "") -> Iterator[bytes]:
    """The whole document, in pieces: spans of a service are gathered and written some hundred at a time.

    Args:
        version: of glancetrace, for the instrumentation scope.
    """
    unlinked = _count_unlinked(result)
    batches: dict[str, list[Row]] = defaultdict(list)
    separator = b""
    yield b'{"resourceSpans":['
    for service, span in _spans(result):
        batch = batches[service]
        batch.append(span)
        if len(batch) == _SPANS_AT_ONCE:
            yield separator + _resource_spans(service, batch, unlinked[service], version)
            separator = b","
            batch.clear()
    for service, batch in batches.items():
        if batch:
            yield separator + _resource_spans(service, batch, unlinked[service], version)
            separator = b","
    yield b"]}\n"


def _count_unlinked(result: Rows) -> Counter[str]:
    linked = {link["statement_id"] for link in result.rows("links")}
    return Counter(row["service"] for row in result.rows("statements") if row["id"] not in linked)


def _resource_spans(service: str, spans: list[Row], left_out: int, version: str) -> bytes:
    resource = {"service.name": service, "service.namespace": "openstack", "glancetrace.statements_left_out": left_out}
    scope = {"name": "glancetrace", "version": version}
    scope_spans = [{"scope": scope, "spans": spans}]
    return dump_document({"resource": {"attributes": _attributes(resource)}, "scopeSpans": scope_spans}).rstrip()


def _spans(result: Rows) -> Iterator[tuple[str, Row]]:
    """Service and span of every call and every statement that belongs to one."""
    ids = _Ids(_seed(result.capture), _roots(result))
    changes: dict[int, list[Row]] = defaultdict(list)
    for transition in result.rows("transitions"):
        if transition["call_id"] is not None:
            changes[transition["call_id"]].append(transition)
    for call in result.rows("api_calls"):
        yield call["service"], _call_span(call, ids, changes[call["id"]])
    links = {link["statement_id"]: link for link in result.rows("links")}
    for statement in result.rows("statements"):
        link = links.get(statement["id"])
        if link is not None:
            yield statement["service"], _statement_span(statement, link, ids)


def _seed(capture: Row) -> bytes:
    parts = (capture["packets"], capture["first_ts"], capture["last_ts"])
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).digest()


def _roots(result: Rows) -> dict[int, int]:
    """Outermost call of each call; a parent comes before its children."""
    roots: dict[int, int] = {}
    for call in result.rows("api_calls"):
        number: int = call["id"]
        roots[number] = roots.get(call["parent_id"], number)
    return roots


def _value(value: Any) -> Row:
    """`AnyValue`."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        if -(1 << 63) <= value < 1 << 63:
            return {"intValue": str(value)}
        return {"stringValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list | tuple):
        return {"arrayValue": {"values": [_value(one) for one in value]}}
    return {"stringValue": str(value).encode("utf-8", "replace").decode()}


def _attributes(values: Mapping[str, Any]) -> list[Row]:
    """`KeyValue`s; what is not known is left out."""
    return [{"key": key, "value": _value(value)} for key, value in values.items() if value not in (None, "", (), [])]


def _ends(row: Row) -> Row:
    """`client.*` and `server.*` of a call or a statement."""
    found: Row = {}
    for side in ("client", "server"):
        address, _, port = (row[side] or "").rpartition(":")
        found[f"{side}.address"] = address.strip("[]")
        found[f"{side}.port"] = int(port) if port and port != "0" else None
    return found


def _call_span(call: Row, ids: _Ids, changes: list[Row]) -> Row:
    path, _, query = call["target"].partition("?")
    status = call["status_code"]
    attributes = {
        "http.request.method": call["method"],
        "url.scheme": "https" if call["tls"] else "http",
        "url.path": path,
        "url.query": query,
        "http.route": call["route"],
        "http.response.status_code": status,
        "error.type": str(status) if status is not None and status >= 500 else None,
        "http.request.body.size": call["request_body_bytes"],
        "http.response.body.size": call["response_body_bytes"],
        "network.protocol.name": "http",
        **_ends(call),
        "glancetrace.call.id": call["id"],
        "glancetrace.operation": call["operation"],
        "glancetrace.image.id": call["image_id"],
        "glancetrace.request_id": call["request_id"],
        "glancetrace.complete": call["complete"],
        "glancetrace.source": call["source"],
        "glancetrace.certainty": call["certainty"],
        "glancetrace.uncertainty": call["uncertainty"],
        "glancetrace.first_frame": call["first_frame"],
        "glancetrace.last_frame": call["last_frame"],
    }
    parent = call["parent_id"]
    span = {
        "traceId": ids.trace(call["id"]),
        "spanId": ids.span("call", call["id"]),
        **({"parentSpanId": ids.span("call", parent)} if parent in ids.root else {}),
        "flags": _FLAGS,
        "name": f"{call['method']} {call['route']}" if call["route"] else call["method"],
        "kind": _SERVER,
        **_times(call, max(call["ts"], call["request_end_ts"] or 0, call["response_ts"] or 0)),
        "attributes": _attributes(attributes),
        "events": [_change_event(change) for change in changes],
    }
    if status is not None and status >= 500:
        span["status"] = {"code": _ERROR}
    return span


def _change_event(change: Row) -> Row:
    attributes = {f"glancetrace.image.{key}": change[key] for key in ("from", "to", "certainty", "frame")}
    attributes["glancetrace.image.id"] = change["image_id"]
    return {"timeUnixNano": str(change["ts"]), "name": "image.status", "attributes": _attributes(attributes)}


def _statement_span(statement: Row, link: Row, ids: _Ids) -> Row:
    error = statement["error"]
    operation, tables = statement["operation"], statement["tables"]
    summary = " ".join([operation or statement["command"], *tables])
    attributes = {
        "db.system.name": "mysql",
        "db.namespace": statement["schema"],
        "db.operation.name": operation,
        "db.collection.name": tables[0] if len(tables) == 1 else None,
        "db.query.summary": summary,
        "db.query.text": statement["sql"],
        "db.response.status_code": str(error["code"]) if error else None,
        "error.type": str(error["code"]) if error else None,
        "db.response.returned_rows": statement["returned_rows"],
        **_ends(statement),
        "glancetrace.statement.id": statement["id"],
        "glancetrace.statement.outcome": statement["outcome"],
        "glancetrace.statement.affected_rows": statement["affected_rows"],
        "glancetrace.statement.digest": statement["digest"],
        "glancetrace.mysql_thread_id": statement["mysql_thread_id"],
        "glancetrace.unit.id": statement["unit_id"],
        "glancetrace.image.ids": statement["image_ids"],
        "glancetrace.link.class": link["class"],
        "glancetrace.link.relation": link["relation"],
        "glancetrace.link.score": link["score"],
        "glancetrace.link.candidates": link["candidates"],
        "glancetrace.first_frame": statement["first_frame"],
        "glancetrace.last_frame": statement["last_frame"],
    }
    span = {
        "traceId": ids.trace(link["call_id"]),
        "spanId": ids.span("statement", statement["id"]),
        "parentSpanId": ids.span("call", link["call_id"]),
        "flags": _FLAGS,
        "name": summary,
        "kind": _CLIENT,
        **_times(statement, statement["ts"]),
        "attributes": _attributes(attributes),
    }
    if error:
        span["status"] = {"code": _ERROR, "message": error["message"]}
    return span


def _times(row: Row, end: int) -> Row:
    """From `ts` for `dur`; to `end`, the last that was seen, where the answer was not."""
    end = end if row["dur"] is None else row["ts"] + row["dur"]
    return {"startTimeUnixNano": str(row["ts"]), "endTimeUnixNano": str(end)}
