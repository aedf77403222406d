"""The first bytes of a body as its reader sees them: content codings undone, up to a bound.

gzip (RFC 1952) and deflate, which servers send both zlib-wrapped (RFC 1950, what RFC 9110, section 8.4.1.2, asks for)
and raw (RFC 1951). Nothing is decompressed beyond the bound.
"""

from __future__ import annotations

import zlib

from glancetrace.http.exchange import Head

__all__ = ["ContentPrefix", "content_codings"]

_GZIP = 16 + zlib.MAX_WBITS


def content_codings(head: Head) -> list[str]:
    """Codings of a body in the order they were applied, without `identity` and `chunked`."""
    codings = [
        coding.strip(" \t").lower()
        for wanted in ("content-encoding", "transfer-encoding")
        for name, value in head.headers
        if name == wanted
        for coding in value.split(",")
    ]
    return [coding for coding in codings if coding not in ("", "identity", "chunked")]


class ContentPrefix:
    """Collects the first `keep` bytes of a body, after decoding.

    `undecodable`: the body is damaged, or in a coding that is not known. `full`: nothing more is taken.
    """

    __slots__ = ("_begin", "_coding", "_content", "_cut", "_inflate", "_keep", "full", "undecodable")

    def __init__(self, keep: int, codings: list[str]) -> None:
        self._keep = keep
        self._content = bytearray()
        self._cut = False
        self._begin = b""
        self._coding = codings[0].removeprefix("x-") if codings else ""
        self._inflate = zlib.decompressobj(_GZIP) if self._coding == "gzip" else None
        self.undecodable = len(codings) > 1 or self._coding not in ("", "gzip", "deflate")
        self.full = self.undecodable

    def add(self, data: bytes) -> None:
        """The next bytes as they were transferred."""
        if self.full or not data:
            return
        room = self._keep + 1 - len(self._content)
        if not self._coding:
            self._content += data[:room]
        else:
            self._decompress(data, room)
        if len(self._content) > self._keep:
            del self._content[self._keep :]
            self._cut = self.full = True

    def _decompress(self, data: bytes, room: int) -> None:
        if self._inflate is None:
            data = self._begin + data
            if len(data) < 2:
                self._begin = data
                return
            wrapped = data[0] & 0x0F == zlib.DEFLATED and int.from_bytes(data[:2], "big") % 31 == 0
            self._inflate = zlib.decompressobj(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
        if self._inflate.eof:
            self._cut = self.full = True
            return
        try:
            self._content += self._inflate.decompress(data, room)
        except zlib.error:
            self.undecodable = self.full = True
            return
        if self._inflate.unused_data:
            self._cut = self.full = True

    def miss(self) -> None:
        """Bytes are missing here: what was collected is all there will be."""
        self._cut = self.full = True

    def content(self, complete: bool) -> tuple[bytes | None, bool]:
        """What was collected (None when undecodable), and whether it is shorter than the body."""
        if self.undecodable:
            return None, True
        unfinished = self._inflate is not None and not self._inflate.eof
        return bytes(self._content), self._cut or unfinished or not complete
