"""Debug output of clients: several lines of a request become one call, however they are mixed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glancetrace.logs.call import LoggedCall
from glancetrace.logs.console import ConsoleReader
from glancetrace.logs.read import read_log
from tests.support.api_logs import log_text

IDS = [f"req-0000000{n}-6931-480c-aac1-ff3c6ebb4ea4" for n in range(4)]


def calls_of(lines: list[str]) -> list[LoggedCall]:
    reader = ConsoleReader()
    for number, line in enumerate(lines, 1):
        reader.read(number, line)
    return reader.calls


def key(call: LoggedCall) -> tuple[Any, ...]:
    return call.method, call.host, call.port, call.target, call.line


def session(number: int, path: str, body: str) -> list[str]:
    """Lines of one request of keystoneauth, with --debug."""
    url = f"https://glance:13292{path}"
    size = len(body)
    return [
        f'REQ: curl -g -i -X GET {url} -H "User-Agent: openstacksdk" -H "X-Auth-Token: {{SHA256}}ab{number}"',
        f'https://glance:13292 "GET {path} HTTP/1.1" 200 {size}',
        (
            f"RESP: [200] Content-Length: {size} Content-Type: application/json "
            f"Date: Tue, 18 Feb 2020 04:49:5{number} GMT X-Openstack-Request-Id: {IDS[number]}"
        ),
        f"RESP BODY: {body}",
        f"GET call to image for {url} used request id {IDS[number]}",
    ]


SESSIONS = [session(n, f"/v2/images/image-{n}", f'{{"id": "{n}", "name": "{"x" * n}"}}') for n in range(4)]


@given(st.lists(st.integers(0, 3), min_size=20, max_size=60))
@settings(max_examples=60, deadline=None)
def test_interleaved_requests_keep_their_lines(order: list[int]) -> None:
    left = [list(lines) for lines in SESSIONS]
    mixed = [left[n].pop(0) for n in order if left[n]] + [line for lines in left for line in lines]
    found = {call.target: call for call in calls_of(mixed)}
    assert len(found) == 4
    for number in range(4):
        call = found[f"/v2/images/image-{number}"]
        assert call.status_code == 200
        assert call.request_id == IDS[number]
        assert call.response_json == {"id": str(number), "name": "x" * number}
        assert call.request_headers["x-auth-token"] == f"{{SHA256}}ab{number}"


@pytest.mark.parametrize("name", ["openstack-debug.txt.gz", "openstack-debug.log.gz"])
def test_the_beginning_of_a_log_gives_the_beginning_of_its_calls(name: str) -> None:
    lines = log_text(name).split("\n")
    whole = [key(call) for call in calls_of(lines)]
    for count in range(len(lines)):
        part = [key(call) for call in calls_of(lines[:count])]
        assert part == whole[: len(part)]


def test_lines_of_two_processes_are_kept_apart() -> None:
    lines = log_text("openstack-debug.log.gz").split("\n")
    first = [line for line in lines if " 9026 " in line[:40]]
    second = [line for line in lines if " 9027 " in line[:40]]
    mixed = [line for pair in zip(first, second, strict=False) for line in pair]
    mixed += first[len(second) :] + second[len(first) :]

    def facts(calls: list[LoggedCall]) -> list[tuple[Any, ...]]:
        rows = [(c.begin, c.end, c.method, c.target, c.status_code, c.request_id, c.response_bytes) for c in calls]
        return sorted(rows, key=str)

    assert facts(calls_of(mixed)) == facts(calls_of(lines))


def test_two_writers_on_one_line() -> None:
    one, two = SESSIONS[0], SESSIONS[1]
    found = calls_of([one[0] + two[0], one[1], two[1], one[2] + two[2], one[3], two[3], one[4], two[4]])
    assert [(c.target, c.status_code, c.request_id) for c in found] == [
        ("/v2/images/image-0", 200, IDS[0]),
        ("/v2/images/image-1", 200, IDS[1]),
    ]


def test_a_request_for_a_token_that_keystoneauth_does_not_show() -> None:
    token = next(c for c in calls_of(log_text("openstack-debug.txt.gz").split("\n")) if c.method == "POST")
    assert (token.target, token.status_code, token.response_bytes) == ("/v3/auth/tokens", 201, 1817)
    assert token.response_json["token"]["user"]["name"] == "admin"


def test_glanceclient_s_own_lines(tmp_path: Path) -> None:
    path = tmp_path / "glance-debug.txt"
    path.write_text(
        "DEBUG:glanceclient.common.http:curl -g -i -X POST -H 'Content-Type: application/json' "
        "-H 'X-Auth-Token: {SHA1}abc' -d '{\"name\": \"it'\"'\"'s\"}' http://10.0.0.1:9292/v2/images\n"
        "DEBUG:glanceclient.common.http:\n"
        "HTTP/1.1 201 Created\n"
        "Date: Tue, 18 Feb 2020 04:49:55 GMT\n"
        f"X-Openstack-Request-Id: {IDS[0]}\n"
        "Content-Length: 20\n"
        "\n"
        '{"id": "1", "x": 22}\n'
    )
    (call,) = read_log(str(path)).calls
    assert (call.method, call.host, call.port, call.target) == ("POST", "10.0.0.1", 9292, "/v2/images")
    assert (call.status_code, call.request_id, call.response_bytes) == (201, IDS[0], 20)
    assert call.request_json == {"name": "it's"}
    assert call.response_json == {"id": "1", "x": 22}
    assert call.within
