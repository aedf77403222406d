"""When and where bytes were seen: the times and frames of a stretch of a stream, however it is cut into runs.

Segments may have been put in order by sequence number, so the last byte is not always the one that came last. The end
of a stretch is when all of it had been seen, which is also how Wireshark dates a reassembled message.
"""

from __future__ import annotations

from bisect import bisect_right
from operator import sub

from glancetrace.net.run import Run

__all__ = ["Span"]


class Span:
    """A stretch of bytes of one direction.

    Attributes:
        first_ts, first_frame: of the first byte; None and 0 while there is none.
        last_ts: the latest capture time of any byte, ns. last_frame: the largest frame.
        longest_pause: longest time between two bytes that follow on each other, ns.
    """

    __slots__ = ("_previous_ts", "first_frame", "first_ts", "last_frame", "last_ts", "longest_pause")

    def __init__(self) -> None:
        self.first_ts: int | None = None
        self.first_frame = 0
        self.last_ts = 0
        self.last_frame = 0
        self.longest_pause = 0
        self._previous_ts = 0

    def add(self, run: Run, begin: int, end: int) -> None:
        """Add the bytes from `begin` up to `end` of a run; they follow on those added before."""
        if begin >= end:
            return
        offsets = run.offsets
        if len(offsets) == 1:
            first = last = latest = run.ts[0]
            first_frame = last_frame = run.frames[0]
            pause = 0
        else:
            low = bisect_right(offsets, begin) - 1
            high = bisect_right(offsets, end - 1, low)
            times = run.ts[low:high]
            frames = run.frames[low:high]
            first, last, latest = times[0], times[-1], max(times)
            first_frame, last_frame = frames[0], max(frames)
            pause = max(map(sub, times[1:], times), default=0)
        if self.first_ts is None:
            self.first_ts = first
            self.first_frame = first_frame
        elif first - self._previous_ts > pause:
            pause = first - self._previous_ts
        self._extend(last, latest, last_frame, pause)

    def join(self, other: Span) -> None:
        """Add a span that follows on this one."""
        if other.first_ts is None:
            return
        pause = other.longest_pause
        if self.first_ts is None:
            self.first_ts = other.first_ts
            self.first_frame = other.first_frame
        else:
            pause = max(pause, other.first_ts - self._previous_ts)
        self._extend(other._previous_ts, other.last_ts, other.last_frame, pause)

    def _extend(self, previous_ts: int, last_ts: int, last_frame: int, pause: int) -> None:
        self._previous_ts = previous_ts
        if last_ts > self.last_ts:
            self.last_ts = last_ts
        if last_frame > self.last_frame:
            self.last_frame = last_frame
        if pause > self.longest_pause:
            self.longest_pause = pause
