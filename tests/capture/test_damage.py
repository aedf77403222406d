"""Damaged pcap files: reading goes on at the next record that makes sense."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import capture_files as cf

TS = cf.START * 1_000_000_000
PACKETS = [cf.Packet(TS + n * 1_000_000, bytes([n]) * (60 + n)) for n in range(40)]


def write(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "a.pcap"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("order", ["<", ">"])
def test_an_absurd_length_is_stepped_over(tmp_path: Path, order: str) -> None:
    records = [cf.pcap_record(packet, order) for packet in PACKETS]
    records[10] = records[10][:8] + struct.pack(order + "I", 0x7FFFFFFF) + records[10][12:]
    path = write(tmp_path, cf.pcap_header(order) + b"".join(records))
    found = cf.read([path])
    assert [row[3] for row in found.rows] == [packet.data for packet in PACKETS[:10] + PACKETS[11:]]
    assert [row[0] for row in found.rows] == list(range(1, 40))
    assert found.issues == {"capture-damaged": 1}
    assert cf.read([path], 7).rows == found.rows


def test_a_length_of_zero_costs_one_packet(tmp_path: Path) -> None:
    """The packet's bytes are read as a header of 1970 whose lengths are possible, but nothing sound follows."""
    header = struct.pack("<IIII", 5, 6, 40, 40) + b"\xff" * 60
    records = [cf.pcap_record(packet) for packet in PACKETS]
    records[10] = records[10][:8] + struct.pack("<I", 0) + records[10][12:16] + header
    found = cf.read([write(tmp_path, cf.pcap_header() + b"".join(records))])
    assert [row[3] for row in found.rows if row[3]] == [packet.data for packet in PACKETS[:10] + PACKETS[11:]]
    assert found.reader.first_ts == TS
    assert found.issues == {"capture-damaged": 1}


def test_missing_bytes_cost_only_the_packets_around_them(tmp_path: Path) -> None:
    whole = cf.pcap(PACKETS)
    place = len(cf.pcap(PACKETS[:20])) + 30
    found = cf.read([write(tmp_path, whole[:place] + whole[place + 500 :])])
    assert [row[3] for row in found.rows][:20] == [packet.data for packet in PACKETS[:20]]
    assert [row[3] for row in found.rows][-10:] == [packet.data for packet in PACKETS[-10:]]
    assert found.issues == {"capture-damaged": 1}


def test_a_tail_of_zeros_is_no_packets(tmp_path: Path) -> None:
    found = cf.read([write(tmp_path, cf.pcap(PACKETS) + bytes(100_000))])
    assert len(found.rows) == len(PACKETS)
    assert found.issues == {"capture-damaged": 1}


def test_what_real_writers_produce_is_no_damage(tmp_path: Path) -> None:
    packets = [cf.Packet(TS, bytes(300), 200), cf.Packet(0, b"", 60), cf.Packet(TS, bytes(70_000))]
    found = cf.read([write(tmp_path, cf.pcap(packets, snaplen=96))])
    assert [(len(row[3]), row[4]) for row in found.rows] == [(300, 200), (0, 60), (70_000, 70_000)]
    assert set(found.issues) == {"time-backwards"}


def test_the_link_type_is_masked(tmp_path: Path) -> None:
    found = cf.read([write(tmp_path, cf.pcap(PACKETS[:1], link_type=1 | 0x24000000))])
    assert found.reader.link_types == [1]


def test_the_modified_format_has_longer_record_headers(tmp_path: Path) -> None:
    header = b"\x34\xcd\xb2\xa1" + cf.pcap_header()[4:]
    records = b"".join(cf.pcap_record(p)[:16] + bytes(8) + p.data for p in PACKETS)
    assert cf.read([write(tmp_path, header + records)]).rows == cf.read([write(tmp_path, cf.pcap(PACKETS))]).rows


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=4000), st.sampled_from([cf.pcap_header(), cf.section() + cf.interface()]), st.integers(1, 900)
)
def test_random_bytes_after_the_header(tmp_path: Path, junk: bytes, header: bytes, block_size: int) -> None:
    path = write(tmp_path, header + junk)
    found = cf.index([path])
    assert found == cf.index([path], block_size)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.binary(max_size=90), max_size=12),
    st.sampled_from([0, 1, 101, 108, 113, 228, 229, 276]),
    st.binary(max_size=40),
)
def test_random_packets_are_counted_once(tmp_path: Path, tails: list[bytes], link_type: int, start: bytes) -> None:
    packets = [cf.Packet(TS, start + tail, len(start + tail) + 3) for tail in tails]
    path = write(tmp_path, cf.pcap(packets, link_type=link_type))
    found = cf.index([path])
    assert found.packets == len(packets)
    assert found == cf.index([path], 100)
