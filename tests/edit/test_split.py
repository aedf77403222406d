"""Cutting by count: as editcap does, in every format, and the pieces are the whole."""

from __future__ import annotations

import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from glancetrace.edit.split import split_by_count
from glancetrace.errors import GlancetraceError, InputError, UsageError
from glancetrace.issues import IssueLog
from tests.support import capture_files as cf

TS = cf.START * 1_000_000_000
PACKETS = [cf.Packet(TS + n * 300_000_000, bytes([n]) * (n + 40), n + 60) for n in range(25)]


@pytest.fixture(params=["UTC", "Asia/Kolkata"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.parametrize("count", [1, 7, 25, 1000])
@pytest.mark.parametrize("name", ["piece.pcap", "piece", "piece.pcap.old", ".piece", "dir.with.dots/piece"])
def test_names_and_bytes_are_those_of_editcap(tmp_path: Path, zone: str, count: int, name: str) -> None:
    source = tmp_path / "source.pcap"
    source.write_bytes(cf.pcap(PACKETS))
    ours, theirs = (tmp_path / who / name for who in ("ours", "theirs"))
    for output in (ours, theirs):
        output.parent.mkdir(parents=True)
    subprocess.run(["editcap", "-F", "pcap", "-c", str(count), str(source), str(theirs)], check=True)
    pieces = split_by_count([str(source)], str(ours), count)
    assert contents(ours.parent) == contents(theirs.parent)
    assert sorted(Path(piece.path).name for piece in pieces) == sorted(contents(ours.parent))
    assert sum(piece.packets for piece in pieces) == 25
    assert [piece.first_ts for piece in pieces] == [packet.ts for packet in PACKETS[::count]]


def test_a_real_capture_is_cut_as_editcap_does(tmp_path: Path) -> None:
    source = Path(__file__).parents[2] / "samples" / "article" / "article.pcap.gz"
    for who in ("ours", "theirs"):
        (tmp_path / who).mkdir()
    subprocess.run(["editcap", "-F", "pcap", "-c", "500", str(source), str(tmp_path / "theirs/a.pcap")], check=True)
    assert len(split_by_count([str(source)], str(tmp_path / "ours/a.pcap"), 500)) == 6
    assert contents(tmp_path / "ours") == contents(tmp_path / "theirs")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_pcap_keeps_order_and_resolution(tmp_path: Path, order: str, nanoseconds: bool) -> None:
    source = tmp_path / "a.pcap"
    source.write_bytes(cf.pcap(PACKETS, order, nanoseconds=nanoseconds))
    pieces = split_by_count([str(source)], str(tmp_path / "p.pcap"), 10)
    expected = [cf.pcap(PACKETS[start : start + 10], order, nanoseconds=nanoseconds) for start in (0, 10, 20)]
    assert [Path(piece.path).read_bytes() for piece in pieces] == expected


def test_pcapng_pieces_have_the_blocks_that_their_packets_need(tmp_path: Path) -> None:
    source = tmp_path / "a.pcapng"
    first = cf.section(length=4711) + cf.secrets(b"one") + cf.interface(link_type=1)
    second = cf.section(">") + cf.interface(">", link_type=113)
    unknown = cf.block(0x7777, b"no packet")
    packets = [cf.enhanced(packet) for packet in PACKETS[:6]]
    packets[2] = cf.secrets(b"two") + unknown + packets[2]
    last = cf.enhanced(PACKETS[6], ">")
    source.write_bytes(first + b"".join(packets) + second + last)
    pieces = split_by_count([str(source)], str(tmp_path / "p.pcapng"), 4)
    start = cf.section() + cf.secrets(b"one") + cf.interface(link_type=1)
    plain = [cf.enhanced(packet) for packet in PACKETS[:6]]
    assert [Path(piece.path).read_bytes() for piece in pieces] == [
        start + plain[0] + plain[1] + cf.secrets(b"two") + plain[2] + plain[3],
        start + cf.secrets(b"two") + plain[4] + plain[5] + second + last,
    ]
    for piece in pieces:
        subprocess.run(["capinfos", piece.path], check=True, capture_output=True)
    assert cf.read([piece.path for piece in pieces]).rows == cf.read([source]).rows


@pytest.mark.parametrize("name", sorted(cf.COMPRESSIONS))
def test_compressed_input_gives_plain_pieces(tmp_path: Path, name: str) -> None:
    source = tmp_path / "a"
    source.write_bytes(cf.COMPRESSIONS[name](cf.pcap(PACKETS)))
    pieces = split_by_count([str(source)], str(tmp_path / "p.pcap"), 20)
    assert [Path(piece.path).read_bytes() for piece in pieces] == [cf.pcap(PACKETS[:20]), cf.pcap(PACKETS[20:])]


def test_standard_input(tmp_path: Path) -> None:
    code = f"from glancetrace.edit.split import split_by_count as s; s(['-'], {str(tmp_path / 'p.pcap')!r}, 20)"
    subprocess.run([sys.executable, "-c", code], input=cf.pcap(PACKETS), check=True, cwd=Path(__file__).parents[2])
    assert sorted(contents(tmp_path).values()) == sorted([cf.pcap(PACKETS[:20]), cf.pcap(PACKETS[20:])])


def test_several_captures_and_a_change_of_the_header(tmp_path: Path) -> None:
    for name, packets, link_type in (("a", PACKETS[:5], 1), ("b", PACKETS[5:10], 1), ("c", PACKETS[10:12], 101)):
        (tmp_path / name).write_bytes(cf.pcap(packets, link_type=link_type))
    pieces = split_by_count([str(tmp_path / name) for name in "bca"], str(tmp_path / "p.pcap"), 8)
    assert [Path(piece.path).read_bytes() for piece in pieces] == [
        cf.pcap(PACKETS[:8]),
        cf.pcap(PACKETS[8:10]),
        cf.pcap(PACKETS[10:12], link_type=101),
    ]


def test_a_capture_without_packets_gives_one_piece_as_with_editcap(tmp_path: Path) -> None:
    source = tmp_path / "a.pcap"
    source.write_bytes(cf.pcap([]))
    subprocess.run(["editcap", "-F", "pcap", "-c", "5", str(source), str(tmp_path / "theirs.pcap")], check=True)
    (piece,) = split_by_count([str(source)], str(tmp_path / "ours.pcap"), 5)
    assert (piece.packets, piece.first_ts) == (0, None)
    assert (tmp_path / "ours.pcap").read_bytes() == (tmp_path / "theirs.pcap").read_bytes()


def test_damaged_bytes_are_left_out_and_counted(tmp_path: Path) -> None:
    records = [cf.pcap_record(packet) for packet in PACKETS]
    records[3] = records[3][:8] + struct.pack("<I", 0xFFFFFFF0) + records[3][12:]
    source = tmp_path / "a.pcap"
    source.write_bytes(cf.pcap_header() + b"".join(records) + b"cut")
    issues = IssueLog()
    (piece,) = split_by_count([str(source)], str(tmp_path / "p.pcap"), 100, issues=issues)
    assert Path(piece.path).read_bytes() == cf.pcap(PACKETS[:3] + PACKETS[4:])
    assert [issue.kind for issue in issues.rows()] == ["capture-damaged", "capture-cut-short"]


def test_the_input_is_never_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = cf.pcap(PACKETS)
    (tmp_path / "a.pcap").write_bytes(data)
    (piece, *_) = split_by_count(["a.pcap"], "p.pcap", 10)
    whole = Path(piece.path)
    whole.write_bytes(data)
    for path in (str(whole), str(tmp_path / whole)):
        with pytest.raises(UsageError, match="overwrite the input"):
            split_by_count([path], "p.pcap", 10)
    (tmp_path / "empty.pcap").write_bytes(cf.pcap([]))
    with pytest.raises(UsageError, match="overwrite the input"):
        split_by_count(["empty.pcap"], "empty.pcap", 10)
    assert whole.read_bytes() == data


def test_what_cannot_be_done_is_one_error(tmp_path: Path) -> None:
    source = tmp_path / "a.pcap"
    source.write_bytes(cf.pcap(PACKETS))
    with pytest.raises(UsageError, match="at least one packet"):
        split_by_count([str(source)], str(tmp_path / "p"), 0)
    with pytest.raises(UsageError, match="standard output"):
        split_by_count([str(source)], "-", 5)
    with pytest.raises(GlancetraceError, match="cannot be written"):
        split_by_count([str(source)], str(tmp_path / "missing" / "p"), 5)
    with pytest.raises(InputError, match="no such file"):
        split_by_count([str(tmp_path / "missing")], str(tmp_path / "p"), 5)
