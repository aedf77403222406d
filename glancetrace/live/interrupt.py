"""Ctrl-C and SIGTERM end a watch with its summary.

A signal may come at any moment, also while a block is half decoded; what is half decoded cannot be summed up. So the
signal only ends a wait, which is where a watch nearly always is; else it is a wish that is looked at after the block.
One more after that ends the process, whatever it does.

Where the packets come through a pipe, the first signal is not for the watch but for that: a recorder of our own is told
to stop, another one has got the same Ctrl-C, and what they still write is read.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interrupt"]


class Interrupt:
    """The wish to end.

    Attributes:
        asked: somebody wants it to end.
        on_first: what is done at the first wish, instead of ending.
    """

    def __init__(self) -> None:
        self.asked = False
        self.on_first: Callable[[], None] | None = None
        self._waiting = False

    def ask(self) -> None:
        """End; KeyboardInterrupt if nothing but waiting is under way, or if it is not the first time."""
        first, self.on_first = self.on_first, None
        if first is not None:
            first()
            return
        again = self.asked
        self.asked = True
        if self._waiting or again:
            raise KeyboardInterrupt

    @contextmanager
    def while_waiting(self) -> Iterator[None]:
        """Nothing is half done in this context; in the main thread, that is, which signals interrupt."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._waiting = True
        try:
            if self.asked:
                raise KeyboardInterrupt
            yield
        finally:
            self._waiting = False

    @contextmanager
    def by_signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM ask, as long as the context lasts; only a main thread can have that."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def handle(_number: int, _frame: FrameType | None) -> None:
            self.ask()

        before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
