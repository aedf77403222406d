"""Sources that are still being written: whatever the pieces, the bytes are the same, and none is waited for in vain."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glancetrace.live.interrupt import Interrupt
from glancetrace.live.recent import Recent
from glancetrace.live.recorder import capture_filter, recorder_command
from glancetrace.live.source import POLL, FollowedFile, LivePipe

DATA = bytes(range(256)) * 3
CUTS = st.lists(st.integers(0, len(DATA)), max_size=12).map(lambda cuts: sorted({0, *cuts, len(DATA)}))


def drain(source: LivePipe | FollowedFile, carried: int) -> Iterator[bytes]:
    """Everything that comes, read as readers do: with a rest of what came before."""
    carry = b""
    while not source.ended:
        data = source.read_on(carry, 100)
        assert data.startswith(carry)
        yield data[len(carry) :]
        carry = data[-carried:] if carried else b""


@given(CUTS, st.integers(0, 30))
def test_a_pipe(cuts: list[int], carried: int) -> None:
    """It is written piece by piece, each when the one before was read: a source that asked for more would hang."""
    reading, writing = os.pipe()
    pieces = [DATA[begin:end] for begin, end in pairwise(cuts)]
    os.write(writing, pieces[0].ljust(24, b"\0"))
    whole = pieces[0].ljust(24, b"\0") + b"".join(pieces[1:])
    rest, ends = iter(pieces[1:]), [writing]

    def write_next(_seconds: float) -> None:
        piece = next(rest, None)
        if piece:
            os.write(writing, piece)
        elif piece is None and ends:
            os.close(ends.pop())

    source = LivePipe("pipe", reading, Interrupt(), write_next)
    assert source.peek(4) == whole[:4]
    assert b"".join(drain(source, carried)) == whole
    source.close()


@given(CUTS, st.integers(0, 30), st.sampled_from(["rotated", "truncated"]))
def test_a_followed_file(cuts: list[int], carried: int, fate: str) -> None:
    """It grows whenever the source waits, and in the end it is another file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "growing")
        path.write_bytes(b"")
        pieces = [DATA[begin:end] for begin, end in pairwise(cuts)]

        def wait(seconds: float) -> None:
            if seconds < POLL:
                return
            if pieces:
                with path.open("ab") as file:
                    file.write(pieces.pop(0))
            elif fate == "rotated":
                path.rename(path.with_suffix(".old"))
                path.write_bytes(b"new")
            else:
                path.write_bytes(b"new")

        source = FollowedFile(str(path), os.open(path, os.O_RDONLY), Interrupt(), wait)
        assert b"".join(drain(source, carried)) == DATA
        assert source.fate == fate
        source.close()


def test_quiet_is_told_every_second(tmp_path: Path) -> None:
    path = tmp_path / "quiet"
    path.write_bytes(DATA)
    waits = 0
    told: list[int] = []

    def wait(seconds: float) -> None:
        nonlocal waits
        waits += seconds == POLL
        if waits == 36:
            path.write_bytes(b"")

    source = FollowedFile(str(path), os.open(path, os.O_RDONLY), Interrupt(), wait)
    source.on_quiet = told.append
    assert b"".join(drain(source, 0)) == DATA
    assert [round(ns / 1e9) for ns in told] == [1, 2, 3]
    source.close()


def test_an_interrupt_ends_a_wait_and_nothing_else() -> None:
    interrupt = Interrupt()
    interrupt.ask()
    assert interrupt.asked
    with pytest.raises(KeyboardInterrupt), interrupt.while_waiting():
        raise AssertionError("it would have waited")
    with pytest.raises(KeyboardInterrupt):
        interrupt.ask()


def test_the_first_interrupt_is_for_the_recorder() -> None:
    interrupt = Interrupt()
    stopped: list[bool] = []
    interrupt.on_first = lambda: stopped.append(True)
    with interrupt.while_waiting():
        interrupt.ask()
    assert (stopped, interrupt.asked) == ([True], False)


def test_two_legs_are_two_servers() -> None:
    recent, outer, inner = Recent(), ("192.0.2.1", 13292), ("192.0.2.2", 9292)
    second = 1_000_000_000
    assert not recent.is_other_leg("call", 0, inner)
    assert recent.is_other_leg("call", 5, outer)
    assert not recent.is_other_leg("call", 6, inner)
    assert not recent.is_other_leg("call", 3 * second, outer)


def _programs(folder: Path, *names: str) -> str:
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return str(folder)


def test_recorders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = {9292: "glance", 3306: "mysql"}
    expression = "tcp port 3306 or tcp port 9292"
    assert capture_filter(ports) == expression
    both = _programs(tmp_path, "dumpcap", "tcpdump")
    assert recorder_command("any", ports, both)[0] == str(tmp_path / "dumpcap")
    (tmp_path / "dumpcap").unlink()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    command = recorder_command("eth0", ports, both)
    assert command[0] == str(tmp_path / "tcpdump")
    assert (command[-1], "-Z" in command) == (expression, False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert recorder_command("eth0", ports, both)[-3] == "-Z"


def test_a_pipe_that_winds_up_gives_what_is_there() -> None:
    reading, writing = os.pipe()
    os.write(writing, DATA)
    source = LivePipe("pipe", reading, Interrupt(), lambda _seconds: None)
    source.wind_up()
    assert b"".join(drain(source, 3)) == DATA  # though its other end stays open
    source.close()
    os.close(writing)


def test_a_source_is_closed_once(tmp_path: Path) -> None:
    """A second time must not close what somebody else has opened since."""
    path = tmp_path / "file"
    path.write_bytes(DATA)
    source = LivePipe(str(path), os.open(path, os.O_RDONLY), Interrupt())
    descriptor = source.descriptor
    source.close()
    another = os.open(path, os.O_RDONLY)
    source.close()
    assert another == descriptor
    assert os.read(another, 3) == DATA[:3]
    os.close(another)
