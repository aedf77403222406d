"""A log file -> its lines, whatever the file holds: plain or gzip, any bytes, lines of any length.

Text is UTF-8, what is not becomes U+FFFD. A line longer than `LONGEST` is cut there: no call stands behind that much
text, and a file of one line must not fill the memory. Control characters stay; who shows text removes them.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from typing import IO

from glancetrace.errors import InputError

__all__ = ["LONGEST", "LogLines"]

LONGEST = 4 << 20
"""Bytes of a line that are kept; a body of a list of images with --debug has a few hundred kilobytes."""

_GZIP_MAGIC = b"\x1f\x8b"


class LogLines:
    """Lines of a file with their numbers, from 1; iterate once.

    Attributes:
        cut: the file ended before its end: a gzip stream is cut short or damaged. Known when iteration is over.

    Raises:
        InputError: the file cannot be opened or read (when iterated).
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self.cut = False

    def __iter__(self) -> Iterator[tuple[int, str]]:
        try:
            with open(self._name, "rb") as raw:
                packed = raw.peek(2)[:2] == _GZIP_MAGIC
                with gzip.GzipFile(fileobj=raw) if packed else raw as file:
                    yield from self._lines(file)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            self.cut = True
        except OSError as error:
            raise InputError(
                error.strerror or "cannot be read", where=self._name, action="check the name given with --api-log"
            ) from error

    @staticmethod
    def _lines(file: IO[bytes] | gzip.GzipFile) -> Iterator[tuple[int, str]]:
        number = 0
        while line := file.readline(LONGEST):
            number += 1
            whole = line.endswith(b"\n")
            yield number, line.decode("utf-8", "replace").rstrip("\r\n")
            while not whole and (rest := file.readline(LONGEST)):
                whole = rest.endswith(b"\n")
