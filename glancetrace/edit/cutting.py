"""Where a capture is cut: every rule gives its packets the ordinals of the pieces that they go to.

Ordinals never fall. They are editcap's: by count every so many packets; by time every so many seconds after the first
packet, so that a time without packets is an ordinal without a piece.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from glancetrace.capture.blocks import Int64Array

__all__ = ["ByCount", "BySize", "ByTime", "Cut"]


class Cut(Protocol):
    """A rule, with what it has to remember from block to block."""

    def ordinals(self, frames: Int64Array, ts: Int64Array, sizes: Int64Array, preamble_len: int) -> Int64Array:
        """Piece of each of the next packets, at least one; `ts` in ns, `sizes` of their records in bytes.

        `preamble_len`: bytes that a piece with them begins with.
        """
        ...

    def begin(self, ts: int) -> None:
        """Time (ns) of the capture's first packet, wanted or not."""
        ...

    def restart(self) -> None:
        """What follows cannot go on in the same file: the next packet begins another piece."""
        ...


class ByCount:
    """So many packets per piece."""

    def __init__(self, packets: int) -> None:
        self._limit = packets
        self._ordinal = 0
        self._inside = 0

    def ordinals(self, frames: Int64Array, ts: Int64Array, sizes: Int64Array, preamble_len: int) -> Int64Array:
        """See `Cut`."""
        place = self._inside + np.arange(len(ts), dtype=np.int64)
        ordinals = self._ordinal + place // self._limit
        self._ordinal = int(ordinals[-1])
        self._inside = int(place[-1]) % self._limit + 1
        return ordinals

    def begin(self, ts: int) -> None:
        """Times do not matter."""

    def restart(self) -> None:
        """See `Cut`."""
        if self._inside:
            self._ordinal += 1
            self._inside = 0


class ByTime:
    """So many ns per piece, counted from the first packet; a packet that is late goes where the one before it went."""

    def __init__(self, interval: int) -> None:
        self._interval = interval
        self._first = 0
        self._latest = 0
        self._shift = 0

    def ordinals(self, frames: Int64Array, ts: Int64Array, sizes: Int64Array, preamble_len: int) -> Int64Array:
        """See `Cut`."""
        passed = np.maximum.accumulate(np.maximum((ts - self._first) // self._interval, self._latest))
        self._latest = int(passed[-1])
        return passed + self._shift

    def begin(self, ts: int) -> None:
        """See `Cut`."""
        self._first = ts

    def restart(self) -> None:
        """See `Cut`."""
        self._shift += 1


class BySize:
    """Pieces of at most so many bytes; a packet that is larger has one of its own."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._ordinal = 0
        self._size = 0

    def ordinals(self, frames: Int64Array, ts: Int64Array, sizes: Int64Array, preamble_len: int) -> Int64Array:
        """See `Cut`."""
        ordinals = np.empty(len(sizes), np.int64)
        ends = np.cumsum(sizes)
        row = 0
        while row < len(sizes):
            before = int(ends[row - 1]) if row else 0
            if not self._size:
                self._size = preamble_len
            room = self._limit - self._size
            stop = int(np.searchsorted(ends, before + room, side="right"))
            if stop <= row and self._size > preamble_len:
                self._ordinal += 1
                self._size = 0
                continue
            stop = max(stop, row + 1)
            ordinals[row:stop] = self._ordinal
            self._size += int(ends[stop - 1]) - before
            row = stop
        return ordinals

    def begin(self, ts: int) -> None:
        """Times do not matter."""

    def restart(self) -> None:
        """See `Cut`."""
        if self._size:
            self._ordinal += 1
            self._size = 0
