"""A place on disk for what memory should not hold: blocks of bytes in a temporary file that nobody else can read.

The file has no name (O_TMPFILE, or unlinked at once), so nothing is left of it however the process ends. What captures
hold is secret until it is redacted, and blocks of a deleted file stay on a disk for long: so they are encrypted, with a
key that never leaves the process (AES-256 in counter mode, NIST SP 800-38A; the counter is the place in the file, where
every byte is written once).
"""

from __future__ import annotations

import os
import tempfile
import weakref
from typing import NoReturn

from glancetrace.errors import GlancetraceError

__all__ = ["Place", "Spool"]

_BLOCK = 16
_KEY = 32

Place = tuple[int, int]
"""Where a block stands in the file, and how many bytes it has."""


class Spool:
    """A temporary file of blocks, in the directory for such files (TMPDIR); it goes away with this object.

    Raises:
        GlancetraceError: it cannot be made.
    """

    def __init__(self) -> None:
        try:
            with tempfile.TemporaryFile(buffering=0) as file:
                self._file = os.dup(file.fileno())
        except OSError as error:
            _refuse(error)
        weakref.finalize(self, os.close, self._file)
        self._key = os.urandom(_KEY)
        self.size = 0

    def add(self, data: bytes) -> Place:
        """Write a block.

        Raises:
            GlancetraceError: the disk is full, or broken.
        """
        place = self.size, len(data)
        rest = memoryview(self._crypted(self.size, data))
        try:
            while rest:
                count = os.pwrite(self._file, rest, self.size)
                self.size += count
                rest = rest[count:]
        except OSError as error:
            _refuse(error)
        self.size += -self.size % _BLOCK
        return place

    def read(self, place: Place) -> bytes:
        """A block that was written.

        Raises:
            GlancetraceError: the disk is broken.
        """
        start, size = place
        data = bytearray()
        try:
            while len(data) < size:
                piece = os.pread(self._file, size - len(data), start + len(data))
                if not piece:
                    raise OSError("the file has become shorter")
                data += piece
        except OSError as error:
            _refuse(error)
        return self._crypted(start, data)

    def _crypted(self, start: int, data: bytes | bytearray) -> bytes:
        """Encrypted, or decrypted: in counter mode they are the same."""
        from cryptography.hazmat.primitives.ciphers import Cipher
        from cryptography.hazmat.primitives.ciphers.algorithms import AES
        from cryptography.hazmat.primitives.ciphers.modes import CTR

        counter = (start // _BLOCK).to_bytes(_BLOCK, "big")
        return Cipher(AES(self._key), CTR(counter)).encryptor().update(data)


def _refuse(error: OSError) -> NoReturn:
    raise GlancetraceError(
        f"a temporary file cannot be used: {error.strerror or error}",
        where=tempfile.gettempdir(),
        action="name a directory with more room in TMPDIR",
    ) from None
