"""What the packet index makes of a block: its TCP segments as columns.

Rows are in capture order. Everything that is not TCP is counted and left out: packets in = segments + ignored (by
reason) + malformed, for every block.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np
import numpy.typing as npt

from glancetrace.capture.blocks import Int64Array

__all__ = ["COLUMNS", "SegmentBlock", "Segments"]


@dataclass(slots=True, eq=False, repr=False)
class Segments:
    """TCP segments, but for their endpoints.

    Attributes:
        data: buffer that `payload` points into (the packet block's; rebuilt datagrams are appended to it).
        frame, ts: int64[n]. A reassembled IP datagram has those of its last fragment.
        seq, ack: int64[n].
        flags: uint8[n], the low 8 bits of the TCP flags (FIN 1, SYN 2, RST 4, ACK 16).
        payload: int64[n], first payload byte in `data`.
        payload_len: int64[n], captured payload bytes. wire_len: int64[n], payload bytes on the wire.
    """

    data: bytes
    frame: Int64Array
    ts: Int64Array
    seq: Int64Array
    ack: Int64Array
    flags: npt.NDArray[np.uint8]
    payload: Int64Array
    payload_len: Int64Array
    wire_len: Int64Array

    def __len__(self) -> int:
        return len(self.frame)

    def segments(self, rows: Int64Array) -> Segments:
        """Some of them, over the same buffer."""
        return Segments(self.data, *(getattr(self, name)[rows] for name in COLUMNS))


COLUMNS = tuple(field.name for field in fields(Segments) if field.name != "data")
"""Columns of `Segments`, in their order."""


@dataclass(slots=True, eq=False, repr=False)
class SegmentBlock(Segments):
    """TCP segments of one block.

    Attributes:
        src, dst: uint64[n, 2], addresses: IPv4 as (0, address), IPv6 as its two big-endian halves.
        version: uint8[n], 4 or 6.
        sport, dport: int64[n].
        ignored: packets left out, by reason ("not-ip", "udp", "arp", ...).
        malformed: packets that contradict themselves.
    """

    src: npt.NDArray[np.uint64]
    dst: npt.NDArray[np.uint64]
    version: npt.NDArray[np.uint8]
    sport: Int64Array
    dport: Int64Array
    ignored: dict[str, int] = field(default_factory=dict)
    malformed: int = 0

    def rows(self, rows: slice) -> SegmentBlock:
        """Some rows, over the same buffer."""
        return SegmentBlock(self.data, *(getattr(self, name)[rows] for name in (*COLUMNS, *_ENDPOINTS)))


_ENDPOINTS = ("src", "dst", "version", "sport", "dport")
