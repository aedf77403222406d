"""HAR: the schema of the specification, the calls of the result, and nothing secret in headers and bodies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from glancetrace.output.export.har import render_har
from glancetrace.pipeline import Options, analyze
from glancetrace.trace import Trace
from tests.support.api_logs import log_path, public_capture
from tests.support.handmade import PASSWORD, TOKEN, handmade_trace
from tests.support.har_schema import HAR
from tests.support.samples import capture_path
from tests.support.traces import analysed

VALIDATOR = jsonschema.Draft202012Validator(HAR)


def trace_of(name: str) -> Trace:
    return analysed(name, keys=True)


def entries_of(trace: Trace) -> list[dict[str, Any]]:
    archive = json.loads(b"".join(render_har(trace)))
    VALIDATOR.validate(archive)
    found: list[dict[str, Any]] = archive["log"]["entries"]
    return found


@pytest.mark.parametrize("name", ["article", "article-tls13", "openstack-cli", "failures"])
def test_an_entry_per_call(name: str) -> None:
    trace = trace_of(name)
    for entry, call in zip(entries_of(trace), trace.tables.calls, strict=True):
        assert (entry["request"]["method"], entry["response"]["status"]) == (call.method, call.status_code or 0)
        assert entry["request"]["url"].startswith("https://" if call.tls else "http://")
        assert entry["_id"] == call.id
        if call.complete and call.dur is not None:
            assert entry["time"] == pytest.approx(call.dur / 1e6)


def test_calls_that_a_log_tells_of(tmp_path: Path) -> None:
    trace = analyze(public_capture(tmp_path), api_log=log_path("haproxy.log"))
    told = [entry for entry in entries_of(trace) if entry["_source"] == "log"]
    assert told
    assert all(entry["request"]["headers"] == [] for entry in told)


def test_bodies_are_whole_json_or_left_out() -> None:
    entries = entries_of(trace_of("article"))
    upload = next(entry for entry in entries if entry["_operation"] == "image-upload")
    assert upload["request"]["postData"]["text"] == ""
    assert "left out" in upload["request"]["postData"]["comment"]
    created = next(entry for entry in entries if entry["_operation"] == "image-create")
    assert json.loads(created["request"]["postData"]["text"])["name"] == "overcloud-full-vmlinuz"
    assert json.loads(created["response"]["content"]["text"])["status"] == "queued"


def test_secrets_are_replaced_wherever_they_stand() -> None:
    text = b"".join(render_har(handmade_trace())).decode()
    assert PASSWORD not in text
    assert TOKEN not in text
    (login,) = [entry for entry in entries_of(trace_of("article")) if entry["_operation"] == "token-issue"]
    assert "<redacted>" in login["request"]["postData"]["text"]
    assert "labadminpass" not in json.dumps(login)
    revealed = b"".join(render_har(analyze(capture_path("article"), Options(reveal=True)))).decode()
    assert "labadminpass" in revealed


def test_a_url_holds_nothing_that_a_url_may_not() -> None:
    trace = handmade_trace()
    trace.tables.calls[0].target = '/v2/images?name=<script> \x1b[31m"&password=labadminpass&a=b+c%20d'
    (entry, *_) = entries_of(trace)
    assert "labadminpass" not in json.dumps(entry)
    assert {"name": "a", "value": "b c d"} in entry["request"]["queryString"]
