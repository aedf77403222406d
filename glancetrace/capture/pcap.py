"""The classic capture file format, as columns.

https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html: a 24 byte file header, then records of a 16 byte header
and the captured bytes; microseconds or nanoseconds, either byte order; also the "modified" format of old Linux patches
whose record headers have 24 bytes. Only the walk from record to record is a loop; the fields of all records of a block
are gathered at once. A record is accepted with caplen above snaplen or above len, which real writers produce; a header
that cannot be one stops the walk, and `glancetrace.capture.resync` looks for the next that can.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from glancetrace.capture.blocks import Int64Array, PacketBlock
from glancetrace.capture.columns import Columns
from glancetrace.capture.resync import RecordShape, find_record
from glancetrace.capture.source import ByteSource
from glancetrace.errors import InputError

__all__ = ["MAGICS", "PcapReader"]

MAGICS: dict[bytes, tuple[str, int, int]] = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000, 16),
    b"\xa1\xb2\xc3\xd4": (">", 1000, 16),
    b"\x4d\x3c\xb2\xa1": ("<", 1, 16),
    b"\xa1\xb2\x3c\x4d": (">", 1, 16),
    b"\x34\xcd\xb2\xa1": ("<", 1000, 24),
    b"\xa1\xb2\xcd\x34": (">", 1000, 24),
}
"""Magic -> byte order, nanoseconds per unit of the fraction, bytes of a record header."""

_FILE_HEADER_LEN = 24
_LONGEST_PACKET = 262_144
_LONGEST_SNAPLEN = 16 << 20
_SECOND = 1_000_000_000


@dataclass(slots=True)
class _Records:
    """Records that lie completely in a buffer, and where the walk stopped; `damaged`: at a header that is none."""

    start: Int64Array
    stop: int
    damaged: bool


class PcapReader:
    """Reads one pcap file; iterate once for its packets, numbered from 1.

    Attributes:
        link_types: LINKTYPE_ values in the order of their first packet.
        secrets, names: empty; other formats have them.
        problems: (issue kind, packets before it).
        base: offset in the (decompressed) input of `data[0]` of the block handed out last.
        starts, ends: int64[n], first and behind the last byte of each record in that block's `data`.
        preamble: the bytes that a file with the next packets must begin with.
    """

    format = "pcap"

    def __init__(self, source: ByteSource, block_size: int) -> None:
        self._source = source
        self._block_size = block_size
        self._data = source.read_on(b"", max(block_size, 64))
        header = self._data[:_FILE_HEADER_LEN]
        order, self._unit, self._header_len = MAGICS[header[:4]]
        if len(header) < _FILE_HEADER_LEN:
            raise InputError("ends inside the file header", where=source.name, action="copy the file again")
        self._order = order
        snaplen, network = struct.unpack_from(order + "II", header, 16)
        # The upper bits hold the length of the frame check sequence.
        self._link_type = int(network & 0x03FFFFFF)
        self._longest = max(_LONGEST_PACKET, min(snaplen, _LONGEST_SNAPLEN))
        self.preamble = header
        self.link_types = [self._link_type]
        self.secrets: list[tuple[int, bytes]] = []
        self.names: dict[str, str] = {}
        self.problems: list[tuple[str, int]] = []
        self.packet_count = 0
        self.base = 0
        self.starts = self.ends = np.empty(0, np.int64)
        self._last_ts: int | None = None

    def __iter__(self) -> Iterator[PacketBlock]:
        position = _FILE_HEADER_LEN
        while True:
            records = self._walk(position)
            if len(records.start):
                yield self._block(records.start)
            position = records.stop
            if records.damaged:
                self.problems.append(("capture-damaged", self.packet_count))
                position = self._resynchronise(position)
            elif self._source.ended:
                break
            else:
                position = self._read_on(position)
        if position < len(self._data) or self._source.cut_short:
            self.problems.append(("capture-cut-short", self.packet_count))
        if self._source.damaged:
            self.problems.append(("capture-damaged", self.packet_count))

    def _read_on(self, position: int) -> int:
        """Keep the data from `position` on and read more behind it; the same place in the new buffer."""
        self.base += position
        self._data = self._source.read_on(self._data[position:], self._block_size)
        return 0

    def _walk(self, position: int) -> _Records:
        data = self._data
        start: list[int] = []
        append = start.append
        header_len = self._header_len
        captured_len = struct.Struct(self._order + "I").unpack_from
        last_header = len(data) - header_len
        end = len(data)
        while position <= last_header:
            append(position)
            position += header_len + captured_len(data, position + 8)[0]
        starts = np.array(start, np.int64)
        if not len(starts):
            return _Records(starts, position, False)
        bad = ~self._plausible(starts)
        if bad.any():
            first_bad = int(np.argmax(bad))
            return _Records(starts[:first_bad], int(starts[first_bad]), True)
        if position > end:
            return _Records(starts[:-1], start[-1], False)
        return _Records(starts, position, False)

    def _plausible(self, start: Int64Array) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Whether each header can be one. All zeros is a hole in the file, not a packet."""
        columns = Columns(self._data, self._order)
        captured = columns.u32(start + 8)
        fraction = columns.u32(start + 4)
        hole = (captured == 0) & (fraction == 0) & (columns.u32(start + 12) == 0) & (columns.u32(start) == 0)
        ok: np.ndarray[tuple[int], np.dtype[np.bool_]] = (captured <= self._longest) & (fraction < _SECOND) & ~hole
        return ok

    def _block(self, start: Int64Array) -> PacketBlock:
        columns = Columns(self._data, self._order)
        captured = columns.u32(start + 8)
        offset = start + self._header_len
        self.starts = start
        self.ends = offset + captured
        ts = columns.u32(start) * _SECOND + columns.u32(start + 4) * self._unit
        first_frame = self.packet_count + 1
        self.packet_count += len(start)
        self._last_ts = int(ts[-1])
        return PacketBlock(
            data=self._data,
            first_frame=first_frame,
            offset=offset,
            cap_len=captured,
            orig_len=columns.u32(start + 12),
            ts=ts,
            link_type=np.full(len(start), self._link_type, np.int64),
        )

    def _resynchronise(self, position: int) -> int:
        """Look for the next record behind a damaged header; the end of the data if there is none."""
        shape = RecordShape(self._order, self._unit, self._header_len, self._longest)
        position += 1
        while True:
            while len(self._data) - position < shape.window and not self._source.ended:
                position = self._read_on(position)
            found = find_record(self._data, position, shape, self._last_ts, at_end=self._source.ended)
            if found is not None:
                return found
            position = min(position + shape.step, len(self._data))
            if position == len(self._data) and self._source.ended:
                return position
