"""Capture files built byte by byte, after the specifications and not with the code under test."""

from __future__ import annotations

import gzip
import io
import lzma
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import lz4.frame
import numpy as np
import zstandard

from glancetrace.capture.index import PacketIndex
from glancetrace.capture.inputs import CaptureReader, open_captures
from glancetrace.issues import IssueLog

START = 1_582_000_000


@dataclass(frozen=True)
class Packet:
    """`ts` in ns; `orig_len` None: as captured."""

    ts: int
    data: bytes
    orig_len: int | None = None

    @property
    def wire_len(self) -> int:
        return len(self.data) if self.orig_len is None else self.orig_len


def pcap_header(order: str = "<", *, nanoseconds: bool = False, link_type: int = 1, snaplen: int = 262144) -> bytes:
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    return struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snaplen, link_type)


def pcap_record(packet: Packet, order: str = "<", *, nanoseconds: bool = False) -> bytes:
    seconds, fraction = divmod(packet.ts, 1_000_000_000)
    if not nanoseconds:
        fraction //= 1000
    return struct.pack(order + "IIII", seconds, fraction, len(packet.data), packet.wire_len) + packet.data


def pcap(
    packets: Sequence[Packet], order: str = "<", *, nanoseconds: bool = False, link_type: int = 1, snaplen: int = 262144
) -> bytes:
    header = pcap_header(order, nanoseconds=nanoseconds, link_type=link_type, snaplen=snaplen)
    return header + b"".join(pcap_record(packet, order, nanoseconds=nanoseconds) for packet in packets)


def _pad(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    total = 12 + len(_pad(body))
    return struct.pack(order + "II", kind, total) + _pad(body) + struct.pack(order + "I", total)


def section(order: str = "<", length: int = -1) -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, length), order)


def options(pairs: Sequence[tuple[int, bytes]], order: str = "<") -> bytes:
    parts = [struct.pack(order + "HH", code, len(value)) + _pad(value) for code, value in pairs]
    return b"".join(parts) + (struct.pack(order + "HH", 0, 0) if pairs else b"")


def interface(
    order: str = "<",
    *,
    link_type: int = 1,
    snaplen: int = 0,
    tsresol: int | None = None,
    tsoffset: int | None = None,
) -> bytes:
    pairs = [(2, b"eth0")]
    if tsresol is not None:
        pairs.append((9, bytes([tsresol])))
    if tsoffset is not None:
        pairs.append((14, struct.pack(order + "q", tsoffset)))
    return block(1, struct.pack(order + "HHI", link_type, 0, snaplen) + options(pairs, order), order)


def enhanced(packet: Packet, order: str = "<", *, number: int = 0, ticks: int | None = None) -> bytes:
    """`ticks` None: microseconds."""
    value = packet.ts // 1000 if ticks is None else ticks
    head = struct.pack(order + "IIIII", number, value >> 32, value & 0xFFFFFFFF, len(packet.data), packet.wire_len)
    return block(6, head + _pad(packet.data) + options([(1, b"a comment")], order), order)


def simple(packet: Packet, order: str = "<") -> bytes:
    return block(3, struct.pack(order + "I", packet.wire_len) + packet.data, order)


def obsolete(packet: Packet, order: str = "<", *, number: int = 0) -> bytes:
    ticks = packet.ts // 1000
    head = struct.pack(order + "HHIIII", number, 7, ticks >> 32, ticks & 0xFFFFFFFF, len(packet.data), packet.wire_len)
    return block(2, head + packet.data, order)


def secrets(data: bytes, order: str = "<", kind: int = 0x544C534B) -> bytes:
    return block(10, struct.pack(order + "II", kind, len(data)) + data, order)


def pcapng(packets: Sequence[Packet], order: str = "<", *, link_type: int = 1) -> bytes:
    """One section, one interface with nanoseconds."""
    start = section(order) + interface(order, link_type=link_type, tsresol=9)
    return start + b"".join(enhanced(packet, order, ticks=packet.ts) for packet in packets)


COMPRESSIONS = {
    "gz": lambda data: gzip.compress(data, 1),
    "zst": lambda data: zstandard.ZstdCompressor(level=1).compress(data),
    "xz": lambda data: lzma.compress(data, preset=0),
    "lz4": lz4.frame.compress,
}


def decompress(data: bytes, ending: str) -> bytes:
    """What a compressed file holds, all members or frames of it, told by the ending of its name."""
    if ending == ".gz":
        return gzip.decompress(data)
    if ending == ".zst":
        with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
            return reader.read()
    if ending == ".xz":
        return lzma.decompress(data)
    if ending == ".lz4":
        with lz4.frame.LZ4FrameFile(io.BytesIO(data)) as file:
            return bytes(file.read())
    return data


@dataclass
class Read:
    """What came out of a capture: a row per packet (frame, ts, link type, bytes, wire length), issues, the reader."""

    rows: list[tuple[int, int, int, bytes, int]]
    issues: dict[str, int]
    reader: CaptureReader


def read(paths: Sequence[Path | str], block_size: int = 1 << 20) -> Read:
    issues = IssueLog()
    reader = open_captures([str(path) for path in paths], issues, block_size=block_size)
    rows = []
    for packets in reader:
        columns = (packets.offset, packets.cap_len, packets.ts, packets.link_type, packets.orig_len)
        for row, (offset, captured, ts, link_type, original) in enumerate(
            zip(*(column.tolist() for column in columns), strict=True)
        ):
            data = packets.data[offset : offset + captured]
            rows.append((packets.first_frame + row, ts, link_type, data, original))
    return Read(rows, {issue.kind: issue.count for issue in issues.rows()}, reader)


@dataclass
class Indexed:
    """TCP segments of a capture as tuples: frame, ts, src, sport, dst, dport, seq, ack, flags, payload, wire length."""

    segments: list[tuple[object, ...]]
    ignored: dict[str, int]
    malformed: int
    issues: dict[str, int]
    packets: int


def _address(version: int, halves: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> bytes:
    return struct.pack(">I", int(halves[1])) if version == 4 else struct.pack(">QQ", int(halves[0]), int(halves[1]))


def index(paths: Sequence[Path | str], block_size: int = 1 << 20) -> Indexed:
    issues = IssueLog()
    reader = open_captures([str(path) for path in paths], issues, block_size=block_size)
    packet_index = PacketIndex(issues)
    found = Indexed([], {}, 0, {}, 0)
    for packets in reader:
        segments = packet_index.index(packets)
        assert len(segments) + sum(segments.ignored.values()) + segments.malformed == len(packets)
        found.packets += len(packets)
        found.malformed += segments.malformed
        for reason, count in segments.ignored.items():
            found.ignored[reason] = found.ignored.get(reason, 0) + count
        for row in range(len(segments)):
            start, version = int(segments.payload[row]), int(segments.version[row])
            payload = segments.data[start : start + int(segments.payload_len[row])]
            assert len(payload) == segments.payload_len[row]
            found.segments.append(
                (
                    int(segments.frame[row]),
                    int(segments.ts[row]),
                    _address(version, segments.src[row]),
                    int(segments.sport[row]),
                    _address(version, segments.dst[row]),
                    int(segments.dport[row]),
                    int(segments.seq[row]),
                    int(segments.ack[row]),
                    int(segments.flags[row]),
                    payload,
                    int(segments.wire_len[row]),
                )
            )
    packet_index.finish()
    found.issues = {issue.kind: issue.count for issue in issues.rows()}
    return found


def open_reader(path: Path) -> CaptureReader:
    """A capture opened by the code under test."""
    return open_captures([str(path)], IssueLog())
