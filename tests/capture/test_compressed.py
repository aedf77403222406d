"""What the compression formats allow beyond one plain stream."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from glancetrace.capture.inputs import open_captures
from glancetrace.issues import IssueLog
from tests.support import capture_files as cf

PACKETS = [cf.Packet(cf.START * 1_000_000_000 + n, os.urandom(20) * 50) for n in range(3000)]
WHOLE = cf.pcap(PACKETS)


def count(tmp_path: Path, data: bytes) -> tuple[int, dict[str, int]]:
    path = tmp_path / "a"
    path.write_bytes(data)
    found = cf.read([path], 500_000)
    assert [row[3] for row in found.rows] == [packet.data for packet in PACKETS[: len(found.rows)]]
    return len(found.rows), found.issues


@pytest.mark.parametrize("name", sorted(cf.COMPRESSIONS))
def test_several_members_are_one_stream(tmp_path: Path, name: str) -> None:
    compress = cf.COMPRESSIONS[name]
    pieces = [WHOLE[start : start + 1_100_000] for start in range(0, len(WHOLE), 1_100_000)]
    assert len(pieces) > 2
    assert count(tmp_path, b"".join(compress(piece) for piece in pieces)) == (3000, {})
    assert count(tmp_path, compress(pieces[0]) + bytes(8) + compress(b"".join(pieces[1:])) + bytes(512)) == (3000, {})


@pytest.mark.parametrize("name", sorted(cf.COMPRESSIONS))
def test_what_follows_the_stream_is_reported(tmp_path: Path, name: str) -> None:
    assert count(tmp_path, cf.COMPRESSIONS[name](WHOLE) + b"garbage") == (3000, {"capture-damaged": 1})


@pytest.mark.parametrize("name", sorted(cf.COMPRESSIONS))
def test_a_stream_cut_in_the_middle_gives_what_is_there(tmp_path: Path, name: str) -> None:
    compressed = cf.COMPRESSIONS[name](WHOLE)
    packets, issues = count(tmp_path, compressed[: len(compressed) * 2 // 3])
    assert 1000 < packets < 3000
    assert issues == {"capture-cut-short": 1}


def test_reading_may_stop_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(WHOLE * 5, 1))
    with open_captures([str(path)], IssueLog(), block_size=1000) as reader:
        assert len(next(iter(reader))) >= 0
