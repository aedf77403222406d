"""Puts the contents of records together into runs: as large as the runs from the wire, a gap where records are lost."""

from __future__ import annotations

from collections.abc import Callable

from glancetrace.net.run import FROM_CLIENT, FROM_SERVER, Run

__all__ = ["PlaintextRuns"]


class PlaintextRuns:
    """The run under way; `sink` gets it when the direction changes, at a gap, and from `flush`."""

    __slots__ = ("_direction", "_frames", "_gaps", "_len", "_offsets", "_pieces", "_sink", "_ts")

    def __init__(self, sink: Callable[[Run], None]) -> None:
        self._sink = sink
        self._gaps = [0, 0]
        self._direction = FROM_CLIENT
        self._start()

    def _start(self) -> None:
        self._len = 0
        self._pieces: list[bytes | memoryview] = []
        self._offsets: list[int] = []
        self._ts: list[int] = []
        self._frames: list[int] = []

    def add(self, direction: int, content: bytes | memoryview, ts: int, frame: int) -> None:
        """Content of the next record, and where the record was complete."""
        if direction != self._direction:
            self.flush()
            self._direction = direction
        self._offsets.append(self._len)
        self._ts.append(ts)
        self._frames.append(frame)
        self._pieces.append(content)
        self._len += len(content)

    def lose(self, direction: int, count: int) -> None:
        """About `count` bytes of content are missing here."""
        self.flush()
        self._gaps[direction] += count

    def flush(self) -> None:
        """Hand over the run under way."""
        if not self._pieces:
            return
        data = bytes(self._pieces[0]) if len(self._pieces) == 1 else b"".join(self._pieces)
        gap, self._gaps[self._direction] = self._gaps[self._direction], 0
        run = Run(self._direction, data, self._offsets, self._ts, self._frames, gap)
        self._start()
        self._sink(run)

    def close(self, ts: int, frame: int) -> None:
        """Nothing follows: tell the gaps at the end."""
        self.flush()
        for direction in (FROM_CLIENT, FROM_SERVER):
            gap, self._gaps[direction] = self._gaps[direction], 0
            if gap:
                self._sink(Run(direction, b"", [0], [ts], [frame], gap))
