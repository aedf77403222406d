"""What is to become of the bytes of a stream: the plan that the first reading makes and the last one carries out.

A plan is a list of what may stay. Bytes of a stream that no decoder has understood are in no plan and are blanked, in
every packet that carries them: first copies, retransmissions, and what came too late to be decoded. Offsets count from
the first byte of a direction that was decoded; they go on over missing bytes.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from glancetrace.net.run import Connection, Run

__all__ = ["BLANK", "ConnectionPlan", "PlacedRun", "StreamPlan", "Tally", "place"]


BLANK = b"\xff"
"""What takes the place of bytes that may not stay: no HTTP begins so, and no MySQL packet that could be expected."""

_LONG = 1 << 20
"""Bytes of image data that are searched less closely."""
_MARK_LEN = 16
"""Bytes of a mark, at most."""


@dataclass(slots=True)
class Tally:
    """What was replaced, by kind, and what was blanked, in bytes; never the secrets themselves."""

    replaced: Counter[str] = field(default_factory=Counter)
    blanked: Counter[str] = field(default_factory=Counter)

    def join(self, other: Tally) -> None:
        """Take what was counted elsewhere."""
        self.replaced.update(other.replaced)
        self.blanked.update(other.blanked)


@dataclass(slots=True)
class PlacedRun(Run):
    """A run that knows where in its stream it begins."""

    start: int = 0


def place(run: Run, start: int) -> PlacedRun:
    """The run as one that begins at the offset `start`."""
    return PlacedRun(run.direction, run.data, run.offsets, run.ts, run.frames, run.gap, start)


@dataclass(slots=True)
class StreamPlan:
    """One direction of a connection.

    Attributes:
        kept: ranges that may stay (begin, end), ascending, apart from each other.
        images: ranges of what is kept that are image data, as `kept` is.
        zeroed: ranges of image data that become zeros; marks: (begin, bytes) that stand in them.
        edits: (begin, bytes) that replace what is kept there, ascending once `settle` was called.
        anchor: 32-bit sequence number of offset 0; None while nothing was decoded.
        end: offset behind the last byte decoded.
        checks: frame, offset and length of what a run has of its payload, three by three: to hold the counting against
            the packets.
        copied: ranges that more than one packet carries, ascending.
        written: behind the last byte that was written.
    """

    kept: list[tuple[int, int]] = field(default_factory=list)
    images: list[tuple[int, int]] = field(default_factory=list)
    zeroed: list[tuple[int, int]] = field(default_factory=list)
    marks: list[tuple[int, bytes]] = field(default_factory=list)
    edits: list[tuple[int, bytes]] = field(default_factory=list)
    anchor: int | None = None
    end: int = 0
    checks: array[int] = field(default_factory=lambda: array("q"))
    copied: list[tuple[int, int]] = field(default_factory=list)
    longest: int = 0
    written: int = 0

    def keep(self, begin: int, end: int) -> None:
        """Bytes may stay; ranges may come in any order, most come in theirs."""
        if begin < end:
            self.kept = _with_range(self.kept, begin, end)

    def keep_image(self, begin: int, end: int) -> None:
        """Image data may stay."""
        self.keep(begin, end)
        if begin < end:
            self.images = _with_range(self.images, begin, end)

    def is_image(self, begin: int, end: int) -> bool:
        """All of a range is image data."""
        index = bisect_right(self.images, begin, key=lambda one: one[0]) - 1
        return index >= 0 and self.images[index][1] >= end

    def is_long_image(self, begin: int, end: int) -> bool:
        """All of a range lies in much image data."""
        index = bisect_right(self.images, begin, key=lambda one: one[0]) - 1
        return index >= 0 and self.images[index][1] >= end and self.images[index][1] - self.images[index][0] > _LONG

    def replace(self, begin: int, data: bytes) -> None:
        """Bytes become others; the later word counts where edits overlap."""
        self.edits.append((begin, data))
        self.longest = max(self.longest, len(data))

    def settle(self) -> None:
        """All edits are known."""
        self.edits.sort(key=lambda edit: edit[0])
        self.marks.sort(key=lambda mark: mark[0])

    def edits_in(self, begin: int, end: int) -> list[tuple[int, bytes]]:
        """Edits that touch a range."""
        edits = self.edits
        first = bisect_left(edits, begin - self.longest, key=lambda edit: edit[0])
        last = bisect_left(edits, end, key=lambda edit: edit[0])
        return [edit for edit in edits[first:last] if edit[0] + len(edit[1]) > begin]

    def zeros_in(self, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
        """What image data between `begin` and `end` becomes, as edits."""
        first = bisect_right(self.zeroed, begin, key=lambda one: one[1])
        for low, high in self.zeroed[first : bisect_left(self.zeroed, end, key=lambda one: one[0])]:
            low, high = max(low, begin), min(high, end)
            yield low, bytes(high - low)
        first = bisect_left(self.marks, begin - _MARK_LEN, key=lambda one: one[0])
        yield from self.marks[first : bisect_left(self.marks, end, key=lambda one: one[0])]

    def blanks_in(self, begin: int, end: int) -> list[tuple[int, int]]:
        """Ranges between `begin` and `end` that may not stay."""
        kept = self.kept
        blanks: list[tuple[int, int]] = []
        at = begin
        for index in range(bisect_left(kept, begin + 1, key=lambda one: one[1]), len(kept)):
            first, last = kept[index]
            if first >= end:
                break
            if first > at:
                blanks.append((at, first))
            at = max(at, last)
        if at < end:
            blanks.append((at, end))
        return blanks

    def apply(self, start: int, data: bytes) -> bytes:
        """Bytes from the offset `start` on as they will be written."""
        edits = self.edits_in(start, start + len(data))
        blanks = self.blanks_in(start, start + len(data))
        if not edits and not blanks:
            return data
        out = bytearray(data)
        for begin, new in edits:
            low, high = max(begin, start), min(begin + len(new), start + len(data))
            out[low - start : high - start] = new[low - begin : high - begin]
        for begin, end in blanks:
            out[begin - start : end - start] = BLANK * (end - begin)
        return bytes(out)


@dataclass(slots=True, eq=False)
class ConnectionPlan:
    """Both directions of a connection, by `FROM_CLIENT` and `FROM_SERVER`; without `decoded` its payload goes."""

    connection: Connection
    streams: tuple[StreamPlan, StreamPlan] = field(default_factory=lambda: (StreamPlan(), StreamPlan()))
    protocol: str = "unknown"
    trusted: bool = True

    @property
    def decoded(self) -> bool:
        """Something of it may stay."""
        return self.trusted and self.protocol != "unknown"


def _with_range(ranges: list[tuple[int, int]], begin: int, end: int) -> list[tuple[int, int]]:
    """The ranges and one more, which most often comes last."""
    if not ranges or begin > ranges[-1][1]:
        ranges.append((begin, end))
    elif begin >= ranges[-1][0]:
        ranges[-1] = (ranges[-1][0], max(end, ranges[-1][1]))
    else:
        return merge([*ranges, (begin, end)])
    return ranges


def merge(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The ranges in order, those that touch joined."""
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(ranges):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((begin, end))
    return merged
