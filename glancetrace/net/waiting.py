"""Segments of one direction that wait for bytes before them, or for bytes that they acknowledge (RFC 9293, 3.10.7.4).

Pieces are kept in order of sequence and never overlap: where a segment covers bytes that are here already, the first
copy stays and the new one is cut around it.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

__all__ = ["Piece", "WaitingPieces"]


class Piece(NamedTuple):
    """Bytes `start` to `end` (unwrapped sequence numbers) of a stream.

    `data` is shorter than that where the packet was truncated. `need`: the piece acknowledges the peer's bytes before
    this number. `order` grows in capture order.
    """

    start: int
    end: int
    need: int
    order: int
    data: bytes
    ts: int
    frame: int


class WaitingPieces:
    """The pieces of one direction, by sequence."""

    __slots__ = ("bytes_held", "pieces")

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.bytes_held = 0

    def add(self, piece: Piece) -> tuple[int, bool]:
        """Keep what is new of `piece`; returns its bytes that were here already, and whether any of them differ."""
        pieces = self.pieces
        if not pieces or piece.start >= pieces[-1].end:
            pieces.append(piece)
            self.bytes_held += len(piece.data)
            return 0, False
        duplicate = 0
        differs = False
        position = piece.start
        index = bisect_right(pieces, position, key=lambda held: held.end)
        while position < piece.end:
            held = pieces[index] if index < len(pieces) else None
            if held is not None and held.start <= position:
                stop = min(piece.end, held.end)
                again = piece.data[position - piece.start : stop - piece.start]
                first = held.data[position - held.start : stop - held.start]
                both = min(len(again), len(first))
                differs |= again[:both] != first[:both]
                duplicate += len(again)
            else:
                stop = piece.end if held is None else min(piece.end, held.start)
                data = piece.data[position - piece.start : stop - piece.start]
                pieces.insert(index, piece._replace(start=position, end=stop, data=data))
                self.bytes_held += len(data)
            position = stop
            index += 1
        return duplicate, differs

    def pop(self) -> Piece:
        """Take the first piece."""
        piece = self.pieces.pop(0)
        self.bytes_held -= len(piece.data)
        return piece

    def drop(self) -> int:
        """Forget all pieces; returns their bytes."""
        dropped = self.bytes_held
        self.pieces.clear()
        self.bytes_held = 0
        return dropped
