"""Hashes bodies as they pass, off the main thread.

hashlib releases the interpreter lock while it hashes, so one thread per algorithm lets the main thread go on decoding.
What waits for a thread is bounded: a few pieces of at most 4 MiB. Small pieces are collected first, since handing one
over costs more than hashing it, and a body that stays small is hashed by whoever asks for its digest. The collected
bytes of all bodies together are bounded too. Digests do not depend on any of this.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from queue import Empty, Queue
from threading import Event, Thread
from types import TracebackType
from typing import Protocol

from glancetrace.http.exchange import BodyHasher

__all__ = ["HashPool"]

_PIECE = 256 * 1024
"""Pieces are collected up to this many bytes."""
_LONGEST_PIECE = 4 * 1024 * 1024
_WAITING_PIECES = 4
_COLLECTED = 16 * 1024 * 1024
"""Bytes collected by all hashers of a pool, at most."""


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


class _Worker:
    """A thread that hashes pieces of many bodies, in order."""

    def __init__(self, name: str) -> None:
        self._queue: Queue[tuple[_Hash, bytes] | Event | None] = Queue(_WAITING_PIECES)
        self._error: Exception | None = None
        self._thread = Thread(target=self._work, name=f"hash-{name}", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while True:
            item = self._queue.get()
            if item is None:
                return
            if isinstance(item, Event):
                item.set()
                continue
            state, piece = item
            try:
                state.update(piece)
            except (ValueError, TypeError, BufferError, MemoryError) as error:
                self._error = error
            del item, state, piece

    def put(self, state: _Hash, piece: bytes) -> None:
        """Hand over a piece; waits while too many are under way."""
        self.check()
        self._queue.put((state, piece))

    def wait(self) -> None:
        """Until everything handed over so far is hashed."""
        done = Event()
        self._queue.put(done)
        done.wait()
        self.check()

    def check(self) -> None:
        """Raise what went wrong in the thread."""
        if self._error is not None:
            raise self._error

    def stop(self, *, drop: bool) -> None:
        """End the thread; `drop`: without hashing what still waits."""
        while drop:
            try:
                item = self._queue.get_nowait()
            except Empty:
                break
            if isinstance(item, Event):
                item.set()
        self._queue.put(None)
        self._thread.join()


class _PooledHasher:
    """The hashes of one body."""

    __slots__ = ("_collected", "_dispatched", "_pool", "_states", "unbroken")

    def __init__(self, pool: HashPool, algorithms: tuple[str, ...]) -> None:
        self._pool = pool
        self._states: dict[str, _Hash] = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
        self._collected = bytearray()
        self._dispatched = False
        self.unbroken = True

    def update(self, data: bytes) -> None:
        """Add the next bytes."""
        if self.unbroken:  # ends soon: one of these is among the first bytes of nearly every body
            self.unbroken = b"\n" not in data and b"\0" not in data and b"\r" not in data
        if not self._collected and len(data) >= _PIECE:
            self._dispatch(data)
            return
        self._collected += data
        self._pool.note_collected(self, len(data))
        if len(self._collected) >= _PIECE:
            self.flush()

    def flush(self) -> None:
        """Hand over what was collected."""
        rest = self._take()
        if rest:
            self._dispatch(rest)

    def hexdigests(self) -> dict[str, str]:
        """Lower-case digests of all bytes so far, by algorithm; waits for what is still being hashed."""
        if self._dispatched:
            self.flush()
            for name in self._states:
                self._pool.wait(name)
        else:
            rest = self._take()
            for state in self._states.values():
                state.update(rest)
        return {name: state.hexdigest() for name, state in self._states.items()}

    def _take(self) -> bytes:
        rest = bytes(self._collected)
        self._collected.clear()
        self._pool.note_taken(self, len(rest))
        return rest

    def _dispatch(self, data: bytes) -> None:
        self._dispatched = True
        if len(data) <= _LONGEST_PIECE:
            pieces = [data]
        else:
            pieces = [data[begin : begin + _LONGEST_PIECE] for begin in range(0, len(data), _LONGEST_PIECE)]
        for piece in pieces:
            for name, state in self._states.items():
                self._pool.hash(name, state, piece)


class HashPool:
    """Threads that hash bodies, one per algorithm, from the first body that needs it to the end of the context.

    Digests may be asked for inside the context and after it. When the context ends with an exception, nothing that
    still waits is hashed.
    """

    def __init__(self) -> None:
        self._workers: dict[str, _Worker] = {}
        self._closed = False
        self._collecting: dict[_PooledHasher, None] = {}
        self.collected = 0
        """Bytes that hashers have collected and not handed over."""

    def __enter__(self) -> HashPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closed = True
        for worker in self._workers.values():
            worker.stop(drop=error is not None)

    def new(self, algorithms: Iterable[str]) -> BodyHasher:
        """A hasher for one body, with hashlib's names of algorithms; ValueError for one that hashlib does not have."""
        return _PooledHasher(self, tuple(algorithms))

    def hash(self, name: str, state: _Hash, piece: bytes) -> None:
        """Add a piece to a hash, in the thread of its algorithm; at once when the threads have ended."""
        if self._closed:
            self.wait(name)
            state.update(piece)
            return
        worker = self._workers.get(name)
        if worker is None:
            worker = self._workers[name] = _Worker(name)
        worker.put(state, piece)

    def wait(self, name: str) -> None:
        """Until all pieces of an algorithm are hashed; raises what went wrong in its thread."""
        worker = self._workers.get(name)
        if worker is None:
            return
        if self._closed:
            worker.check()
        else:
            worker.wait()

    def note_collected(self, hasher: _PooledHasher, length: int) -> None:
        """A hasher has collected `length` more bytes; when it is too much, those that began first hand theirs over."""
        self._collecting[hasher] = None
        self.collected += length
        while self.collected > _COLLECTED:
            next(iter(self._collecting)).flush()

    def note_taken(self, hasher: _PooledHasher, length: int) -> None:
        """A hasher no longer holds the `length` bytes that it had collected."""
        self._collecting.pop(hasher, None)
        self.collected -= length
