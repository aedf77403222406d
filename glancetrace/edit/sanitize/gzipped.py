"""A compressed body whose content changed, compressed again to exactly the length that it had.

gzip (RFC 1952) has room for what is left over in its header (FEXTRA); a zlib stream (RFC 1950) takes empty stored
blocks (RFC 1951, 3.2.4), five bytes each. Where pseudonyms compress worse than the secrets did, they are replaced by
runs of one letter, which always compress better.
"""

from __future__ import annotations

import zlib
from struct import pack

__all__ = ["resqueeze"]

_FEXTRA_MIN = 6
_LONGEST_EXTRA = 65_535
_EMPTY_BLOCK = b"\x00\x00\x00\xff\xff"


def resqueeze(old: bytes, new: bytes, length: int, *, gzip: bool) -> bytes | None:
    """`new`, which differs from `old` where secrets were, compressed to `length` bytes; None where that cannot be."""
    plain = bytes(120 if one != other else one for one, other in zip(old, new, strict=True))
    for content in (new, plain):
        for level in (9, 6, 1, 0):
            packed = _gzip(content, level, length) if gzip else _zlib(content, level, length)
            if packed is not None:
                return packed
    return None


def _gzip(content: bytes, level: int, length: int) -> bytes | None:
    deflate = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = deflate.compress(content) + deflate.flush()
    trailer = pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF)
    room = length - 10 - len(body) - len(trailer)
    head = b"\x1f\x8b\x08%c\0\0\0\0\0\xff"
    if room == 0:
        return head % 0 + body + trailer
    if not _FEXTRA_MIN <= room <= _LONGEST_EXTRA:
        # A name of so many bytes with its NUL fills what is too small for an extra field.
        return head % 8 + b"x" * (room - 1) + b"\0" + body + trailer if 0 < room < _FEXTRA_MIN else None
    extra = b"gt" + pack("<H", room - 6) + bytes(room - 6)
    return head % 4 + pack("<H", len(extra)) + extra + body + trailer


def _zlib(content: bytes, level: int, length: int) -> bytes | None:
    deflate = zlib.compressobj(level)
    body = deflate.compress(content) + deflate.flush(zlib.Z_FULL_FLUSH)
    tail = deflate.flush()
    room = length - len(body) - len(tail)
    return body + _EMPTY_BLOCK * (room // 5) + tail if room >= 0 and room % 5 == 0 else None
