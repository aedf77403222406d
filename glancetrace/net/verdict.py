"""Connections on ports that nobody named: is this ours? Judged once, by the first bytes of each direction.

Until the judge has decided, the runs of the connection are kept, so that decoding begins with the first byte seen.
The judge is asked after every segment that shows it more, so its answer does not depend on how the stream is cut into
runs; it sees at most `PREFIX_LEN` bytes of each direction, and waits for at most `MAX_SEGMENTS` segments.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Protocol

from glancetrace.net.run import Connection, Run

__all__ = ["MAX_SEGMENTS", "PREFIX_LEN", "Consumer", "ConsumerFactory", "Judge", "Probe", "Verdict"]

PREFIX_LEN = 64
MAX_SEGMENTS = 16


class Verdict(Enum):
    """What a judge says: decode it; decode it, but client and server are the other way round; leave it; ask again."""

    WANT = "want"
    WANT_SWAPPED = "want-swapped"
    SKIP = "skip"
    MORE = "more"


class Consumer(Protocol):
    """What takes the runs of one connection."""

    def feed(self, run: Run) -> None:
        """Take the next run; see `glancetrace.net.run` for the order of runs."""

    def close(self, ts: int, frame: int, how: str) -> None:
        """No run follows. `how`: "fin", "rst", "reused" (a new connection took the ports) or "end" (of the capture).

        `ts` (ns) and `frame` are those of the packet that closed it, else of its last packet.
        """


ConsumerFactory = Callable[[Connection], Consumer | None]
"""Makes the consumer of a connection that is wanted; None when nobody wants it after all."""

Judge = Callable[[Connection, bytes, bytes], Verdict]
"""Judges a connection by the first bytes from its client and from its server."""


class Probe:
    """The first runs of a connection that is not judged yet."""

    __slots__ = ("_asked", "_judge", "_prefixes", "connection", "runs")

    def __init__(self, connection: Connection, judge: Judge) -> None:
        self.connection = connection
        self.runs: list[Run] = []
        self._judge = judge
        self._prefixes = [b"", b""]
        self._asked = 0

    def judge(self, run: Run) -> Verdict:
        """Keep `run` and judge the connection; `MORE` means that the next run is wanted."""
        self.runs.append(run)
        prefixes = self._prefixes
        ends = [*run.offsets[1:], len(run.data)]
        for start, end in zip(run.offsets, ends, strict=True):
            room = PREFIX_LEN - len(prefixes[run.direction])
            self._asked += 1
            if room > 0:
                prefixes[run.direction] += run.data[start : min(end, start + room)]
                verdict = self._judge(self.connection, prefixes[0], prefixes[1])
                if verdict is not Verdict.MORE:
                    return verdict
            if self._asked >= MAX_SEGMENTS or len(prefixes[0]) + len(prefixes[1]) >= 2 * PREFIX_LEN:
                return Verdict.SKIP
        return Verdict.MORE
