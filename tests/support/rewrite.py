"""The packets of a recorded capture as if it had been taken in another deployment.

A recorded capture has one host for each service. Its packets with other addresses, some of them twice, a little later,
are what a deployment with several proxies, hosts or databases would have shown, and what was true stays true. Reads and
writes classic little-endian pcap of Ethernet and IPv4 with times in microseconds, which all recorded samples are.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from tests.support.degrade import read_pcap

__all__ = ["Endpoint", "Segment", "read_segments", "rewrite", "seen_twice", "write_segments"]

Endpoint = tuple[str, int]
"""Address and port."""

_FILE_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
_RECORD = 16
_ETHERNET = 14


@dataclass(frozen=True, slots=True)
class Segment:
    """One packet; `ts` is ns."""

    ts: int
    source: Endpoint
    destination: Endpoint
    frame: bytes

    def of(self, port: int) -> bool:
        """One of its ends is `port`."""
        return port in (self.source[1], self.destination[1])

    @property
    def client(self) -> Endpoint:
        """The end with the higher port: in the lab, servers have the lower one."""
        return max(self.source, self.destination, key=lambda end: end[1])

    def later(self, ns: int) -> Segment:
        """The same at another time."""
        return replace(self, ts=self.ts + ns)

    def between(self, client: Endpoint, server: Endpoint) -> Segment:
        """The same between other ends."""
        source, destination = (client, server) if self.source == self.client else (server, client)
        frame = bytearray(self.frame)
        tcp = _ETHERNET + 4 * (frame[_ETHERNET] & 15)
        frame[_ETHERNET + 12 : _ETHERNET + 20] = socket.inet_aton(source[0]) + socket.inet_aton(destination[0])
        struct.pack_into(">HH", frame, tcp, source[1], destination[1])
        return Segment(self.ts, source, destination, bytes(frame))


def read_segments(capture: Path) -> list[Segment]:
    """All packets of a capture, in their order."""
    data = read_pcap(capture)
    segments: list[Segment] = []
    offset = len(_FILE_HEADER)
    while offset + _RECORD <= len(data):
        seconds, microseconds, length = struct.unpack_from("<III", data, offset)
        frame = data[offset + _RECORD : offset + _RECORD + length]
        tcp = _ETHERNET + 4 * (frame[_ETHERNET] & 15)
        ports = struct.unpack_from(">HH", frame, tcp)
        source, destination = (
            (socket.inet_ntoa(frame[_ETHERNET + at : _ETHERNET + at + 4]), port)
            for at, port in zip((12, 16), ports, strict=True)
        )
        segments.append(Segment((seconds * 10**6 + microseconds) * 1000, source, destination, frame))
        offset += _RECORD + length
    return segments


def write_segments(segments: Iterable[Segment], to: Path) -> Path:
    """Write a capture, packets in order of time; gives `to`."""
    records = [_FILE_HEADER]
    for segment in sorted(segments, key=lambda one: one.ts):
        seconds, ns = divmod(segment.ts, 10**9)
        length = len(segment.frame)
        records += [struct.pack("<IIII", seconds, ns // 1000, length, length), segment.frame]
    to.write_bytes(b"".join(records))
    return to


def rewrite(
    segments: Iterable[Segment], port: int, ends: Callable[[Segment], tuple[Endpoint, Endpoint]]
) -> list[Segment]:
    """Segments; those of `port` between the ends (client, server) that `ends` gives."""
    return [one.between(*ends(one)) if one.of(port) else one for one in segments]


def seen_twice(
    segments: Iterable[Segment], port: int, outer: Callable[[Endpoint], tuple[Endpoint, Endpoint]], ns: int = 150_000
) -> list[Segment]:
    """Segments, and those of `port` on the leg before a proxy, too.

    Args:
        segments: all. port: of the server. outer: ends (client, server) of the outer leg, by the client of the inner
            one. ns: what the proxy adds in each direction.
    """
    found: list[Segment] = []
    for one in segments:
        found.append(one)
        if one.of(port):
            before = one.between(*outer(one.client))
            found.append(before.later(-ns if one.source == one.client else ns))
    return found
