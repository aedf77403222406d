"""Real captures: the same messages as tshark sees, at the same frames.

tshark lists a message once it has all of it. So messages without their end (aborted uploads and downloads) are left out
of the comparison here, and interim responses, which have no frame of their own in a row, are compared by number.
"""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from glancetrace.http.decoder import HttpDecoder
from glancetrace.http.exchange import HttpExchange
from glancetrace.issues import IssueLog
from glancetrace.net.run import render_endpoint
from tests.support.http_streams import keep_and_hash
from tests.support.samples import capture_path
from tests.support.tcp_streams import http_streams
from tests.support.tshark import HTTP_PORTS, ask_tshark

Rows = list[tuple[str, HttpExchange]]


@cache
def _decode(name: str) -> tuple[Rows, IssueLog]:
    rows: Rows = []
    issues = IssueLog()
    for stream in http_streams(capture_path(name), HTTP_PORTS):
        exchanges: list[HttpExchange] = []
        decoder = HttpDecoder(stream.connection, exchanges.append, issues, keep_and_hash())
        for run in stream.runs:
            decoder.feed(run)
        decoder.close(0, 0, stream.end)
        rows += [(render_endpoint(stream.connection.client), exchange) for exchange in exchanges]
    return rows, issues


@pytest.mark.parametrize("name", ["article-allports", "failures", "openstack-cli"])
def test_same_messages_at_the_same_frames_as_tshark(name: str) -> None:
    rows, _ = _decode(name)
    seen = ask_tshark(capture_path(name))
    opened = {client for client, _ in rows}
    requests = Counter(
        (client, row.request_frame, row.request.method, row.request.target)
        for client, row in rows
        if row.request_body.complete
    )
    assert requests == Counter((r.client, r.frame, r.method, r.target) for r in seen.requests if r.client in opened)
    responses = Counter(
        (client, row.response_frame, row.response.status_code)
        for client, row in rows
        if row.response is not None and row.response_body.complete
    )
    answers = [r for r in seen.responses if r.client in opened]
    assert responses == Counter((r.client, r.frame, r.status_code) for r in answers if r.status_code >= 200)
    assert sum(len(row.interim) for _, row in rows) == sum(r.status_code < 200 for r in answers)


def test_failures_raise_nothing_but_broken_off_bodies() -> None:
    rows, issues = _decode("failures")
    assert {issue.kind for issue in issues.rows()} == {"http-body-incomplete"}
    broken = [row for _, row in rows if not row.complete]
    unanswered = [row for row in broken if row.response is None and row.request_body.complete]
    assert sum(issue.count for issue in issues.rows()) == len(broken) - len(unanswered)
    assert {row.end for row in broken} <= {"reset", "closed"}
    assert sum(row.request.method == "PUT" and not row.request_body.complete for row in broken) == 9
