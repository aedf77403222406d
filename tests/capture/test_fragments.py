"""Reassembly of IP fragments."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.packet import Packet as ScapyPacket
from scapy.packet import Raw

from tests.support import capture_files as cf

SECOND = 1_000_000_000
PAYLOAD = bytes(range(256)) * 8


def datagram(identification: int, payload: bytes = PAYLOAD) -> list[bytes]:
    whole = IP(src="10.0.0.1", dst="10.0.0.2", id=identification) / TCP(sport=1, dport=3306, seq=5) / Raw(payload)
    return [bytes(part) for part in fragment(whole, fragsize=400)]


def index(tmp_path: Path, packets: list[tuple[float, bytes]], block_size: int = 1 << 20) -> cf.Indexed:
    path = tmp_path / "a.pcap"
    start = cf.START * SECOND
    path.write_bytes(cf.pcap([cf.Packet(start + int(at * SECOND), data) for at, data in packets], link_type=101))
    return cf.index([path], block_size)


def payloads(found: cf.Indexed) -> list[object]:
    return [segment[9] for segment in found.segments]


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(range(6)), st.permutations(range(6)), st.integers(1, 1000))
def test_any_order_of_two_datagrams(tmp_path: Path, first: list[int], second: list[int], block_size: int) -> None:
    parts = datagram(1), datagram(2, PAYLOAD[::-1])
    packets = [(0.0, parts[which][order[n]]) for n in range(6) for which, order in ((0, first), (1, second))]
    found = index(tmp_path, packets, block_size)
    assert payloads(found) == [PAYLOAD, PAYLOAD[::-1]]
    assert [segment[0] for segment in found.segments] == [11, 12]
    assert found.ignored == {"fragment": 10}
    assert found.issues == {}


def test_a_missing_fragment_is_reported(tmp_path: Path) -> None:
    found = index(tmp_path, [(0, part) for part in datagram(1)[1:]])
    assert found.segments == []
    assert found.ignored == {"fragment": 5}
    assert found.issues == {"fragment-incomplete": 5}


def test_packets_seen_twice_give_one_datagram(tmp_path: Path) -> None:
    twice = [(0.0, part) for part in datagram(1) for _ in range(2)]
    found = index(tmp_path, twice)
    assert payloads(found) == [PAYLOAD]
    assert found.issues == {}


def test_a_reused_identification_does_not_mix_datagrams(tmp_path: Path) -> None:
    old, new = datagram(1), datagram(1, PAYLOAD[::-1])
    packets = [(0.0, part) for part in old[:3]] + [(31.0, part) for part in new] + [(31.5, part) for part in old]
    found = index(tmp_path, packets)
    assert payloads(found) == [PAYLOAD[::-1], PAYLOAD]
    assert found.issues == {"fragment-incomplete": 3}


def test_a_cut_fragment_completes_nothing(tmp_path: Path) -> None:
    parts = datagram(1)
    parts[2] = parts[2][:100]
    found = index(tmp_path, [(0, part) for part in parts])
    assert found.segments == []
    assert found.issues == {"fragment-incomplete": 6}


def test_fragments_of_other_protocols_and_beyond_the_end(tmp_path: Path) -> None:
    whole: ScapyPacket = IP(src="10.0.0.1", dst="10.0.0.2", id=3) / UDP(sport=1, dport=2) / Raw(PAYLOAD)
    parts = [bytes(part) for part in fragment(whole, fragsize=800)]
    beyond = bytes(IP(src="10.0.0.1", dst="10.0.0.2", id=4, frag=8191, proto=6) / Raw(bytes(100)))
    found = index(tmp_path, [(0, part) for part in [*parts, beyond]])
    assert found.ignored == {"fragment": len(parts) - 1, "udp": 1}
    assert found.malformed == 1
    assert found.issues == {"packet-malformed": 1}
