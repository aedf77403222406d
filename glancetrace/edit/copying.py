"""Copies bytes into files, in threads of their own, while the capture is still being read.

What goes into one file is done by one thread, in order; the next file gets the thread that has less to do, for a kernel
that copies into memory is busy with one core.

Ranges of a plain file are copied by the kernel (copy_file_range(2), which on some file systems copies nothing at all);
where that is not possible, and of input that is decompressed or comes through a pipe, bytes go through memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from queue import Queue
from threading import Event, Semaphore, Thread

from glancetrace.errors import GlancetraceError

__all__ = ["Copier"]

_THREADS = 2
_WAITING = 64
"""Pieces of work that wait for each thread."""
_LARGE = 64 << 10
_MOST_LARGE = 8
"""So many of them, of all threads, may hold more bytes than that; at most a block each, which bounds the memory."""
_BUFFER = 1 << 20


class Copier:
    """Does what it is told, for each file in order. What goes wrong is raised later, at the latest by `finish`."""

    def __init__(self) -> None:
        self._workers = [_Worker() for _ in range(_THREADS)]
        self._worker_of: dict[int, _Worker] = {}
        self._room = Semaphore(_MOST_LARGE)
        self._error: GlancetraceError | None = None
        self._kernel = hasattr(os, "copy_file_range")

    def copy(self, target: int, path: str, source: int, offset: int, length: int) -> None:
        """Append `length` bytes of the file `source` from `offset` on to `target`, whose name is `path`."""
        self._put(target, lambda: self._guard(path, lambda: self._copy(target, source, offset, length)))

    def write(self, target: int, path: str, data: bytes | memoryview) -> None:
        """Append bytes."""
        if len(data) <= _LARGE:
            self._put(target, lambda: self._guard(path, lambda: _write(target, data)))
            return
        self._room.acquire()
        self._put(target, lambda: self._write_large(target, path, data))

    def close(self, target: int) -> None:
        """Close a file when everything is in it."""
        self._put(target, lambda: os.close(target))
        del self._worker_of[target]

    def drain(self) -> None:
        """Wait until everything so far is done."""
        for worker in self._workers:
            done = Event()
            worker.put(done.set)
            done.wait()

    def finish(self) -> None:
        """Wait until all is done.

        Raises:
            GlancetraceError: something could not be written.
        """
        for worker in self._workers:
            worker.end()
        if self._error is not None:
            raise self._error

    def _put(self, target: int, work: Callable[[], None]) -> None:
        if self._error is not None:
            raise self._error
        worker = self._worker_of.get(target)
        if worker is None:
            worker = self._worker_of[target] = min(self._workers, key=_Worker.waiting)
        worker.put(work)

    def _write_large(self, target: int, path: str, data: bytes | memoryview) -> None:
        try:
            self._guard(path, lambda: _write(target, data))
        finally:
            self._room.release()

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


class _Worker:
    """A thread and what it has to do."""

    def __init__(self) -> None:
        self._queue: Queue[Callable[[], None] | None] = Queue(_WAITING)
        self._given = 0
        self._done = 0
        self._thread = Thread(target=self._run, name="copy", daemon=True)
        self._thread.start()

    def put(self, work: Callable[[], None]) -> None:
        self._given += 1
        self._queue.put(work)

    def waiting(self) -> int:
        """Pieces of work that it has not done yet."""
        return self._given - self._done

    def end(self) -> None:
        """Wait until all is done."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            work()
            self._done += 1
