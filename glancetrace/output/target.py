"""Where output goes: standard output or a file that appears only when it is complete.

What goes to a file whose name ends in `.gz` is compressed (RFC 1952), with neither a name nor a time in it: the same
output, the same bytes.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

from glancetrace.errors import GlancetraceError, UsageError
from glancetrace.outfile import is_one_of, part_of, takes_one_writing
from glancetrace.output.clean import escape_json_controls

if TYPE_CHECKING:
    from gzip import GzipFile

__all__ = ["ReaderGone", "Target"]

_BATCH = 1 << 16
_NARROWEST = 60


class ReaderGone(Exception):
    """Nobody reads standard output any more (`| head`): there is nothing left to do, and nothing to complain about."""


def _refuse_inputs(path: str, inputs: Sequence[str]) -> None:
    if is_one_of(path, inputs):
        raise UsageError("is the capture itself", where=path, action="choose another name for the output")


class Target:
    """Takes bytes; a context manager, which opens the file.

    Args:
        path: file to write, None or "-" for standard output. A regular file is written beside its place under another
            name and moved there at the end, so that nobody ever sees half of it; what went wrong leaves nothing behind.
        inputs: paths that must not be overwritten.

    Raises:
        UsageError: the file cannot be written.
    """

    def __init__(self, path: str | None, inputs: Sequence[str] = ()) -> None:
        self._path = None if path in (None, "-") else os.path.realpath(path or "")
        self._part: str | None = None
        self._shown = path or "''"
        if self._path is None:
            if sys.stdout is None:
                raise UsageError("standard output is closed", action="write to a file with -o")
            sys.stdout.flush()
            self._stream: BinaryIO | GzipFile = sys.stdout.buffer
            self.is_terminal = sys.stdout.isatty()
            self._encoding = sys.stdout.encoding or "utf-8"
            return
        _refuse_inputs(self._path, inputs)
        self.is_terminal = False
        self._encoding = "utf-8"

    def _open(self, path: str) -> BinaryIO | GzipFile:
        self._file = self._open_file(path)
        if not self._shown.endswith(".gz"):
            return self._file
        import gzip

        return gzip.GzipFile("", "wb", fileobj=self._file, mtime=0)

    def _open_file(self, path: str) -> BinaryIO:
        if takes_one_writing(path) or os.path.isdir(path):
            return open(path, "wb")  # of a folder this is the error message
        self._part = part_of(path)
        return open(self._part, "wb")

    @property
    def width(self) -> int | None:
        """Columns of the terminal; what COLUMNS says elsewhere; None when nothing says so."""
        if self.is_terminal:
            return max(_NARROWEST, shutil.get_terminal_size().columns)
        columns = os.environ.get("COLUMNS", "")
        return max(_NARROWEST, int(columns)) if columns.isascii() and columns.isdigit() else None

    def write(self, data: bytes) -> None:
        """Write all of `data`."""
        try:
            self._stream.write(data)
        except OSError as error:
            raise self._explain(error) from None

    def flush(self) -> None:
        """Hand on what was written: somebody waits for it."""
        try:
            self._stream.flush()
        except OSError as error:
            raise self._explain(error) from None

    def _explain(self, error: OSError) -> Exception:
        """What it means that a write failed."""
        if isinstance(error, BrokenPipeError):
            return ReaderGone()
        where = "standard output" if self._path is None else self._shown
        return GlancetraceError(f"cannot be written: {error.strerror}", where=where, action="make room, or use -o")

    def write_json(self, data: bytes) -> None:
        """Write a JSON text; on a terminal its control characters are escaped."""
        if self.is_terminal:
            data = escape_json_controls(data.decode()).encode()
        self.write(data)

    def write_lines(self, lines: Iterable[str]) -> None:
        """Write lines; characters that the terminal's encoding lacks become question marks."""
        batch: list[str] = []
        size = 0
        for line in lines:
            batch.append(line)
            size += len(line)
            if size > _BATCH or self.is_terminal:
                self._write_batch(batch)
                batch, size = [], 0
        if batch:
            self._write_batch(batch)

    def _write_batch(self, lines: list[str]) -> None:
        self.write(("\n".join(lines) + "\n").encode(self._encoding, "replace"))

    def __enter__(self) -> Self:
        try:
            if self._path is not None:
                self._stream = self._open(self._path)
        except OSError as error:
            raise UsageError(
                f"cannot be written: {error.strerror}", where=self._shown, action="choose another file for -o"
            ) from None
        except KeyboardInterrupt:  # between the file's birth and the `with` that would remove it
            self._discard()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._path is None:
                self._stream.flush()
                return
            try:
                self._stream.close()
            finally:
                self._file.close()
            if self._part is not None and kind is None:
                os.replace(self._part, self._path)
                self._part = None
        except OSError as failure:
            raise self._explain(failure) from None
        finally:
            self._discard()

    def _discard(self) -> None:
        """Leave nothing half-written behind."""
        if self._part is not None and os.path.exists(self._part):
            os.unlink(self._part)
