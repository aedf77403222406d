"""A plain file is read ahead: what comes out is what it holds, and what goes wrong is told as if it were not."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glancetrace.capture.ahead import ReadAhead
from glancetrace.capture.inputs import open_captures
from glancetrace.capture.source import FileSource, open_source
from glancetrace.errors import InputError
from glancetrace.issues import IssueLog

HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)


def write(path: Path, sizes: list[int]) -> Path:
    """A capture with packets of these sizes."""
    records = [
        struct.pack("<IIII", 1_700_000_000, number, size, size) + bytes([number % 251]) * size
        for number, size in enumerate(sizes)
    ]
    path.write_bytes(HEADER + b"".join(records))
    return path


def packets(path: Path, block_size: int) -> list[bytes]:
    """The packets, by the places in the file that `base`, `starts` and `ends` name."""
    held = path.read_bytes()
    found = []
    with open_captures([str(path)], IssueLog(), block_size=block_size) as captures:
        for block, reader in captures.records():
            for start, end in zip(reader.starts.tolist(), reader.ends.tolist(), strict=True):
                assert block.data[start:end] == held[reader.base + start : reader.base + end]
                found.append(block.data[start:end])
    return found


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from((0, 60, 1500, 40_000, 70_000, 200_000)), max_size=60), st.integers(1000, 300_000))
def test_packets_do_not_depend_on_the_pieces(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], block_size: int
) -> None:
    path = write(tmp_path_factory.getbasetemp() / "ahead.pcap", sizes)
    held = path.read_bytes()
    assert b"".join(packets(path, block_size)) == held[len(HEADER) :]


def test_pieces_begin_with_what_is_carried(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 4000)
    source = open_source(str(path))
    assert isinstance(source, FileSource)
    data = source.read_on(b"", 100_000)
    taken = data
    for carried in (0, 1, 5000, 65_536, 65_537, 100_000, 17):
        data, begin = source.continue_from(data, len(data) - carried, 100_000)
        assert data[begin : begin + carried] == taken[len(taken) - carried :]
        taken += data[begin + carried :]
        assert not source.ended
    while not source.ended:
        data, begin = source.continue_from(data, len(data), 100_000)
        taken += data[begin:]
    assert taken == path.read_bytes()
    assert source.bytes_read() == len(taken)
    source.close()
    source.close()


def test_a_file_that_becomes_shorter_ends_there(tmp_path: Path) -> None:
    path = write(tmp_path / "shrinks.pcap", [1000] * 1000)
    issues = IssueLog()
    with open_captures([str(path)], issues, block_size=100_000) as captures:
        blocks = iter(captures)
        count = len(next(blocks))
        os.truncate(path, 40_000)
        count += sum(map(len, blocks))
    assert count <= 300
    assert "capture-cut-short" in {issue.kind for issue in issues.rows()}


def test_a_file_that_cannot_be_read_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "fails.pcap", [1000] * 1000)
    read = os.pread

    def failing(descriptor: int, size: int, offset: int) -> bytes:
        if offset > 300_000:
            raise OSError(5, "Input/output error")
        return read(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", failing)
    with (
        pytest.raises(InputError, match="cannot be read: Input/output error"),
        open_captures([str(path)], IssueLog(), block_size=100_000) as captures,
    ):
        for _ in captures:
            pass


def test_what_was_not_asked_for_is_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(100)))
    descriptor = os.open(path, os.O_RDONLY)
    reading = ReadAhead(descriptor)
    assert reading.take(10, 5) == bytes(range(10, 15))
    reading.ask(20, 5)
    assert reading.take(30, 5) == bytes(range(30, 35))
    reading.ask(95, 10)
    assert reading.take(95, 10) == bytes(range(95, 100))
    reading.close()
    os.close(descriptor)
