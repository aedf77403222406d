"""Files get what they were told to get, in order, whatever threads do it and however little may wait."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glancetrace.edit import copying
from glancetrace.edit.copying import Copier
from glancetrace.errors import GlancetraceError

SOURCE = bytes(n * 7 % 251 for n in range(400_000))
STEPS = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from(["copy", "write"]), st.integers(0, 200_000), st.integers(1, 150_000)),
    max_size=40,
)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(STEPS, st.integers(1, 3), st.booleans(), st.integers(0, 39))
def test_files_hold_what_was_appended_in_order(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[int, str, int, int]],
    waiting: int,
    kernel: bool,
    drained: int,
) -> None:
    directory = tmp_path_factory.mktemp("files")
    (directory / "source").write_bytes(SOURCE)
    source = os.open(directory / "source", os.O_RDONLY)
    targets = [os.open(directory / str(n), os.O_WRONLY | os.O_CREAT, 0o600) for n in range(5)]
    expected = [b""] * 5
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copying, "_WAITING", waiting)
        patch.setattr(copying, "_MOST_LARGE", 1)
        if not kernel:
            patch.delattr(os, "copy_file_range")
        copier = Copier()
        for number, (target, how, begin, length) in enumerate(steps):
            data = SOURCE[begin : begin + length]
            expected[target] += data
            if how == "copy":
                copier.copy(targets[target], str(target), source, begin, len(data))
            else:
                copier.write(targets[target], str(target), data)
            if number == drained:
                copier.drain()
                assert [(directory / str(n)).read_bytes() for n in range(5)] == expected
        for number, target in enumerate(targets):
            copier.close(target, str(number))
        copier.finish()
    os.close(source)
    assert [(directory / str(n)).read_bytes() for n in range(5)] == expected


def test_a_full_device_is_told_of_by_name() -> None:
    copier = Copier()
    target = os.open("/dev/full", os.O_WRONLY)
    copier.write(target, "piece.pcap", bytes(100_000))
    with pytest.raises(GlancetraceError, match=r"piece\.pcap: cannot be written: No space left"):
        copier.finish()
    with pytest.raises(GlancetraceError):
        copier.write(target, "piece.pcap", b"more")
    os.close(target)


def test_what_only_closing_tells_is_told(tmp_path: Path) -> None:
    copier = Copier()
    target = os.open(tmp_path / "piece.pcap", os.O_WRONLY | os.O_CREAT, 0o600)
    copier.write(target, "piece.pcap", b"x")
    copier.drain()
    os.close(target)
    copier.close(target, "piece.pcap")
    with pytest.raises(GlancetraceError, match="cannot be written: Bad file descriptor"):
        copier.finish()
