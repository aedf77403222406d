"""Writes messages as a valid capture: Ethernet, IPv4, TCP with timestamps, microsecond pcap, an MTU of 1500 bytes.

Sequence numbers, acknowledgements and times go on over a whole connection, and every connection wraps around 2^32 after
its first 64 MiB. A long stream of bytes is turned into packets with numpy, thousands at a time.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from tests.bench.recorded import ACK, FIN, PUSH, SYN, Endpoint, Message

__all__ = ["SEGMENT", "PacketWriter"]

SEGMENT = 1448
"""Payload bytes of a full segment."""

_HEADERS = 16 + 14 + 20 + 32
_SEGMENTS_PER_ACK = 3
_BULK_STEP = 2000
_FIRST_SEQUENCE = 2**32 - 64 * 2**20

Bytes2D = npt.NDArray[np.uint8]


@dataclass
class _Side:
    """What one side of a connection sends next."""

    sequence: int = _FIRST_SEQUENCE


class PacketWriter:
    """Writes packets; `ts` is the time of the last one (ns), `packets` and `octets` count what was written."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._sides: dict[tuple[Endpoint, Endpoint], _Side] = {}
        self.ts = 0
        self.packets = 0
        self.octets = 0
        self._write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1), packets=0)

    def _write(self, data: bytes | memoryview, packets: int) -> None:
        self._out.write(data)
        self.octets += len(data)
        self.packets += packets

    def send(self, message: Message) -> None:
        """Write one message, cut into segments; it comes after everything written before."""
        source, destination = message.source, message.destination
        for start in range(0, len(message.data), SEGMENT) or (0,):
            piece = message.data[start : start + SEGMENT]
            self.ts = max(self.ts + 1000, message.ts)
            flags = message.flags or PUSH
            self._write(self._headers(source, destination, flags, len(piece)) + piece, packets=1)
            self._side(source, destination).sequence += len(piece) + bool(flags & (SYN | FIN))

    def send_bulk(self, source: Endpoint, destination: Endpoint, stream: bytes) -> int:
        """Write the start of `stream` as full segments with acknowledgements between them; returns how much of it."""
        groups = len(stream) // (SEGMENT * _SEGMENTS_PER_ACK)
        if not groups:
            return 0
        used = groups * SEGMENT * _SEGMENTS_PER_ACK
        payload = np.frombuffer(stream, np.uint8, used).reshape(groups, _SEGMENTS_PER_ACK, SEGMENT)
        full = _HEADERS + SEGMENT
        rows: Bytes2D = np.empty((groups, full * _SEGMENTS_PER_ACK + _HEADERS), np.uint8)
        sender = self._side(source, destination)
        for position in range(_SEGMENTS_PER_ACK):
            packets = rows[:, position * full : (position + 1) * full]
            packets[:, :_HEADERS] = np.frombuffer(self._headers(source, destination, ACK, SEGMENT), np.uint8)
            packets[:, _HEADERS:] = payload[:, position]
            self._number(packets, position, sender.sequence + position * SEGMENT, column=38)
        answers = rows[:, full * _SEGMENTS_PER_ACK :]
        answers[:] = np.frombuffer(self._headers(destination, source, ACK, 0), np.uint8)
        self._number(answers, _SEGMENTS_PER_ACK, sender.sequence + SEGMENT * _SEGMENTS_PER_ACK, column=42)
        sender.sequence += used
        self.ts += groups * (_SEGMENTS_PER_ACK + 1) * _BULK_STEP
        self._write(rows.data.cast("B"), packets=groups * (_SEGMENTS_PER_ACK + 1))
        return used

    def _number(self, packets: Bytes2D, position: int, first: int, column: int) -> None:
        """Set the times of equally spaced packets, and the 32-bit number at `column` of the frame."""
        steps = np.arange(len(packets), dtype=np.int64)
        ts = self.ts + _BULK_STEP * (1 + position + steps * (_SEGMENTS_PER_ACK + 1))
        when = np.stack((ts // 10**9, ts // 1000 % 10**6), axis=1).astype("<u4")
        packets[:, 0:8] = when.view(np.uint8)
        numbers = (first + steps * SEGMENT * _SEGMENTS_PER_ACK) % 2**32
        packets[:, 16 + column : 20 + column] = numbers.astype(">u4").view(np.uint8).reshape(-1, 4)

    def _side(self, source: Endpoint, destination: Endpoint) -> _Side:
        return self._sides.setdefault((source, destination), _Side())

    def _headers(self, source: Endpoint, destination: Endpoint, flags: int, length: int) -> bytes:
        """Record, Ethernet, IP and TCP header of the next packet of `source`."""
        sequence = self._side(source, destination).sequence % 2**32
        opens = flags == SYN and (destination, source) not in self._sides
        acknowledged = 0 if opens else self._side(destination, source).sequence % 2**32
        record = struct.pack("<IIII", self.ts // 10**9, self.ts // 1000 % 10**6, *[_HEADERS - 16 + length] * 2)
        clock = self.ts // 10**6 % 2**32
        options = struct.pack(">BBBBII", 1, 1, 8, 10, clock, clock)
        flags |= 0 if opens else ACK
        ports = (source[1], destination[1])
        tcp = struct.pack(">HHIIBBHHH", *ports, sequence, acknowledged, 0x80, flags, 502, 0, 0) + options
        addresses = socket.inet_aton(source[0]) + socket.inet_aton(destination[0])
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp) + length, 0, 0x4000, 64, 6, 0) + addresses
        total = sum(struct.unpack(">10H", ip))
        checksum = ~(total % 0xFFFF) & 0xFFFF
        return record + bytes(12) + b"\x08\x00" + ip[:10] + checksum.to_bytes(2, "big") + ip[12:] + tcp
