"""Where a file is written: never onto one that is read, and under another name until it is complete."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from gzip import GzipFile

__all__ = ["PartFile", "compressed", "is_one_of", "part_of", "takes_one_writing"]


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
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def compressed(file: BinaryIO) -> GzipFile:
    """A way into a file that compresses (RFC 1952), without a name or a time: the same data, the same bytes."""
    from gzip import GzipFile

    return GzipFile("", "wb", fileobj=file, mtime=0)


class PartFile:
    """A file that is written beside its place and moved there when it is complete; pipes and devices are written to.

    Whoever uses it calls `open`, then `keep` if all went well, and `discard` in any case.
    """

    def __init__(self, path: str) -> None:
        self._place = os.path.realpath(path)
        self._part: str | None = None

    def open(self, buffering: int = -1) -> BinaryIO:
        """The file to write to. Raises OSError."""
        try:
            return open(self._beside(), "wb", buffering)
        except KeyboardInterrupt:  # between the file's birth and whoever would remove it
            self.discard()
            raise

    def _beside(self) -> str:
        if takes_one_writing(self._place) or os.path.isdir(self._place):  # of a folder, opening it is the error message
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
        if self._part is not None and os.path.exists(self._part):
            os.unlink(self._part)
