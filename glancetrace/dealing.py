"""Packets go from the process that reads a capture to those that decode a share of its connections.

What a process gets of a block are its own segments, as columns, and the stretch of the buffer in which their payload
lies. Both are written to memory that the two have in common, of which there are some pieces in turn: so the reader is a
few blocks ahead at most, and then waits.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from struct import Struct
from typing import Any

import numpy as np

from glancetrace.capture.blocks import Int64Array
from glancetrace.capture.segments import COLUMNS, SegmentBlock
from glancetrace.forking import Channel, shared_memory
from glancetrace.net.grouping import FlowGroups
from glancetrace.net.share import Dealt

__all__ = ["Hand", "deal"]

_PIECES = 8
_HEAD = Struct("<6q")
"""Piece of memory, bytes of the buffer, rows; packets, payload bytes and capture time of all (see `Dealt`)."""
_BYTES = ("version", "flags")
_SENT = (*(name for name in COLUMNS if name not in _BYTES), *_BYTES)
"""Columns as they are sent, after the clock: those of single bytes last, so that all others are aligned."""
_TYPES: dict[str, np.dtype[Any]] = {
    "clock": np.dtype(np.int64),
    **dict.fromkeys(_SENT, np.dtype(np.int64)),
    **dict.fromkeys(("src", "dst"), np.dtype((np.uint64, 2))),
    **dict.fromkeys(_BYTES, np.dtype(np.uint8)),
}
_ROW_LEN = sum(type_.itemsize for type_ in _TYPES.values())
_TAKEN = b"."


class Hand:
    """The packets of one share on their way; made before the process that takes them is forked.

    Attributes:
        lost: nobody takes them any more, or there is no memory.
    """

    def __init__(self) -> None:
        self._memory = [shared_memory() for _ in range(_PIECES)]
        self._taken, self._takes = os.pipe()
        self._free = _PIECES
        self._next = 0
        self.lost = False

    def begin(self) -> None:
        """The process that takes them is there: it alone says what is taken, and that nothing is any more."""
        os.close(self._takes)
        self._takes = -1

    @property
    def is_full(self) -> bool:
        """Giving waits until something is taken."""
        return not self._free and not self.lost

    def fileno(self) -> int:
        """Descriptor that can be read when something was taken, or nothing will be any more."""
        return self._taken

    def give(self, channel: Channel, dealt: Dealt) -> None:
        """Send packets, when there is room for them."""
        if self.lost:
            return
        try:
            self._give(channel, dealt)
        except OSError:
            self.lost = True

    def _give(self, channel: Channel, dealt: Dealt) -> None:
        if not self._free:
            self._free = len(os.read(self._taken, _PIECES))
            if not self._free:
                raise BrokenPipeError
        block = dealt.block
        start, stop = _stretch(block)
        block = replace(block, payload=block.payload - start)
        piece = self._next
        columns = [dealt.clock, *(getattr(block, name) for name in _SENT)]
        _write(self._memory[piece], [memoryview(block.data)[start:stop], *map(np.ascontiguousarray, columns)])
        channel.send(_HEAD.pack(piece, stop - start, len(block), dealt.packets, dealt.payload_bytes, dealt.last_clock))
        self._free -= 1
        self._next = (piece + 1) % _PIECES

    def take(self, channel: Channel) -> Iterator[Dealt]:
        """In the process that was forked: what is sent, up to the end of the capture."""
        os.close(self._taken)
        while head := channel.receive():
            piece, size, count, packets, payload_bytes, last_clock = _HEAD.unpack(head)
            data = os.pread(self._memory[piece], size, 0)
            columns = _read_columns(self._memory[piece], size, count)
            os.write(self._takes, _TAKEN)
            block = SegmentBlock(data, *(columns[name] for name in COLUMNS))
            yield Dealt(block, columns["clock"], packets, payload_bytes, last_clock)

    def end(self, channel: Channel) -> bool:
        """The capture is over; whether the other process has got it all."""
        if not self.lost:
            try:
                channel.send(b"")
            except OSError:
                self.lost = True
        return not self.lost

    def close(self) -> None:
        """Nothing more is sent; a second time does nothing."""
        for descriptor in (*self._memory, self._taken, self._takes):
            if descriptor >= 0:
                os.close(descriptor)
        self._memory = []
        self._taken = self._takes = -1
        self.lost = True


def deal(
    others: Sequence[Callable[[Dealt], None]],
    block: SegmentBlock,
    groups: FlowGroups,
    owners: Int64Array,
    clock: Int64Array,
) -> None:
    """Give each worker but the first its packets of a block; see `glancetrace.net.reassemble.Deal`."""
    owner = np.empty(len(block), np.int64)
    owner[groups.rows] = np.repeat(owners, np.diff(groups.starts, append=len(block)))
    payload_bytes, last_clock = int(block.payload_len.sum()), int(clock[-1])
    for worker, give in enumerate(others, 1):
        rows = np.flatnonzero(owner == worker)
        give(Dealt(block.rows(rows), clock[rows], len(block), payload_bytes, last_clock))


def _stretch(block: SegmentBlock) -> tuple[int, int]:
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


def _read_columns(memory: int, offset: int, count: int) -> dict[str, Any]:
    """Columns of so many rows."""
    data = os.pread(memory, count * _ROW_LEN, offset)
    columns: dict[str, Any] = {}
    at = 0
    for name, type_ in _TYPES.items():
        columns[name] = np.frombuffer(data, type_, count, at) if count else np.empty(0, type_)
        at += count * type_.itemsize
    return columns
