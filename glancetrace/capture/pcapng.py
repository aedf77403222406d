"""The pcapng capture file format, as columns.

https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-03.html. Packets stand in Enhanced, Simple and (obsolete)
Packet Blocks; sections may differ in byte order, interfaces in link type and time resolution. The walk from block to
block is a loop; it halts at blocks that change how packets are read (`glancetrace.capture.pcapng_blocks`). The fields
of the packets between two halts are gathered at once.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import Enum

import numpy as np
import numpy.typing as npt

from glancetrace.capture.blocks import Int64Array, PacketBlock
from glancetrace.capture.columns import Columns
from glancetrace.capture.pcapng_blocks import (
    DECRYPTION_SECRETS,
    ENHANCED_PACKET,
    INTERFACE_DESCRIPTION,
    NAME_RESOLUTION,
    PACKET,
    SECTION_HEADER,
    SILENT_BLOCKS,
    SIMPLE_PACKET,
    Section,
    parse_names,
    parse_secrets,
    parse_section_order,
    ticks_to_ns,
)
from glancetrace.capture.source import ByteSource
from glancetrace.errors import InputError

__all__ = ["PCAPNG_MAGIC", "PcapngReader"]

PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"

_LONGEST_BLOCK = 16 << 20
_SHORTEST = {ENHANCED_PACKET: 32, PACKET: 32, SIMPLE_PACKET: 16}
_RESYNC_STEP = 1 << 20
_HALTS = (SECTION_HEADER, INTERFACE_DESCRIPTION, DECRYPTION_SECRETS, NAME_RESOLUTION)


class _Stop(Enum):
    """Why the walk over packet blocks ended."""

    NEED_MORE = "the buffer ends"
    HALT = "a block that changes the state of the reader"
    DAMAGED = "no block can look like this"


class PcapngReader:
    """Reads one pcapng file; same interface as `glancetrace.capture.pcap.PcapReader`.

    Attributes:
        secrets: (type, bytes) of the decryption secrets blocks so far. names: address -> name, from name resolution.
    """

    format = "pcapng"

    def __init__(self, source: ByteSource, data: bytes, block_size: int) -> None:
        self.source = source
        self._block_size = block_size
        self._data = data
        order = parse_section_order(data, 0)
        if order is None:
            raise InputError("ends inside the section header", where=source.name, action="copy or record it again")
        self._section = Section(order)
        self.secrets: list[tuple[int, bytes]] = []
        self.names: dict[str, str] = {}
        self.problems: list[tuple[str, int]] = []
        self.packet_count = 0
        self.base = 0
        self.starts = self.ends = np.empty(0, np.int64)
        self._last_ts = 0
        self._timeless = False

    @property
    def preamble(self) -> bytes:
        """The bytes that a file with the packets of the last block must begin with."""
        return self._section.preamble()

    def __iter__(self) -> Iterator[PacketBlock]:
        position = 0
        while True:
            starts, position, stop = self._walk(position)
            if len(starts):
                yield self._block(starts)
            if stop is _Stop.HALT:
                taken = self._take(position)
                if taken:
                    position += taken
                    continue
                stop = _Stop.NEED_MORE if taken is None else _Stop.DAMAGED
            if stop is _Stop.DAMAGED:
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

    def _walk(self, position: int) -> tuple[Int64Array, int, _Stop]:
        """Complete packet blocks from `position` on, where they stop, and why."""
        data = self._data
        end = len(data)
        start: list[int] = []
        append = start.append
        unknown: list[int] = []
        order = self._section.order
        head = struct.Struct(order + "II").unpack_from
        stop = _Stop.NEED_MORE
        while position + 8 <= end:
            kind, total = head(data, position)
            if kind == ENHANCED_PACKET:
                if total < 32:
                    stop = _Stop.DAMAGED
                    break
                append(position)
            elif kind in _HALTS:
                stop = _Stop.HALT
                break
            elif total < _SHORTEST.get(kind, 12) or total > _LONGEST_BLOCK or total & 3:
                stop = _Stop.DAMAGED
                break
            elif kind in _SHORTEST:
                append(position)
            else:
                if position + total > end:
                    break
                if head(data, position + total - 8)[1] != total:
                    stop = _Stop.DAMAGED
                    break
                if kind not in SILENT_BLOCKS:
                    unknown.append(len(start))
            position += total
        if position > end:
            position = start.pop()
            stop = _Stop.NEED_MORE
            if head(data, position)[1] > _LONGEST_BLOCK:
                stop = _Stop.DAMAGED
        starts = np.array(start, np.int64)
        good = self._plausible(starts)
        self.problems += [("capture-block-unknown", self.packet_count + n) for n in unknown if n <= good]
        if good < len(start):
            return starts[:good], start[good], _Stop.DAMAGED
        return starts, position, stop

    def _plausible(self, start: Int64Array) -> int:
        """How many packet blocks come before the first that contradicts itself."""
        columns = Columns(self._data, self._section.order)
        kind = columns.u32(start)
        total = columns.u32(start + 4)
        interface = self._interface(columns, kind, start)
        simple = kind == SIMPLE_PACKET
        captured = np.where(simple, 0, columns.u32(start + 20))
        bad = (columns.u32(start + total - 4) != total) | (total & 3 != 0) | (total > _LONGEST_BLOCK)
        bad |= (captured > total - 32) & ~simple
        bad |= interface >= len(self._section.interfaces)
        return int(np.argmax(bad)) if bad.any() else len(bad)

    def _interface(self, columns: Columns, kind: Int64Array, start: Int64Array) -> Int64Array:
        interface = columns.u32(start + 8)
        if (kind == ENHANCED_PACKET).all():
            return interface
        return np.where(kind == PACKET, columns.u16(start + 8), np.where(kind == SIMPLE_PACKET, 0, interface))

    def _block(self, start: Int64Array) -> PacketBlock:
        columns = Columns(self._data, self._section.order)
        kind = columns.u32(start)
        interface = self._interface(columns, kind, start)
        offset = start + 28
        captured = columns.u32(start + 20)
        original = columns.u32(start + 24)
        ticks = (columns.u32(start + 12).astype(np.uint64) << np.uint64(32)) | columns.u32(start + 16).astype(np.uint64)
        link_type = np.empty(len(start), np.int64)
        ts = np.empty(len(start), np.int64)
        for number in np.unique(interface).tolist():
            rows = interface == number
            link_type[rows] = self._section.interfaces[number].link_type
            ts[rows] = ticks_to_ns(ticks[rows], self._section.interfaces[number])
        simple = kind == SIMPLE_PACKET
        if simple.any():
            offset = np.where(simple, start + 12, offset)
            original = np.where(simple, columns.u32(start + 8), original)
            room = np.minimum(columns.u32(start + 4) - 16, self._section.interfaces[0].snaplen or _LONGEST_BLOCK)
            captured = np.where(simple, np.minimum(original, room), captured)
            ts = self._fill_forward(ts, simple)
            if not self._timeless:
                self.problems.append(("time-missing", self.packet_count + int(np.argmax(simple)) + 1))
                self._timeless = True
        self.starts = start
        self.ends = start + columns.u32(start + 4)
        self._last_ts = int(ts[-1])
        self.packet_count += len(start)
        return PacketBlock(
            data=self._data,
            first_frame=self.packet_count - len(start) + 1,
            offset=offset,
            cap_len=captured,
            orig_len=original,
            ts=ts,
            link_type=link_type,
        )

    def _fill_forward(self, ts: Int64Array, unknown: npt.NDArray[np.bool_]) -> Int64Array:
        """A packet without a time has that of the one before it."""
        known = np.maximum.accumulate(np.where(unknown, -1, np.arange(len(ts))))
        return np.where(known < 0, self._last_ts, ts[known])

    def _order_at(self, position: int) -> str | None:
        """Byte order of the block at `position`: a section header brings its own."""
        if self._data[position : position + len(PCAPNG_MAGIC)] == PCAPNG_MAGIC:
            return parse_section_order(self._data, position)
        return self._section.order

    def _take(self, position: int) -> int | None:
        """Read the block at `position`; its length, 0 if it makes no sense, None if it is not complete."""
        data = self._data
        if position + 12 > len(data):
            return None
        order = self._order_at(position)
        if order is None:
            return 0
        kind, total = struct.unpack_from(order + "II", data, position)
        if not 12 <= total <= _LONGEST_BLOCK or total & 3:
            return 0
        if position + total > len(data):
            return None
        if struct.unpack_from(order + "I", data, position + total - 4)[0] != total:
            return 0
        block = data[position : position + total]
        if kind == SECTION_HEADER:
            if total < 28:
                return 0
            self._section = Section(order)
            self._section.add(block)
        elif kind == INTERFACE_DESCRIPTION:
            if not self._section.add_interface(block):
                return 0
        elif kind == DECRYPTION_SECRETS:
            secrets = parse_secrets(block, order)
            if secrets is None:
                return 0
            self.secrets.append(secrets)
            self._section.add(block)
        else:
            self.names.update(parse_names(block, order))
            self._section.add(block)
        return int(total)

    def _resynchronise(self, position: int) -> int:
        """Look for the next complete packet block or section; the end of the data if there is none."""
        position += 1
        window = _RESYNC_STEP + _LONGEST_BLOCK
        while True:
            if len(self._data) - position < window and not self.source.ended:
                position = self._read_on(position)
                continue
            stop = min(position + _RESYNC_STEP, len(self._data))
            while position < stop:
                position = self._next_candidate(position, stop)
                if position < stop and self._is_anchor(position):
                    return position
                position = min(position + 1, stop)
            if position == len(self._data) and self.source.ended:
                return position

    def _next_candidate(self, position: int, stop: int) -> int:
        """Where the type of a packet block or a section header stands next."""
        packet = struct.pack(self._section.order + "I", ENHANCED_PACKET)
        found = [self._data.find(magic, position, stop + 3) for magic in (packet, PCAPNG_MAGIC)]
        return min((at for at in found if at >= 0), default=stop)

    def _is_anchor(self, position: int) -> bool:
        """Whether a complete block that makes sense begins here."""
        order = self._order_at(position)
        if order is None or position + 28 > len(self._data):
            return False
        kind, total = struct.unpack_from(order + "II", self._data, position)
        if not 28 <= total <= _LONGEST_BLOCK or total & 3 or position + total > len(self._data):
            return False
        if struct.unpack_from(order + "I", self._data, position + total - 4)[0] != total:
            return False
        return kind == SECTION_HEADER or self._plausible(np.array([position], np.int64)) == 1
