"""TLS without keys and without logs: every status change by SQL, uploads by size and time, and what is not visible."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from glancetrace.document import render_document
from glancetrace.pipeline import analyze
from tests.support.api_logs import log_path, public_capture
from tests.support.samples import TRUTHS, capture_path
from tests.support.truth import parse_time, read_truth, status_changes

NAMES = ("article-tls12", "article-tls13")


@cache
def document(name: str) -> dict[str, Any]:
    return render_document(analyze(capture_path(name)))


def true_changes(name: str) -> dict[str, list[tuple[str | None, str | None]]]:
    return status_changes(read_truth(TRUTHS[name]))


@pytest.mark.parametrize("name", NAMES)
class TestArticleOverTls:
    def test_all_status_changes_and_none_invented(self, name: str) -> None:
        told = {i["id"]: [(t["from"], t["to"]) for t in i["transitions"]] for i in document(name)["images"]}
        assert told == true_changes(name)
        assert len(told) == 3

    def test_they_are_observed_in_committed_statements(self, name: str) -> None:
        for image in document(name)["images"]:
            for change in image["transitions"]:
                assert (change["source"], change["certainty"], change["call_id"]) == ("sql", "observed", None)

    def test_each_upload_is_bounded_by_an_encrypted_request(self, name: str) -> None:
        for image in document(name)["images"]:
            (upload,) = [event for event in image["events"] if event["kind"] == "upload"]
            saving = next(i for i in image["intervals"] if i["status"] == "saving")
            assert image["size"] <= upload["bytes"] < image["size"] * 1.02 + 2000
            assert parse_time(upload["ts"]) <= parse_time(saving["ts"])
            assert parse_time(upload["ts"]) + upload["dur"] >= parse_time(saving["ts"]) + saving["dur"]
            assert upload["certainty"] == "inferred"
            assert upload["connection_id"] is not None

    def test_what_is_not_visible_is_said_once(self, name: str) -> None:
        assert document(name)["api_calls"] == []
        (finding,) = [f for f in document(name)["findings"] if f["rule"] == "api-encrypted"]
        assert "27 to glance on port 13292" in finding["message"]
        assert "2 to keystone on port 13000" in finding["message"]


def test_a_request_that_a_log_explains_is_not_unread(tmp_path: Path) -> None:
    found = render_document(analyze(public_capture(tmp_path), api_log=log_path("haproxy.log")))
    assert not [f for f in found["findings"] if f["rule"] == "api-encrypted"]
    assert all(link["class"] == "certain" for link in found["links"])


def test_beside_unread_requests_nobody_is_certain_to_have_done_nothing(tmp_path: Path) -> None:
    found = render_document(analyze(public_capture(tmp_path), api_log=log_path("openstack-debug.txt.gz")))
    linked = {link["statement_id"] for link in found["links"]}
    rest = [s for s in found["statements"] if s["service"] == "glance" and s["id"] not in linked]
    assert {s["kind"] for s in rest} == {"ping", "unattributed"}


def test_hops_behind_the_proxy_explain_what_is_encrypted_before_it() -> None:
    found = render_document(analyze(capture_path("cli-tls13-logs")))
    assert not [f for f in found["findings"] if f["rule"] == "api-encrypted"]
