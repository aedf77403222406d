"""Copies bytes into files, in threads of their own, while the capture is still being read.

What goes into one file is done by one thread, in order; the next file gets the other thread, for a kernel that copies
into memory is busy with one core.

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

_THREADS = 2
_WAITING = 4
"""Pieces of work under way in each thread; with bytes of a block each, this bounds the memory."""
_BUFFER = 1 << 20


_Queue = Queue[Callable[[], None] | None]


class Copier:
    """Does what it is told, for each file in order. What goes wrong is raised later, at the latest by `finish`."""

    def __init__(self) -> None:
        self._queues: list[_Queue] = [Queue(_WAITING) for _ in range(_THREADS)]
        self._queue_of: dict[int, _Queue] = {}
        self._files = 0
        self._error: GlancetraceError | None = None
        self._kernel = hasattr(os, "copy_file_range")
        self._threads = [Thread(target=_run, args=(queue,), name="copy", daemon=True) for queue in self._queues]
        for thread in self._threads:
            thread.start()

    def copy(self, target: int, path: str, source: int, offset: int, length: int) -> None:
        """Append `length` bytes of the file `source` from `offset` on to `target`, whose name is `path`."""
        self._put(target, lambda: self._guard(path, lambda: self._copy(target, source, offset, length)))

    def write(self, target: int, path: str, data: bytes | memoryview) -> None:
        """Append bytes."""
        self._put(target, lambda: self._guard(path, lambda: _write(target, data)))

    def close(self, target: int) -> None:
        """Close a file when everything is in it."""
        self._put(target, lambda: os.close(target))
        del self._queue_of[target]

    def drain(self) -> None:
        """Wait until everything so far is done."""
        for queue in self._queues:
            done = Event()
            queue.put(done.set)
            done.wait()

    def finish(self) -> None:
        """Wait until all is done.

        Raises:
            GlancetraceError: something could not be written.
        """
        for queue in self._queues:
            queue.put(None)
        for thread in self._threads:
            thread.join()
        if self._error is not None:
            raise self._error

    def _put(self, target: int, work: Callable[[], None]) -> None:
        if self._error is not None:
            raise self._error
        queue = self._queue_of.get(target)
        if queue is None:
            queue = self._queue_of[target] = self._queues[self._files % _THREADS]
            self._files += 1
        queue.put(work)

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


def _run(queue: _Queue) -> None:
    while (work := queue.get()) is not None:
        work()
