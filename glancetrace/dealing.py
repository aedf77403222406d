"""Packets go from the process that reads a capture to the others that decode a share of its connections.

What a process gets of a block are its own segments, as columns, grouped by flow as they are, and the stretch of the
buffer in which their payload lies, or where in a file that is. All this is written to memory that the two have in
common, of which there are some pieces in turn: so the reader is a few blocks ahead at most, and then waits. With each
block it says how much of the capture it has read.
"""

from __future__ import annotations

import errno
import marshal
import os
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Mapping as Map
from contextlib import suppress
from dataclasses import replace
from struct import Struct
from typing import Any

import numpy as np

from glancetrace.capture.blocks import Int64Array
from glancetrace.capture.mapped import Mapping, Place, PlacedFile
from glancetrace.capture.segments import COLUMNS, SegmentBlock, Segments
from glancetrace.forking import channels, shared_memory
from glancetrace.net.grouping import FlowGroups
from glancetrace.net.share import Dealt

__all__ = ["Hand", "deal", "hands", "keep_own"]

_PIECES = 8
_HEAD = Struct("<10q")
"""Piece of memory, bytes of the buffer; rows, flows, bytes of their keys; packets, payload bytes and capture time of
all (see `Dealt`); position in the capture."""
_PLACE = Struct("<QQq")
"""Behind that, where the bytes of the buffer lie in a file: device, inode number, offset; and its path."""
_BYTES = ("flags", "side")
_NUMBERS = ("clock", "order", *(name for name in COLUMNS if name not in _BYTES))
"""Columns in the order in which they are sent, those of single bytes last, so that all others are aligned; `order` and
`side` are those of `FlowGroups`."""


class Hand:
    """The packets of one share on their way; made before the processes are that give and take them.

    Attributes:
        lost: nobody takes them any more, or there is no memory.
        position: bytes of the capture that have been read, and bytes in all, as they lie on disk.
    """

    def __init__(self) -> None:
        self._memory = [shared_memory() for _ in range(_PIECES)]
        self._giving, self._taking = channels()
        self._free = _PIECES
        self._next = 0
        self.lost = False
        self.position = (0, 0)
        self._files: dict[str, PlacedFile] = {}

    def fileno(self) -> int:
        """Descriptor that can be read when there are packets to take, or none will follow."""
        return self._taking.fileno()

    def gives(self) -> None:
        """This process gives: it takes nothing."""
        self._taking.close()

    def takes(self) -> None:
        """This process takes: it gives nothing."""
        self._giving.close()

    def give(self, dealt: Dealt) -> None:
        """Send packets, when there is room for them."""
        if self.lost:
            return
        try:
            self._give(dealt)
        except OSError:
            self.lost = True

    def _give(self, dealt: Dealt) -> None:
        if not self._free:
            if self._giving.receive() is None:
                raise BrokenPipeError
            self._free = 1
        block, groups = dealt.block, dealt.groups
        start, stop = _stretch(block)
        keys = marshal.dumps(groups.keys)
        columns = {name: getattr(block, name) for name in COLUMNS}
        columns.update(clock=dealt.clock, order=groups.rows, side=groups.side.astype(np.uint8))
        columns["payload"] = block.payload - start
        sent = [groups.starts, *(columns[name] for name in (*_NUMBERS, *_BYTES))]
        parts: list[Any] = [*map(np.ascontiguousarray, sent), keys]
        place = b""
        if isinstance(block.data, Mapping):
            path, device, inode, offset = block.data.place
            place = _PLACE.pack(device, inode, offset + start) + os.fsencode(path)
        else:
            parts.append(memoryview(block.data)[start:stop])
        piece = self._next
        _write(self._memory[piece], parts)
        sizes = stop - start, len(block), len(groups.keys), len(keys)
        totals = dealt.packets, dealt.payload_bytes, dealt.last_clock
        self._giving.send(_HEAD.pack(piece, *sizes, *totals, *self.position) + place)
        self._free -= 1
        self._next = (piece + 1) % _PIECES

    def take(self) -> Dealt | None:
        """The next that is sent, when that before is done with; None at the end of the capture.

        Raises:
            OSError: the reader has ended before (BrokenPipeError), or a file cannot be read any more.
        """
        head = self._taking.receive()
        if head is None:
            raise BrokenPipeError
        if not head:
            return None
        piece, size, count, flows, keys, packets, payload_bytes, last_clock, *position = _HEAD.unpack_from(head)
        memory = self._memory[piece]
        columns, groups, end = _read(memory, count, flows, keys)
        if len(head) > _HEAD.size:
            device, inode, offset = _PLACE.unpack_from(head, _HEAD.size)
            place = Place(os.fsdecode(bytes(head[_HEAD.size + _PLACE.size :])), device, inode, offset)
            data, begin = self._file(place).piece(offset, size)
            columns["payload"] = columns["payload"] + begin
        else:
            data = os.pread(memory, size, end)
        with suppress(BrokenPipeError):  # the reader may have given all, and ended
            self._taking.send(b"")
        self.position = position[0], position[1]
        block = Segments(data, *(columns[name] for name in COLUMNS))
        return Dealt(block, groups, columns["clock"], packets, payload_bytes, last_clock)

    def _file(self, place: Place) -> PlacedFile:
        if place.path not in self._files:
            self._files[place.path] = PlacedFile(place)
        return self._files[place.path]

    def end(self) -> None:
        """The capture is over."""
        if not self.lost:
            try:
                self._giving.send(b"")
            except OSError:
                self.lost = True

    def close(self) -> None:
        """Nothing is given or taken any more; a second time does nothing."""
        self._giving.close()
        self._taking.close()
        for memory in self._memory:
            os.close(memory)
        for file in self._files.values():
            file.close()
        self._memory = []
        self._files = {}
        self.lost = True


def hands(workers: Iterable[int]) -> dict[int, Hand]:
    """Worker -> the way for its packets.

    Raises:
        OSError: the system has no memory or pipe left.
    """
    made: dict[int, Hand] = {}
    try:
        for worker in workers:
            made[worker] = Hand()
    except OSError:
        for hand in made.values():
            hand.close()
        raise
    return made


def keep_own(hands: Map[int, Hand], worker: int) -> None:
    """In the process of that worker, which gives if none is its own: the ends of others are theirs."""
    for taker, hand in hands.items():
        if worker not in hands:
            hand.gives()
        elif worker == taker:
            hand.takes()
        else:
            hand.close()


def deal(
    others: Map[int, Callable[[Dealt], None]],
    block: SegmentBlock,
    groups: FlowGroups,
    owners: Int64Array,
    clock: Int64Array,
) -> None:
    """Give the others their packets of a block; see `glancetrace.net.reassemble.Deal`."""
    payload_bytes, last_clock = int(block.payload_len.sum()), int(clock[-1])
    for worker, give in others.items():
        groups_given = groups.some(owners == worker)
        given = np.zeros(len(block), np.bool_)
        given[groups_given.rows] = True
        rows = np.flatnonzero(given)
        place = np.cumsum(given) - 1
        groups_given = replace(groups_given, rows=place[groups_given.rows], side=groups.side[rows])
        give(Dealt(block.segments(rows), groups_given, clock[rows], len(block), payload_bytes, last_clock))


def _stretch(block: Segments) -> tuple[int, int]:
    """The stretch of a block's buffer in which its payload lies."""
    with_payload = block.payload_len > 0
    if not with_payload.any():
        return 0, 0
    starts = block.payload[with_payload]
    return int(starts.min()), int((starts + block.payload_len[with_payload]).max())


def _write(memory: int, parts: Sequence[Any]) -> None:
    """Write parts one behind the other."""
    if os.pwritev(memory, parts, 0) < sum(memoryview(part).nbytes for part in parts):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _read(memory: int, count: int, flows: int, keys: int) -> tuple[dict[str, Any], FlowGroups, int]:
    """Columns of so many rows, so many flows with their keys, and where what follows them begins."""
    size = 8 * flows + (8 * len(_NUMBERS) + len(_BYTES)) * count
    data = os.pread(memory, size + keys, 0)
    starts = _column(data, 0, flows, np.int64)
    columns: dict[str, Any] = {}
    at = 8 * flows
    for names, type_ in ((_NUMBERS, np.int64), (_BYTES, np.uint8)):
        for name in names:
            columns[name] = _column(data, at, count, type_)
            at += columns[name].nbytes
    groups = FlowGroups(columns["order"], starts, columns["side"].astype(np.int64), marshal.loads(data[size:]))
    return columns, groups, size + keys


def _column(data: bytes, at: int, count: int, type_: type[np.generic]) -> Any:
    return np.frombuffer(data, type_, count, at) if count else np.empty(0, type_)
