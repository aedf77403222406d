"""Hashes bodies as they pass, off the main thread.

hashlib releases the interpreter lock while it hashes, so that the main thread can go on decoding: pieces of all bodies
are jobs, in a lane per algorithm (`glancetrace.http.lanes`). What waits there is bounded: a few pieces. Bytes are
collected first, since handing over small pieces costs more than hashing them, and a body that stays small is hashed by
whoever asks for its digest. The collected bytes of all bodies together are bounded too. What came in large parts is
hashed part by part, not copied.

The same image passes several times: from the client to a proxy, from the proxy to Glance, and to everybody who
downloads it. Comparing bytes is many times faster than hashing them, so pieces have the same boundaries in every body,
and where a body goes on like another one did, it shares that one's state. Digests do not depend on any of this.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import partial
from types import TracebackType
from typing import Protocol

from glancetrace.http.exchange import BodyHasher
from glancetrace.http.lanes import Lanes

__all__ = ["HashPool"]

_PIECE = 4 * 1024 * 1024
"""Bytes that are collected and hashed at once: a thread that has done a piece has to wait for the interpreter lock."""
_WAITING_PIECES = 8
_COLLECTED = 32 * 1024 * 1024
"""Bytes collected by all hashers of a pool, at most."""
_REMEMBERED = 32 * 1024 * 1024
"""Bytes of newest pieces that other bodies are compared with."""
_SMALL_PIECES = 512
"""So many small pieces are joined before more are collected."""
_LARGE = 128 * 1024
"""Bytes that the parts of a piece have on average at least if they are hashed one by one."""
_SAMPLE = 32


class _Hash(Protocol):
    def update(self, data: bytes | memoryview, /) -> None: ...

    def copy(self) -> _Hash: ...

    def hexdigest(self) -> str: ...


_Piece = list[bytes | memoryview]
"""Parts of a body that follow on each other."""


class _State:
    """The hashes of the bytes up to some point of one or more bodies, by algorithm.

    `names`: the algorithms. `threaded`: the hashes are made in the threads, perhaps later.
    """

    __slots__ = ("hashes", "names", "threaded")

    def __init__(self, names: tuple[str, ...], *, threaded: bool) -> None:
        self.names = names
        self.hashes: dict[str, _Hash] = {}
        self.threaded = threaded

    def go_on(self, before: _State, name: str, piece: _Piece) -> None:
        """Make the hash `name` from that of the state before and the piece that follows."""
        state = before.hashes[name].copy()
        for part in piece:
            state.update(part)
        self.hashes[name] = state


class _PooledHasher:
    """The hashes of one body."""

    __slots__ = ("_length", "_pieces", "_pool", "_state", "unbroken")

    def __init__(self, pool: HashPool, start: _State) -> None:
        self._pool = pool
        self._state = start
        self._pieces: _Piece = []
        self._length = 0
        self.unbroken = True

    def update(self, data: bytes) -> None:
        """Add the next bytes."""
        if self.unbroken:  # ends soon: one of these is among the first bytes of nearly every body
            self.unbroken = b"\n" not in data and b"\0" not in data and b"\r" not in data
        pieces = self._pieces
        pieces.append(data)
        self._length += len(data)
        self._pool.note_collected(self, len(data))
        if self._length >= _PIECE:
            self._hand_over()
        elif len(pieces) > _SMALL_PIECES:
            pieces[:] = [b"".join(pieces)]

    def flush(self) -> None:
        """Hand over what was collected."""
        rest = self._take()
        if rest:
            self._state = self._pool.go_on(self._state, rest, threaded=True)

    def hexdigests(self) -> dict[str, str]:
        """Lower-case digests of all bytes so far, by algorithm; waits for what is still being hashed."""
        rest = self._take()
        if rest:
            self._state = self._pool.go_on(self._state, rest, threaded=False)
        if self._state.threaded:
            self._pool.wait()
        hashes = self._state.hashes
        return {name: hashes[name].hexdigest() for name in self._state.names}

    def _hand_over(self) -> None:
        """Hand over whole pieces, which are not copied, however much came at once."""
        newest = memoryview(self._pieces.pop())
        end = _PIECE - (self._length - len(newest))
        self._pieces.append(newest[:end])
        self._length -= len(newest) - end
        self._pool.note_taken(self, len(newest) - end)
        self._state = self._pool.go_on(self._state, self._take(), threaded=True)
        begin, end = end, end + _PIECE
        while end <= len(newest):
            self._state = self._pool.go_on(self._state, [newest[begin:end]], threaded=True)
            begin, end = end, end + _PIECE
        if begin < len(newest):
            rest = newest[begin:]
            # A part keeps alive what it is a part of, which must not be much more than what is counted.
            self._pieces.append(rest if 2 * len(rest) >= len(newest) else bytes(rest))
            self._length = len(newest) - begin
            self._pool.note_collected(self, self._length)

    def _take(self) -> _Piece:
        rest: _Piece = self._pieces if self._length else []
        self._pieces = []
        if self._length < _LARGE * len(rest):
            rest = [b"".join(rest)]
        self._pool.note_taken(self, self._length)
        self._length = 0
        return rest


_Key = tuple[_State, int, bytes, bytes]
"""The state before a piece, its length, its first and its last bytes."""


class HashPool:
    """Hashes bodies in threads, from the first body that needs them to the end of the context.

    Digests may be asked for inside the context and after it. When the context ends with an exception, nothing that
    still waits is hashed.
    """

    def __init__(self) -> None:
        self._lanes = Lanes("hash", _WAITING_PIECES, (ValueError, TypeError, KeyError, BufferError, MemoryError))
        self._closed = False
        self._collecting: dict[_PooledHasher, None] = {}
        self._starts: dict[tuple[str, ...], _State] = {}
        self._known: dict[_Key, tuple[_Piece, _State]] = {}
        self._remembered = 0
        self.collected = 0
        """Bytes that hashers have collected and not handed over."""

    def __enter__(self) -> HashPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closed = True
        self._lanes.stop(drop=error is not None)

    def new(self, algorithms: Iterable[str]) -> BodyHasher:
        """A hasher for one body, with hashlib's names of algorithms; ValueError for one that hashlib does not have."""
        names = tuple(algorithms)
        start = self._starts.get(names)
        if start is None:
            start = self._starts[names] = _State(names, threaded=False)
            for name in names:
                start.hashes[name] = hashlib.new(name, usedforsecurity=False)
        return _PooledHasher(self, start)

    def go_on(self, before: _State, piece: _Piece, *, threaded: bool) -> _State:
        """The state behind a piece. It is made in the threads if `threaded`, or if `before` is; not in a closed pool.

        Where the same piece followed on the same state before, and that was not long ago, it is the state then.
        """
        length = sum(map(len, piece))
        key = (before, length, bytes(piece[0][:_SAMPLE]), bytes(piece[-1][-_SAMPLE:]))
        known = self._known.get(key)
        if known is not None and _are_equal(known[0], piece):
            return known[1]
        if self._closed:
            self.wait()
        threaded = (threaded or before.threaded) and not self._closed
        state = _State(before.names, threaded=threaded)
        for name in state.names:
            if not threaded:
                state.go_on(before, name, piece)
                continue
            self._lanes.put(name, partial(state.go_on, before, name, piece))
        self._remember(key, piece, state)
        return state

    def wait(self) -> None:
        """Until all pieces are hashed; raises what went wrong in a thread."""
        self._lanes.wait()

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

    def _remember(self, key: _Key, piece: _Piece, state: _State) -> None:
        """Keep a piece for comparison, and forget the oldest ones when they are too much."""
        if self._known.pop(key, None) is None:
            self._remembered += key[1]
        self._known[key] = (piece, state)
        while self._remembered > _REMEMBERED:
            oldest = next(iter(self._known))
            del self._known[oldest]
            self._remembered -= oldest[1]


def _are_equal(one: _Piece, other: _Piece) -> bool:
    """Whether two pieces of the same length have the same bytes, wherever they are cut into parts."""
    return _whole(one) == _whole(other)


def _whole(piece: _Piece) -> bytes:
    return b"".join(piece) if len(piece) > 1 or not isinstance(piece[0], bytes) else piece[0]
