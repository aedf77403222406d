"""Captures with packets missing: lost one by one, cut at the start, with a hole in the middle.

Reads and writes classic little-endian pcap, which all recorded samples are; the choice of lost packets is seeded.
"""

from __future__ import annotations

import gzip
import random
import struct
from collections.abc import Callable
from pathlib import Path

import zstandard

__all__ = ["LOSSES", "degrade", "read_pcap", "read_records"]

_HEADER = 24
_RECORD = 16


def read_pcap(path: Path) -> bytes:
    """A capture, unpacked."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if path.suffix == ".zst":
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return data


def read_records(path: Path) -> tuple[bytes, list[bytes]]:
    """File header and packet records of a capture, unpacked."""
    data = read_pcap(path)
    records = []
    offset = _HEADER
    while offset + _RECORD <= len(data):
        length = struct.unpack_from("<I", data, offset + 8)[0]
        records.append(data[offset : offset + _RECORD + length])
        offset += _RECORD + length
    return data[:_HEADER], records


def _lose(count: int) -> list[bool]:
    """0.5 % of the packets, here and there."""
    choice = random.Random(5)
    return [choice.random() >= 0.005 for _ in range(count)]


def _cut_start(count: int) -> list[bool]:
    """The first third."""
    return [number >= count // 3 for number in range(count)]


def _cut_middle(count: int) -> list[bool]:
    """A twentieth in the middle."""
    return [not count * 0.45 <= number < count * 0.5 for number in range(count)]


LOSSES: dict[str, Callable[[int], list[bool]]] = {
    "0.5 % lost": _lose,
    "cut at start": _cut_start,
    "cut in middle": _cut_middle,
    "proxy side only": lambda count: [True] * count,
}
"""Name of a loss -> which of so many packets stay; of "proxy side only", all but those of ports 5000 and 9292."""


def degrade(capture: Path, loss: str, to: Path) -> Path:
    """Write `capture` without the packets that `loss` takes; gives `to`."""
    header, records = read_records(capture)
    stays = LOSSES[loss](len(records))
    kept = [record for record, stay in zip(records, stays, strict=True) if stay]
    if loss == "proxy side only":
        kept = [record for record in kept if not _is_inner(record)]
    to.write_bytes(header + b"".join(kept))
    return to


def _is_inner(record: bytes) -> bool:
    """A packet of Ethernet, IPv4 and TCP on port 5000 or 9292."""
    packet = record[_RECORD:]
    start = 14 + (packet[14] & 15) * 4
    ports = struct.unpack_from(">HH", packet, start)
    return 5000 in ports or 9292 in ports
