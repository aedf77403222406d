"""A forked process and the way to it: messages of bytes in both directions.

The process ends with the one that started it, prints nothing and ends where its work does: nothing of the other one's
is flushed, closed or cleaned up in it.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable
from contextlib import suppress

__all__ = ["Channel", "Child", "channels", "fork", "shared_memory"]

_HEADER = 8
_PIPE_SIZE = 1 << 20
_PR_SET_PDEATHSIG = 1


class Channel:
    """One end of the way between two processes."""

    def __init__(self, reading: int, writing: int) -> None:
        self._reading = reading
        self._writing = writing
        self._open = True

    def send(self, data: bytes) -> None:
        """Send a message.

        Raises:
            OSError: nobody reads any more.
        """
        for part in (len(data).to_bytes(_HEADER, "little"), data):
            rest = memoryview(part)
            while rest:
                rest = rest[os.write(self._writing, rest) :]

    def fileno(self) -> int:
        """Descriptor that can be read when there is a message, or none will follow."""
        return self._reading

    def receive(self) -> bytearray | None:
        """Wait for the next message; None when the other process has ended."""
        header = self._read(_HEADER)
        return None if header is None else self._read(int.from_bytes(header, "little"))

    def _read(self, size: int) -> bytearray | None:
        data = bytearray(size)
        rest = memoryview(data)
        while rest:
            count = os.readv(self._reading, [rest]) if self._open else 0
            if not count:
                return None
            rest = rest[count:]
        return data

    def close(self) -> None:
        """Nothing more is sent or read; a second time does nothing."""
        if self._open:
            self._open = False
            os.close(self._reading)
            os.close(self._writing)


class Child(Channel):
    """A forked process, seen by the one that started it."""

    def __init__(self, pid: int, channel: Channel) -> None:
        super().__init__(channel._reading, channel._writing)
        self.pid = pid

    def close(self) -> None:
        """Let the process go: what it has not sent yet is not wanted."""
        if self._open:
            super().close()
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(self.pid, 0)


def channels() -> tuple[Channel, Channel]:
    """Both ends of a way between two processes, each of which closes the other one's.

    Raises:
        OSError: the system has no pipe left.
    """
    first, second = os.pipe(), os.pipe()
    for _, writing in (first, second):
        _enlarge(writing)
    return Channel(first[0], second[1]), Channel(second[0], first[1])


def fork(work: Callable[[Channel], None]) -> Child:
    """Fork a process that does `work`.

    Raises:
        OSError: the system has no process or pipe left.
    """
    ours, its = channels()
    parent = os.getpid()
    try:
        pid = os.fork()
    except OSError:
        ours.close()
        its.close()
        raise
    if pid:
        its.close()
        return Child(pid, ours)
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        _die_with(parent)
        ours.close()
        _let_go_of_streams()
        work(its)
        code = 0
    finally:
        os._exit(code)


def shared_memory() -> int:
    """Descriptor of a file without a name, in memory where the system has such (memfd_create(2))."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("glancetrace")
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _die_with(parent: int) -> None:
    """Have the system end this process when the one that started it ends (prctl(2), PR_SET_PDEATHSIG)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _let_go_of_streams() -> None:
    """Whoever reads what the first process prints must not wait for this one."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)


def _enlarge(pipe: int) -> None:
    """A pipe of 1 MiB where the system allows it, so that neither side waits often (fcntl(2), F_SETPIPE_SZ)."""
    import fcntl

    with suppress(OSError, AttributeError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
