"""Whatever a log's clock is off by, the same calls come out: it is found by what log and capture both show."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from glancetrace.document import render_document
from glancetrace.pipeline import analyze
from tests.support.api_logs import log_text, public_capture

HOUR = 3600.0
SHIFTS = (-37.0, 5 * HOUR + 1800, -8 * HOUR, 2 * HOUR - 37.25)
FORMATS = {
    "openstack-debug.log.gz": (r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", "%Y-%m-%d %H:%M:%S.%f", True),
    "openstack-debug.txt.gz": (r"(?<=date: )\w{3}, \d\d \w{3} \d{4} [\d:]{8}(?= GMT)", "%a, %d %b %Y %H:%M:%S", False),
    "haproxy.log": (r"(?<=\[)\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d\.\d{3}(?=\])", "%d/%b/%Y:%H:%M:%S.%f", True),
    "glance-access.log": (r"(?<=\[)\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d(?= )", "%d/%b/%Y:%H:%M:%S", False),
    "keystone-access.log": (r"(?<=\[)\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d(?= )", "%d/%b/%Y:%H:%M:%S", False),
}  # fmt: skip


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return public_capture(tmp_path_factory.mktemp("public"))


def shifted(name: str, seconds: float) -> str:
    """The log as a clock that is so much ahead would have written it."""
    pattern, form, with_milliseconds = FORMATS[name]

    def move(match: re.Match[str]) -> str:
        moment = datetime.strptime(match[0], form).replace(tzinfo=UTC) + timedelta(seconds=seconds)
        text = moment.strftime(form)
        return text[:-3] if with_milliseconds else text

    return re.sub(pattern, move, log_text(name), flags=re.MULTILINE)


def result(capture: Path, folder: Path, text: str) -> tuple[list[Any], list[Any], dict[str, Any]]:
    """Calls that packets place, links, and what is said of the log."""
    path = folder / "log"
    path.write_text(text)
    found = render_document(analyze(capture, api_log=path))
    calls = [{**c, "id": 0} for c in found["api_calls"] if c["first_frame"]]
    links = [(link["statement_id"], link["class"]) for link in found["links"]]
    return calls, links, found["capture"]["api_logs"][0]


@pytest.mark.parametrize("seconds", SHIFTS)
@pytest.mark.parametrize("name", FORMATS)
def test_a_clock_that_is_off(capture: Path, tmp_path: Path, name: str, seconds: float) -> None:
    calls, links, right = result(capture, tmp_path, log_text(name))
    moved_calls, moved_links, log = result(capture, tmp_path, shifted(name, seconds))
    assert moved_calls == calls
    assert moved_links == links
    assert abs(log["offset"] + seconds * 1e9) <= log["uncertainty"] + right["uncertainty"] + 1e9 * (
        not FORMATS[name][2]
    )


def test_without_anything_in_common_the_clock_is_taken_as_right_and_said_so(capture: Path, tmp_path: Path) -> None:
    line = log_text("haproxy.log").split("\n")[0].replace("GET /v3 ", "GET /v3/projects ").replace(" 456 ", " 99999 ")
    path = tmp_path / "log"
    path.write_text(line.replace("20/Nov/2026:19:28", "20/Nov/2026:03:11") + "\n")
    found = render_document(analyze(capture, api_log=path))
    assert found["capture"]["api_logs"][0]["offset"] is None
    assert found["capture"]["api_logs"][0]["used"] == 0
    assert [issue["kind"] for issue in found["issues"] if issue["kind"].startswith("log")] == ["log-clock-unknown"]
