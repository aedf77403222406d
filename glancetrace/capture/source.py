"""Bytes of one input, in large pieces: a file or standard input.

A reader asks for `carry + more`: the bytes that it could not use yet, followed by new ones, as one buffer. For a plain
file that is one positioned read without a copy, done ahead while the reader is at work (`glancetrace.capture.ahead`);
for a pipe it is a concatenation. Decompressed input (`glancetrace.capture.compressed`) has the same interface.
"""

from __future__ import annotations

import fcntl
import os
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from glancetrace.capture.ahead import ReadAhead, read_at
from glancetrace.errors import InputError

__all__ = ["ByteSource", "FileSource", "RawSource", "open_source"]

_PIPE_SIZE = 1 << 20
_STANDARD_INPUT = 0
_CARRIED = 64 << 10
"""What is read ahead begins so many bytes before what is new, since nobody knows yet how many will be carried."""


class ByteSource(Protocol):
    """Where a format reader gets its bytes from.

    Attributes:
        name: as the user gave it.
        ended: the last bytes were handed out.
    """

    name: str
    ended: bool

    @property
    def cut_short(self) -> bool:
        """The input ended in the middle of a compressed stream."""
        ...

    @property
    def damaged(self) -> bool:
        """A compressed stream could not be decompressed any further."""
        ...

    def read_on(self, carry: bytes, size: int) -> bytes:
        """`carry` (the end of what was read before) and up to `size` bytes that follow; fewer only at the end."""
        ...

    def continue_from(self, data: bytes, position: int, size: int) -> tuple[bytes, int]:
        """The same with `data`, which was read before, from `position` on; and where in the buffer that stands now."""
        ...

    def bytes_read(self) -> int:
        """Bytes taken from the input so far, as they lie on disk."""
        ...

    def close(self) -> None:
        """Give the file back."""
        ...


class RawSource:
    """A file descriptor, read as it is; `start` is the offset in its file where it began to be read."""

    def __init__(self, name: str, descriptor: int) -> None:
        status = os.fstat(descriptor)
        self.name = name
        self.descriptor = descriptor
        self.is_file = stat.S_ISREG(status.st_mode)
        self.size = status.st_size if self.is_file else None
        self.ended = False
        self.cut_short = False
        self.damaged = False
        # A descriptor that was handed over (standard input) may stand anywhere in its file.
        self.start = os.lseek(descriptor, 0, os.SEEK_CUR) if self.is_file else 0
        self._position = self.start
        self._ahead = b""
        if stat.S_ISFIFO(status.st_mode):
            with suppress(OSError):  # the host may allow less; a small pipe only costs time
                fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)

    def peek(self, size: int) -> bytes:
        """The next bytes, which will be read again; fewer only at the end."""
        try:
            if self.is_file:
                return os.pread(self.descriptor, size, self._position)
            self._ahead = self._fill(self._ahead, size - len(self._ahead))
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", where=self.name, action="check the file") from None
        return self._ahead[:size]

    def read_on(self, carry: bytes, size: int) -> bytes:
        """See `ByteSource`; a device that fails is an `InputError`."""
        wanted = len(carry) + size
        try:
            data = self._read_file(carry, wanted) if self.is_file else self._read_pipe(carry, size)
        except OSError as error:
            raise self._unreadable(error) from None
        self._position += len(data) - len(carry)
        self.ended = len(data) < wanted
        return data

    def _unreadable(self, error: OSError) -> InputError:
        where = f"{self.name}: offset {self._position}"
        return InputError(f"cannot be read: {error.strerror}", where=where, action="copy the file again")

    def continue_from(self, data: bytes, position: int, size: int) -> tuple[bytes, int]:
        """See `ByteSource`."""
        return self.read_on(data[position:], size), 0

    def _read_file(self, carry: bytes, wanted: int) -> bytes:
        data = read_at(self.descriptor, self._position - len(carry), wanted)
        return carry if len(data) < len(carry) else data  # the file shrank under us

    def _read_pipe(self, carry: bytes, size: int) -> bytes:
        ahead = self._ahead[:size]
        self._ahead = self._ahead[size:]
        return self._fill(carry + ahead, size - len(ahead))

    def _fill(self, start: bytes, size: int) -> bytes:
        """`start` and `size` bytes from a pipe, which gives them in small pieces."""
        pieces = [start]
        while size > 0:
            piece = os.read(self.descriptor, min(size, _PIPE_SIZE))
            if not piece:
                break
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces) if len(pieces) > 1 else start

    def bytes_read(self) -> int:
        """See `ByteSource`."""
        return self._position - self.start

    def close(self) -> None:
        """See `ByteSource`; a second time does nothing."""
        if self.name != "-" and self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class FileSource(RawSource):
    """A plain file, which is read ahead from the second piece on."""

    def __init__(self, name: str, descriptor: int) -> None:
        super().__init__(name, descriptor)
        self._reading = ReadAhead(descriptor)

    def continue_from(self, data: bytes, position: int, size: int) -> tuple[bytes, int]:
        """See `ByteSource`."""
        carried = len(data) - position
        before = min(_CARRIED, self._position - self.start)
        if carried > before:
            return super().continue_from(data, position, size)
        try:
            read = self._reading.take(self._position - before, before + size)
        except OSError as error:
            raise self._unreadable(error) from None
        if len(read) < before:  # the file shrank under us
            self.ended = True
            return data[position:], 0
        self._position += len(read) - before
        self.ended = len(read) < before + size
        if not self.ended:
            self._reading.ask(self._position - _CARRIED, _CARRIED + size)
        return read, before - carried

    def close(self) -> None:
        """See `ByteSource`."""
        self._reading.close()
        super().close()


def open_source(path: str, plain: Callable[[str, int], RawSource] = FileSource) -> RawSource:
    """Open a file, or standard input for "-"; `InputError` says why it cannot be. `plain` is what a plain file is."""
    if path == "-":
        if sys.__stdin__ is None:
            raise InputError("standard input is closed", action="pipe a capture into it, or name a file")
        if os.isatty(_STANDARD_INPUT):
            raise InputError("standard input is a terminal", action="pipe a capture into it: tcpdump -w - | ...")
        return RawSource(path, _STANDARD_INPUT)
    try:
        if os.path.isdir(path):
            raise InputError("is a directory", where=path, action="name the files in it: directory/*.pcap")
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        return (plain if stat.S_ISREG(os.fstat(descriptor).st_mode) else RawSource)(path, descriptor)
    except FileNotFoundError:
        raise InputError("no such file", where=path, action="check the name") from None
    except PermissionError:
        raise InputError("no permission to read it", where=path, action="check its owner and mode") from None
    except OSError as error:
        raise InputError(error.strerror or "cannot be opened", where=path, action="check the file") from None
    except ValueError:
        raise InputError("not a possible file name", where=repr(path), action="check the name") from None
