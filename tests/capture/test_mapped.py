"""A mapped file gives what reading it gives; whoever wants to change it meanwhile waits, and does no harm."""

from __future__ import annotations

import fcntl
import mmap
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glancetrace.capture.inputs import open_captures
from glancetrace.capture.mapped import MappedSource, Mapping, Place, PlacedFile
from glancetrace.capture.source import open_source
from glancetrace.issues import IssueLog
from tests.support import capture_files as cf

TS = cf.START * 1_000_000_000
MAPPED_FROM = 64 << 10


def write(path: Path, sizes: list[int], *, pcapng: bool = False) -> Path:
    packets = [cf.Packet(TS + n, bytes([n % 251]) * size, size) for n, size in enumerate(sizes)]
    path.write_bytes(cf.pcapng(packets) if pcapng else cf.pcap(packets))
    return path


def packets(path: Path, block_size: int, *, mapped: bool) -> list[tuple[int, bytes, bytes]]:
    """Time, record and bytes of every packet."""
    held = path.read_bytes()
    found = []
    with open_captures([str(path)], IssueLog(), block_size=block_size, mapped=mapped) as captures:
        for block, reader in captures.records():
            columns = (block.ts, block.offset, block.cap_len, reader.starts, reader.ends)
            for ts, offset, length, start, end in zip(*(column.tolist() for column in columns), strict=True):
                record = block.data[start:end]
                assert record == held[reader.base + start : reader.base + end]
                found.append((ts, record, block.data[offset : offset + length]))
    return found


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.lists(st.sampled_from((0, 60, 1500, 40_000, 70_000, 200_000)), max_size=60),
    st.integers(MAPPED_FROM - 5000, 300_000),
    st.booleans(),
)
def test_packets_are_those_that_reading_gives(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], block_size: int, pcapng: bool
) -> None:
    path = write(tmp_path_factory.getbasetemp() / "mapped.pcap", sizes, pcapng=pcapng)
    assert packets(path, block_size, mapped=True) == packets(path, block_size, mapped=False)


def pieces_of(path: Path, carries: tuple[int, ...], size: int) -> list[bytes]:
    """The pieces of a file, checked to be the file."""
    source = open_source(str(path), MappedSource)
    data = taken = source.read_on(b"", size)
    found = [data]
    for carried in carries:
        data, begin = source.continue_from(data, len(data) - carried, size)
        assert data[begin : begin + carried] == taken[len(taken) - carried :]
        taken += data[begin + carried :]
        found.append(data)
    while not source.ended:
        data, begin = source.continue_from(data, len(data), size)
        taken += data[begin:]
        found.append(data)
    assert taken == path.read_bytes()
    assert source.bytes_read() == len(taken)
    source.close()
    source.close()
    return found


def test_pieces_are_the_file_itself_and_begin_with_what_is_carried(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 4000)
    pieces = pieces_of(path, (0, 1, 5000, 65_537, 100_000), 100_000)
    assert [isinstance(piece, mmap.mmap) for piece in pieces] == [False, *[True] * 9, False]


def test_a_file_that_is_being_written_to_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 4000)
    with path.open("r+b"):
        assert not any(isinstance(piece, mmap.mmap) for piece in pieces_of(path, (), 100_000))


def test_pieces_that_cannot_be_fetched_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_arguments: object, **_options: object) -> None:
        raise OSError(5, "Input/output error")

    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 4000)
    monkeypatch.setattr(Mapping, "madvise", failing)
    assert {type(piece) for piece in pieces_of(path, (), 100_000)} == {bytes}


def test_who_wants_to_cut_it_off_waits_for_the_end_of_a_piece(tmp_path: Path) -> None:
    path = write(tmp_path / "shrinks.pcap", [1000] * 1000)
    issues = IssueLog()
    cut_off = threading.Thread(target=os.truncate, args=(path, 40_000))
    with open_captures([str(path)], issues, block_size=100_000, mapped=True) as captures:
        blocks = captures.records()
        next(blocks)
        block, _ = next(blocks)
        assert isinstance(block.data, mmap.mmap)
        cut_off.start()
        source = captures.readers[0].source
        assert isinstance(source, MappedSource)
        while fcntl.fcntl(source.descriptor, fcntl.F_GETLEASE) == fcntl.F_RDLCK:
            pass
        assert path.stat().st_size > 1_000_000
        assert block.data[-1000:]
        for _ in blocks:
            pass
    cut_off.join()
    assert path.stat().st_size == 40_000
    assert {issue.kind for issue in issues.rows()} <= {"capture-cut-short"}


def test_nobody_waits_for_a_source_that_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(1_000_000))
    source = open_source(str(path), MappedSource)
    source.continue_from(source.read_on(b"", 100_000), 100_000, 100_000)
    kept = os.dup(source.descriptor)
    assert fcntl.fcntl(kept, fcntl.F_GETLEASE) == fcntl.F_RDLCK
    source.close()
    assert fcntl.fcntl(kept, fcntl.F_GETLEASE) == fcntl.F_UNLCK
    os.close(kept)


@pytest.mark.parametrize("written", [False, True])
def test_another_process_has_a_mapping_by_its_place(tmp_path: Path, written: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(1 << 20))
    with path.open("r+b" if written else "rb"):  # there is no lease of a file that is being written to
        mapping = next(piece for piece in pieces_of(path, (), 1 << 18) if written or isinstance(piece, Mapping))
        status = path.stat()
        place = mapping.place if isinstance(mapping, Mapping) else Place(str(path), status.st_dev, status.st_ino, 0)
        file = PlacedFile(place)
        for start, size in ((0, 1 << 17), (4096, 100), (5, 70_000)):  # one that is not worth mapping, and on
            data, begin = file.piece(place.offset + start, size)
            assert isinstance(data, Mapping) == (not written and size > 1 << 16)
            held = path.read_bytes()[place.offset :]
            assert data[begin : begin + size] == held[start : start + size]
        file.close()


def test_a_file_in_the_place_of_another_is_not_taken_for_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(1 << 20))
    mapping = pieces_of(path, (), 1 << 18)[1]
    assert isinstance(mapping, Mapping)
    path.rename(tmp_path / "other")
    with pytest.raises(FileNotFoundError):
        PlacedFile(mapping.place)
    path.write_bytes(bytes(1 << 20))
    with pytest.raises(FileNotFoundError):
        PlacedFile(mapping.place)
