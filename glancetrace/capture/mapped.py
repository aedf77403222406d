"""A plain file seen where the system holds it, instead of being read: reading is copying, a fifth of what a copy costs.

The pages of a mapping that lie behind the end of its file cannot be touched (the process would be killed: SIGBUS), and
anybody may cut a file off. So a file is mapped only under a read lease (fcntl(2), F_SETLEASE): who wants to write to it
or to cut it off has to wait, and the lease is given back before the next piece. There is none for a file that is being
written to, for somebody else's, and where others could change it unseen (network file systems). Such files are read,
and so is everything from where a lease was given back, or where a piece could not be fetched, which says why.

A mapping knows its place, so another process can have it without its bytes being sent.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import signal
from typing import NamedTuple, cast

from glancetrace.capture.ahead import read_at
from glancetrace.capture.source import FileSource

__all__ = ["MappedSource", "Mapping", "Place", "PlacedFile"]

_FEWEST = 64 << 10
"""Bytes for which a mapping is worth it."""
_MADV_POPULATE_READ = 22
"""madvise(2): fetch the pages now; what cannot be fetched is an error, not a signal."""


class Place(NamedTuple):
    """Where bytes of a file lie: its path, device and inode number, and the offset of the first one."""

    path: str
    device: int
    inode: int
    offset: int


class Mapping(mmap.mmap):
    """A piece of a file.

    Attributes:
        place: where it lies.
    """

    place: Place


class MappedFile:
    """A plain file of which pieces are mapped, under a lease that is taken with the first one."""

    def __init__(self, path: str, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self._leased: bool | None = None

    def map(self, offset: int, size: int) -> Mapping | None:
        """So many bytes from `offset` on, a multiple of `mmap.ALLOCATIONGRANULARITY`; None where they have to be read.

        What follows them is asked for already.
        """
        if self._leased is None:
            self._leased = _take_lease(self._descriptor)
        if not self._leased or size < _FEWEST:
            return None
        status = os.fstat(self._descriptor)
        if offset + size > status.st_size:
            return None
        if fcntl.fcntl(self._descriptor, fcntl.F_GETLEASE) == fcntl.F_RDLCK:
            try:
                mapping = Mapping(self._descriptor, size, mmap.MAP_SHARED, mmap.PROT_READ, offset=offset)
                mapping.madvise(_MADV_POPULATE_READ)
                os.posix_fadvise(self._descriptor, offset + size, size, os.POSIX_FADV_WILLNEED)
                mapping.place = Place(self._path, status.st_dev, status.st_ino, offset)
                return mapping
            except OSError:
                pass
        return None

    def give_back(self) -> None:
        """Nothing is mapped any more, and nothing will be."""
        if self._leased:
            fcntl.fcntl(self._descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        self._leased = False


class PlacedFile:
    """A file of which another process has mapped pieces.

    Raises:
        OSError: it is not there any more.
    """

    def __init__(self, place: Place) -> None:
        self._descriptor = os.open(place.path, os.O_RDONLY)
        status = os.fstat(self._descriptor)
        if (status.st_dev, status.st_ino) != (place.device, place.inode):
            self.close()
            raise FileNotFoundError(place.path)
        self._mapped = MappedFile(place.path, self._descriptor)

    def piece(self, offset: int, size: int) -> tuple[bytes, int]:
        """So many bytes from `offset` on, in a buffer, and where they stand in it.

        They must be done with before the next ones are asked for.
        """
        if size >= _FEWEST:
            begin = offset - offset % mmap.ALLOCATIONGRANULARITY
            mapping = self._mapped.map(begin, offset + size - begin)
            if mapping is not None:
                return cast(bytes, mapping), offset - begin
            self._mapped.give_back()
        return read_at(self._descriptor, offset, size), 0

    def close(self) -> None:
        """Give the file back."""
        os.close(self._descriptor)


class MappedSource(FileSource):
    """A plain file whose pieces, from the second on, are mappings where that is safe.

    A piece must be done with before the next one is asked for, and before the source is closed.
    """

    def __init__(self, name: str, descriptor: int) -> None:
        super().__init__(name, descriptor)
        self._mapped = MappedFile(os.path.abspath(name), descriptor)

    def continue_from(self, data: bytes, position: int, size: int) -> tuple[bytes, int]:
        """See `ByteSource`."""
        start = self._position - (len(data) - position)
        begin = start - start % mmap.ALLOCATIONGRANULARITY
        stop = self._position + size
        mapping = self._mapped.map(begin, stop - begin)
        if mapping is not None:
            self._position = stop
            # Readers search it, cut pieces out and look at its fields, all of which it does as bytes do.
            return cast(bytes, mapping), start - begin
        if isinstance(data, Mapping):
            data, position = data[position:], 0
        self._mapped.give_back()
        return super().continue_from(data, position, size)

    def close(self) -> None:
        """See `ByteSource`."""
        self._mapped.give_back()
        super().close()


def _take_lease(descriptor: int) -> bool:
    """Whether there is one. That somebody waits for its end is looked up, so the signal is one that does nothing."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except (OSError, AttributeError):
        return False
    return True
