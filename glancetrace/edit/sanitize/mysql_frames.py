"""The compressed protocol of MySQL: frames whose packets are sanitised inside and compressed again in place.

MySQL Server documentation, "Compressed Packet": int<3> length, int<1> sequence id, int<3> length before compression (0:
not compressed), payload. A frame has to keep its length. One without secrets stays as it is; one with secrets is
compressed again and filled up (whoever decompresses stops at the end of the zlib stream), with runs of one letter in
place of the secrets where pseudonyms need more room; what cannot be done so (Zstandard, frames that do not inflate) is
blanked.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glancetrace.edit.sanitize.known import Find, KnownSecrets
from glancetrace.edit.sanitize.plan import BLANK, ConnectionPlan, PlacedRun, StreamPlan
from glancetrace.net.run import Connection

if TYPE_CHECKING:
    from glancetrace.edit.sanitize.mysql_spans import MysqlSpans

__all__ = ["Frames"]

_HEADER_LEN = 7


@dataclass(slots=True)
class _Frame:
    """A frame whose packets have not ended: payload in the stream, and its content among the packets."""

    at: int
    payload: bytes
    inner_at: int
    content: bytes
    compressed: bool


class Frames:
    """Frames of both directions of one session."""

    def __init__(
        self,
        streams: tuple[StreamPlan, StreamPlan],
        known: KnownSecrets,
        make_inner: Callable[[ConnectionPlan], MysqlSpans],
    ) -> None:
        self._streams = streams
        self._known = known
        nobody = ("0.0.0.0", 0)
        self._plan = ConnectionPlan(Connection(0, nobody, nobody, False, 0, 0))
        self._inner = make_inner(self._plan)
        self._held = (bytearray(), bytearray())
        self._starts = [0, 0]
        self._ends = [0, 0]
        self._lost = [False, False]
        self._frames: tuple[list[_Frame], list[_Frame]] = ([], [])

    def feed(self, run: PlacedRun, turn: bool) -> None:
        """The next run."""
        direction = run.direction
        held = self._held[direction]
        if run.gap or (turn and self._lost[direction]):
            self._blank(len(held))
            held.clear()
            self._lost[direction] = False
            if run.gap:
                self._write(direction)
                self._inner.feed(PlacedRun(direction, b"", [0], [0], [0], run.gap, self._ends[direction]))
        if self._lost[direction]:
            self._blank(len(run.data))
            return
        if not held:
            self._starts[direction] = run.start
        held += run.data
        self._cut(direction)

    def close(self) -> None:
        """The connection is over."""
        self._inner.close()
        for direction in (0, 1):
            self._blank(len(self._held[direction]))
            self._write(direction)

    def _cut(self, direction: int) -> None:
        held = self._held[direction]
        while len(held) >= _HEADER_LEN:
            length = int.from_bytes(held[:3], "little")
            if not length:
                self._lost[direction] = True
                self._blank(len(held))
                held.clear()
                return
            if len(held) < _HEADER_LEN + length:
                return
            start = self._starts[direction]
            payload = bytes(held[_HEADER_LEN : _HEADER_LEN + length])
            plain_len = int.from_bytes(held[4:7], "little")
            self._streams[direction].keep(start, start + _HEADER_LEN)
            self._take(direction, payload, start + _HEADER_LEN, plain_len)
            del held[: _HEADER_LEN + length]
            self._starts[direction] += _HEADER_LEN + length

    def _take(self, direction: int, payload: bytes, at: int, plain_len: int) -> None:
        content = payload
        if plain_len:
            try:
                content = zlib.decompressobj().decompress(payload, plain_len)
            except zlib.error:
                content = b""
            if len(content) != plain_len:
                self._blank(len(payload))
                self._inner.feed(PlacedRun(direction, b"", [0], [0], [0], 1, self._ends[direction]))
                return
        begin = self._ends[direction]
        self._ends[direction] += len(content)
        self._frames[direction].append(_Frame(at, payload, begin, content, bool(plain_len)))
        self._inner.feed(PlacedRun(direction, content, [0], [0], [0], 0, begin))
        if self._inner.settled(direction):
            self._write(direction)

    def _write(self, direction: int) -> None:
        """All packets in the frames have ended: carry out the plan for them."""
        inner, stream = self._plan.streams[direction], self._streams[direction]
        inner.settle()
        frames = [(frame, inner.apply(frame.inner_at, frame.content)) for frame in self._frames[direction]]
        self._frames[direction].clear()
        for frame, _ in frames:
            stream.keep(frame.at, frame.at + len(frame.payload))
        self._known.defer(
            sum(len(frame.payload) + 2 * len(frame.content) for frame, _ in frames),
            lambda find: self._finish(stream, frames, find),
        )
        if len(inner.edits) > 64:
            inner.edits.clear()

    def _finish(self, stream: StreamPlan, frames: list[tuple[_Frame, bytes]], find: Find | None) -> None:
        """Replace the secrets that were learned elsewhere; where that cannot be done, everything."""
        content = bytearray(b"".join([new for _, new in frames]))
        if find is None:
            content[:] = BLANK * len(content)
            self._known.tally.blanked["mysql-compressed"] += len(content)
        else:
            for at, data in find(bytes(content)):
                content[at : at + len(data)] = data
        pos = 0
        for frame, _ in frames:
            new = bytes(content[pos : pos + len(frame.content)])
            pos += len(frame.content)
            if new != frame.content:
                stream.replace(frame.at, self._squeeze(frame, new) if frame.compressed else new)

    def _squeeze(self, frame: _Frame, new: bytes) -> bytes:
        room = len(frame.payload)
        plain = bytes(120 if one != other else one for one, other in zip(frame.content, new, strict=True))
        for content in (new, plain):
            for level in (6, 9):
                packed = zlib.compress(content, level)
                if len(packed) <= room:
                    return packed + bytes(room - len(packed))
        self._known.tally.blanked["mysql-compressed"] += room
        return bytes(room)

    def _blank(self, length: int) -> None:
        if length:
            self._known.tally.blanked["mysql-compressed"] += length
