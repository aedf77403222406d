"""Image data becomes zeros, and the hashes that Glance and Swift recorded become those of the zeros.

A body that was seen whole begins with a pseudonym of its hash, as much of it as fits into sixteen bytes: so equal
images stay equal and different ones of the same size different, and a recorded hash that did not match its data does
not match afterwards. The MD5 and SHA-512 of the data (`checksum`, `os_hash_value`, ETag, Content-MD5), and SHA-1 and
SHA-256, are replaced wherever they stand. Bodies with bytes missing become zeros alone; no hash is known of them.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from glancetrace.edit.sanitize.plan import StreamPlan
from glancetrace.edit.sanitize.pseudonyms import Pseudonyms
from glancetrace.http.exchange import BodyHasher
from glancetrace.http.hashing import HashPool

__all__ = ["ALGORITHMS", "ImageBodies", "ImageBody"]

ALGORITHMS = ("md5", "sha1", "sha256", "sha512")
_MARK_LEN = 16
_PIECE = bytes(1 << 20)


@dataclass(slots=True)
class ImageBody:
    """Image data in a stream: its ranges without chunk lines, and its hashes if it was seen whole."""

    stream: StreamPlan
    pieces: list[tuple[int, int]] = field(default_factory=list)
    hasher: BodyHasher | None = None

    def add(self, begin: int, end: int) -> None:
        """More of it."""
        if self.pieces and self.pieces[-1][1] == begin:
            self.pieces[-1] = (self.pieces[-1][0], end)
        elif begin < end:
            self.pieces.append((begin, end))

    @property
    def length(self) -> int:
        """Bytes."""
        return sum(end - begin for begin, end in self.pieces)


class ImageBodies:
    """All image data of a capture, to be zeroed."""

    def __init__(self, pool: HashPool) -> None:
        self._pool = pool
        self._bodies: list[ImageBody] = []

    def new_hasher(self) -> BodyHasher:
        """What hashes a body as it passes."""
        return self._pool.new(ALGORITHMS)

    def begin(self, stream: StreamPlan) -> ImageBody:
        """A body of image data begins."""
        body = ImageBody(stream)
        self._bodies.append(body)
        return body

    def settle(self, pseudonyms: Pseudonyms) -> dict[str, str]:
        """Plan the zeros; which hash becomes which, in hex and in base64."""
        hashes: dict[str, str] = {}
        for body in self._bodies:
            body.stream.zeroed += body.pieces
            if body.hasher is None or not body.pieces:
                continue
            before = body.hasher.hexdigests()
            mark = pseudonyms.digest(before["sha512"].encode())[: min(_MARK_LEN, body.length)]
            _put(body, mark)
            if before["md5"] not in hashes:
                after = _hashes_of(mark, body.length)
                for name in ALGORITHMS:
                    hashes.update(_spellings(before[name], after[name]))
        for stream in {id(body.stream): body.stream for body in self._bodies}.values():
            stream.zeroed.sort()
        return hashes


def _put(body: ImageBody, mark: bytes) -> None:
    for begin, end in body.pieces:
        if mark:
            body.stream.marks.append((begin, mark[: end - begin]))
            mark = mark[end - begin :]


def _hashes_of(mark: bytes, length: int) -> dict[str, str]:
    """Hashes of `length` bytes that are zeros behind `mark`."""
    hashers = {name: hashlib.new(name, mark, usedforsecurity=False) for name in ALGORITHMS}
    for hasher in hashers.values():
        left = length - len(mark)
        while left > 0:
            hasher.update(_PIECE if left >= len(_PIECE) else bytes(left))
            left -= len(_PIECE)
    return {name: hasher.hexdigest() for name, hasher in hashers.items()}


def _spellings(old: str, new: str) -> Iterator[tuple[str, str]]:
    """A hash in hex of either case, and in base64 (Content-MD5, RFC 1864)."""
    yield old, new
    yield old.upper(), new.upper()
    yield base64.b64encode(bytes.fromhex(old)).decode(), base64.b64encode(bytes.fromhex(new)).decode()
