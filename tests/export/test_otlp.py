"""OTLP: OpenTelemetry's own parser takes it, and the spans are the tree that the result tells of."""

from __future__ import annotations

import base64
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status, TracesData

from glancetrace.mysql.command import MysqlError
from glancetrace.output.export.otlp import render_otlp
from glancetrace.output.export.rows import rows_of_result
from glancetrace.pipeline import analyze
from glancetrace.saved import load
from glancetrace.trace import Trace
from tests.support.handmade import handmade_trace
from tests.support.samples import CAPTURES
from tests.support.traces import analysed

IDS = ("traceId", "spanId", "parentSpanId")


def trace_of(name: str) -> Trace:
    return analysed(name, keys=True)


def text_of(name: str) -> bytes:
    return b"".join(render_otlp(rows_of_result(trace_of(name))))


def parse(text: bytes) -> TracesData:
    """OTLP's JSON differs from that of protobuf in one thing: ids are hex there, base64 here (OTLP, JSON encoding)."""
    document = json.loads(text)
    for resource in document["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for name in IDS:
                    if name in span:
                        span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    return json_format.Parse(json.dumps(document), TracesData())


def attributes(span: Any) -> dict[str, Any]:
    """Attributes as plain values."""

    def plain(value: Any) -> Any:
        kind = value.WhichOneof("value")
        return [plain(one) for one in value.array_value.values] if kind == "array_value" else getattr(value, kind)

    return {pair.key: plain(pair.value) for pair in span.attributes}


def all_spans(data: TracesData) -> list[Any]:
    return [span for resource in data.resource_spans for scope in resource.scope_spans for span in scope.spans]


@cache
def spans_of(name: str) -> list[Any]:
    """All spans of a sample, as OpenTelemetry's parser gives them."""
    return all_spans(parse(text_of(name)))


@pytest.mark.parametrize("name", ["article", "article-allports", "article-tls12"])
def test_the_parser_of_opentelemetry_takes_it(name: str) -> None:
    trace = trace_of(name)
    spans = spans_of(name)
    assert len(spans) == len(trace.tables.calls) + len(trace.tables.links)
    assert all(len(span.trace_id) == 16 and len(span.span_id) == 8 and span.name for span in spans)
    assert all(0 < span.start_time_unix_nano <= span.end_time_unix_nano for span in spans)
    assert len({span.span_id for span in spans}) == len(spans)


def test_calls_are_parents_of_their_statements_and_of_calls_in_their_course() -> None:
    trace = trace_of("article-allports")
    spans = spans_of("article-allports")
    calls = {attributes(span)["glancetrace.call.id"]: span for span in spans if span.kind == Span.SPAN_KIND_SERVER}
    statements = {attributes(s)["glancetrace.statement.id"]: s for s in spans if s.kind == Span.SPAN_KIND_CLIENT}
    assert sorted(calls) == [call.id for call in trace.tables.calls]
    for link in trace.tables.links:
        statement, call = statements[link.statement_id], calls[link.call_id]
        assert (statement.parent_span_id, statement.trace_id) == (call.span_id, call.trace_id)
    nested = [call for call in trace.tables.calls if call.parent_id is not None]
    assert nested
    for call in trace.tables.calls:
        parent = calls[call.parent_id].span_id if call.parent_id is not None else b""
        assert calls[call.id].parent_span_id == parent
    assert all(calls[call.id].trace_id == calls[call.parent_id or 0].trace_id for call in nested)


def test_the_attributes_are_those_of_the_conventions() -> None:
    spans = [(span, attributes(span)) for span in spans_of("article")]
    upload, told = next((s, a) for s, a in spans if a.get("glancetrace.operation") == "image-upload")
    assert upload.name == "PUT /v2/images/{image_id}/file"
    expected = {
        "http.request.method": "PUT",
        "http.route": "/v2/images/{image_id}/file",
        "http.response.status_code": 204,
        "url.scheme": "http",
        "server.address": "127.0.0.20",
        "server.port": 13292,
        "client.address": "127.0.0.1",
    }
    assert {key: told[key] for key in expected} == expected
    assert told["url.path"] == f"/v2/images/{told['glancetrace.image.id']}/file"
    changes = [{pair.key: pair.value.string_value for pair in event.attributes} for event in upload.events]
    assert [change["glancetrace.image.to"] for change in changes] == ["saving", "active"]
    update, told = next(
        (s, a) for s, a in spans if s.parent_span_id == upload.span_id and a["db.operation.name"] == "UPDATE"
    )
    assert update.name == told["db.query.summary"] == "UPDATE images"
    assert (told["db.system.name"], told["db.namespace"], told["db.collection.name"]) == ("mysql", "glance", "images")
    assert told["db.query.text"].startswith("UPDATE images SET")
    assert told["glancetrace.link.class"] in ("exact", "certain", "inferred", "twin")


def test_errors_are_marked() -> None:
    """A server's failure and a database's; that something is not there is none."""
    trace = handmade_trace()
    linked = trace.tables.links[0].statement_id
    statement = next(statement for statement in trace.tables.statements if statement.id == linked)
    statement.command.error = MysqlError(1062, "23000", "Duplicate entry 'x' for key 'password'")
    codes = (500, 404, 204)
    for call, code in zip(trace.tables.calls, codes, strict=False):
        call.status_code = code
    data = parse(b"".join(render_otlp(rows_of_result(trace))))
    spans = [(span, attributes(span)) for span in all_spans(data)]
    calls = {a["glancetrace.call.id"]: (s, a) for s, a in spans if s.kind == Span.SPAN_KIND_SERVER}
    marked = {number: span.status.code == Status.STATUS_CODE_ERROR for number, (span, _) in calls.items()}
    assert [marked[call.id] for call in trace.tables.calls[:3]] == [True, False, False]
    assert calls[trace.tables.calls[0].id][1]["error.type"] == "500"
    (failed,) = [(s, a) for s, a in spans if a.get("glancetrace.statement.id") == linked]
    assert failed[0].status.code == Status.STATUS_CODE_ERROR
    assert failed[1]["db.response.status_code"] == "1062"


def test_resources_are_services_and_say_what_is_left_out() -> None:
    trace = trace_of("article")
    told = {}
    for resource in parse(text_of("article")).resource_spans:
        found = attributes(resource.resource)
        told[found["service.name"]] = found["glancetrace.statements_left_out"]
    linked = {link.statement_id for link in trace.tables.links}
    assert told == {
        service: sum(s.service == service and s.id not in linked for s in trace.tables.statements)
        for service in ("glance", "keystone")
    }


def test_the_same_capture_gives_the_same_ids(tmp_path: Path) -> None:
    first, again = text_of("article"), b"".join(render_otlp(rows_of_result(analyze(CAPTURES["article"]))))
    assert first == again
    trace_of("article").save(tmp_path)
    assert b"".join(render_otlp(rows_of_result(load(tmp_path)))) == first
    other = {span.trace_id for span in spans_of("article-old")}
    assert other.isdisjoint(span.trace_id for span in spans_of("article"))
