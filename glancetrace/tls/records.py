"""Records of one direction, cut out of its runs (RFC 8446, 5.1; RFC 5246, 6.2.1).

A record may span many runs and a run many records; whole records are handed out as views of the run they stand in. Each
has the place (time, frame) of its last byte. After missing bytes the reader stays in step where the length of the
damaged record says how far it goes; else it is out of step, and offers every place where a record may begin
(`candidates`) for the decoder to try.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from glancetrace.net.run import Run
from glancetrace.tls.constants import HEADER_LEN, LONGEST_RECORD

__all__ = ["Record", "RecordReader"]


@dataclass(slots=True)
class Record:
    """One record: its header's fields, its body, where its last byte was captured."""

    content_type: int
    version: int
    body: bytes | memoryview
    ts: int
    frame: int


_LARGE = 1 << 17
"""A run of more bytes is not copied when the record before it is completed."""


class RecordReader:
    """Cuts runs into records.

    Attributes:
        synced: a record begins at the next byte. skipped: bytes that are part of no record that was handed out.
        lost: bytes missing or passed over since the last record that was opened.
    """

    __slots__ = ("_drop", "_end", "_have", "_need", "_pos", "_run", "_start", "_view", "_waiting", "lost",
                 "skipped", "synced")  # fmt: skip

    def __init__(self, direction: int) -> None:
        self._run = Run(direction, b"", [0], [0], [0])
        self._view = memoryview(b"")
        self._pos = 0
        self._waiting: list[tuple[Run, int]] = []
        self._have = 0
        self._need = 0
        self._drop = 0
        self._start = 0
        self._end = 0
        self.synced = True
        self.skipped = 0
        self.lost = 0

    def push(self, run: Run) -> None:
        """Add the next run, without gap."""
        self._waiting.append((run, 0))
        self._have += len(run.data)

    def lose(self, gap: int) -> None:
        """`gap` bytes are missing behind what was pushed so far."""
        self._join()
        rest = len(self._run.data) - self._pos
        size = self._record_len() if rest >= HEADER_LEN and self.synced else 0
        self._pass_over(len(self._run.data))
        self._need = 0
        self.lost += gap
        if self._drop >= gap and self._drop:
            self._drop -= gap
        elif size and rest + gap <= size:
            self._drop = size - rest - gap
        else:
            self._drop = 0
            self.synced = False

    def pull(self) -> Record | None:
        """The next record; None when its end is not there yet, or the reader is out of step."""
        while self._have >= self._need:
            if self._waiting:
                self._join_some()
            if self._drop:
                self._drop_damaged()
            if not self.synced:
                self._join()
                return None
            start, data = self._pos, self._run.data
            available = len(data) - start
            if available < HEADER_LEN:
                self._need = HEADER_LEN
                continue
            size = HEADER_LEN + (data[start + 3] << 8 | data[start + 4])
            if not 20 <= data[start] <= 24 or data[start + 1] != 3 or size > HEADER_LEN + LONGEST_RECORD:
                self.synced = False
                continue
            if available < size:
                self._need = size
                continue
            self._pos = end = start + size
            self._have -= size
            self._need = 0
            ts, frame = self._run.at(end - 1)
            return Record(data[start], 0x300 | data[start + 2], self._view[start + HEADER_LEN : end], ts, frame)
        return None

    def _drop_damaged(self) -> None:
        """Pass over the rest of a record of which bytes are missing."""
        count = min(self._drop, len(self._run.data) - self._pos)
        self._drop -= count
        self._pass_over(self._pos + count)

    def candidates(self) -> Iterator[Record]:
        """Complete records that may begin in what is there, out of step; `accept` takes the one that proved true."""
        self._join()
        data, pos = self._run.data, self._pos
        first_open = -1
        while True:
            pos = data.find(b"\x03", pos + 1)
            if pos < 0:
                break
            start = pos - 1
            if not 20 <= data[start] <= 24:
                continue
            if start + HEADER_LEN > len(data):
                first_open = start if first_open < 0 else first_open
                break
            size = HEADER_LEN + (data[start + 3] << 8 | data[start + 4])
            if data[start + 2] > 4 or not HEADER_LEN < size <= HEADER_LEN + LONGEST_RECORD:
                continue
            end = start + size
            if end > len(data):
                first_open = start if first_open < 0 else first_open
                continue
            ts, frame = self._run.at(end - 1)
            self._start, self._end = start, end
            yield Record(data[start], 0x300 | data[start + 2], self._view[start + HEADER_LEN : end], ts, frame)
        keep = first_open if first_open >= 0 else max(self._pos, len(data) - 1)
        self._pass_over(keep)

    def accept(self) -> None:
        """The record that `candidates` offered last is one: go on behind it."""
        end = self._end
        self._pass_over(self._start)
        self._pos = end
        self._have -= end - self._start
        self._need = 0
        self.synced = True

    def rest(self) -> int:
        """Bytes that wait for more."""
        self._join()
        return len(self._run.data) - self._pos

    def forget_loss(self) -> None:
        """What was lost is accounted for."""
        self.lost = 0

    def chains(self) -> bool:
        """Whether the record that `candidates` offered last is followed by another one, or by nothing."""
        data, end = self._run.data, self._end
        return end == len(data) or (end + 1 < len(data) and 20 <= data[end] <= 24 and data[end + 1] == 3)

    @property
    def lost_so_far(self) -> int:
        """`lost`, and what stands before the record that `candidates` offered last."""
        return self.lost if self.synced else self.lost + self._start - self._pos

    def _pass_over(self, end: int) -> None:
        count = end - self._pos
        self.skipped += count
        self.lost += count
        self._have -= count
        self._pos = end

    def _record_len(self) -> int:
        data, start = self._run.data, self._pos
        return HEADER_LEN + (data[start + 3] << 8 | data[start + 4])

    def _join_some(self) -> None:
        """Have as much of what was added in one run as is needed, without copying a large run for a small rest."""
        rest = len(self._run.data) - self._pos
        if rest >= self._need and rest:
            return
        run, start = self._waiting[0]
        if rest and len(self._waiting) == 1 and len(run.data) - start > _LARGE:
            cut = start + max(self._need, HEADER_LEN) - rest
            self._set(_joined(self._run, self._pos, [(run, start, cut)]), 0)
            self._waiting = [(run, cut)]
        elif not rest:
            del self._waiting[0]
            self._set(run, start)
        else:
            self._join()

    def _join(self) -> None:
        """Make one run of what is left and what was added."""
        if self._waiting:
            parts = [(run, start, len(run.data)) for run, start in self._waiting]
            self._waiting = []
            self._set(_joined(self._run, self._pos, parts), 0)

    def _set(self, run: Run, pos: int) -> None:
        self._run = run
        self._view = memoryview(run.data)
        self._pos = pos


def _joined(first: Run, pos: int, others: list[tuple[Run, int, int]]) -> Run:
    """One run of the end of `first` from `pos` on and of the given parts of `others`."""
    pieces: list[bytes] = []
    offsets: list[int] = []
    times: list[int] = []
    frames: list[int] = []
    size = 0
    for run, start, end in [(first, pos, len(first.data)), *others]:
        if start == end:
            continue
        low = bisect_right(run.offsets, start) - 1
        high = bisect_left(run.offsets, end)
        offsets += [size + max(0, offset - start) for offset in run.offsets[low:high]]
        times += run.ts[low:high]
        frames += run.frames[low:high]
        pieces.append(run.data[start:end])
        size += end - start
    return Run(first.direction, b"".join(pieces), offsets, times, frames)
