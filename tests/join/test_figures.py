"""A TLS capture with logs and without keys, held against what was true: the figures of a plain capture are the goal."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from glancetrace.cli import main
from glancetrace.document import render_document
from glancetrace.pipeline import analyze
from tests.support.api_logs import DATABASE, FOLDER, LOGS, log_path, public_capture
from tests.support.evaluate import Figures, evaluate
from tests.support.samples import capture_path

CLIENT = ("openstack-debug.txt.gz", "openstack-debug.log.gz")
ACCESS = ("glance-access.log", "keystone-access.log")
WHOLE = {"client": CLIENT, "haproxy": ("haproxy.log",), "access": ACCESS, "all": LOGS}
"""Logs that tell of every call of the clients."""

PARTS = {
    "console": (("openstack-debug.txt.gz",), 14),
    "log file": (("openstack-debug.log.gz",), 12),
    "Glance's access log": (("glance-access.log",), 15),
    "Keystone's access log": (("keystone-access.log",), 11),
}
"""Logs that tell of some, and of how many."""


@pytest.fixture(scope="module", params=["public", "all ports"])
def capture(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param == "public":
        return public_capture(tmp_path_factory.mktemp("public"))
    return capture_path("cli-tls13-logs")


@lru_cache(maxsize=16)
def document(capture: Path, logs: tuple[str, ...]) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(json.dumps(render_document(analyze(capture, api_log=map_paths(logs)))))
    return result


def map_paths(logs: tuple[str, ...]) -> list[str]:
    return [log_path(name) for name in logs]


def figures(capture: Path, logs: tuple[str, ...]) -> Figures:
    return evaluate(FOLDER, document(capture, logs))


@pytest.mark.parametrize("logs", WHOLE.values(), ids=WHOLE)
class TestLogsOfEveryCall:
    def test_every_call_with_its_status(self, capture: Path, logs: tuple[str, ...]) -> None:
        known = figures(capture, logs)
        assert known["calls_right"] == known["calls_truth"] == 26

    def test_every_statement_goes_to_its_call(self, capture: Path, logs: tuple[str, ...]) -> None:
        known = figures(capture, logs)
        assert known["glance_n"] == 136
        assert known["keystone_n"] == 408
        for service in ("glance", "keystone"):
            assert known[f"{service}_precision"] == known[f"{service}_recall"] == 1.0

    def test_what_is_called_certain_is_right(self, capture: Path, logs: tuple[str, ...]) -> None:
        right, of = map(int, figures(capture, logs)["glance_by_class"]["certain"].split("/"))
        assert right == of > 60

    def test_every_status_change_and_no_other(self, capture: Path, logs: tuple[str, ...]) -> None:
        known = figures(capture, logs)
        assert known["timelines_right"] == known["timelines_truth"] == 2
        assert known["timelines_invented"] == known["illegal"] == 0

    def test_each_change_has_its_call(self, capture: Path, logs: tuple[str, ...]) -> None:
        calls = {call["id"]: call for call in document(capture, logs)["api_calls"]}
        for image in document(capture, logs)["images"]:
            operations = [calls[t["call_id"]]["operation"] for t in image["transitions"]]
            assert operations == ["image-create", "image-upload", "image-upload"]
            assert all(t["certainty"] == "observed" for t in image["transitions"])

    def test_calls_of_clients_have_the_frames_and_times_of_their_packets(
        self, capture: Path, logs: tuple[str, ...]
    ) -> None:
        outer = [c for c in document(capture, logs)["api_calls"] if c["tls"]]
        assert len(outer) == 26
        for call in outer:
            assert call["uncertainty"] == 0
            assert 0 < call["first_frame"] < call["response_frame"] <= call["last_frame"]
            assert call["server"] in ("127.0.0.20:13000", "127.0.0.20:13292")

    def test_no_call_stands_twice(self, capture: Path, logs: tuple[str, ...]) -> None:
        frames = [c["request_frame"] for c in document(capture, logs)["api_calls"] if c["request_frame"]]
        assert len(frames) == len(set(frames))

    def test_clocks_are_right(self, capture: Path, logs: tuple[str, ...]) -> None:
        for log in document(capture, logs)["capture"]["api_logs"]:
            if log["calls"]:
                assert log["offset"] == 0
                whole_seconds = log["format"] == "access" or ".txt" in log["name"]
                assert log["uncertainty"] < (500_000_000 if whole_seconds else 10_000_000)


@pytest.mark.parametrize(("logs", "calls"), PARTS.values(), ids=PARTS)
def test_a_log_of_some_calls_tells_of_these(capture: Path, logs: tuple[str, ...], calls: int) -> None:
    known = figures(capture, logs)
    assert known["calls_right"] == calls
    assert known["timelines_right"] == 2
    for service in ("glance", "keystone"):
        assert known.get(f"{service}_precision", 1.0) == known.get(f"{service}_recall", 1.0) == 1.0


def test_logs_of_services_without_requests_say_so(capture: Path) -> None:
    found = document(capture, ("glance.log", "keystone.log"))
    assert [(log["format"], log["calls"]) for log in found["capture"]["api_logs"]] == [("oslo", 0), ("oslo", 0)]
    assert [issue["count"] for issue in found["issues"] if issue["kind"] == "log-without-calls"] == [2]


def test_what_the_packets_show_is_the_same_with_logs(tmp_path: Path) -> None:
    capture = capture_path("cli-tls13-logs")
    plain, with_logs = document(capture, ()), document(capture, LOGS)
    columns = ("method", "target", "status_code", "operation", "image_id", "request_id")

    def rows(found: dict[str, Any]) -> list[tuple[Any, ...]]:
        return sorted(tuple(map(str, (call[c] for c in columns))) for call in found["api_calls"])

    assert rows(plain) == rows(with_logs)
    assert all(call["source"] == "capture" for call in with_logs["api_calls"])
    assert [len(call["hops"]) for call in with_logs["api_calls"] if call["tls"]] == [2] * 26


def test_the_order_of_the_logs_does_not_matter(tmp_path: Path) -> None:
    capture = public_capture(tmp_path)
    one, two = document(capture, LOGS), document(capture, LOGS[::-1])
    assert one["api_calls"] == two["api_calls"]
    assert one["links"] == two["links"]


@pytest.fixture(scope="module")
def database_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return public_capture(tmp_path_factory.mktemp("database"), DATABASE)


@pytest.mark.parametrize("logs", [("haproxy.log",), ACCESS, CLIENT], ids=["haproxy", "access", "client"])
class TestDatabaseAlone:
    def test_the_log_s_own_times_place_the_calls(self, database_alone: Path, logs: tuple[str, ...]) -> None:
        found = document(database_alone, logs)
        assert len(found["api_calls"]) >= 25  # two of second resolution may look like one
        for call in found["api_calls"]:
            assert (call["source"], call["certainty"]) == ("log", "assumed")
            assert call["first_frame"] is call["last_frame"] is call["connection_id"] is None
            assert call["uncertainty"] > 0

    def test_each_change_has_its_call(self, database_alone: Path, logs: tuple[str, ...]) -> None:
        calls = {call["id"]: call for call in document(database_alone, logs)["api_calls"]}
        for image in document(database_alone, logs)["images"]:
            operations = [calls[t["call_id"]]["operation"] for t in image["transitions"]]
            assert operations == ["image-create", "image-upload", "image-upload"]

    def test_nothing_is_certain(self, database_alone: Path, logs: tuple[str, ...]) -> None:
        links = document(database_alone, logs)["links"]
        assert links
        assert {link["class"] for link in links} == {"inferred"}

    @pytest.mark.parametrize("command", ["analyze", "timeline", "calls", "search"])
    def test_every_output_does_without_frames(
        self, database_alone: Path, logs: tuple[str, ...], command: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        args = [command, *(["images"] if command == "search" else []), str(database_alone)]
        for log in map_paths(logs):
            args += ["--api-log", log]
        with pytest.raises(SystemExit) as stopped:
            main(args)
        out, error = capsys.readouterr()
        assert (stopped.value.code, error) == (0, "")
        assert not re.search(r"\b0-0\b|frames? 0\b|None", out)


def test_statements_by_a_log_s_own_times(database_alone: Path) -> None:
    known = figures(database_alone, ("haproxy.log",))
    assert known["calls_right"] == 26
    assert known["glance_precision"] == known["glance_recall"] == 1.0


def test_tables_of_calls_without_frames(database_alone: Path) -> None:
    trace = analyze(database_alone, api_log=log_path("haproxy.log"))
    assert trace.calls["first_frame"].isna().all()
    assert trace.calls["uncertainty"].dt.total_seconds().between(0.0001, 0.1).all()
