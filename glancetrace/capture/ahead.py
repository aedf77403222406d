"""Reads the next piece of a file, in a thread of its own, while the one before it is being worked on.

Reading a file that is in memory already is copying, which the system does in the time of whoever asks for it.
"""

from __future__ import annotations

import os
from queue import SimpleQueue
from threading import Thread

__all__ = ["ReadAhead", "read_at"]

_Asked = tuple[int, int] | None


class ReadAhead:
    """Reads what it is asked for, one piece at a time; the thread is there from the first piece to `close`."""

    __slots__ = ("_answers", "_asked", "_descriptor", "_questions", "_thread")

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._asked: _Asked = None
        self._questions: SimpleQueue[_Asked] = SimpleQueue()
        self._answers: SimpleQueue[bytes | OSError] = SimpleQueue()
        self._thread: Thread | None = None

    def ask(self, offset: int, size: int) -> None:
        """Begin to read `size` bytes at `offset`."""
        if self._thread is None:
            arguments = (self._descriptor, self._questions, self._answers)
            self._thread = Thread(target=_read_pieces, args=arguments, daemon=True)
            self._thread.start()
        self._asked = (offset, size)
        self._questions.put(self._asked)

    def take(self, offset: int, size: int) -> bytes:
        """These bytes, fewer only at the end of the file: those that were asked for, or read now.

        Raises:
            OSError: they cannot be read.
        """
        asked, self._asked = self._asked, None
        if asked is not None:
            answer = self._answers.get()
            if asked == (offset, size):
                if isinstance(answer, OSError):
                    raise answer
                return answer
        return read_at(self._descriptor, offset, size)

    def close(self) -> None:
        """Let the thread end, when it has read what it was asked for; the file may be closed then."""
        if self._thread is not None:
            self._questions.put(None)
            self._thread.join()
            self._thread = None


def read_at(descriptor: int, offset: int, size: int) -> bytes:
    """`size` bytes of a file at `offset`, fewer only at its end.

    Raises:
        OSError: they cannot be read.
    """
    data = os.pread(descriptor, size, offset)
    while 0 < len(data) < size:  # some file systems return less than asked for before the end
        more = os.pread(descriptor, size - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data


def _read_pieces(descriptor: int, questions: SimpleQueue[_Asked], answers: SimpleQueue[bytes | OSError]) -> None:
    while (asked := questions.get()) is not None:
        try:
            answers.put(read_at(descriptor, *asked))
        except OSError as error:
            answers.put(error)
