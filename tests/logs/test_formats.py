"""Formats of logs: each is known by its content, and its lines give calls."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from glancetrace.errors import InputError
from glancetrace.logs.call import ApiLog, LoggedCall
from glancetrace.logs.read import read_log, read_logs
from glancetrace.logs.times import MILLISECOND, SECOND
from tests.support.api_logs import LOGS, log_path, log_text

T0 = 1_582_001_395 * SECOND
"""2020-02-18 04:49:55."""

REQUEST_ID = "req-28dc7ddc-6931-480c-aac1-ff3c6ebb4ea4"
IMAGE = "51b10ec9-4233-4293-a242-5537aad02f6f"

HAPROXY = (
    "Feb 18 04:49:56 overcloud-controller-0 haproxy[15]: 192.168.24.1:41622 [18/Feb/2020:04:49:55.993] glance_api~ "
    "glance_api/overcloud-controller-0.internalapi 0/0/0/12/13 201 1169 - - ---- 30/1/0/0/0 0/0 "
    '"POST /v2/images HTTP/1.1"'
)
APACHE = (
    '192.168.24.2 - - [18/Feb/2020:05:49:55 +0100] "POST /v3/auth/tokens HTTP/1.1" 201 8022 "-" '
    '"osc-lib/1.11.0 keystoneauth1/3.8.0 python-requests/2.14.2 CPython/2.7.5"'
)
UWSGI = (
    "[pid: 28847|app: 0|req: 12/24] 10.0.0.1 () {64 vars in 1234 bytes} [Tue Feb 18 04:49:55 2020] "
    f"GET /image/v2/images/{IMAGE} => generated 1081 bytes in 45 msecs (HTTP/1.1 200) 6 headers in 234 bytes "
    "(1 switches on core 0)"
)
EVENTLET = (
    f"2020-02-18 04:49:55.993 27 INFO eventlet.wsgi.server [{REQUEST_ID} 8f5b 11ab - default default] 172.16.0.9 - - "
    f'[18/Feb/2020 04:49:55] "PUT /v2/images/{IMAGE}/file HTTP/1.1" 204 213 1.250000'
)
EVENTLET_NAMED = (
    f"2026-02-18 04:49:55.993 27 INFO eventlet.wsgi.server [None {REQUEST_ID} 8f5b 11ab - - default default] "
    '172.16.0.9 "GET /v2/images HTTP/1.1" status: 200 len: 5117 time: 0.1234560'
)
KEYSTONE = (
    f"2020-02-18 04:49:55.993 27 INFO keystone.common.wsgi [{REQUEST_ID} - - - - -] "
    "POST http://192.168.24.2:5000/v3/auth/tokens"
)


def read(tmp_path: Path, *lines: str, name: str = "log") -> ApiLog:
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n")
    return read_log(str(path))


def only(log: ApiLog) -> LoggedCall:
    (call,) = log.calls
    return call


def test_haproxy(tmp_path: Path) -> None:
    log = read(tmp_path, "Feb 18 04:49:50 host haproxy[15]: Proxy glance_api started.", HAPROXY)
    call = only(log)
    assert (log.format, log.unread, log.first_unread) == ("haproxy", 1, 1)
    assert (call.method, call.target, call.status_code, call.service) == ("POST", "/v2/images", 201, "glance")
    assert call.client == ("192.168.24.1", 41622)
    assert call.begin == T0 + 993 * MILLISECOND
    assert call.end == call.begin + 13 * MILLISECOND
    assert call.response_message_bytes == 1169


def test_haproxy_without_a_response(tmp_path: Path) -> None:
    line = HAPROXY.replace("0/0/0/12/13 201 1169 - - ----", "0/0/0/-1/60001 -1 0 - - CD--")
    assert only(read(tmp_path, line)).status_code is None


def test_apache_s_time_has_a_zone(tmp_path: Path) -> None:
    log = read(tmp_path, APACHE)
    call = only(log)
    assert (log.format, log.zoned) == ("access", True)
    assert (call.begin, call.end, call.resolution, call.within) == (T0, T0, SECOND, True)
    assert (call.method, call.target, call.status_code, call.response_bytes) == ("POST", "/v3/auth/tokens", 201, 8022)
    assert call.client == ("192.168.24.2", 0)


def test_common_log_format(tmp_path: Path) -> None:
    line = '10.0.0.1 - admin [18/Feb/2020:04:49:55 +0000] "GET /v2/schemas/image HTTP/1.1" 200 -'
    assert only(read(tmp_path, line)).response_bytes == 0


def test_uwsgi(tmp_path: Path) -> None:
    log = read(tmp_path, "*** Starting uWSGI 2.0.19.1 (64bit) ***", UWSGI)
    call = only(log)
    assert log.format == "uwsgi"
    assert (call.begin, call.end) == (T0, T0 + 45 * MILLISECOND)
    assert (call.target, call.status_code, call.response_bytes) == (f"/image/v2/images/{IMAGE}", 200, 1081)


def test_eventlet_writes_when_it_is_done_and_how_long_it_took(tmp_path: Path) -> None:
    log = read(tmp_path, "2020-02-18 04:49:50.000 27 INFO glance.api [-] started", EVENTLET)
    call = only(log)
    assert log.format == "oslo"
    assert (call.method, call.status_code, call.request_id) == ("PUT", 204, REQUEST_ID)
    assert call.end == T0 + 993 * MILLISECOND
    assert call.begin == call.end - 1250 * MILLISECOND


def test_eventlet_with_names(tmp_path: Path) -> None:
    call = only(read(tmp_path, EVENTLET_NAMED))
    assert (call.target, call.status_code, call.request_id) == ("/v2/images", 200, REQUEST_ID)
    assert call.client == ("172.16.0.9", 0)


def test_keystone_says_only_that_a_request_came(tmp_path: Path) -> None:
    call = only(read(tmp_path, KEYSTONE))
    assert (call.method, call.target, call.status_code, call.service) == ("POST", "/v3/auth/tokens", None, "keystone")
    assert (call.begin, call.end) == (T0 + 993 * MILLISECOND, None)


def test_keystone_s_three_lines_may_be_interleaved(tmp_path: Path) -> None:
    head = "2020-02-18 04:49:55.993 {pid} DEBUG keystone.server.flask.request_processing.req_logging [{id} - -] "
    parts = ("REQUEST_METHOD: `{method}`", "SCRIPT_NAME: `/identity`", "PATH_INFO: `{path}`")
    asked = (
        {"pid": "27", "id": REQUEST_ID, "method": "POST", "path": "/v3/auth/tokens"},
        {"pid": "28", "id": REQUEST_ID.replace("28dc", "29dc"), "method": "GET", "path": "/v3"},
    )
    log = read(tmp_path, *((head + part).format(**one) for part in parts for one in asked))
    assert [(c.method, c.target) for c in log.calls] == [("POST", "/identity/v3/auth/tokens"), ("GET", "/identity/v3")]
    assert log.calls[0].request_id == REQUEST_ID


@pytest.mark.parametrize(
    ("name", "form", "calls"),
    list(
        zip(
            LOGS,
            ("openstack-debug", "openstack-debug", "haproxy", "access", "access", "oslo", "oslo"),
            (14, 12, 29, 19, 20, 0, 0),
            strict=True,
        )
    ),
)
def test_recorded_logs(name: str, form: str, calls: int) -> None:
    log = read_log(log_path(name))
    assert (log.format, len(log.calls), log.unread) == (form, calls, 0)


def test_a_name_says_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, HAPROXY, name="keystone-access.log").format == "haproxy"


def test_gzip_and_globs(tmp_path: Path) -> None:
    (tmp_path / "haproxy.log.2.gz").write_bytes(gzip.compress(HAPROXY.encode()))
    (tmp_path / "haproxy.log.1").write_text(HAPROXY)
    logs = read_logs([str(tmp_path / "haproxy.log*")])
    assert [Path(log.name).name for log in logs] == ["haproxy.log.1", "haproxy.log.2.gz"]
    assert [len(log.calls) for log in logs] == [1, 1]


@pytest.mark.parametrize("content", [b"hello\n", bytes(range(256)) * 40, b"\x00" * 100_000])
def test_no_log_at_all(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "log"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a log of a known format"):
        read_log(str(path))


@pytest.mark.parametrize("content", [b"", b"\n\n", gzip.compress(b"", mtime=0)])
def test_an_empty_file_is_a_log_without_calls(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "haproxy.log").write_bytes(content)
    (tmp_path / "haproxy.log.1").write_text(HAPROXY)
    empty, rotated = read_logs([str(tmp_path / "haproxy.log*")])
    assert (empty.format, empty.calls) == ("empty", [])
    assert len(rotated.calls) == 1


def test_a_damaged_gzip_file_is_called_so(tmp_path: Path) -> None:
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(HAPROXY.encode())[:14] + b"junk")
    with pytest.raises(InputError, match="damaged gzip"):
        read_log(str(path))


@pytest.mark.parametrize("name", LOGS[:5])
def test_a_log_joined_with_itself_has_each_call_once(tmp_path: Path, name: str) -> None:
    path = tmp_path / "log"
    path.write_text(log_text(name) * 2)
    twice, once = read_log(str(path)), read_log(log_path(name))
    assert [(c.line, c.method, c.target, c.begin) for c in twice.calls] == [
        (c.line, c.method, c.target, c.begin) for c in once.calls
    ]
    assert twice.repeated == len(once.calls)


def test_calls_that_are_only_alike_stay(tmp_path: Path) -> None:
    line = '10.0.0.1 - - [20/Nov/2026:19:28:43 +0000] "GET /v2/images HTTP/1.1" 200 5117'
    log = read(tmp_path, f"{line}\n{line}\n{line}\n")
    assert (len(log.calls), log.repeated) == (3, 0)


def test_lines_of_a_second_format_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "log"
    first = log_text("openstack-debug.log.gz")
    path.write_text(first + log_text("haproxy.log"))
    log = read_log(str(path))
    assert (log.format, len(log.calls), log.unread) == ("openstack-debug", 12, 29)
    assert log.first_unread == first.count("\n") + 1


def test_no_file_at_all(tmp_path: Path) -> None:
    for name in ("nothing", "nothing*"):
        with pytest.raises(InputError, match="--api-log"):
            read_logs([str(tmp_path / name)])
