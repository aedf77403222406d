"""The run that is under way on the slow path: segments that follow each other, until the direction changes.

It also knows the newest bytes of each direction, so a retransmission can be held against what was delivered.
"""

from __future__ import annotations

from glancetrace.net.flow import TAIL_LEN, UNKNOWN, WANTED, Flow
from glancetrace.net.run import Run

__all__ = ["OpenRun"]


class OpenRun:
    """Segments of one flow that go on, put together into runs. `side` is `UNKNOWN` while there are none."""

    __slots__ = ("_data", "_flow", "_frames", "_gap", "_len", "_offsets", "_ts", "side")

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._start(UNKNOWN, 0)

    def append(self, side: int, data: bytes, ts: int, frame: int) -> None:
        """Add a segment. While the flow is being judged, each is a run of its own."""
        flow = self._flow
        if side != self.side:
            self.end()
            self._start(side, flow.gap[side])
            flow.gap[side] = 0
            flow.began[side] = True
        self._offsets.append(self._len)
        self._ts.append(ts)
        self._frames.append(frame)
        self._data.append(data)
        self._len += len(data)
        flow.pending_bytes += len(data)
        if flow.wanted != WANTED:
            self.end()

    def end(self) -> None:
        """Feed the run."""
        side = self.side
        if side != UNKNOWN:
            data = self._data[0] if len(self._data) == 1 else b"".join(self._data)
            run = Run(side, data, self._offsets, self._ts, self._frames, self._gap)
            self._start(UNKNOWN, 0)
            self._flow.feed(side, run)

    def ends_with(self, side: int, data: bytes) -> bool:
        """Whether `data` is the newest segment of the run, and `side` sent it."""
        return side == self.side and data == self._data[-1]

    def differs(self, side: int, start: int, again: bytes) -> bool:
        """Whether bytes from the number `start` on differ from this copy, as far as they are remembered."""
        flow = self._flow
        back = flow.nxt[side] - (flow.fins >> side & 1) - flow.gap[side] - start
        wanted = min(back, TAIL_LEN)
        if wanted <= 0:
            return False
        history = b""
        if side == self.side:
            for data in reversed(self._data):
                history = data + history
                if len(history) >= wanted:
                    break
        if len(history) < wanted and not (side == self.side and self._gap):
            history = flow.tails[side] + history
        history = history[-wanted:]
        again = again[back - len(history) :]
        first = history[: len(again)]
        return again[: len(first)] != first

    def _start(self, side: int, gap: int) -> None:
        self.side = side
        self._gap = gap
        self._len = 0
        self._data: list[bytes] = []
        self._offsets: list[int] = []
        self._ts: list[int] = []
        self._frames: list[int] = []
