"""Bytes of a capture that is still being written: a pipe from tcpdump, or a file that grows.

A reader of finished files waits for a whole block; here it gets what is there, at least one byte. While nothing comes,
the source says every second how long it has been quiet, so that what is told about silence needs no packet. A block
costs about a millisecond, however small it is, so after a small one the source lets `_GATHERS` pass before it reads on.

A followed file may be rotated (another file has its name) or truncated (written anew). Either ends the source, when
everything in it was read; the file of that name is then opened anew, which begins with a header of its own.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable
from contextlib import suppress

from glancetrace.capture.source import RawSource
from glancetrace.errors import InputError
from glancetrace.live.interrupt import Interrupt

__all__ = ["POLL", "FollowedFile", "LivePipe", "Quiet"]

POLL = 0.1
"""Seconds between two looks at what has not grown."""
_POLLS = 10
_SECOND = 1_000_000_000
_HEADER_LEN = 24
"""Bytes that a reader needs at once: the header of a pcap file; of pcapng it needs 12."""
_AT_ONCE = 1 << 20
_GATHERS = 0.02
_SMALL = 64 << 10

Quiet = Callable[[int], None]
"""Told how long (ns) nothing has come."""


class _LiveSource(RawSource):
    """What pipes and growing files have in common: the first read waits for a whole file header.

    Args:
        wait: lets so many seconds pass.

    Attributes:
        on_quiet: see `Quiet`.
    """

    def __init__(
        self, name: str, descriptor: int, interrupt: Interrupt, wait: Callable[[float], None] = time.sleep
    ) -> None:
        super().__init__(name, descriptor)
        self._interrupt = interrupt
        self._wait = wait
        self._gathers = False
        self.on_quiet: Quiet | None = None

    def peek(self, size: int) -> bytes:
        """See `RawSource`; waits for them."""
        while len(self._ahead) < size:
            more = self._pull(size - len(self._ahead))
            if not more:
                break
            self._ahead += more
        return self._ahead[:size]

    def read_on(self, carry: bytes, size: int) -> bytes:
        """`carry` and what is there, at least one byte and at most `size`; none only at the end."""
        if self._gathers:
            with self._interrupt.while_waiting():
                self._wait(_GATHERS)
        data = carry + self._ahead
        self._ahead = b""
        first = self._position == self.start
        while True:
            more = self._pull(min(size, _AT_ONCE))
            data += more
            if not more or not first or len(data) >= _HEADER_LEN:
                break
        self.ended = not more
        self._gathers = len(more) < _SMALL
        self._position += len(data) - len(carry)
        return data

    def _pull(self, size: int) -> bytes:
        """The next bytes, at most `size`; waits for one; none at the end."""
        raise NotImplementedError


class LivePipe(_LiveSource):
    """Standard input, or the output of a recorder."""

    def __init__(
        self, name: str, descriptor: int, interrupt: Interrupt, wait: Callable[[float], None] = time.sleep
    ) -> None:
        super().__init__(name, descriptor, interrupt, wait)
        self._ends_at: float | None = None

    def wind_up(self) -> None:
        """Read what is there, or comes within a second: who writes may be about to end, too."""
        self._ends_at = time.monotonic() + 1.0

    def _pull(self, size: int) -> bytes:
        looks = 0
        with self._interrupt.while_waiting():
            while self._ends_at is None or time.monotonic() < self._ends_at:
                if select.select([self.descriptor], [], [], POLL)[0]:
                    return self._read(size)
                looks += 1
                if self.on_quiet is not None and looks % _POLLS == 0:
                    self.on_quiet(looks // _POLLS * _SECOND)
        return b""

    def _read(self, size: int) -> bytes:
        try:
            return os.read(self.descriptor, size)
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", where=self.name) from None


class FollowedFile(_LiveSource):
    """A file that grows; it has a name, which another file may get.

    Attributes:
        fate: why it ended: "rotated" or "truncated"; "" before that.
    """

    def __init__(
        self, path: str, descriptor: int, interrupt: Interrupt, wait: Callable[[float], None] = time.sleep
    ) -> None:
        super().__init__(path, descriptor, interrupt, wait)
        self._read_to = self.start
        self.fate = ""

    def _pull(self, size: int) -> bytes:
        polls = 0
        while True:
            fate = self._judge()  # before reading: what a rotated file got at last is read all the same
            data = b"" if fate == "truncated" else self._read(size)
            if data:
                self._read_to += len(data)
                return data
            if fate:
                self.fate = fate
                return b""
            with self._interrupt.while_waiting():
                self._wait(POLL)
            polls += 1
            if self.on_quiet is not None and polls % _POLLS == 0:
                self.on_quiet(polls // _POLLS * _SECOND)

    def _read(self, size: int) -> bytes:
        try:
            return os.pread(self.descriptor, size, self._read_to)
        except OSError as error:
            where = f"{self.name}: offset {self._read_to}"
            raise InputError(f"cannot be read: {error.strerror}", where=where, action="look at the disk") from None

    def _judge(self) -> str:
        """Whether the name has become another file's, or the file is shorter than what was read of it."""
        own = os.fstat(self.descriptor)
        if own.st_size < self._read_to:
            return "truncated"
        with suppress(OSError):  # nobody has the name at the moment
            named = os.stat(self.name)
            if (named.st_dev, named.st_ino) != (own.st_dev, own.st_ino):
                return "rotated"
        return ""
