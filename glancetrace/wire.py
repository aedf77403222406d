"""Bounds-checked reading of binary protocols.

A `Cursor` walks over one buffer that holds one complete unit (a packet, a record, a handshake message). Reading past
its end raises `ShortRead`, which says how much was needed and how much was there; a decoder turns that into an issue.
Nothing here copies more than what is asked for.
"""

from __future__ import annotations

__all__ = ["Cursor", "ShortRead"]


class ShortRead(Exception):
    """The buffer ends before the field does.

    Attributes:
        offset: where the field starts, in bytes from the start of the buffer.
        needed: length of the field in bytes.
        available: bytes from `offset` to the end of the buffer.
    """

    def __init__(self, offset: int, needed: int, available: int) -> None:
        self.offset = offset
        self.needed = needed
        self.available = available
        super().__init__(f"needed {needed} bytes at offset {offset}, {available} available")


class Cursor:
    """A position in a buffer; every `pull_` method returns a value and moves behind it."""

    __slots__ = ("data", "end", "pos")

    def __init__(self, data: bytes, pos: int = 0, end: int | None = None) -> None:
        self.data = data
        self.pos = pos
        self.end = len(data) if end is None else min(end, len(data))

    @property
    def remaining(self) -> int:
        """Bytes left."""
        return self.end - self.pos

    def _advance(self, length: int) -> int:
        start = self.pos
        if length < 0 or start + length > self.end:
            raise ShortRead(start, length, self.end - start)
        self.pos = start + length
        return start

    def pull_uint8(self) -> int:
        """One byte."""
        return self.data[self._advance(1)]

    def pull_uint_le(self, length: int) -> int:
        """An unsigned little-endian integer of `length` bytes."""
        start = self._advance(length)
        return int.from_bytes(self.data[start : start + length], "little")

    def pull_bytes(self, length: int) -> bytes:
        """`length` bytes."""
        start = self._advance(length)
        return bytes(self.data[start : start + length])

    def pull_nul(self) -> bytes:
        """Bytes up to a NUL, which is consumed and not returned."""
        stop = self.data.find(b"\0", self.pos, self.end)
        if stop < 0:
            raise ShortRead(self.pos, self.remaining + 1, self.remaining)
        value = bytes(self.data[self.pos : stop])
        self.pos = stop + 1
        return value
