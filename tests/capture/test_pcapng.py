"""Blocks of pcapng that change how packets are read."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.support import capture_files as cf

TS = 1_582_000_000_123_456_000


def read(tmp_path: Path, *parts: bytes, block_size: int = 1 << 20) -> cf.Read:
    path = tmp_path / "a.pcapng"
    path.write_bytes(b"".join(parts))
    return cf.read([path], block_size)


@pytest.mark.parametrize("block_size", [1, 50, 10_000])
def test_sections_and_interfaces_each_have_their_own_rules(tmp_path: Path, block_size: int) -> None:
    packet = cf.Packet(TS, b"data!")
    found = read(
        tmp_path,
        cf.section("<"),
        cf.interface("<", link_type=1),
        cf.interface("<", link_type=113, tsresol=9, tsoffset=-3600),
        cf.enhanced(packet, "<", number=1, ticks=TS + 3600 * 10**9),
        cf.enhanced(packet, "<", number=0),
        cf.obsolete(packet, "<", number=1),
        cf.simple(packet, "<"),
        cf.section(">"),
        cf.interface(">", link_type=276, tsresol=0x80 | 32),
        cf.enhanced(packet, ">", ticks=(TS // 10**9 << 32) + (1 << 31)),
        cf.interface(">", link_type=0, tsresol=3),
        cf.enhanced(packet, ">", number=1, ticks=TS // 10**6),
        block_size=block_size,
    )
    assert [(ts, link_type) for _, ts, link_type, _, _ in found.rows] == [
        (TS, 113),
        (TS, 1),
        (TS // 10**3 - 3600 * 10**9, 113),
        (TS // 10**3 - 3600 * 10**9, 1),
        (TS // 10**9 * 10**9 + 500_000_000, 276),
        (TS // 10**6 * 10**6, 0),
    ]
    assert {data for _, _, _, data, _ in found.rows} == {b"data!"}
    assert found.reader.link_types == [113, 1, 276, 0]
    assert found.reader.files[0].format == "pcapng"


@pytest.mark.parametrize(
    ("tsresol", "ticks", "ns"),
    [
        (0, 1_582_000_000, 1_582_000_000 * 10**9),
        (6, TS // 1000, TS),
        (9, TS + 1, TS + 1),
        (10, (TS + 1) * 10 + 9, TS + 1),
        (0x80, 5, 5 * 10**9),
        (0x8A, 1025, 10**9 + 10**9 // 1024),
        (0x80 | 34, (1_582_000_000 << 30) + (1 << 29), (1_582_000_000 * 10**9 + 500_000_000) // 16),
    ],
)
def test_time_resolutions(tmp_path: Path, tsresol: int, ticks: int, ns: int) -> None:
    packet = cf.enhanced(cf.Packet(0, b""), ticks=ticks)
    found = read(tmp_path, cf.section(), cf.interface(tsresol=tsresol), packet)
    assert found.rows[0][1] == ns


def test_a_simple_packet_is_cut_by_the_snaplen(tmp_path: Path) -> None:
    cut = cf.block(3, struct.pack("<I", 100) + b"12345678")
    found = read(tmp_path, cf.section(), cf.interface(snaplen=6), cut)
    assert found.rows == [(1, 0, 1, b"123456", 100)]


def test_secrets_and_names_are_kept_and_unknown_blocks_counted(tmp_path: Path) -> None:
    names = struct.pack("<HH", 1, 13) + bytes([10, 0, 0, 1]) + b"ctrl.lab\0" + bytes(3)
    names += struct.pack("<HH", 2, 20) + bytes(15) + b"\1lo\0\0" + struct.pack("<HH", 0, 0)
    found = read(
        tmp_path,
        cf.section(),
        cf.secrets(b"CLIENT_RANDOM a b"),
        cf.interface(),
        cf.block(4, names),
        cf.block(0x7777, b"what is this"),
        cf.block(0xBAD, b"\0\0\0\1custom"),
        cf.enhanced(cf.Packet(TS, b"x")),
        cf.secrets(b"more"),
        cf.block(5, bytes(12)),
    )
    assert found.reader.secrets == [(0x544C534B, b"CLIENT_RANDOM a b"), (0x544C534B, b"more")]
    assert found.reader.names == {"10.0.0.1": "ctrl.lab", "::1": "lo"}
    assert found.issues == {"capture-block-unknown": 1}
    assert len(found.rows) == 1


def test_reading_goes_on_behind_a_damaged_block(tmp_path: Path) -> None:
    packets = [cf.enhanced(cf.Packet(TS, bytes([n]) * 50)) for n in range(20)]
    packets[7] = packets[7][:10] + packets[7][30:]
    parts = [cf.section(), cf.interface(), *packets]
    found = read(tmp_path, *parts)
    assert [row[3][:1] for row in found.rows] == [bytes([n]) for n in range(20) if n != 7]
    assert found.issues == {"capture-damaged": 1}
    assert found.rows == read(tmp_path, *parts, block_size=10).rows


@pytest.mark.parametrize("total", [0, 1, 11, 13, 0xFFFFFFFF, 1 << 30])
@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5, 6, 10, 0x0A0D0D0A, 99])
def test_absurd_block_lengths(tmp_path: Path, kind: int, total: int) -> None:
    good = cf.enhanced(cf.Packet(TS, b"good"))
    bad = struct.pack("<II", kind, total) + bytes(24)
    found = read(tmp_path, cf.section(), cf.interface(), good, bad, good, good)
    assert len(found.rows) == 3
    assert found.issues == {"capture-damaged": 1}


def test_packets_without_a_time_are_told_of_once(tmp_path: Path) -> None:
    packets = [cf.Packet(cf.START * 10**9 + n, bytes(60)) for n in range(5)]
    path = tmp_path / "a.pcapng"
    body = cf.enhanced(packets[0]) + cf.simple(packets[1]) + cf.simple(packets[2]) + cf.enhanced(packets[3])
    path.write_bytes(cf.section() + cf.interface() + body)
    for block_size in (64, 1 << 20):
        found = cf.read([path], block_size)
        assert found.issues == {"time-missing": 1}
        assert [ts for _frame, ts, *_ in found.rows] == [packets[0].ts // 1000 * 1000] * 3 + [
            packets[3].ts // 1000 * 1000
        ]
