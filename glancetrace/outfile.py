"""Where a file is written: never onto one that is read, and under another name until it is complete.

A name that ends as those of compressed files do is compressed: with everything that captures are read from.
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from typing import BinaryIO, cast

__all__ = ["COMPRESSIONS", "PartFile", "compressed", "compression_of", "is_one_of", "part_of", "takes_one_writing"]

COMPRESSIONS = (".gz", ".zst", ".xz", ".lz4")
"""Endings of names that ask for compression."""

_GZIP_LEVEL = 6
"""gzip's own; for captures 9 takes half as long again, and saves a hundredth."""
_XZ_PRESET = 2
"""17 MiB of memory for each file; what is usual takes 94."""


def is_one_of(path: str, names: Iterable[str]) -> bool:
    """Whether a path is one of these files, by whatever name, links included; names may be patterns."""
    if not os.path.exists(path):
        return False
    for name in names:
        is_pattern = glob.has_magic(name) and not os.path.lexists(name)
        for one in glob.glob(name, recursive=True) if is_pattern else [name]:
            if os.path.exists(one) and os.path.samefile(path, one):
                return True
    return False


def part_of(path: str) -> str:
    """The name beside a path under which its file is written, until it is complete and moved there."""
    return os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.{os.getpid()}.part")


def takes_one_writing(path: str) -> bool:
    """A pipe or a device stands there: what was written cannot be taken back, nor read again."""
    return _kind(path) not in _REWRITABLE


_REWRITABLE = (None, stat.S_IFREG, stat.S_IFDIR)


def _kind(path: str, *, follow: bool = True) -> int | None:
    """What stands there, as stat(2) names it, by default where links lead to; None for nothing."""
    try:
        return stat.S_IFMT(os.stat(path, follow_symlinks=follow).st_mode)
    except OSError:
        return None


def compression_of(path: str) -> str:
    """The ending of a name that asks for compression; empty if there is none."""
    return next((ending for ending in COMPRESSIONS if path.endswith(ending)), "")


def compressed(file: BinaryIO, path: str) -> BinaryIO:
    """A way into a file that compresses as the path asks for: the file itself, or what is closed before the file is.

    The same data become the same bytes: there is neither a name nor a time in them (RFC 1952, RFC 8878, the xz and lz4
    frame formats).
    """
    ending = compression_of(path)
    if ending == ".gz":
        from gzip import GzipFile

        return cast(BinaryIO, GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0))
    if ending == ".zst":
        import zstandard

        return cast(BinaryIO, zstandard.ZstdCompressor().stream_writer(file, closefd=False))
    if ending == ".xz":
        from lzma import LZMAFile

        return cast(BinaryIO, LZMAFile(file, "wb", preset=_XZ_PRESET))
    if ending == ".lz4":
        from lz4.frame import LZ4FrameFile

        return cast(BinaryIO, LZ4FrameFile(file, "wb"))
    return file


class PartFile:
    """A file that is written beside its place and moved there when it is complete; pipes and devices are written to.

    Whoever uses it calls `open`, then `keep` if all went well, and `discard` in any case.

    Attributes:
        is_there: something stands in its place.
        takes_one_writing: a pipe or a device does.
    """

    __slots__ = ("_is_folder", "_part", "_place", "is_there", "takes_one_writing")

    def __init__(self, path: str) -> None:
        self._place = path
        self._part: str | None = None
        kind = _kind(path, follow=False)
        if kind == stat.S_IFLNK:
            kind = _kind(path)
            if kind in _REWRITABLE:  # /dev/stdout leads to a pipe, which has no path
                self._place = os.path.realpath(path)
        self._is_folder = kind == stat.S_IFDIR
        self.is_there = kind is not None
        self.takes_one_writing = kind not in _REWRITABLE

    def open(self, buffering: int = -1) -> BinaryIO:
        """The file to write to. Raises OSError."""
        try:
            return open(self._beside(), "wb", buffering)
        except (KeyboardInterrupt, SystemExit):  # between the file's birth and whoever would remove it
            self.discard()
            raise

    def reopen(self, buffering: int = -1) -> BinaryIO:
        """The file to go on with, from its beginning, after it was opened and closed. Raises OSError."""
        return open(self._part or self._place, "r+b", buffering)

    def _beside(self) -> str:
        if self.takes_one_writing or self._is_folder:  # of a folder, opening it is the error message
            return self._place
        self._part = part_of(self._place)
        return self._part

    def keep(self) -> None:
        """It is complete, closed, and goes to its place. Raises OSError."""
        if self._part is not None:
            os.replace(self._part, self._place)
            self._part = None

    def discard(self) -> None:
        """Leave nothing half-written behind."""
        if self._part is not None:
            with suppress(FileNotFoundError):
                os.unlink(self._part)
