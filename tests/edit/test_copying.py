"""Files get what they were told to get, in order, whatever threads do it and however little may wait."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glancetrace.edit import copying, piece_file
from glancetrace.edit.copying import Copier
from glancetrace.edit.piece_file import PieceFile
from glancetrace.errors import GlancetraceError, InputError
from glancetrace.outfile import COMPRESSIONS
from tests.support.capture_files import decompress

SOURCE = bytes(n * 7 % 251 for n in range(400_000))
STEPS = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from(["copy", "write"]), st.integers(0, 200_000), st.integers(1, 150_000)),
    max_size=40,
)


def read_back(path: Path) -> bytes:
    data = path.read_bytes()
    return decompress(data, path.suffix) if data else b""


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
    places = [directory / name for name in ("0", "1.gz", "2", "3.zst", "4.lz4")]
    targets = [PieceFile(str(place)) for place in places]
    for target in targets:
        target.open()
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
                copier.copy(targets[target], source, begin, len(data))
            else:
                copier.write(targets[target], data)
            if number == drained:
                copier.close(targets[2], complete=False)
                copier.drain()
                assert sorted(path.name[:3] for path in directory.iterdir()) == [
                    ".0.",
                    ".1.",
                    ".2.",
                    ".3.",
                    ".4.",
                    "sou",
                ]
                targets[2].open()
        for one in targets:
            copier.close(one)
        copier.finish()
    os.close(source)
    assert [read_back(place) for place in places] == expected
    assert len(os.listdir(directory)) == 6


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=5), st.sampled_from(COMPRESSIONS))
def test_what_is_closed_goes_on(tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], ending: str) -> None:
    place = tmp_path_factory.mktemp("files") / f"a{ending}"
    file = PieceFile(str(place))
    for part in parts:
        file.open()
        file.write(part)
        file.close()
    assert not place.exists()
    file.keep()
    file.discard()
    assert read_back(place) == b"".join(parts)


def test_a_full_device_is_told_of_by_name() -> None:
    copier = Copier()
    target = PieceFile("/dev/full")
    target.open()
    copier.write(target, bytes(100_000))
    with pytest.raises(GlancetraceError, match=r"/dev/full: cannot be written: No space left"):
        copier.finish()
    assert target.lacks_bytes
    with pytest.raises(GlancetraceError):
        copier.write(target, b"more")
    target.discard()


def test_what_only_closing_tells_is_told(tmp_path: Path) -> None:
    copier = Copier()
    target = PieceFile(str(tmp_path / "piece.pcap"))
    target.open()
    copier.write(target, b"x")
    copier.drain()
    os.close(target.descriptor)
    copier.close(target)
    with pytest.raises(GlancetraceError, match="cannot be written: Bad file descriptor"):
        copier.finish()
    target.discard()
    assert not os.listdir(tmp_path)


def test_what_was_left_undone_is_not_complete(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(SOURCE)
    source = os.open(tmp_path / "source", os.O_RDONLY)
    copier = Copier()
    done, undone = (PieceFile(str(tmp_path / name)) for name in ("done", "undone.gz"))
    for target in (done, undone):
        target.open()
        copier.copy(target, source, 0, len(SOURCE))
    copier.close(done)
    copier.drain()
    copier.stop(wait=False)
    copier.copy(undone, source, 0, len(SOURCE))
    copier.close(undone)
    copier.stop()
    for target in (done, undone):
        target.discard()
    os.close(source)
    assert sorted(os.listdir(tmp_path)) == ["done", "source"]


def test_a_capture_that_became_shorter_is_told(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(SOURCE)
    source = os.open(tmp_path / "source", os.O_RDONLY)
    copier = Copier()
    target = PieceFile(str(tmp_path / "piece"))
    target.open()
    copier.copy(target, source, 10, len(SOURCE))
    copier.close(target)
    with pytest.raises(InputError, match="became shorter"):
        copier.finish()
    target.discard()
    os.close(source)
    assert os.listdir(tmp_path) == ["source"]


def test_compressing_without_memory_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_args: object) -> None:
        raise MemoryError

    target = PieceFile(str(tmp_path / "out.pcap.xz"))
    target.open()
    monkeypatch.setattr(piece_file, "compressed", exhausted)
    copier = Copier()
    copier.write(target, b"bytes")
    copier.close(target)
    with pytest.raises(GlancetraceError, match="not enough memory"):
        copier.finish()
    assert list(tmp_path.iterdir()) == []
