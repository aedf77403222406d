"""By time, by size, by frames: as editcap does where it can, and never a packet twice or not at all."""

from __future__ import annotations

import gzip
import os
import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glancetrace.edit.cutting import ByCount, BySize, ByTime, Cut
from glancetrace.edit.pieces import PieceWriter
from glancetrace.edit.quiet import QuietCut, quiet_points
from glancetrace.edit.selection import PacketSelection, in_frames, merge_frames, parse_frames
from glancetrace.edit.split import split
from glancetrace.errors import GlancetraceError, UsageError
from glancetrace.pipeline import analyze
from tests.support import capture_files as cf
from tests.support.samples import capture_path

SECOND = 1_000_000_000
TS = cf.START * SECOND
GAPS = [0, 1, 2, 90, 3, 250, 0, 0, 1900, 5, 5, 5, 70, 4000, 10, 1]
TIMES = [TS + sum(GAPS[: n + 1]) * 10_000_000 for n in range(len(GAPS))]
PACKETS = [cf.Packet(ts, bytes([n]) * (n * 7 + 40)) for n, ts in enumerate(TIMES)]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.pcap"
    path.write_bytes(cf.pcap(PACKETS))
    return path


@pytest.fixture
def article(tmp_path: Path) -> Path:
    path = tmp_path / "article.pcap"
    path.write_bytes(gzip.decompress(capture_path("article").read_bytes()))
    return path


def with_packets(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.stat().st_size > 24}


def editcap(*args: object) -> None:
    subprocess.run(["editcap", "-F", "pcap", *map(str, args)], check=True, capture_output=True)


@pytest.mark.parametrize("seconds", ["0.05", "1", "2.5", "60"])
def test_pieces_of_time_are_those_of_editcap_but_for_the_empty_ones(source: Path, tmp_path: Path, seconds: str) -> None:
    for who in ("ours", "theirs"):
        (tmp_path / who).mkdir()
    editcap("-i", seconds, source, tmp_path / "theirs" / "p.pcap")
    pieces = split([str(source)], str(tmp_path / "ours" / "p.pcap"), ByTime(int(float(seconds) * SECOND)))
    assert with_packets(tmp_path / "ours") == with_packets(tmp_path / "theirs")
    assert len(pieces) == len(with_packets(tmp_path / "ours"))
    assert sum(piece.packets for piece in pieces) == len(PACKETS)


def test_frames_and_times_choose_as_editcap_does(article: Path, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.pcap", tmp_path / "theirs.pcap"
    start = 1_795_202_752_700_000_000
    cases = [
        (["-r"], ["5-9", "20", "2900-"], PacketSelection(parse_frames(["5-9", "20", "2900-"]), keep=True)),
        ([], ["1-1000", "1200"], PacketSelection(parse_frames(["1-1000", "1200"]))),
        (
            ["-A", "2026-11-20T19:25:52.7Z", "-B", "2026-11-20T19:25:52.75Z"],
            [],
            PacketSelection(since=start, until=start + SECOND // 20),
        ),
    ]
    for flags, frames, selection in cases:
        known = [text if not text.endswith("-") else f"{text}999999" for text in frames]
        editcap(*flags, article, theirs, *known)
        (piece,) = split([str(article)], str(ours), selection=selection)
        assert ours.read_bytes() == theirs.read_bytes()
        assert 0 < piece.packets < 2909


@pytest.mark.parametrize("limit", [30, 200, 1000, 10**9])
def test_pieces_keep_to_their_size(source: Path, tmp_path: Path, limit: int) -> None:
    (tmp_path / "p").mkdir()
    pieces = split([str(source)], str(tmp_path / "p" / "a.pcap"), BySize(limit))
    for piece in pieces:
        assert Path(piece.path).stat().st_size <= limit or piece.packets == 1
    for piece, following in pairwise(pieces):
        first = cf.read([following.path]).rows[0]
        assert Path(piece.path).stat().st_size + 16 + len(first[3]) > limit
    assert cf.read([piece.path for piece in pieces]).rows == cf.read([source]).rows


@given(st.lists(st.integers(1, 50), min_size=1, max_size=80), st.integers(1, 70), st.integers(0, 30), st.data())
def test_ordinals_do_not_depend_on_blocks(sizes: list[int], limit: int, preamble: int, data: st.DataObject) -> None:
    ts = np.cumsum(data.draw(st.lists(st.integers(-3, 30), min_size=len(sizes), max_size=len(sizes)))) + 1000
    cuts = sorted(data.draw(st.sets(st.integers(1, len(sizes)), max_size=6)) | {0, len(sizes)})
    quiet = np.array(data.draw(st.lists(st.booleans(), min_size=len(sizes) + 1, max_size=len(sizes) + 1)))
    frames = np.arange(1, len(sizes) + 1)
    for make in (ByCount, BySize, ByTime):

        def rule(make: type[ByCount | BySize | ByTime] = make) -> Cut:
            return make(limit)

        for new in (rule, lambda: QuietCut(rule(), quiet, 9)):
            pieces = []
            for bounds in ([0, len(sizes)], cuts):
                one = new()
                one.begin(int(ts[0]))
                pieces.append(
                    [
                        ordinal
                        for a, b in pairwise(bounds)
                        for ordinal in one.ordinals(frames[a:b], ts[a:b], np.array(sizes)[a:b], preamble).tolist()
                    ]
                )
            assert pieces[0] == pieces[1]
            assert all(before <= after for before, after in pairwise(pieces[0]))


def test_a_cut_waits_for_a_quiet_point_but_not_for_ever() -> None:
    frames = np.arange(1, 21)
    ts = sizes = np.ones(20, np.int64)
    quiet = np.zeros(21, bool)
    quiet[8] = True
    cut = QuietCut(ByCount(5), quiet, 6)
    assert cut.ordinals(frames, ts, sizes, 0).tolist() == [0] * 8 + [1] * 8 + [3] * 4


def test_sessions_are_kept(article: Path, tmp_path: Path) -> None:
    trace = analyze(article)
    quiet = quiet_points(trace)
    pieces = split([str(article)], str(tmp_path / "p.pcap"), QuietCut(ByCount(300), quiet, 20_000))
    assert len(pieces) > 3
    ends = np.cumsum([piece.packets for piece in pieces]).tolist()
    for call in trace.tables.calls:
        assert not any(call.first_frame <= end < call.last_frame for end in ends)
    for piece in pieces:
        part = analyze(piece.path)
        assert not any(connection.connection.bytes_missing[0] for connection in part.tables.connections)
        assert all(call.complete for call in part.tables.calls)


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 9)), max_size=8))
def test_merged_frames_are_the_same_frames(spans: list[tuple[int, int]]) -> None:
    ranges = [(first, first + more) for first, more in spans]
    merged = merge_frames(ranges)
    numbers = np.arange(1, 60)
    expected = [any(first <= n <= last for first, last in ranges) for n in numbers.tolist()]
    assert in_frames(merged, numbers).tolist() == expected
    assert all(one[1] + 1 < other[0] for one, other in pairwise(merged))


@pytest.mark.parametrize("text", ["", "x", "0", "5-3", "-3", "1-2-3", "٣"])
def test_what_is_no_range_of_frames(text: str) -> None:
    with pytest.raises(UsageError, match="no range of frames"):
        parse_frames([text])


def test_names_in_utc(source: Path, tmp_path: Path) -> None:
    pieces = split([str(source)], str(tmp_path / "p.pcap"), ByCount(100), utc=True)
    assert [Path(piece.path).name for piece in pieces] == ["p_00000_20200218042640.pcap"]


def test_large_ranges_and_the_way_through_memory_write_the_same(
    article: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pieces_of(name: str) -> list[bytes]:
        return [Path(p.path).read_bytes() for p in split([str(article)], str(tmp_path / name), ByCount(700))]

    usual = pieces_of("a.pcap")
    monkeypatch.delattr(os, "copy_file_range")
    assert pieces_of("b.pcap") == usual
    monkeypatch.setattr("glancetrace.edit.pieces._KERNEL_SIZE", 1 << 40)
    assert pieces_of("c.pcap") == usual


def test_many_open_pieces(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glancetrace.edit.pieces._MOST_OPEN", 2)
    with cf.open_reader(source) as captures, PieceWriter([str(source)]) as writer:
        for block, reader in captures.records():
            for row in range(len(block)):
                writer.write(str(tmp_path / f"p{row % 5}"), block, reader, np.array([row]))
    for number in range(5):
        assert (tmp_path / f"p{number}").read_bytes() == cf.pcap(PACKETS[number::5])


def test_a_full_disk_is_one_error(source: Path) -> None:
    with pytest.raises(GlancetraceError, match="No space left"):
        split([str(source)], "/dev/full")
