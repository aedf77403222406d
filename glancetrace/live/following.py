"""`glancetrace.open`: what `glancetrace watch` tells, as an iterator for Python.

The watch runs in a thread of its own, so that rows come when things happen and not when the next packet does; a queue
that holds `_AHEAD` rows makes it wait for a slow reader. Rows are those of `watch --format jsonl`, with `ts` in ns.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from glancetrace.errors import GlancetraceError, UsageError
from glancetrace.live.interrupt import Interrupt
from glancetrace.live.watcher import Row, Watcher, WatchOptions
from glancetrace.live.watching import watch_file, watch_follow

__all__ = ["Following", "open"]

_AHEAD = 1000
_POLL = 0.1
"""Seconds between two looks at whether the reader is gone."""

Paths = str | os.PathLike[str]


class _Wish(Interrupt):
    """The wish to end, as a thread sees it: signals do not reach it, so it looks whenever it waits."""

    @contextmanager
    def while_waiting(self) -> Iterator[None]:
        """Nothing is half done in this context."""
        if self.asked:
            raise KeyboardInterrupt
        yield


class Following:
    """Rows of a watch under way; an iterator, and a context manager at whose end the watch ends.

    Args:
        path: a capture, or "-" for standard input. follow: it is still being written. options: see `WatchOptions`.
    """

    def __init__(self, path: str, *, follow: bool, options: WatchOptions) -> None:
        if follow and path == "-":
            raise UsageError("only a file can be followed", action="leave follow out: a pipe is read as it comes")
        self._path = path
        self._follow = follow
        self._wish = _Wish()
        self._rows: queue.Queue[Row | None] = queue.Queue(_AHEAD)
        self._error: GlancetraceError | None = None
        self._ended = False
        self._watcher = Watcher(options, self._tell)
        self._thread = threading.Thread(target=self._run, name=f"glancetrace {path}", daemon=True)
        self._thread.start()

    def _tell(self, row: Row | None) -> None:
        while not self._wish.asked:
            try:
                self._rows.put(row, timeout=_POLL)
            except queue.Full:
                continue
            return

    def _run(self) -> None:
        try:
            if self._follow:
                watch_follow(self._path, self._watcher, self._wish, lambda _text: None)
            else:
                watch_file(self._path, self._watcher, self._wish)
            if not self._wish.asked:
                self._watcher.finish()
        except GlancetraceError as error:
            self._error = error
        finally:
            self._tell(None)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Row:
        """The next thing that happened; waits for it.

        Raises:
            InputError: the capture cannot be read, or is none.
        """
        row = None if self._ended else self._rows.get()
        if row is not None:
            return row
        self._ended = True
        error, self._error = self._error, None
        if error is not None:
            raise error
        raise StopIteration

    def close(self) -> None:
        """End the watch, wherever it is."""
        self._ended = True
        self._wish.asked = True
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open(
    path: Paths,
    *,
    follow: bool = False,
    options: WatchOptions | None = None,
    keylog: Paths | None = None,
    rsa_key: Paths | None = None,
) -> Following:
    """Watch a capture: rows of status changes, calls of interest, findings and issues as they happen.

        with glancetrace.open("ring.pcap", follow=True) as rows:
            for row in rows:
                print(row["kind"], row["message"])

    Rows are dictionaries, those of `glancetrace watch --format jsonl`, with `ts` in ns: `kind` is status, call,
    finding, issue, or summary, which is the last one. All but that are provisional.

    Args:
        path: a capture, or "-" for standard input.
        follow: the file is still being written: go on as it grows, until the context ends.
        options: see `WatchOptions`. keylog, rsa_key: added to its `keylogs` and `rsa_keys`.

    Raises:
        UsageError: standard input cannot be followed. InputError: a key cannot be read; what is wrong with the capture
            is raised by the iteration.
    """
    chosen = options or WatchOptions()
    keylogs: tuple[Any, ...] = (*chosen.keylogs, *([os.fspath(keylog)] if keylog is not None else ()))
    rsa_keys: tuple[Any, ...] = (*chosen.rsa_keys, *([os.fspath(rsa_key)] if rsa_key is not None else ()))
    return Following(os.fspath(path), follow=follow, options=replace(chosen, keylogs=keylogs, rsa_keys=rsa_keys))
