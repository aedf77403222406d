"""Reads message bodies: ranges that are counted, timed and handed to hashers as they pass, never held.

One reader per framing (RFC 9112, section 6.3): a known length, chunks (section 7.1), or everything up to the end of the
connection. A reader takes what belongs to the body from a run and says where it stopped. Missing bytes are counted; a
reader that knows how many bytes are still to come stays in step across a gap, and any other is `lost`.
"""

from __future__ import annotations

from glancetrace.http.content import ContentPrefix, content_codings
from glancetrace.http.exchange import Body, BodyPlan, Head
from glancetrace.http.framing import Framing, FramingKind
from glancetrace.http.span import Span
from glancetrace.net.run import Run

__all__ = ["BodyReader", "ChunkedReader", "CloseReader", "LengthReader", "open_body"]

_SIZE_LINE_LIMIT = 4096
_TRAILER_LIMIT = 16 * 1024
_HEX_DIGITS = b"0123456789abcdefABCDEF"
_LONGEST_SIZE = 15


class BodyReader:
    """What the readers have in common: the row, the hasher, the kept content.

    `done`: the body has ended. `lost`: its end cannot be found any more. `malformed`: because its framing is broken.
    `ranges`: where content stood in the last run, without framing.
    """

    __slots__ = ("_content", "_wanted", "body", "done", "lost", "malformed", "ranges", "span")

    def __init__(self, body: Body, plan: BodyPlan, head: Head) -> None:
        self.body = body
        self.span = Span()
        self.ranges: list[tuple[int, int]] = []
        self.done = False
        self.lost = False
        self.malformed = False
        self._content = ContentPrefix(plan.keep, content_codings(head)) if plan.keep else None
        if plan.hasher is not None:
            body.hasher = plan.hasher()
        self._wanted = body.hasher is not None or self._content is not None

    def feed(self, run: Run, pos: int) -> int:
        """Take what belongs to the body from `pos` on; returns where it stopped."""
        raise NotImplementedError

    def skip(self, count: int) -> int:
        """`count` bytes are missing here; returns how many of them lie behind the end of the body."""
        raise NotImplementedError

    def deliver(self, data: bytes, ranges: list[tuple[int, int]]) -> None:
        """Bytes of the body, as ranges of `data`."""
        self.ranges = ranges
        count = sum(end - begin for begin, end in ranges)
        self.body.byte_count += count
        if not self._wanted or not count:
            return
        if len(ranges) == 1:
            begin, end = ranges[0]
            piece = data if count == len(data) else data[begin:end]
        else:
            view = memoryview(data)
            piece = b"".join([view[begin:end] for begin, end in ranges])
        if self.body.hasher is not None:
            self.body.hasher.update(piece)
        if self._content is not None:
            self._content.add(piece)
            if self._content.full:
                self._wanted = self.body.hasher is not None

    def miss(self, count: int) -> None:
        """`count` bytes of the body are missing: its hash can no longer be known."""
        self.body.missing += count
        self.body.hasher = None
        self._wanted = False
        if self._content is not None:
            self._content.miss()

    def finish(self) -> bool:
        """Write what is known into the row; False when kept content could not be decoded."""
        body, span = self.body, self.span
        body.complete = self.done and not body.missing
        if body.byte_count:
            body.first_ts, body.last_ts, body.longest_pause = span.first_ts, span.last_ts, span.longest_pause
        if self._content is None:
            return True
        body.content, body.content_truncated = self._content.content(body.complete)
        return not self._content.undecodable


class LengthReader(BodyReader):
    """A body of known length."""

    __slots__ = ("_remaining",)

    def __init__(self, body: Body, plan: BodyPlan, head: Head, length: int) -> None:
        super().__init__(body, plan, head)
        body.expected = length
        self._remaining = length
        self.done = not length

    def feed(self, run: Run, pos: int) -> int:
        end = min(len(run.data), pos + self._remaining)
        self.span.add(run, pos, end)
        self._remaining -= end - pos
        self.done = not self._remaining
        self.deliver(run.data, [(pos, end)])
        return end

    def skip(self, count: int) -> int:
        inside = min(count, self._remaining)
        self._remaining -= inside
        self.done = not self._remaining
        self.miss(inside)
        return count - inside


class CloseReader(BodyReader):
    """A body that ends with the connection."""

    __slots__ = ()

    def feed(self, run: Run, pos: int) -> int:
        end = len(run.data)
        self.span.add(run, pos, end)
        self.deliver(run.data, [(pos, end)])
        return end

    def skip(self, count: int) -> int:
        self.miss(count)
        return 0


class ChunkedReader(BodyReader):
    """Chunks: a line with a size, so many bytes and a line end; a chunk of size 0, trailer fields and an empty line."""

    __slots__ = ("_expect", "_line", "_remaining", "_room")

    def __init__(self, body: Body, plan: BodyPlan, head: Head) -> None:
        super().__init__(body, plan, head)
        self._remaining = 0
        self._expect = self._take_size
        self._line = b""
        self._room = _SIZE_LINE_LIMIT

    def feed(self, run: Run, pos: int) -> int:
        data = run.data
        size = len(data)
        begin = pos
        ranges: list[tuple[int, int]] = []
        while pos < size and not self.done and not self.lost:
            if self._remaining:
                end = min(size, pos + self._remaining)
                self._remaining -= end - pos
                ranges.append((pos, end))
                pos = end
                continue
            end = data.find(b"\n", pos, pos + self._room) + 1
            if end:
                line = self._line + data[pos:end] if self._line else data[pos:end]
                self._line = b""
                self._room -= end - pos
                self._expect(line[:-2] if line.endswith(b"\r\n") else line[:-1])
                pos = end
                continue
            end = min(size, pos + self._room)
            self._line += data[pos:end]
            self._room -= end - pos
            self.lost = self.malformed = not self._room
            pos = end
        self.span.add(run, begin, pos)
        self.deliver(data, ranges)
        return pos

    def _take_size(self, line: bytes) -> None:
        digits = line.split(b";", 1)[0].strip(b" \t")
        if not 0 < len(digits) <= _LONGEST_SIZE or digits.strip(_HEX_DIGITS):
            self.lost = self.malformed = True
            return
        self._remaining = int(digits, 16)
        self._expect = self._take_chunk_end if self._remaining else self._take_trailer
        self._room = _SIZE_LINE_LIMIT if self._remaining else _TRAILER_LIMIT

    def _take_chunk_end(self, line: bytes) -> None:
        self.lost = self.malformed = bool(line)
        self._expect = self._take_size
        self._room = _SIZE_LINE_LIMIT

    def _take_trailer(self, line: bytes) -> None:
        self.done = not line
        self.lost = self.malformed = not (self.done or self._room)

    def skip(self, count: int) -> int:
        self.miss(count)
        if count > self._remaining:
            self.lost = True
            return 0
        self._remaining -= count
        return 0


def open_body(framing: Framing, body: Body, plan: BodyPlan, head: Head) -> BodyReader | None:
    """The reader for a framing; None where there is nothing to read."""
    if framing.kind is FramingKind.LENGTH:
        return LengthReader(body, plan, head, framing.length)
    if framing.kind is FramingKind.CHUNKED:
        return ChunkedReader(body, plan, head)
    if framing.kind is FramingKind.CLOSE:
        return CloseReader(body, plan, head)
    return None
