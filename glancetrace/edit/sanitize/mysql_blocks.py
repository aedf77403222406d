"""What MySQL's responses begin with, seen before: column definitions as one block of bytes, and rows without a secret.

A service sends the same few statements again and again, so nearly all responses are told by their first bytes, and
their rows are looked at only if a secret may be in them.
"""

from __future__ import annotations

from glancetrace.edit.sanitize.mysql_values import Columns

__all__ = ["LONGEST_HINT", "DefinitionBlocks", "is_hinted"]

_HINTS = (
    b"gaaaa", b"eyj", b"pass", b"secret", b"token", b"key", b"uthorization", b"ookie", b"_sig=", b"signature", b"blob",
    b"@", b"$2$", b"$2a$", b"$2b$", b"$2x$", b"$2y$", b"$pbkdf2", b"$scrypt$", b"$bcrypt", b"$5$", b"$6$",
    b"identified",
)  # fmt: skip
"""One of these stands in lower case in every text that a pattern of `redact` matches, and in few rows otherwise: the
length of a UUID reads as `$`."""
LONGEST_HINT = max(map(len, _HINTS))
_KEY_LEN = 64
_MOST_BLOCKS = 2000
_REMEMBERED_ROWS = 4096


def is_hinted(data: bytes) -> bool:
    """A secret may be in these bytes."""
    lower = data.lower()
    for hint in _HINTS:  # noqa: SIM110 - a generator costs more than the search
        if hint in lower:
            return True
    return False


class DefinitionBlocks:
    """Definitions that responses began with, and rows that hold no secret; shared by all connections."""

    def __init__(self) -> None:
        self.known: dict[bytes, list[tuple[bytes, Columns]]] = {}
        self.harmless: set[bytes] = set()
        self._count = 0

    def find(self, data: bytes) -> tuple[bytes, Columns] | None:
        """The block that a response begins with, and its columns."""
        key = data[:_KEY_LEN]
        for known in self.known.get(key, ()):
            if data.startswith(known[0]):
                return known
        return self._learn(data, key)

    def _learn(self, data: bytes, key: bytes) -> tuple[bytes, Columns] | None:
        if len(data) < 6 or data[0] != 1 or data[1] or data[2] or not 0 < data[4] <= 250:
            return None
        columns = Columns()
        pos = 5
        for _ in range(data[4]):
            end = pos + 4 + int.from_bytes(data[pos : pos + 3], "little")
            if end > len(data) or not columns.add(data, pos + 4, end):
                return None
            pos = end
        if data[pos : pos + 3] == b"\x05\0\0" and data[pos + 4 : pos + 5] == b"\xfe":
            pos += 9
        learned = (data[:pos], columns)
        if self._count >= _MOST_BLOCKS:
            self.known.clear()
            self._count = 0
        self.known.setdefault(key, []).append(learned)
        self._count += 1
        return learned

    def is_harmless(self, rows: bytes) -> bool:
        """No secret can show in these bytes by what it is."""
        if rows in self.harmless:
            return True
        if is_hinted(rows):
            return False
        if len(self.harmless) >= _REMEMBERED_ROWS:
            self.harmless.clear()
        self.harmless.add(rows)
        return True
