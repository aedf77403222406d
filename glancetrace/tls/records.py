"""Records of one direction, cut out of its runs (RFC 8446, 5.1; RFC 5246, 6.2.1).

A record may span many runs and a run many records; whole records are handed out as views of the run they stand in. Each
has the place (time, frame) of its last byte. After missing bytes the reader stays in step where the length of the
damaged record says how far it goes; else it is out of step, and offers every place where a record may begin
(`candidates`) for the decoder to try.
"""

from __future__ import annotations

from bisect import bisect_right
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
        self._waiting: list[Run] = []
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
        self._waiting.append(run)
        self._have += len(run.data)

    def lose(self, gap: int) -> None:
        """`gap` bytes are missing behind what was pushed so far."""
        self._join()
        rest = len(self._run.data) - self._pos
        size = self._record_len() if rest >= HEADER_LEN and self.synced else 0
        self.skipped += rest
        self.lost += rest + gap
        self._pos = len(self._run.data)
        if self._drop >= gap and self._drop:
            self._drop -= gap
        elif size and rest + gap <= size:
            self._drop = size - rest - gap
        else:
            self._drop = 0
            self.synced = False

    def pull(self) -> Record | None:
        """The next record; None when its end is not there yet, or the reader is out of step."""
        if self._have < self._need:
            return None
        if self._waiting:
            self._join()
        start = self._pos
        run = self._run
        data = run.data
        available = len(data) - start
        if self._drop:
            start += min(self._drop, available)
            self.skipped += start - self._pos
            self.lost += start - self._pos
            self._drop -= start - self._pos
            self._pos = start
            available = len(data) - start
        if not self.synced:
            return None
        if available < HEADER_LEN:
            self._need = HEADER_LEN
            self._have = available
            return None
        content_type = data[start]
        size = HEADER_LEN + (data[start + 3] << 8 | data[start + 4])
        if not 20 <= content_type <= 24 or data[start + 1] != 3 or size > HEADER_LEN + LONGEST_RECORD:
            self.synced = False
            return None
        if available < size:
            self._need = size
            self._have = available
            return None
        self._pos = end = start + size
        self._have = len(data) - end
        self._need = 0
        ts, frame = run.at(end - 1)
        version = 0x300 | data[start + 2]
        return Record(content_type, version, self._view[start + HEADER_LEN : end], ts, frame)

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

    def accept(self, record: Record) -> None:
        """The record that `candidates` offered last is one: go on behind it."""
        end = self._end
        self._pass_over(end - len(record.body) - HEADER_LEN)
        self._pos = end
        self._have = len(self._run.data) - end
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
        self.skipped += end - self._pos
        self.lost += end - self._pos
        self._pos = end
        self._have = len(self._run.data) - end

    def _record_len(self) -> int:
        data, start = self._run.data, self._pos
        return HEADER_LEN + (data[start + 3] << 8 | data[start + 4])

    def _join(self) -> None:
        """Make one run of what is left and what was added."""
        if not self._waiting:
            return
        left = self._run.data[self._pos :]
        if not left and len(self._waiting) == 1:
            run = self._waiting[0]
        else:
            run = _joined(self._run, self._pos, self._waiting)
        self._run = run
        self._view = memoryview(run.data)
        self._waiting = []
        self._pos = 0
        self._have = len(run.data)


def _joined(first: Run, pos: int, others: list[Run]) -> Run:
    """One run of the end of `first` from `pos` on and of `others`."""
    pieces: list[bytes] = []
    offsets: list[int] = []
    times: list[int] = []
    frames: list[int] = []
    size = 0
    if pos < len(first.data):
        pieces.append(first.data[pos:])
        size = len(pieces[0])
        at = bisect_right(first.offsets, pos) - 1
        offsets = [max(0, offset - pos) for offset in first.offsets[at:]]
        times, frames = first.ts[at:], first.frames[at:]
    for run in others:
        pieces.append(run.data)
        offsets += [size + offset for offset in run.offsets] if size else run.offsets
        times += run.ts
        frames += run.frames
        size += len(run.data)
    return Run(first.direction, b"".join(pieces), offsets, times, frames)
