"""Where output goes: standard output or a file that appears only when it is complete.

What goes to a file whose name ends in `.gz`, or as those of other compressed files do, is compressed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import BinaryIO, Self

from glancetrace.errors import GlancetraceError, ReaderGone, UsageError
from glancetrace.outfile import PartFile, compressed, is_one_of
from glancetrace.output.clean import escape_json_controls

__all__ = ["Target"]

_BATCH = 1 << 16
_NARROWEST = 60


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
        self._path = None if path in (None, "-") else path or ""
        self._shown = path or "''"
        if self._path is None:
            if sys.stdout is None:
                raise UsageError("standard output is closed", action="write to a file with -o")
            sys.stdout.flush()
            self._stream: BinaryIO = sys.stdout.buffer
            self.is_terminal = sys.stdout.isatty()
            self._encoding = sys.stdout.encoding or "utf-8"
            return
        self._part = PartFile(self._path)
        _refuse_inputs(self._path, inputs)
        self.is_terminal = False
        self._encoding = "utf-8"

    def _open(self) -> BinaryIO:
        self._file = self._part.open()
        try:
            return compressed(self._file, self._shown)
        except (KeyboardInterrupt, SystemExit):  # the context that would remove the file has not begun
            self._file.close()
            self._part.discard()
            raise

    @property
    def width(self) -> int | None:
        """Columns of the terminal; what COLUMNS says elsewhere; None when nothing says so."""
        if self.is_terminal:
            import shutil

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
                self._stream = self._open()
        except OSError as error:
            raise UsageError(
                f"cannot be written: {error.strerror}", where=self._shown, action="choose another file for -o"
            ) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._path is None:
            self._finish(self._stream.flush)
            return
        try:
            self._finish(self._close)
            if kind is None:
                self._finish(self._part.keep)
        finally:
            self._part.discard()

    def _close(self) -> None:
        try:
            self._stream.close()
        finally:
            self._file.close()

    def _finish(self, step: Callable[[], None]) -> None:
        try:
            step()
        except OSError as failure:
            raise self._explain(failure) from None
