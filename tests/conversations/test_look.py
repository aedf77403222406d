"""The quick look, on captures built in the test and against what is known of a sample."""

from __future__ import annotations

import ipaddress
import struct
from pathlib import Path

import pytest

from glancetrace.conversations import Conversation, look
from glancetrace.errors import InputError
from tests.support.samples import capture_path

SYN, ACK = 2, 16
PORTS = {9292: "glance", 3306: "mysql"}
S = 1_000_000_000


def segment(src: str, sport: int, dst: str, dport: int, flags: int = ACK, payload: bytes = b"") -> bytes:
    """An Ethernet frame with a TCP segment."""
    source, target = ipaddress.ip_address(src), ipaddress.ip_address(dst)
    tcp = struct.pack(">HHIIBBHHH", sport, dport, 1, 1, 5 << 4, flags, 1000, 0, 0) + payload
    if source.version == 4:
        header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0)
        return b"\0" * 12 + b"\x08\x00" + header + source.packed + target.packed + tcp
    header = struct.pack(">IHBB", 6 << 28, len(tcp), 6, 64)
    return b"\0" * 12 + b"\x86\xdd" + header + source.packed + target.packed + tcp


def write_capture(path: Path, packets: list[bytes]) -> str:
    """One packet per second, from the epoch's second 1 on."""
    records = b"".join(
        struct.pack("<IIII", second, 0, len(packet), len(packet)) + packet for second, packet in enumerate(packets, 1)
    )
    path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1) + records)
    return str(path)


def test_both_directions_and_all_clients_of_a_server_are_one_row(tmp_path: Path) -> None:
    packets = [
        segment("10.0.0.1", 40000, "10.0.0.9", 9292, SYN),
        segment("10.0.0.9", 9292, "10.0.0.1", 40000, SYN | ACK),
        segment("10.0.0.1", 40000, "10.0.0.9", 9292, payload=b"x" * 100),
        segment("10.0.0.9", 9292, "10.0.0.1", 40000, payload=b"y" * 50),
        segment("10.0.0.2", 40000, "10.0.0.9", 9292, payload=b"z"),
        segment("10.0.0.2", 40001, "10.0.0.9", 9292, payload=b"z"),
    ]
    found = look([write_capture(tmp_path / "c.pcap", packets)], PORTS)
    assert found.conversations == [Conversation(("10.0.0.9", 9292), "glance", 2, 3, 6, 152, S, 6 * S)]
    assert (found.packets, found.segments, found.first_ts, found.last_ts) == (6, 6, S, 6 * S)


@pytest.mark.parametrize(
    ("packets", "server"),
    [
        ([segment("10.0.0.1", 80, "10.0.0.2", 50000, SYN)], ("10.0.0.2", 50000)),
        ([segment("10.0.0.2", 50000, "10.0.0.1", 80, SYN | ACK)], ("10.0.0.2", 50000)),
        ([segment("10.0.0.1", 3306, "10.0.0.2", 80)], ("10.0.0.1", 3306)),
        ([segment("10.0.0.1", 8080, "10.0.0.2", 40000)], ("10.0.0.1", 8080)),
        ([segment("2001:db8::1", 40000, "2001:db8::2", 443)], ("2001:db8::2", 443)),
    ],
    ids=["syn", "syn-ack", "configured port", "lower port", "ipv6"],
)
def test_who_the_server_is(tmp_path: Path, packets: list[bytes], server: tuple[str, int]) -> None:
    (row,) = look([write_capture(tmp_path / "c.pcap", packets)], PORTS).conversations
    assert row.server == server


def test_what_is_no_tcp_is_counted(tmp_path: Path) -> None:
    packets = [b"\0" * 12 + b"\x08\x06" + b"\0" * 28, segment("10.0.0.1", 1, "10.0.0.2", 2)]
    found = look([write_capture(tmp_path / "c.pcap", packets)], PORTS)
    assert found.ignored == {"arp": 1}
    assert found.packets == found.segments + sum(found.ignored.values()) + found.malformed


def test_the_answer_does_not_depend_on_blocks() -> None:
    path = str(capture_path("article"))
    whole = look([path], PORTS)
    assert look([path], PORTS, block_size=8192) == whole
    assert sum(row.packets for row in whole.conversations) == whole.segments
    assert [row.server[1] for row in whole.conversations if row.service == "mysql"] == [3306]


def test_an_empty_capture(tmp_path: Path) -> None:
    found = look([write_capture(tmp_path / "c.pcap", [])], PORTS)
    assert (found.packets, found.first_ts, found.conversations) == (0, None, [])


def test_what_is_no_capture() -> None:
    with pytest.raises(InputError):
        look([__file__], PORTS)
