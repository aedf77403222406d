"""The order of packets of several captures.

Captures come sorted by their first packet. One that begins less than a second before the end of those before it follows
them as it is (a ring buffer, the pieces of a split: never interleaved); one that begins earlier was recorded at the
same time, and its packets are merged by time. Which of both it is shows only while reading, so the packets within that
second are held back until it is known. A packet that is older than one before it in its own file keeps its place there.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Protocol

import numpy as np

from glancetrace.capture.blocks import Int64Array, PacketBlock

__all__ = ["Ordered", "Piece", "in_order"]

_SAME_TIME = 1_000_000_000


@dataclass(slots=True)
class Piece:
    """Rows of a packet block; `file`: int64[n], the input that each comes from."""

    block: PacketBlock
    file: Int64Array

    def rows(self, start: int, stop: int) -> Piece:
        """Some of the rows, over the same buffer."""
        block, part = self.block, slice(start, stop)
        return Piece(
            PacketBlock(
                block.data,
                block.first_frame,
                block.offset[part],
                block.cap_len[part],
                block.orig_len[part],
                block.ts[part],
                block.link_type[part],
            ),
            self.file[part],
        )


class Ordered(Protocol):
    """A capture to be put in order: time of its first packet (ns; None if it has none), and its packets."""

    @property
    def first_ts(self) -> int | None: ...

    def pieces(self) -> Iterator[Piece]: ...


def in_order(captures: Sequence[Ordered]) -> Iterator[Piece]:
    """All packets. `captures` are sorted by `first_ts`, those without packets at the end."""
    current: Iterator[Piece] = iter(())
    for following in captures:
        if following.first_ts is None:
            yield from current
            current = following.pieces()
        else:
            current = yield from _until_overlap(current, following, following.first_ts)
    yield from current


def _until_overlap(current: Iterator[Piece], following: Ordered, begin: int) -> Generator[Piece, None, Iterator[Piece]]:
    """Packets of `current` up to where `following` has a say; returns how to go on from there."""
    held: list[Piece] = []
    for piece in current:
        late = piece.block.ts >= begin
        if not held:
            first_late = int(np.argmax(late)) if late.any() else len(late)
            if first_late:
                yield piece.rows(0, first_late)
            if first_late == len(late):
                continue
            piece = piece.rows(first_late, len(late))
        held.append(piece)
        if int(piece.block.ts.max()) - begin >= _SAME_TIME:
            if isinstance(current, _Merge):
                return current.join(held, following.pieces())
            return _Merge([_Lane(chain(held, current)), _Lane(following.pieces())])
    yield from held
    return following.pieces()


@dataclass(slots=True)
class _Lane:
    """One of the captures that are merged. `key`: int64, the latest time up to each row: ascending by construction."""

    pieces: Iterator[Piece]
    piece: Piece | None = None
    key: Int64Array = field(default_factory=lambda: np.empty(0, np.int64))
    latest: int = np.iinfo(np.int64).min

    def fill(self) -> bool:
        """Make sure that there are rows; False at the end."""
        while self.piece is None or not len(self.key):
            self.piece = next(self.pieces, None)
            if self.piece is None:
                return False
            self.key = np.maximum(np.maximum.accumulate(self.piece.block.ts), self.latest)
            if len(self.key):
                self.latest = int(self.key[-1])
        return True

    def take(self, count: int) -> tuple[Piece, Int64Array]:
        """The next rows and their keys."""
        assert self.piece is not None
        taken, key = self.piece.rows(0, count), self.key[:count]
        self.piece, self.key = self.piece.rows(count, len(self.key)), self.key[count:]
        return taken, key


class _Merge(Iterator[Piece]):
    """Packets of lanes by key, those of earlier lanes first where keys are equal, whatever the sizes of the pieces."""

    def __init__(self, lanes: list[_Lane]) -> None:
        self._lanes = lanes

    def join(self, held: list[Piece], following: Iterator[Piece]) -> _Merge:
        """Go on with packets that this merge has given already and one more capture."""
        return _Merge([_Lane(iter(held)), *self._lanes, _Lane(following)])

    def __next__(self) -> Piece:
        self._lanes = [lane for lane in self._lanes if lane.fill()]
        if not self._lanes:
            raise StopIteration
        # All rows up to the end of the piece that ends first can go: no lane can still bring an earlier one.
        limit, last = min((int(lane.key[-1]), index) for index, lane in enumerate(self._lanes))
        taken = []
        for index, lane in enumerate(self._lanes):
            count = int(np.searchsorted(lane.key, limit, side="right" if index <= last else "left"))
            if count:
                taken.append(lane.take(count))
        return _combine(taken)


def _combine(parts: list[tuple[Piece, Int64Array]]) -> Piece:
    """Rows of several pieces by key, over one buffer."""
    if len(parts) == 1:
        return parts[0][0]
    buffers: list[bytes] = []
    offsets: list[Int64Array] = []
    length = 0
    for piece, _ in parts:
        block = piece.block
        low, high = int(block.offset.min()), int((block.offset + block.cap_len).max())
        buffers.append(block.data[low:high])
        offsets.append(block.offset - low + length)
        length += high - low
    order = np.argsort(np.concatenate([key for _, key in parts]), kind="stable")
    blocks = [piece.block for piece, _ in parts]
    return Piece(
        PacketBlock(
            data=b"".join(buffers),
            first_frame=1,
            offset=np.concatenate(offsets)[order],
            cap_len=np.concatenate([block.cap_len for block in blocks])[order],
            orig_len=np.concatenate([block.orig_len for block in blocks])[order],
            ts=np.concatenate([block.ts for block in blocks])[order],
            link_type=np.concatenate([block.link_type for block in blocks])[order],
        ),
        np.concatenate([piece.file for piece, _ in parts])[order],
    )
