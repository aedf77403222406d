"""What an encrypted connection shows of the exchanges on it: when, which way and how much, by the heads of its records.

A record's head is plain (RFC 8446, section 5.1; RFC 5246, section 6.2.1): content type, version, length. Records of
application data from the client, then from the server, are a request and its response. What is not HTTP is left out:

- In TLS 1.3 the handshake hides in records of the same type: the server's come before any of the client, the client's
  first ends the handshake, and session tickets come next, as records of one length.
- An alert of TLS 1.3 is told by its length; a record too short for a request line begins no request.
- An answer as short as `100 Continue` does not end a request.

Payloads are known up to what a cipher adds to each record: 17 bytes in TLS 1.3, 16 to 48 before.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from glancetrace.net.run import FROM_CLIENT, Run

__all__ = ["SealedExchange", "SealedReader"]

_HEAD = 5
_HANDSHAKE, _APPLICATION_DATA = 22, 23
_TYPES = frozenset((20, 21, 22, 23))
_LONGEST = (1 << 14) + 2048
_SHORTEST_REQUEST = 33
"""Length of a record that can begin a request: `GET / HTTP/1.0` and an empty line, and what a cipher adds."""

_LONG = 64
"""A record of such a length has its full payload, whatever the cipher adds, and is no alert."""

_INTERIM = 80
_ALERT = 19
"""Length of an alert in TLS 1.3: two bytes, the inner content type, the tag."""

_FINISHED = 100
"""A record with TLS 1.3's Finished is not longer; one with a certificate is."""


@dataclass(slots=True, eq=False)
class SealedExchange:
    """A request and its response, unread. Times are ns; of the response None and 0 while there is none.

    `request_bytes`, `response_bytes` are payloads at most, `request_slack`, `response_slack` how much less they may be.
    """

    ts: int
    first_frame: int
    request_end_ts: int
    request_frame: int
    request_bytes: int = 0
    request_slack: int = 0
    response_ts: int | None = None
    response_end_ts: int | None = None
    response_frame: int | None = None
    response_bytes: int = 0
    response_slack: int = 0

    @property
    def end_ts(self) -> int:
        """The last byte seen of it, ns."""
        return self.response_end_ts if self.response_end_ts is not None else self.request_end_ts

    @property
    def last_frame(self) -> int:
        """The last frame of it."""
        return self.response_frame or self.request_frame


@dataclass(slots=True)
class _Direction:
    """A direction's record in the making: `left` bytes of it are still to come; `head` is a head cut by a run's end."""

    head: bytes = b""
    content_type: int = 0
    length: int = 0
    left: int = 0
    ts: int = 0
    frame: int = 0
    lost: bool = False


class SealedReader:
    """Reads one connection; `exchanges` grow as runs come."""

    def __init__(self) -> None:
        self.exchanges: list[SealedExchange] = []
        self._directions = (_Direction(), _Direction())
        self._shook_hands = False
        self._hidden = False
        self._finished = False
        self._early: list[tuple[int, int, int, int]] = []

    def feed(self, run: Run) -> None:
        """Take a run of either direction."""
        data, size = run.data, len(run.data)
        state = self._directions[run.direction]
        position = self._resume(state, run)
        while position < size:
            if not state.left:
                missing = _HEAD - len(state.head)
                if not state.head:
                    state.ts, state.frame = run.at(position)
                state.head += data[position : position + missing]
                position += missing
                if len(state.head) < _HEAD:
                    return
                if not self._begin(state):
                    position = self._find_record(state, run, position)
                continue
            taken = min(state.left, size - position)
            state.left -= taken
            position += taken
            if not state.left:
                self._record(run.direction, state, *run.at(position - 1))
                if run.direction == FROM_CLIENT and size - position > _LONGEST:
                    position = self._go_on_asking(run, position)

    def _go_on_asking(self, run: Run, position: int) -> int:
        """Take whole records that do no more than go on with a request, as those of an upload; where they end."""
        current = self.exchanges[-1] if self.exchanges else None
        if current is None or current.response_bytes > _INTERIM or (self._hidden and not self._finished):
            return position
        data, size = run.data, len(run.data)
        begin, count = position, 0
        while size - position > _HEAD and data[position] == _APPLICATION_DATA and data[position + 1] == 3:
            length = data[position + 3] << 8 | data[position + 4]
            end = position + _HEAD + length
            if not _LONG <= length <= _LONGEST or end > size:
                break
            position = end
            count += 1
        if count:
            low, high = self._payload(_LONG)
            current.request_bytes += position - begin - count * (_HEAD + _LONG - high)
            current.request_slack += count * (high - low)
            current.request_end_ts, frame = run.at(position - 1)
            current.request_frame = max(current.request_frame, frame)
        return position

    def _resume(self, state: _Direction, run: Run) -> int:
        """Where reading goes on in a run, after what may be missing before it."""
        if run.gap:
            if 0 < run.gap <= state.left:
                state.left -= run.gap
                if not state.left:
                    self._record(run.direction, state, *run.at(0)) if run.data else None
            else:
                state.lost = True
        if not state.lost:
            return 0
        state.head, state.left = b"", 0
        return self._find_record(state, run, 0)

    def _find_record(self, state: _Direction, run: Run, begin: int) -> int:
        """Where a record may begin again: at a segment, as they often do; the end of the run if at none."""
        data, offsets = run.data, run.offsets
        for number in range(bisect_left(offsets, begin), len(offsets)):
            start = offsets[number]
            end = offsets[number + 1] if number + 1 < len(offsets) else len(data)
            if end - start >= _HEAD and _is_head(data[start : start + _HEAD]):
                state.lost = False
                return start
        return len(data)

    def _begin(self, state: _Direction) -> bool:
        """A head is complete; False if it is none."""
        head, state.head = state.head, b""
        state.content_type, state.length = head[0], int.from_bytes(head[3:5], "big")
        if not _is_head(head):
            state.lost = True
            state.left = 0
            return False
        state.left = state.length
        return True

    def _record(self, direction: int, state: _Direction, end_ts: int, end_frame: int) -> None:
        """A record is complete."""
        if state.content_type == _HANDSHAKE:
            self._shook_hands = True
        if state.content_type != _APPLICATION_DATA or (self._hidden and state.length == _ALERT):
            return
        if direction == FROM_CLIENT:
            self._asked(state.length, state.ts, state.frame, end_ts, end_frame)
        else:
            self._answered(state.length, state.ts, state.frame, end_ts, end_frame)

    def _asked(self, length: int, ts: int, frame: int, end_ts: int, end_frame: int) -> None:
        if self._hidden and not self._finished:
            self._finished = length <= _FINISHED
            return
        current = self.exchanges[-1] if self.exchanges else None
        if current is None or current.response_bytes > _INTERIM:
            if length < _SHORTEST_REQUEST:
                return
            current = SealedExchange(ts, frame, end_ts, end_frame)
            self.exchanges.append(current)
        low, high = self._payload(length)
        current.request_bytes += high
        current.request_slack += high - low
        current.request_end_ts, current.request_frame = end_ts, max(current.request_frame, end_frame)

    def _answered(self, length: int, ts: int, frame: int, end_ts: int, end_frame: int) -> None:
        if not self.exchanges:
            if self._shook_hands and not self._finished:
                self._hidden = True
            return
        current = self.exchanges[-1]
        if self._hidden and len(self.exchanges) == 1 and len(self._early) < 3:
            self._early.append((length, ts, frame, end_ts))
            if len(self._early) == 3 and self._early[0][0] == self._early[1][0]:
                current.response_ts = None  # the two before were tickets
                current.response_bytes = current.response_slack = 0
        low, high = self._payload(length)
        if current.response_ts is None:
            current.response_ts = ts
        current.response_bytes += high
        current.response_slack += high - low
        current.response_end_ts, current.response_frame = end_ts, max(current.response_frame or 0, end_frame)

    def _payload(self, length: int) -> tuple[int, int]:
        """Least and most bytes of payload of a record."""
        most = max(0, length - (17 if self._hidden else 16))
        return (most if self._hidden else max(0, length - 48)), most


def _is_head(head: bytes) -> bool:
    """A record's head: a known type, a version of TLS, a length that is allowed."""
    return head[0] in _TYPES and head[1] == 3 and 0 < int.from_bytes(head[3:5], "big") <= _LONGEST
