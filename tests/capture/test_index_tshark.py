"""The packet index against tshark: the same segments out of every link type and IP variant, all in one capture."""

from __future__ import annotations

import ipaddress
import subprocess
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_Timestamp, fragment
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
    fragment6,
)
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.packet import Packet as ScapyPacket
from scapy.packet import Raw

from tests.support import capture_files as cf

FIELDS = (
    "frame.number",
    "frame.time_epoch",
    "ip.src",
    "ipv6.src",
    "tcp.srcport",
    "ip.dst",
    "ipv6.dst",
    "tcp.dstport",
    "tcp.seq_raw",
    "tcp.ack_raw",
    "tcp.flags",
    "tcp.payload",
    "tcp.len",
)
V4 = IP(src="10.0.0.1", dst="10.0.0.2")
V6 = IPv6(src="2001:db8::1", dst="2001:db8:0:1::2")
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


def tcp(number: int, payload: bytes = b"", **fields: object) -> ScapyPacket:
    segment = TCP(sport=40000 + number, dport=3306, seq=0xFFFFFFF0 + number % 16, ack=7 * number, flags="PA", **fields)
    return segment / Raw(payload) if payload else segment


def big_endian_sll(protocol: int) -> bytes:
    return b"\0\0\x03\x04\0\6\0\0\0\0\0\0\0\0" + protocol.to_bytes(2, "big")


def sll2(protocol: int) -> bytes:
    return protocol.to_bytes(2, "big") + b"\0\0\0\0\0\1\x03\x04\0\6\0\0\0\0\0\0\0\0"


def ip_fragments(number: int, identification: int) -> list[bytes]:
    whole = IP(src="10.0.0.1", dst="10.0.0.2", id=identification) / tcp(number, bytes(range(256)) * 9)
    return [bytes(ETHER / part) for part in fragment(whole, fragsize=800)]


def ipv6_fragments(number: int) -> list[bytes]:
    whole = V6 / IPv6ExtHdrFragment(id=number) / tcp(number, bytes(range(256)) * 12)
    return [bytes(ETHER / part) for part in fragment6(whole, 1280)]


def ethernet_cases() -> list[bytes]:
    without_length = V4 / tcp(9, b"segmentation offload")
    without_length[IP].len = 0
    first, second, third = ip_fragments(21, 77)
    padded = bytes(ETHER / V4 / tcp(1))
    return [
        bytes(ETHER / V4 / tcp(0, b"plain")),
        padded + bytes(60 - len(padded)),
        bytes(ETHER / V4 / tcp(2, b"tcp options", options=[("MSS", 1460), ("NOP", None), ("Timestamp", (1, 2))])),
        bytes(ETHER / IP(src="10.0.0.1", dst="10.0.0.3", options=[IPOption_Timestamp()]) / tcp(3, b"ip options")),
        bytes(ETHER / Dot1Q(vlan=7) / V4 / tcp(4, b"vlan")),
        bytes(ETHER / Dot1AD(vlan=7) / Dot1Q(vlan=8) / V4 / tcp(5, b"qinq")),
        bytes(ETHER / Dot1Q(vlan=7) / Dot1Q(vlan=8) / Dot1Q(vlan=9) / V6 / tcp(6, b"three tags")),
        bytes(ETHER / V6 / tcp(7, b"ipv6")),
        bytes(ETHER / V4 / UDP(sport=53, dport=53) / b"x"),
        bytes(ETHER / ARP(psrc="10.0.0.1", pdst="10.0.0.2")),
        bytes(ETHER / V4 / ICMP()),
        bytes(ETHER / without_length),
        bytes(ETHER / V6 / IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0\0\0\0")]) / tcp(11, b"hop by hop")),
        bytes(
            ETHER
            / V6
            / IPv6ExtHdrHopByHop()
            / IPv6ExtHdrDestOpt()
            / IPv6ExtHdrRouting(addresses=["2001:db8::9"], segleft=0)
            / tcp(12, b"chain")
        ),
        third,
        first,
        bytes(ETHER / V4 / tcp(13, b"between fragments")),
        second,
        *ipv6_fragments(22),
        bytes(ETHER / V4 / tcp(14)),
    ]


OTHER_LINK_TYPES = {
    113: [
        big_endian_sll(0x0800) + bytes(V4 / tcp(30, b"sll")),
        big_endian_sll(0x8100) + b"\0\7\x08\0" + bytes(V4 / tcp(31, b"sll, vlan")),
        big_endian_sll(0x86DD) + bytes(V6 / tcp(32, b"sll, v6")),
    ],
    276: [sll2(0x0800) + bytes(V4 / tcp(33, b"sll2")), sll2(0x86DD) + bytes(V6 / tcp(34, b"sll2, v6"))],
    0: [
        b"\2\0\0\0" + bytes(V4 / tcp(35, b"null, little-endian")),
        b"\0\0\0\2" + bytes(V4 / tcp(36, b"null, big-endian")),
        b"\x1e\0\0\0" + bytes(V6 / tcp(37, b"null, v6 of macOS")),
    ],
    108: [b"\0\0\0\2" + bytes(V4 / tcp(38, b"loop")), b"\0\0\0\x18" + bytes(V6 / tcp(39, b"loop, v6 of OpenBSD"))],
    101: [bytes(V4 / tcp(40, b"raw")), bytes(V6 / tcp(41, b"raw, v6"))],
    228: [bytes(V4 / tcp(42, b"ipv4"))],
    229: [bytes(V6 / tcp(43, b"ipv6"))],
    147: [b"of a link type that nobody knows"],
}


def as_tshark_sees_it(path: Path) -> list[tuple[object, ...]]:
    command = ["tshark", "-r", str(path), "-Y", "tcp", "-T", "fields", "-E", "occurrence=f"]
    command += [argument for field in FIELDS for argument in ("-e", field)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows: list[tuple[object, ...]] = []
    for line in output.splitlines():
        frame, epoch, src4, src6, sport, dst4, dst6, dport, seq, ack, flags, payload, length = line.split("\t")
        seconds, fraction = epoch.split(".")
        rows.append(
            (
                int(frame),
                int(seconds) * 1_000_000_000 + int(fraction.ljust(9, "0")),
                ipaddress.ip_address(src6 or src4).packed,
                int(sport),
                ipaddress.ip_address(dst6 or dst4).packed,
                int(dport),
                int(seq),
                int(ack),
                int(flags, 16) & 0xFF,
                bytes.fromhex(payload),
                int(length),
            )
        )
    return rows


@pytest.fixture(scope="module")
def mixed_capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cases = [(1, data) for data in ethernet_cases()]
    # Link types alternate, so that blocks hold several.
    others = [(link_type, data) for link_type, packets in OTHER_LINK_TYPES.items() for data in packets]
    for index, other in enumerate(others):
        cases.insert(2 * index, other)
    numbers = {link_type: number for number, link_type in enumerate((1, *OTHER_LINK_TYPES))}
    parts = [cf.section(), *(cf.interface(link_type=link_type, tsresol=9) for link_type in numbers)]
    for index, (link_type, data) in enumerate(cases):
        ts = cf.START * 1_000_000_000 + index * 1_001
        parts.append(cf.enhanced(cf.Packet(ts, data), number=numbers[link_type], ticks=ts))
    path = tmp_path_factory.mktemp("mixed") / "mixed.pcapng"
    path.write_bytes(b"".join(parts))
    return path


def test_segments_are_those_of_tshark(mixed_capture: Path) -> None:
    expected = as_tshark_sees_it(mixed_capture)
    assert len(expected) >= 25
    found = cf.index([mixed_capture])
    assert found.segments == expected
    assert found.ignored == {"udp": 1, "arp": 1, "icmp": 1, "fragment": 4, "link-type": 1}
    assert found.malformed == 0
    assert found.issues == {"link-type-unsupported": 1}


@pytest.mark.parametrize("block_size", [1, 333, 2000])
def test_segments_do_not_depend_on_blocks(mixed_capture: Path, block_size: int) -> None:
    assert cf.index([mixed_capture], block_size) == cf.index([mixed_capture])


def test_a_real_capture_is_read_as_tshark_reads_it() -> None:
    path = Path(__file__).parents[2] / "samples" / "article" / "article.pcap.gz"
    assert cf.index([path]).segments == as_tshark_sees_it(path)


def test_ipv6_without_a_length_is_read_to_the_end_of_the_packet(tmp_path: Path) -> None:
    """What segmentation offload looks like before the card: tshark leaves such packets undecoded."""
    packet = V6 / tcp(10, bytes(3000))
    packet[IPv6].plen = 0
    path = tmp_path / "offload.pcap"
    path.write_bytes(cf.pcap([cf.Packet(0, bytes(ETHER / packet))]))
    assert cf.index([path]).segments[0][9:] == (bytes(3000), 3000)


def test_captured_and_wire_lengths_of_cut_packets(tmp_path: Path) -> None:
    whole = bytes(ETHER / V4 / tcp(1, bytes(1000)))
    cuts = [len(whole), 500, 54, 45, 20, 10]
    packets = [cf.Packet(cf.START * 1_000_000_000 + cut, whole[:cut], len(whole)) for cut in cuts]
    path = tmp_path / "cut.pcap"
    path.write_bytes(cf.pcap(packets))
    found = cf.index([path])
    assert [(row[0], len(row[9]), row[10]) for row in found.segments] == [(1, 1000, 1000), (2, 446, 1000), (3, 0, 1000)]  # type: ignore[arg-type]
    assert found.malformed == 3
    assert found.issues == {"packet-truncated": 2, "packet-malformed": 3, "time-backwards": 5}
