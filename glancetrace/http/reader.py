"""Finds the next message head in one direction of a connection.

In step, a head is expected right here: leading empty lines are ignored (RFC 9112, section 2.2) and anything that is no
head puts the reader out of step. Out of step (joined mid-session, after missing bytes, after malformed ones) it skips
to the next head, and believes one only where a message can begin: at the first byte after the loss, at the first byte
after the other side has spoken, and behind a line end. A head that turns out not to be one is given up at the line that
cannot stand in it, and the search goes on at that line, so no byte is looked at again and again.

Nothing here depends on how bytes are cut into runs: a head that lies in one run is parsed in one go, any other is
collected line by line, with the same verdict.
"""

from __future__ import annotations

from glancetrace.http.exchange import Head
from glancetrace.http.head import is_field_line, may_start_request, may_start_response, parse_head, parse_start_line
from glancetrace.http.span import Span
from glancetrace.net.run import FROM_CLIENT, Run

__all__ = ["HEAD_LIMIT", "HeadReader"]

HEAD_LIMIT = 64 * 1024
"""Longest head that is read, in bytes with its empty line; servers refuse far shorter ones."""

_LINE_ENDS = b"\r\n"


class HeadReader:
    """Reads heads of one direction.

    After `pull`, `head` is the head that ended there (or None), `span` says when and where it was seen, and `trouble`
    names the issue that put the reader out of step (or is empty). `skipped` counts bytes that belong to no head.
    """

    __slots__ = (
        "_at_start",
        "_line",
        "_line_count",
        "_line_span",
        "_lines",
        "_request",
        "head",
        "in_step",
        "skipped",
        "span",
        "trouble",
    )

    def __init__(self, direction: int, *, in_step: bool) -> None:
        self._request = direction == FROM_CLIENT
        self.in_step = in_step
        self.head: Head | None = None
        self.span = Span()
        self.trouble = ""
        self.skipped = 0
        self._at_start = True
        self._lines = bytearray()
        self._line_count = 0
        self._line = bytearray()
        self._line_span = Span()

    @property
    def pending(self) -> bool:
        """Whether a head has begun and not ended."""
        return bool(self._lines or self._line)

    def lose_step(self, *, at_start: bool = True) -> None:
        """Forget what was collected and search for the next head; `at_start`: it may begin with the very next byte."""
        self._give_up_head()
        self.in_step = False
        self._at_start = at_start

    def turn(self) -> None:
        """The other side has spoken since the last byte: a message may begin with the next one.

        Out of step, half a line that looked like the begin of a message is then none.
        """
        if not self._lines and not self.in_step:
            self._give_up_head()
        if not self.pending:
            self._at_start = True

    def pull(self, run: Run, pos: int) -> int:
        """Read from `pos` of the run up to the end of a head or of the run; returns where it stopped."""
        self.head = None
        self.trouble = ""
        data = run.data
        size = len(data)
        while pos < size and self.head is None and not self.trouble:
            if self.pending:
                pos = self._pull_line(run, pos)
            elif not self._at_start:
                pos = self._seek(data, pos)
            elif self.in_step and data[pos] in _LINE_ENDS:
                pos += 1
                self.skipped += 1
            else:
                pos = self._begin(run, pos)
        return pos

    def _begin(self, run: Run, pos: int) -> int:
        """A head may begin at `pos`."""
        data = run.data
        if not self._may_start(data[pos : pos + 33]):
            self._at_start = False
            self._note_trouble("http-malformed")
            return pos
        limit = pos + HEAD_LIMIT
        end = data.find(b"\n\r\n", pos, limit)
        end = end + 3 if end >= 0 else 0
        bare = data.find(b"\n\n", pos, end or limit)
        if bare >= 0:
            end = bare + 2
        if end:
            head = parse_head(data[pos:end], self._request, not self.in_step)
            if head is not None:
                self.span = Span()
                self.span.add(run, pos, end)
                self._finish(head)
                return end
        self.span = Span()
        return self._pull_line(run, pos)

    def _pull_line(self, run: Run, pos: int) -> int:
        """Collect a line of a head, or what the run has of it."""
        data = run.data
        stop = pos + HEAD_LIMIT - len(self._lines) - len(self._line)
        end = data.find(b"\n", pos, stop) + 1
        if not self._line:
            self._line_span = Span()
        if not end:
            end = min(stop, len(data))
            self._line += data[pos:end]
            self._line_span.add(run, pos, end)
            if not self._lines and not self._may_start(bytes(self._line[:33])):
                self._drop_line("http-malformed", at_start=False)
            elif end == stop:
                self._drop_line("http-head-too-large" if self._lines else "http-malformed", at_start=False)
            return end
        self._line += data[pos:end]
        self._line_span.add(run, pos, end)
        self._judge_line()
        return end

    def _judge_line(self) -> None:
        """A line is complete: it goes on with the head, ends it, or shows that it is none."""
        raw = bytes(self._line)
        line = raw[:-2] if raw.endswith(b"\r\n") else raw[:-1]
        text = line.decode("latin-1")
        if not self._lines:
            valid = parse_start_line(text, self._request, not self.in_step) is not None
        else:
            valid = not line or is_field_line(text, self._line_count == 1)
        if valid:
            self._lines += raw
            self._line_count += 1
            self._line.clear()
            self.span.join(self._line_span)
            if not line:
                self._end_lines()
            elif len(self._lines) == HEAD_LIMIT:
                self._drop_line("http-head-too-large", at_start=True)
            return
        self._reconsider(raw)

    def _reconsider(self, raw: bytes) -> None:
        """The line cannot stand in the head collected so far; it may be the first line of another."""
        first = bool(self._lines) and parse_start_line(raw.rstrip(b"\r\n").decode("latin-1"), self._request, True)
        if not first:
            self._drop_line("http-malformed", at_start=True)
            return
        span = self._line_span
        self._drop_line("http-malformed", at_start=True)
        self.skipped -= len(raw)
        self._lines += raw
        self._line_count = 1
        self.span = Span()
        self.span.join(span)

    def _end_lines(self) -> None:
        head = parse_head(bytes(self._lines), self._request, not self.in_step)
        if head is None:
            self._drop_line("http-malformed", at_start=True)
            return
        self._lines.clear()
        self._line_count = 0
        self._finish(head)

    def _finish(self, head: Head) -> None:
        self.head = head
        self.in_step = True
        self._at_start = True

    def _drop_line(self, trouble: str, *, at_start: bool) -> None:
        self._give_up_head()
        self._at_start = at_start
        self._note_trouble(trouble)

    def _note_trouble(self, trouble: str) -> None:
        if self.in_step:
            self.trouble = trouble
            self.in_step = False

    def _give_up_head(self) -> None:
        self.skipped += len(self._lines) + len(self._line)
        self._lines.clear()
        self._line.clear()
        self._line_count = 0

    def _may_start(self, begin: bytes) -> bool:
        return may_start_request(begin, not self.in_step) if self._request else may_start_response(begin)

    def _seek(self, data: bytes, pos: int) -> int:
        """Skip to the next line that can be a start line, or to the end of the run."""
        found = self._find_request_line(data, pos) if self._request else data.find(b"\nHTTP/1.", pos)
        if found < 0:
            found = data.rfind(b"\n", pos)
            tail = data[found + 1 : found + 34]
            if found < 0 or (tail and not self._may_start(tail)):
                self.skipped += len(data) - pos
                return len(data)
        self._at_start = True
        self.skipped += found + 1 - pos
        return found + 1

    def _find_request_line(self, data: bytes, pos: int) -> int:
        """Offset of the line end in front of the next line with a known method and a version; -1 without one."""
        version = data.find(b" HTTP/1.", pos)
        while version >= 0:
            line_end = data.rfind(b"\n", pos, version)
            if line_end >= 0 and self._may_start(data[line_end + 1 : line_end + 34]):
                return line_end
            version = data.find(b" HTTP/1.", version + 1)
        return -1
