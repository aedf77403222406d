"""Copies bytes into files, in a thread of its own, while the capture is still being read.

Ranges of a plain file are copied by the kernel (copy_file_range(2), which on some file systems copies nothing at all);
where that is not possible, and of input that is decompressed or comes through a pipe, bytes go through memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from queue import Queue
from threading import Event, Thread

from glancetrace.errors import GlancetraceError

__all__ = ["Copier"]

_WAITING = 8
"""Pieces of work under way; with bytes of a block each, this bounds the memory."""
_BUFFER = 1 << 20


class Copier:
    """Does what it is told, in order. What goes wrong is raised by the next call, and at the latest by `finish`."""

    def __init__(self) -> None:
        self._work: Queue[Callable[[], None] | None] = Queue(_WAITING)
        self._error: GlancetraceError | None = None
        self._kernel = hasattr(os, "copy_file_range")
        self._thread = Thread(target=self._run, name="copy", daemon=True)
        self._thread.start()

    def copy(self, target: int, path: str, source: int, offset: int, length: int) -> None:
        """Append `length` bytes of the file `source` from `offset` on to `target`, whose name is `path`."""
        self._put(lambda: self._guard(path, lambda: self._copy(target, source, offset, length)))

    def write(self, target: int, path: str, data: bytes | memoryview) -> None:
        """Append bytes."""
        self._put(lambda: self._guard(path, lambda: _write(target, data)))

    def close(self, target: int) -> None:
        """Close a file when everything is in it."""
        self._put(lambda: os.close(target))

    def drain(self) -> None:
        """Wait until everything so far is done."""
        done = Event()
        self._work.put(done.set)
        done.wait()

    def finish(self) -> None:
        """Wait until all is done.

        Raises:
            GlancetraceError: something could not be written.
        """
        self._work.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _put(self, work: Callable[[], None]) -> None:
        if self._error is not None:
            raise self._error
        self._work.put(work)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()

    def _guard(self, path: str, work: Callable[[], None]) -> None:
        if self._error is not None:
            return
        try:
            work()
        except OSError as error:
            self._error = GlancetraceError(
                f"cannot be written: {error.strerror}", where=path, action="make room, or choose another directory"
            )

    def _copy(self, target: int, source: int, offset: int, length: int) -> None:
        end = offset + length
        while self._kernel and offset < end:
            try:
                copied = os.copy_file_range(source, target, end - offset, offset_src=offset)
            except OSError:  # other file systems, a device, an old kernel
                self._kernel = False
                break
            if not copied:
                break
            offset += copied
        while offset < end:
            data = os.pread(source, min(_BUFFER, end - offset), offset)
            if not data:
                raise OSError(0, "the input has become shorter")
            _write(target, data)
            offset += len(data)


def _write(target: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]
