"""Packet framing: the bytes of one direction of a connection that are not consumed yet, and where they were captured.

A packet is int<3> payload length, int<1> sequence id, payload; a payload of 0xFFFFFF bytes goes on in the next packet
(MySQL Server documentation, "MySQL Packets", page_protocol_basic_packets.html). A `Channel` takes runs, keeps what a
reader has not consumed, and can drop payload that nobody wants without holding it. A reader that cannot go on says how
many bytes it needs; until they are there, runs are only collected, so that feeding byte by byte stays linear.
"""

from __future__ import annotations

from bisect import bisect_right

from glancetrace.net.run import Run

__all__ = ["HEADER_LEN", "Channel"]

HEADER_LEN = 4


class Channel:
    """Unconsumed bytes of one direction: `data[pos:]`, and `skip` bytes that will be dropped as they come.

    `need` is the number of unconsumed bytes without which the reader cannot go on.
    """

    __slots__ = ("_chunks", "_frames", "_held", "_last", "_offsets", "_ts", "data", "need", "pos", "skip")

    def __init__(self) -> None:
        self.data = b""
        self.pos = 0
        self.need = 0
        self.skip = 0
        self._offsets: list[int] = [0]
        self._ts: list[int] = [0]
        self._frames: list[int] = [0]
        self._chunks: list[tuple[Run, int]] = []
        self._held = 0
        self._last = (0, 0)

    @property
    def available(self) -> int:
        """Unconsumed bytes that are there."""
        return len(self.data) - self.pos + self._held

    def push(self, run: Run) -> bool:
        """Take the bytes of a run; true when there are enough for the reader to go on."""
        start = 0
        size = len(run.data)
        if self.skip:
            start = min(self.skip, size)
            if start:
                self.skip -= start
                self._last = run.at(start - 1)
                self.data, self.pos = b"", 0
        if start == size:
            return False
        if not self._held and self.pos == len(self.data):
            if self.pos:
                self._last = self.last_place()
            self.data, self.pos = run.data, start
            self.need = 0
            self._offsets, self._ts, self._frames = run.offsets, run.ts, run.frames
        else:
            self._chunks.append((run, start))
            self._held += size - start
        if self.available < self.need:
            return False
        if self._held:
            self._merge()
        return True

    def place(self, offset: int) -> tuple[int, int]:
        """Time (ns) and frame of the byte at `offset` of `data`."""
        index = bisect_right(self._offsets, offset) - 1
        return self._ts[index], self._frames[index]

    def last_place(self) -> tuple[int, int]:
        """Time (ns) and frame of the last consumed byte."""
        return self.place(self.pos - 1) if self.pos else self._last

    def consume(self, length: int) -> None:
        """Move behind `length` bytes; those that are not there yet are dropped when they come."""
        self.need = 0
        self.pos += length
        beyond = self.pos - len(self.data)
        if beyond > 0:
            self.pos = len(self.data)
            self.skip = beyond

    def clear(self) -> None:
        """Forget all unconsumed bytes."""
        if self._held:
            self._merge()
        self.pos = len(self.data)
        self.need = self.skip = 0

    def take(self) -> bytes:
        """All unconsumed bytes, which stay unconsumed."""
        if self._held:
            self._merge()
        return self.data[self.pos :]

    def take_run(self, direction: int) -> Run | None:
        """Consume all unconsumed bytes as a run, None when there are none."""
        if not self.available:
            return None
        if self._held or self.pos:
            self._merge()
        run = Run(direction, self.data, self._offsets, self._ts, self._frames)
        self.clear()
        return run

    def _merge(self) -> None:
        self._last = self.last_place()
        pieces: list[bytes] = []
        offsets: list[int] = []
        ts: list[int] = []
        frames: list[int] = []
        base = 0
        head = Run(0, self.data, self._offsets, self._ts, self._frames)
        for run, start in [(head, self.pos), *self._chunks]:
            size = len(run.data) - start
            if not size:
                continue
            first = bisect_right(run.offsets, start) - 1
            offsets.append(base)
            offsets.extend(base + offset - start for offset in run.offsets[first + 1 :])
            ts.extend(run.ts[first:])
            frames.extend(run.frames[first:])
            pieces.append(run.data[start:] if start else run.data)
            base += size
        self.data, self.pos = b"".join(pieces), 0
        self._offsets, self._ts, self._frames = offsets, ts, frames
        self._chunks, self._held = [], 0
