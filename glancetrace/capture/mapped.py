"""A plain file seen where the system holds it, instead of being read: reading is copying, a fifth of what a copy costs.

The pages of a mapping that lie behind the end of its file cannot be touched (the process would be killed: SIGBUS), and
anybody may cut a file off. So a file is mapped only under a read lease (fcntl(2), F_SETLEASE): who wants to write to it
or to cut it off has to wait, and the lease is given back before the next piece. There is none for a file that is being
written to, for somebody else's, and where others could change it unseen (network file systems). Such files are read,
and so is everything from where a lease was given back, or where a piece could not be fetched, which says why.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import signal
from typing import cast

from glancetrace.capture.source import FileSource

__all__ = ["MappedSource"]

_FEWEST = 64 << 10
"""Bytes for which a mapping is worth it."""
_MADV_POPULATE_READ = 22
"""madvise(2): fetch the pages now; what cannot be fetched is an error, not a signal."""


class MappedSource(FileSource):
    """A plain file whose pieces, from the second on, are mappings where that is safe.

    A piece must be done with before the next one is asked for, and before the source is closed.
    """

    def __init__(self, name: str, descriptor: int) -> None:
        super().__init__(name, descriptor)
        self._leased = False
        self._asked = False

    def continue_from(self, data: bytes, position: int, size: int) -> tuple[bytes, int]:
        """See `ByteSource`."""
        if not self._asked:
            self._asked = True
            self._leased = _take_lease(self.descriptor)
        start = self._position - (len(data) - position)
        begin = start - start % mmap.ALLOCATIONGRANULARITY
        stop = self._position + size
        if self._leased and stop - begin >= _FEWEST and stop <= os.fstat(self.descriptor).st_size:
            mapped = self._map(begin, stop - begin)
            if mapped is not None:
                self._position = stop
                return mapped, start - begin
            data, position = data[position:], 0  # the piece before may be a mapping
            self._give_back()
        return super().continue_from(data, position, size)

    def _map(self, begin: int, size: int) -> bytes | None:
        """So many bytes, None where they have to be read; what follows them is asked for already."""
        if fcntl.fcntl(self.descriptor, fcntl.F_GETLEASE) == fcntl.F_RDLCK:
            try:
                mapped = mmap.mmap(self.descriptor, size, mmap.MAP_SHARED, mmap.PROT_READ, offset=begin)
                mapped.madvise(_MADV_POPULATE_READ)
                os.posix_fadvise(self.descriptor, begin + size, size, os.POSIX_FADV_WILLNEED)
                # Readers search it, cut pieces out and look at its fields, all of which it does as bytes do.
                return cast(bytes, mapped)
            except OSError:
                pass
        return None

    def _give_back(self) -> None:
        if self._leased:
            self._leased = False
            fcntl.fcntl(self.descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)

    def close(self) -> None:
        """See `ByteSource`."""
        self._give_back()
        super().close()


def _take_lease(descriptor: int) -> bool:
    """Whether there is one. That somebody waits for its end is looked up, so the signal is one that does nothing."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except (OSError, AttributeError):
        return False
    return True
