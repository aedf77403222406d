"""The classic capture file format, as columns.

https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html: a 24 byte file header, then records of a 16 byte header
and the captured bytes; microseconds or nanoseconds, either byte order; also the "modified" format of old Linux patches
whose record headers have 24 bytes. `glancetrace.capture.walk` goes from record to record; the fields of all records of
a block are gathered at once. A record is accepted with caplen above snaplen or above len, which real writers produce; a
header that cannot be one stops the walk, and `glancetrace.capture.resync` looks for the next that can.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from glancetrace.capture.blocks import Int64Array, PacketBlock
from glancetrace.capture.columns import Columns
from glancetrace.capture.resync import NEAR, RecordShape, are_records, find_record
from glancetrace.capture.source import ByteSource
from glancetrace.capture.walk import RecordWalk
from glancetrace.errors import InputError

__all__ = ["PCAP_MAGICS", "PcapReader"]

PCAP_MAGICS: dict[bytes, tuple[str, int, int]] = {
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


@dataclass(slots=True, eq=False, repr=False)
class _Records:
    """Fields of the records that lie completely in a buffer."""

    start: Int64Array
    seconds: Int64Array
    fraction: Int64Array
    captured: Int64Array
    original: Int64Array

    def first(self, count: int) -> _Records:
        """The first `count` records."""
        return _Records(
            self.start[:count],
            self.seconds[:count],
            self.fraction[:count],
            self.captured[:count],
            self.original[:count],
        )


class PcapReader:
    """Reads one pcap file; iterate once for its packets, numbered from 1.

    `data` is the start of the input, already read from `source`.

    Attributes:
        source: where the bytes come from.
        secrets, names: empty; the newer format has them.
        problems: (issue kind, packets before it).
        packet_count: packets so far.
        base: offset in the (decompressed) input of `data[0]` of the block handed out last.
        starts, ends: int64[n], first byte of each record in that block's `data`, and the one behind its last.
        preamble: the bytes that a file with the packets of that block must begin with.
    """

    format = "pcap"

    def __init__(self, source: ByteSource, data: bytes, block_size: int) -> None:
        self.source = source
        self._block_size = block_size
        self._data = data
        if len(data) < _FILE_HEADER_LEN:
            raise InputError("ends inside the file header", where=source.name, action="copy or record it again")
        self._order, self._unit, self._header_len = PCAP_MAGICS[data[:4]]
        snaplen, network = struct.unpack_from(self._order + "II", data, 16)
        # The upper bits hold the length of the frame check sequence.
        self._link_type = int(network & 0x03FFFFFF)
        self._records = RecordWalk(self._order, self._header_len)
        self._longest = max(_LONGEST_PACKET, min(snaplen, _LONGEST_SNAPLEN))
        self.preamble = data[:_FILE_HEADER_LEN]
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
            records, stop, damaged = self._walk(position)
            if len(records.start):
                yield self._block(records)
            position = stop
            if damaged:
                self.problems.append(("capture-damaged", self.packet_count))
                position = self._resynchronise(position)
            elif self.source.ended:
                break
            else:
                position = self._read_on(position)
        if self.source.damaged:
            self.problems.append(("capture-damaged", self.packet_count))
        elif position < len(self._data) or self.source.cut_short:
            self.problems.append(("capture-cut-short", self.packet_count))

    def _read_on(self, position: int) -> int:
        """Keep the data from `position` on and read more behind it; the same place in the new buffer."""
        self._data, begin = self.source.continue_from(self._data, position, self._block_size)
        self.base += position - begin
        return begin

    def _walk(self, position: int) -> tuple[_Records, int, bool]:
        """Complete records from `position` on; where they stop; and whether at a header that is none."""
        data = self._data
        start, position = self._records.walk(data, position)
        records = _Records(start, *Columns(data, self._order).u32s(start, 4))
        good = self._plausible(records)
        jump = self._first_jump(records, good)
        if jump is not None:
            number, unknown = jump
            return records.first(number), int(start[number]), not unknown
        if good < len(start):
            return records.first(good), int(start[good]), True
        if position > len(data) and len(start):
            return records.first(good - 1), int(start[-1]), False
        return records, position, False

    def _plausible(self, records: _Records) -> int:
        """How many records come before the first whose header cannot be one."""
        captured = records.captured
        if not len(captured) or (
            captured.min() > 0 and captured.max() <= self._longest and records.fraction.max() < _SECOND
        ):
            return len(captured)
        bad = (captured > self._longest) | (records.fraction >= _SECOND)
        # All zeros is a hole in the file, not a packet.
        bad |= (captured | records.fraction | records.seconds | records.original) == 0
        return int(np.argmax(bad)) if bad.any() else len(bad)

    def _first_jump(self, records: _Records, good: int) -> tuple[int, bool] | None:
        """The first of the `good` records whose time is far from the one before and that no sound records follow.

        Behind a damaged length the walk reads packet bytes as headers, and not all of them look impossible. The flag
        says that too little of the file is in the buffer to tell.
        """
        if not good:
            return None
        seconds = records.seconds[:good]
        before = seconds[0] if self._last_ts is None else self._last_ts // _SECOND
        if max(before, seconds.max()) - min(before, seconds.min()) <= NEAR:
            return None
        far = np.flatnonzero(np.abs(np.diff(seconds, prepend=before)) > NEAR)
        shape = self._shape()
        for number in far.tolist():
            start = int(records.start[number])
            if len(self._data) - start < shape.window and not self.source.ended:
                return number, True
            if not are_records(self._data, start, shape):
                return number, False
        return None

    def _shape(self) -> RecordShape:
        return RecordShape(self._order, self._unit, self._header_len, _LONGEST_PACKET)

    def _block(self, records: _Records) -> PacketBlock:
        count = len(records.start)
        offset = records.start + self._header_len
        ts = records.seconds * _SECOND + records.fraction * self._unit
        self.starts = records.start
        self.ends = offset + records.captured
        self._last_ts = int(ts[-1])
        self.packet_count += count
        return PacketBlock(
            data=self._data,
            first_frame=self.packet_count - count + 1,
            offset=offset,
            cap_len=records.captured,
            orig_len=records.original,
            ts=ts,
            link_type=np.full(count, self._link_type, np.int64),
        )

    def _resynchronise(self, position: int) -> int:
        """Look for the next record behind a damaged header; the end of the data if there is none."""
        shape = self._shape()
        position += 1
        while True:
            while len(self._data) - position < shape.window and not self.source.ended:
                position = self._read_on(position)
            found = find_record(self._data, position, shape, self._last_ts, at_end=self.source.ended)
            if found is not None:
                return found
            position = min(position + shape.step, len(self._data))
            if position == len(self._data) and self.source.ended:
                return position
