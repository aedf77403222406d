"""A capture of packets that nobody wants: UDP, ARP, and thousands of TCP connections of other protocols."""

from __future__ import annotations

import random
import struct
from typing import BinaryIO

__all__ = ["write_unwanted"]

_PORTS = (22, 443, 5672, 6379, 11211)
_LIVE = 2000
_BATCH = 10_000


def write_unwanted(out: BinaryIO, packets: int, seed: int = 1) -> None:
    """Write a capture of so many packets: 40 % UDP, 45 % TCP, 15 % ARP; microsecond pcap, Ethernet."""
    chance = random.Random(seed)
    out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
    ts = 1_600_000_000 * 10**6
    live: list[_Connection] = []
    batch: list[bytes] = []
    for _ in range(packets):
        ts += chance.randrange(50)
        kind = chance.random()
        if kind < 0.4:
            ports = struct.pack(">HHHH", chance.randrange(1024, 65536), 53, 28, 0)
            frame = _ip(17, *_addresses(chance), ports + bytes(20))
        elif kind < 0.85:
            frame = _tcp(chance, live)
        else:
            frame = bytes(12) + b"\x08\x06" + bytes(46)
        batch.append(struct.pack("<IIII", ts // 10**6, ts % 10**6, len(frame), len(frame)) + frame)
        if len(batch) == _BATCH:
            out.write(b"".join(batch))
            batch.clear()
    out.write(b"".join(batch))


class _Connection:
    def __init__(self, chance: random.Random) -> None:
        self.source, self.target = _addresses(chance)
        self.ports = (chance.randrange(32768, 60000), chance.choice(_PORTS))
        self.sequence = chance.randrange(1 << 32)


def _addresses(chance: random.Random) -> tuple[bytes, bytes]:
    return bytes([10, 0, chance.randrange(64), chance.randrange(256)]), bytes([10, 1, 0, chance.randrange(256)])


def _ip(protocol: int, source: bytes, target: bytes, payload: bytes) -> bytes:
    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0x4000, 64, protocol, 0)
    return bytes(12) + b"\x08\x00" + header + source + target + payload


def _tcp(chance: random.Random, live: list[_Connection]) -> bytes:
    """A SYN of a new connection now and then, else data of one that is open."""
    opens = len(live) < _LIVE or chance.random() < 0.03
    connection = _Connection(chance) if opens else chance.choice(live)
    flags, data = (2, b"") if opens else (0x18, chance.randbytes(200))
    sequence = connection.sequence
    connection.sequence = (sequence + len(data) + opens) % 2**32
    if opens:
        live.append(connection)
        if len(live) > _LIVE:
            live.pop(chance.randrange(_LIVE // 2))
    segment = struct.pack(">HHIIBBHHH", *connection.ports, sequence, 0, 0x50, flags, 500, 0, 0)
    return _ip(6, connection.source, connection.target, segment + data)
