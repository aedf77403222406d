"""On a terminal: colours, its width, and no control character of the capture."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

from glancetrace.output.table import cell_width
from tests.support.samples import capture_path

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
HOSTILE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def on_terminal(*args: str, columns: int = 80, environment: dict[str, str] | None = None) -> str:
    """What a command writes to a terminal of some width."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "glancetrace", *args],
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm", "PYTHONUTF8": "1", **(environment or {})},
    )
    os.close(follower)
    pieces = []
    try:
        while piece := os.read(leader, 1 << 16):
            pieces.append(piece)
    except OSError:  # Linux reports the end of a terminal as an input error
        pass
    finally:
        os.close(leader)
    assert process.wait(timeout=60) == 0
    return b"".join(pieces).decode().replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_the_report_fits_and_has_colours(columns: int) -> None:
    text = on_terminal("analyze", str(capture_path("failures")), columns=columns)
    plain = COLOUR.sub("", text)
    assert plain != text
    assert not [line for line in plain.splitlines() if cell_width(line) > columns]
    assert not HOSTILE.search(plain)


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colours_where_they_are_not_wanted(environment: dict[str, str]) -> None:
    assert "\x1b" not in on_terminal("calls", str(capture_path("article")), environment=environment)


@pytest.mark.parametrize("command", ["timeline", "calls", "sql"])
def test_lists_fit_too(command: str) -> None:
    plain = COLOUR.sub("", on_terminal(command, str(capture_path("failures")), "--image", "*[ae]*", columns=72))
    assert not HOSTILE.search(plain)
    assert not [line for line in plain.splitlines() if cell_width(line) > 72]


def test_json_has_its_controls_escaped() -> None:
    text = on_terminal("analyze", str(capture_path("failures")), "--format", "json")
    assert "\\u202e" in text
    assert not HOSTILE.search(text)
