"""A log and a capture of different stretches of time, or of different walks: nothing is placed wrongly, none invented.

The truth is the whole capture, decrypted.
"""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from glancetrace.document import render_document
from glancetrace.pipeline import analyze
from tests.join.test_clock import shifted
from tests.support.api_logs import LOGS, log_path, public_capture
from tests.support.samples import capture_path, keylog_path

LENGTH = 4222
"""Packets of the public capture."""

FIRST, MIDDLE, LATE, TINY = (0, 1500), (1199, 2600), (2199, LENGTH), (516, 1100)
CLIENT, CLIENT_FILE, PROXY, GLANCE, KEYSTONE = LOGS[:5]

CASES = [
    (MIDDLE, CLIENT_FILE, 4),
    (MIDDLE, CLIENT, 9),
    (MIDDLE, PROXY, 14),
    (MIDDLE, GLANCE, 7),
    (MIDDLE, KEYSTONE, 6),
    (LATE, CLIENT_FILE, 12),
    (LATE, PROXY, 12),
    (LATE, GLANCE, 7),
    (LATE, KEYSTONE, 5),
    (FIRST, PROXY, 9),
    (FIRST, CLIENT, 8),
    (TINY, PROXY, 1),
]
"""Packets, log, and how many of its calls are in them."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return public_capture(tmp_path_factory.mktemp("whole"))


@cache
def packets(whole: Path) -> list[bytes]:
    data = whole.read_bytes()
    found, at = [data[:24]], 24
    while at < len(data):
        end = at + 16 + int(struct.unpack_from("<I", data, at + 8)[0])
        found.append(data[at:end])
        at = end
    return found


@cache
def truth(whole: Path) -> dict[str, Any]:
    return render_document(analyze(whole, keylog=str(keylog_path("cli-tls13-logs"))))


def cut(whole: Path, folder: Path, part: tuple[int, int]) -> Path:
    header, *rest = packets(whole)
    path = folder / "part.pcap"
    path.write_bytes(header + b"".join(rest[part[0] : part[1]]))
    return path


def asked(call: dict[str, Any]) -> tuple[Any, ...]:
    return call["method"], call["target"], call["status_code"]


def wrong_calls(found: dict[str, Any], whole: dict[str, Any], skipped: int) -> list[dict[str, Any]]:
    """Calls with frames that are not the request on those frames."""

    def is_right(call: dict[str, Any]) -> bool:
        frame = call["first_frame"] + skipped
        return any(
            true["client"] == call["client"]
            and true["first_frame"] <= frame <= true["last_frame"]
            and asked(true) == asked(call)
            for true in whole["api_calls"]
        )

    return [call for call in found["api_calls"] if call["first_frame"] and not is_right(call)]


def owners(found: dict[str, Any], skipped: int) -> dict[int, tuple[Any, ...]]:
    """First frame of a statement in the whole capture -> the call that it is attributed to."""
    calls = {call["id"]: asked(call) for call in found["api_calls"]}
    frames = {statement["id"]: statement["first_frame"] + skipped for statement in found["statements"]}
    return {frames[link["statement_id"]]: calls[link["call_id"]] for link in found["links"]}


def images(found: dict[str, Any]) -> set[str]:
    return {image["id"] for image in found["images"]}


@pytest.mark.parametrize("seconds", [0.0, 7200.0])
@pytest.mark.parametrize(("part", "name", "calls"), CASES)
def test_a_log_longer_than_the_capture(
    whole: Path, tmp_path: Path, part: tuple[int, int], name: str, calls: int, seconds: float
) -> None:
    capture = cut(whole, tmp_path, part)
    log = tmp_path / "log"
    log.write_text(shifted(name, seconds))
    found = render_document(analyze(capture, api_log=log))
    summary = found["capture"]["api_logs"][0]
    assert wrong_calls(found, truth(whole), part[0]) == []
    known = owners(truth(whole), 0)
    assert {frame: call for frame, call in owners(found, part[0]).items() if known.get(frame, call) != call} == {}
    assert images(found) <= images(render_document(analyze(capture)))
    if seconds == 0:
        assert summary["offset"] == 0
        assert sum(call["first_frame"] is not None for call in found["api_calls"]) == calls


@pytest.mark.parametrize("name", LOGS[:5])
def test_a_clock_days_off_places_nothing_wrongly(whole: Path, tmp_path: Path, name: str) -> None:
    log = tmp_path / "log"
    log.write_text(shifted(name, -86400 * 3 - 165.5))
    found = render_document(analyze(cut(whole, tmp_path, LATE), api_log=log))
    assert wrong_calls(found, truth(whole), LATE[0]) == []


@pytest.mark.parametrize("name", LOGS[:5])
@pytest.mark.parametrize("capture", ["article-tls13", "article-tls12"])
def test_a_log_of_another_walk_is_refused(capture: str, name: str) -> None:
    path = capture_path(capture)
    found, plain = (render_document(analyze(path, api_log=log)) for log in (log_path(name), ()))
    log = found["capture"]["api_logs"][0]
    assert (log["offset"], log["used"]) == (None, 0)
    assert [i["count"] for i in found["issues"] if i["kind"] == "log-clock-unknown"] == [1]
    for part in ("api_calls", "links", "images"):
        assert found[part] == plain[part]


@pytest.mark.parametrize("seconds", [-165.0, -165.4, 3435.0])
@pytest.mark.parametrize("name", [CLIENT, CLIENT_FILE, PROXY, GLANCE])
def test_a_log_of_another_cloud_and_the_same_time_is_told_by_ids(tmp_path: Path, name: str, seconds: float) -> None:
    log = tmp_path / "log"
    log.write_text(shifted(name, seconds))
    found = render_document(analyze(capture_path("article-tls13"), api_log=log))
    assert found["capture"]["api_logs"][0]["used"] == 0
    assert found["api_calls"] == found["links"] == []


def test_a_log_that_ends_before_the_capture_is_not_used(whole: Path, tmp_path: Path) -> None:
    found = render_document(analyze(cut(whole, tmp_path, LATE), api_log=log_path(CLIENT)))
    assert found["capture"]["api_logs"][0]["used"] == 0
    assert found["api_calls"] == found["links"] == []
