"""The file of a piece under way: beside its place until it is complete, compressed if its name asks for it.

`-` is standard output. What goes there, or to a pipe or a device, cannot be taken back, and not be begun anew.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import BinaryIO

from glancetrace.errors import InputError, UsageError
from glancetrace.outfile import PartFile, compressed, compression_of, is_one_of

__all__ = ["STANDARD_OUTPUT", "PieceFile", "check_output", "check_pieces"]

STANDARD_OUTPUT = "-"

_BUFFER = 1 << 20


class PieceFile:
    """A file that bytes are appended to.

    Whoever uses it calls `open` and `close`, as often as need be, `keep` if all that belongs there is in it, and
    `discard` in any case.

    Attributes:
        path: where it is to be.
        is_plain: bytes go there as they are.
        lacks_bytes: not all that belongs there could be written.
    """

    __slots__ = ("_file", "_opened", "_part", "_stream", "is_plain", "lacks_bytes", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self.is_plain = not compression_of(path)
        self.lacks_bytes = False
        self._part = None if path == STANDARD_OUTPUT else PartFile(path)
        self._opened = False
        self._file: BinaryIO | None = None
        self._stream: BinaryIO | None = None

    @property
    def shown(self) -> str:
        """Its name for people."""
        return "standard output" if self._part is None else self.path

    @property
    def is_there(self) -> bool:
        """Something stood in its place."""
        return self._part is not None and self._part.is_there

    @property
    def takes_one_writing(self) -> bool:
        """It is standard output, a pipe or a device."""
        return self._part is None or self._part.takes_one_writing

    @property
    def is_open(self) -> bool:
        """Whether bytes can be written."""
        return self._file is not None

    @property
    def descriptor(self) -> int:
        """The open file; for plain ones."""
        assert self._file is not None
        return self._file.fileno()

    def open(self) -> None:
        """Begin, or go on where it was closed; what is compressed goes on as another member or frame.

        Raises:
            UsageError: it cannot be written.
        """
        # Whoever compresses leaves it to the file to write all of what comes out.
        buffering = 0 if self.is_plain else -1
        try:
            if self._part is None:
                self._file = os.fdopen(os.dup(_standard_output()), "wb", buffering)
            elif not self._opened:
                self._file = self._part.open(buffering)
            else:
                self._file = self._part.reopen(buffering)
                self._file.seek(0, os.SEEK_END)
        except OSError as error:
            raise _cannot_be_written(self.shown, error) from None
        self._opened = True

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes. Raises OSError."""
        if not self.is_plain:
            self._compressor().write(data)
            return
        view = memoryview(data)
        while view:
            view = view[os.write(self.descriptor, view) :]

    def _compressor(self) -> BinaryIO:
        """Made for the first bytes: it may need some MB, and many files may wait for theirs."""
        if self._stream is None:
            assert self._file is not None
            self._stream = compressed(self._file, self.path)
        return self._stream

    def write_range(self, source: int, offset: int, end: int, goes_on: Callable[[], bool]) -> None:
        """Append bytes of an open file, through memory, for as long as it goes on.

        Raises:
            OSError: they cannot be written. InputError: they are not there any more.
        """
        while offset < end and goes_on():
            data = os.pread(source, min(_BUFFER, end - offset), offset)
            if not data:
                what = "the capture became shorter while it was copied"
                raise InputError(what, where=self.shown, action="run again when nobody writes to it")
            self.write(data)
            offset += len(data)
        self.lacks_bytes |= offset < end

    def close(self) -> None:
        """Everything so far is in the file. Raises OSError: some file systems say only now that there is no room."""
        try:
            if self._stream is not None:
                self._stream.close()
        finally:
            self._stream = None
            try:
                if self._file is not None:
                    self._file.close()
            finally:
                self._file = None  # whoever opens it again may do so from now on

    def keep(self) -> None:
        """It is complete, closed, and goes to its place. Raises OSError."""
        if self._part is not None:
            self._part.keep()

    def discard(self) -> None:
        """Leave nothing half-written behind; what was kept stays."""
        with suppress(OSError):
            self.close()
        if self._part is not None:
            self._part.discard()


def check_output(path: str, inputs: Sequence[str]) -> None:
    """Packets can be written there, as far as can be told before.

    Raises:
        UsageError: it would overwrite an input, or nothing can be written there.
    """
    if path == STANDARD_OUTPUT:
        if os.isatty(_standard_output()):
            raise UsageError("packets cannot go to a terminal", action="give a file name, or pipe them on")
        return
    if is_one_of(path, inputs):
        raise UsageError("the output would overwrite the input", where=path, action="choose another name")
    _try_to_open(PartFile(path), path)


def check_pieces(output: str) -> None:
    """Pieces can be written beside that path, as far as can be told before.

    Raises:
        UsageError: nothing can be written there, or several files are to go to standard output.
    """
    if output == STANDARD_OUTPUT:
        raise UsageError("pieces cannot go to standard output", action="give a file name")
    _try_to_open(PartFile(os.path.join(os.path.dirname(output), "piece")), output)


def _try_to_open(part: PartFile, path: str) -> None:
    if part.takes_one_writing:
        return
    try:
        part.open().close()
    except OSError as error:
        raise _cannot_be_written(path, error) from None
    finally:
        part.discard()


def _standard_output() -> int:
    """Its descriptor."""
    if sys.stdout is None:
        raise UsageError("standard output is closed", action="give a file name")
    try:
        return sys.stdout.fileno()
    except OSError:  # a notebook's
        raise UsageError("standard output takes no packets here", action="give a file name") from None


def _cannot_be_written(path: str, error: OSError) -> UsageError:
    if isinstance(error, IsADirectoryError):
        return UsageError("is a directory", where=path, action="name a file in it")
    if isinstance(error, FileNotFoundError):
        return UsageError("cannot be written: its directory is not there", where=path, action="make it first")
    return UsageError(f"cannot be written: {error.strerror}", where=path, action="choose another name")
