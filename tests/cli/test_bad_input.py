"""Bad input: one line that says what, where and what to do, or a partial result; never a traceback."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glancetrace.cli import main
from tests.support.samples import capture_path

HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
ARTICLE = capture_path("article")
COMMANDS = (["analyze"], ["timeline"], ["calls"], ["sql"], ["search", "text"], ["info"], ["watch"])


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process."""

    def command(*args: str) -> subprocess.CompletedProcess[str]:
        with pytest.raises(SystemExit) as stopped:
            main(args)
        out, error = capsys.readouterr()
        assert isinstance(stopped.value.code, int)
        return subprocess.CompletedProcess(args, stopped.value.code, out, error)

    return command


def run_alone(*args: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Runs a command in a process of its own."""
    command = [sys.executable, "-m", "glancetrace", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **settings)


def assert_refused(done: subprocess.CompletedProcess[str], code: int, *parts: str) -> None:
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("glancetrace: ")
    assert done.stderr.count("\n") == 1
    for part in parts:
        assert part in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["info", "--api-log", "x.log"],
        ["info", "--reveal"],
        ["check", "--tz", "UTC"],
        ["diff", str(ARTICLE), "--relative"],
        ["verify", "--wide"],
        ["explain", "--color", "never"],
    ],
    ids=lambda command: command[0] + next(word for word in command if word.startswith("--")),
)
def test_an_option_that_would_have_no_effect(run: Run, command: list[str]) -> None:
    option = next(word for word in command if word.startswith("--"))
    assert_refused(run(*command, str(ARTICLE)), 2, option)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_missing_file(run: Run, command: list[str]) -> None:
    assert_refused(run(*command, "/no/such.pcap"), 3, "/no/such.pcap: no such file; check the name")


def test_a_directory(run: Run, tmp_path: Path) -> None:
    assert_refused(run("analyze", str(tmp_path)), 3, f"{tmp_path}: ", "directory")


def test_a_pattern_that_matches_nothing(run: Run, tmp_path: Path) -> None:
    assert_refused(run("analyze", f"{tmp_path}/*.pcap"), 3, "*.pcap: ")


@pytest.mark.parametrize(
    "content",
    [
        b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n" * 10,
        b"",
        b"\xd4\xc3\xb2\xa1\x02",
        gzip.compress(b"no capture at all"),
        b"\x1f\x8b\x08\x00" + b"\xff" * 50,
        bytes(1000),
    ],
    ids=["text", "empty", "short", "gzip of text", "damaged gzip", "zeros"],
)
def test_what_is_no_capture(run: Run, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "input"
    path.write_bytes(content)
    assert_refused(run("analyze", str(path)), 3, str(path), "; ")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_header_only(run: Run, tmp_path: Path, command: list[str]) -> None:
    path = tmp_path / "header.pcap"
    path.write_bytes(HEADER)
    done = run(*command, str(path))
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    if command == ["analyze"]:
        assert "0 packets, 0 B" in done.stdout


def cut_anywhere() -> list[int]:
    """Places to cut the sample: in the header, at its end, and some at random."""
    size = len(gzip.decompress(ARTICLE.read_bytes()))
    return [30, 41, *random.Random(2).sample(range(size), 5), size - 1]


@pytest.mark.parametrize("size", cut_anywhere())
def test_a_capture_cut_anywhere(run: Run, tmp_path: Path, size: int) -> None:
    path = tmp_path / "cut.pcap"
    path.write_bytes(gzip.decompress(ARTICLE.read_bytes())[:size])
    done = run("analyze", str(path), "--format", "json")
    assert done.returncode == 0
    assert "capture-cut-short" in {issue["kind"] for issue in json.loads(done.stdout)["issues"]}
    assert run("analyze", str(path)).returncode == 0


def test_a_compressed_capture_cut_short(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "cut.pcap.gz"
    path.write_bytes(ARTICLE.read_bytes()[:200_000])
    done = run("analyze", str(path))
    assert done.returncode == 0
    assert "capture-cut-short" in done.stdout


@pytest.mark.parametrize("seed", range(4))
def test_random_bytes_after_the_header(run: Run, tmp_path: Path, seed: int) -> None:
    path = tmp_path / "random.pcap"
    path.write_bytes(HEADER + random.Random(seed).randbytes(20_000))
    done = run("analyze", str(path), "--format", "json")
    if done.returncode == 0:
        assert json.loads(done.stdout)["issues"]
    else:
        assert_refused(done, 3, str(path))


def test_the_wrong_port_gives_a_partial_result(run: Run) -> None:
    done = run("analyze", str(ARTICLE), "--port", "mysql=13292", "--port", "glance=3306", "--format", "json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["issues"]


def test_several_files_one_of_them_bad(run: Run) -> None:
    assert_refused(run("analyze", str(ARTICLE), "/no/such.pcap"), 3, "/no/such.pcap")


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        (["analyse", "x"], ["No such command 'analyse'", "see 'glancetrace --help'"]),
        (["analyze"], ["Missing argument 'CAPTURE...'", "see 'glancetrace analyze --help'"]),
        (["analyze", "--colour", "x"], ["No such option", "--colour"]),
        (["analyze", "x", "--format", "xml"], ["'xml' is not one of"]),
        (["analyze", "x", "--tz", "Mars"], ["no time zone 'Mars'"]),
        (["analyze", "x", "--port", "glance"], ["--port 'glance' is not SERVICE=PORT"]),
        (["analyze", str(ARTICLE), "--hash", "md17"], ["md17", "sha256"]),
        (["analyze", str(ARTICLE), "--hash", "shake_128"], ["shake_128", "sha256"]),
        (["calls", "x", "--grep", "("], ["not a regular expression"]),
        (["calls", "x", "--since", "soon"], ["'soon' is no time"]),
        (["sql", "x", "--slower-than", "snail"], ["'snail' is no duration"]),
        (["calls", str(ARTICLE), "--status", "gone"], ["'gone' is no status of a call"]),
        (["timeline", str(ARTICLE), "--image", "nope"], ["no such image", "overcloud-full"]),
        (["search", "", "x"], ["empty text"]),
        (["split", "-c", "0", "x", "y"], ["-c"]),
        (["analyze", str(ARTICLE), "-o", "/no/such/dir/out"], ["/no/such/dir/out: cannot be written"]),
    ],
    ids=lambda value: " ".join(value[:4])[-40:] if isinstance(value, list) else None,
)
def test_wrong_usage(run: Run, args: list[str], parts: list[str]) -> None:
    assert_refused(run(*args), 2, *parts)


def test_from_the_shell_too() -> None:
    assert_refused(run_alone("analyze", "/no/such.pcap"), 3, "/no/such.pcap: no such file")


def test_no_arguments_show_the_help(run: Run) -> None:
    done = run()
    assert done.returncode == 2
    assert "analyze" in done.stderr


def test_a_hostile_file_name_does_not_reach_the_terminal(run: Run, tmp_path: Path) -> None:
    done = run("analyze", f"{tmp_path}/\x1b[31mred\r\n.pcap")
    assert_refused(done, 3, "red .pcap: no ")
    assert "\x1b" not in done.stderr


def test_a_reader_that_goes_away_is_no_error(run: Run) -> None:
    command = f"{sys.executable} -m glancetrace sql {ARTICLE} | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith("time")
    assert done.stderr == ""


@pytest.mark.parametrize(("number", "code", "told"), [(signal.SIGINT, 130, b"\n"), (signal.SIGTERM, 143, b"")])
def test_who_is_told_to_end_ends_cleanly(tmp_path: Path, number: signal.Signals, code: int, told: bytes) -> None:
    command = [sys.executable, "-m", "glancetrace", "analyze", "-", "-o", str(tmp_path / "out.txt")]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - a background job ignores it
    )
    assert process.stdin is not None
    process.stdin.write(HEADER)
    process.stdin.flush()
    while not os.listdir(tmp_path):  # the output's place is taken before reading begins
        assert process.poll() is None
    process.send_signal(number)
    out, error = process.communicate(timeout=30)
    assert process.returncode == code
    assert (out, error) == (b"", told)
    assert os.listdir(tmp_path) == []


def test_output_that_the_terminal_cannot_show_is_replaced() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = run_alone("timeline", str(ARTICLE), "--no-sql", env=environment)
    assert done.returncode == 0
    assert "queued ? saving" in done.stdout


@pytest.mark.parametrize(
    ("redirection", "code", "error"),
    [
        (">/dev/full", 3, "standard output: cannot be written: No space left on device"),
        (">&-", 2, "standard output is closed; write to a file with -o"),
        ("-o /dev/full", 3, "/dev/full: cannot be written: No space left on device"),
    ],
)
def test_output_that_has_no_place(redirection: str, code: int, error: str) -> None:
    command = f"{sys.executable} -m glancetrace calls {ARTICLE} {redirection}"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60, check=False)
    assert_refused(done, code, error)


def test_standard_error_may_be_closed() -> None:
    command = f"{sys.executable} -m glancetrace calls {ARTICLE} --status 404 2>&-"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert done.stdout
