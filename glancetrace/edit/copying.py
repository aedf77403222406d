"""Copies bytes into files, in threads of their own, while the capture is still being read.

What goes into one file is done in order, by one thread at a time. A kernel that copies into memory keeps a core busy,
and so does whoever reads the capture: so there is one thread, until reading has to wait for it or is done. Then another
one helps.

Ranges of a plain file are copied by the kernel (copy_file_range(2), which on some file systems copies nothing at all);
where that is not possible, of input that is decompressed or comes through a pipe, and into files that are compressed,
bytes go through memory. A file is in its place when all that belongs there is in it.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import Lock, Semaphore, Thread

from glancetrace.edit.piece_file import PieceFile
from glancetrace.errors import GlancetraceError, InputError, ReaderGone

__all__ = ["Copier"]

_MOST_THREADS = 2
_WAITING = 256
"""Pieces of work that wait."""
_LARGE = 64 << 10
_MOST_LARGE = 8
"""So many of them may hold more bytes than that; at most a block each, which bounds the memory."""

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
        self._files: dict[PieceFile, _File] = {}
        self._ready: SimpleQueue[_File | None] = SimpleQueue()
        self._lock = Lock()
        self._room = Semaphore(_WAITING)
        self._room_for_large = Semaphore(_MOST_LARGE)
        self._error: GlancetraceError | ReaderGone | None = None
        self._stopped = False
        self._kernel = hasattr(os, "copy_file_range")
        self._threads: list[Thread] = []
        self._add_thread()

    def copy(self, target: PieceFile, source: int, offset: int, length: int) -> None:
        """Append `length` bytes of the file `source` from `offset` on to `target`."""
        self._put(target, lambda: self._guard(target, lambda: self._copy(target, source, offset, offset + length)))

    def write(self, target: PieceFile, data: bytes | memoryview) -> None:
        """Append bytes."""
        if len(data) <= _LARGE:
            self._put(target, lambda: self._guard(target, lambda: target.write(data)))
            return
        self._wait_for(self._room_for_large)
        self._put(target, lambda: self._write_large(target, data))

    def close(self, target: PieceFile, *, complete: bool = True) -> None:
        """Close a file when everything is in it; if that is all, it goes to its place."""
        self._put(target, lambda: self._close(target, complete))
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
            GlancetraceError: something could not be written. ReaderGone: nobody reads the pipe any more.
        """
        self._add_thread()
        self._end_threads()
        self.check()

    def check(self) -> None:
        """Go on only if all went well so far; raises as `finish`."""
        if self._error is not None:
            raise self._error

    @property
    def has_failed(self) -> bool:
        """Something could not be written, and nothing will be any more."""
        return self._error is not None

    def stop(self, *, wait: bool = True) -> None:
        """Leave the rest undone; without `wait`, a thread may be at its last piece of work still."""
        self._stopped = True
        if wait:
            self._end_threads()

    def _end_threads(self) -> None:
        for _ in self._threads:
            self._ready.put(None)
        for thread in self._threads:
            thread.join()

    def _add_thread(self) -> None:
        if len(self._threads) < _MOST_THREADS:
            self._threads.append(Thread(target=self._run, name="copy", daemon=True))
            self._threads[-1].start()

    def _wait_for(self, room: Semaphore) -> None:
        if not room.acquire(blocking=False):
            self._add_thread()
            room.acquire()

    def _put(self, target: PieceFile, work: _Work) -> None:
        self.check()
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

    def _goes_on(self) -> bool:
        return self._error is None and not self._stopped

    def _guard(self, target: PieceFile, work: _Work) -> None:
        """Do a piece of work, unless something went wrong before."""
        if not self._goes_on():
            target.lacks_bytes = True
            return
        try:
            work()
        except (OSError, MemoryError) as error:
            self._fail(target, error)
        except InputError as error:
            target.lacks_bytes = True
            self._error = self._error or error

    def _fail(self, target: PieceFile, error: OSError | MemoryError) -> None:
        target.lacks_bytes = True
        if isinstance(error, BrokenPipeError):
            self._error = self._error or ReaderGone()
            return
        reason = error.strerror if isinstance(error, OSError) else "not enough memory"  # what compresses needs some
        what = f"cannot be written: {reason}"
        action = "make room, or choose another directory"
        self._error = self._error or GlancetraceError(what, where=target.shown, action=action)

    def _close(self, target: PieceFile, complete: bool) -> None:
        if target.lacks_bytes:
            target.discard()
            return
        try:
            target.close()
            if complete:
                target.keep()
        except (OSError, MemoryError) as error:
            self._fail(target, error)

    def _write_large(self, target: PieceFile, data: bytes | memoryview) -> None:
        try:
            self._guard(target, lambda: target.write(data))
        finally:
            self._room_for_large.release()

    def _copy(self, target: PieceFile, source: int, offset: int, end: int) -> None:
        while self._kernel and target.is_plain and offset < end:
            try:
                copied = os.copy_file_range(source, target.descriptor, end - offset, offset_src=offset)
            except OSError:  # other file systems, a device, an old kernel
                self._kernel = False
                break
            if not copied:
                break
            offset += copied
        target.write_range(source, offset, end, self._goes_on)
