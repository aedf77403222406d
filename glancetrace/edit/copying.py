"""Copies bytes into files, in threads of their own, while the capture is still being read.

What goes into one file is done in order, by one thread at a time. A kernel that copies into memory keeps a core busy,
and so does whoever reads the capture: so there is one thread, until reading has to wait for it or is done. Then another
one helps.

Ranges of a plain file are copied by the kernel (copy_file_range(2), which on some file systems copies nothing at all);
where that is not possible, and of input that is decompressed or comes through a pipe, bytes go through memory.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import Lock, Semaphore, Thread

from glancetrace.errors import GlancetraceError

__all__ = ["Copier"]

_MOST_THREADS = 2
_WAITING = 256
"""Pieces of work that wait."""
_LARGE = 64 << 10
_MOST_LARGE = 8
"""So many of them may hold more bytes than that; at most a block each, which bounds the memory."""
_BUFFER = 1 << 20

_Work = Callable[[], None]


class _File:
    """What is to be done with a file, in order; `taken`: a thread has it, or is about to."""

    __slots__ = ("taken", "work")

    def __init__(self) -> None:
        self.work: deque[_Work] = deque()
        self.taken = False


class Copier:
    """Does what it is told, for each file in order. What goes wrong is raised later, at the latest by `finish`."""

    def __init__(self) -> None:
        self._files: dict[int, _File] = {}
        self._ready: SimpleQueue[_File | None] = SimpleQueue()
        self._lock = Lock()
        self._room = Semaphore(_WAITING)
        self._room_for_large = Semaphore(_MOST_LARGE)
        self._error: GlancetraceError | None = None
        self._kernel = hasattr(os, "copy_file_range")
        self._threads: list[Thread] = []
        self._add_thread()

    def copy(self, target: int, path: str, source: int, offset: int, length: int) -> None:
        """Append `length` bytes of the file `source` from `offset` on to `target`, whose name is `path`."""
        self._put(target, lambda: self._guard(path, lambda: self._copy(target, source, offset, length)))

    def write(self, target: int, path: str, data: bytes | memoryview) -> None:
        """Append bytes."""
        if len(data) <= _LARGE:
            self._put(target, lambda: self._guard(path, lambda: _write(target, data)))
            return
        self._wait_for(self._room_for_large)
        self._put(target, lambda: self._write_large(target, path, data))

    def close(self, target: int, path: str) -> None:
        """Close a file when everything is in it."""
        self._put(target, lambda: self._close(target, path))
        del self._files[target]

    def drain(self) -> None:
        """Wait until everything so far is done."""
        for _ in range(_WAITING):
            self._wait_for(self._room)
        for _ in range(_WAITING):
            self._room.release()

    def finish(self) -> None:
        """Wait until all is done.

        Raises:
            GlancetraceError: something could not be written.
        """
        self._add_thread()
        for _ in self._threads:
            self._ready.put(None)
        for thread in self._threads:
            thread.join()
        if self._error is not None:
            raise self._error

    def _add_thread(self) -> None:
        if len(self._threads) < _MOST_THREADS:
            self._threads.append(Thread(target=self._run, name="copy", daemon=True))
            self._threads[-1].start()

    def _wait_for(self, room: Semaphore) -> None:
        if not room.acquire(blocking=False):
            self._add_thread()
            room.acquire()

    def _put(self, target: int, work: _Work) -> None:
        if self._error is not None:
            raise self._error
        self._wait_for(self._room)
        file = self._files.get(target)
        if file is None:
            file = self._files[target] = _File()
        with self._lock:
            file.work.append(work)
            taken, file.taken = file.taken, True
        if not taken:
            self._ready.put(file)

    def _run(self) -> None:
        while (file := self._ready.get()) is not None:
            while (work := self._next_of(file)) is not None:
                work()
                self._room.release()

    def _next_of(self, file: _File) -> _Work | None:
        """What is to be done with a file next; if that is nothing, it is let go."""
        with self._lock:
            if file.work:
                return file.work.popleft()
            file.taken = False
            return None

    def _guard(self, path: str, work: _Work) -> None:
        if self._error is not None:
            return
        try:
            work()
        except OSError as error:
            self._fail(path, error)

    def _fail(self, path: str, error: OSError) -> None:
        self._error = GlancetraceError(
            f"cannot be written: {error.strerror}", where=path, action="make room, or choose another directory"
        )

    def _close(self, target: int, path: str) -> None:
        try:
            os.close(target)
        except OSError as error:  # some file systems say only now that there is no room
            self._fail(path, error)

    def _write_large(self, target: int, path: str, data: bytes | memoryview) -> None:
        try:
            self._guard(path, lambda: _write(target, data))
        finally:
            self._room_for_large.release()

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
