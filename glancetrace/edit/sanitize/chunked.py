"""Chunked bodies (RFC 9112, 7.1): where data stands, and what may stand in the lines between it.

Extensions of chunks are blanked: nobody in OpenStack sends any, and they could hold anything. Trailer fields are
headers like others. Lines that hold nothing but a size are not kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from glancetrace.edit.sanitize.plan import StreamPlan

__all__ = ["ChunkLines", "Seams", "data_pieces", "replace_in_pieces"]

_SEAM = 640
"""Bytes on either side of the end of a chunk that are searched: more than a token has."""
_SIZES = b"\r\n0123456789abcdefABCDEF"
_EXTENSION = re.compile(rb";([^\r\n]+)")


class ChunkLines:
    """Collects the lines of one body as they pass."""

    def __init__(self) -> None:
        self.pieces: list[tuple[int, bytes]] = []

    def add(self, data: bytes, start: int, begin: int, end: int, ranges: list[tuple[int, int]]) -> None:
        """Of `data`, which stands at `start` of a stream, everything from `begin` to `end` but the ranges."""
        for first, last in [*ranges, (end, end)]:
            line = data[begin:first]
            open_line = self.pieces and not self.pieces[-1][1].endswith(b"\n")
            if line and (open_line or line.strip(_SIZES)):
                self.pieces.append((start + begin, line))
            begin = last

    @property
    def text(self) -> str:
        """The lines, latin-1."""
        return b"".join([line for _, line in self.pieces]).decode("latin-1")

    def extensions(self) -> Iterator[tuple[int, bytes]]:
        """What replaces extensions, by their place in the text."""
        for match in _EXTENSION.finditer(self.text.encode("latin-1")):
            yield match.start(1), b"x" * len(match[1])

    def replace(self, stream: StreamPlan, at: int, data: bytes) -> None:
        """Replace what stands at `at` of the text."""
        base = 0
        for start, line in self.pieces:
            low, high = max(at, base), min(at + len(data), base + len(line))
            if low < high:
                stream.replace(start + low - base, data[low - at : high - at])
            base += len(line)


def replace_in_pieces(stream: StreamPlan, start: int, pieces: list[tuple[int, int]], at: int, data: bytes) -> None:
    """Replace what stands at `at` of a body whose pieces are these ranges behind `start`."""
    for begin, end in pieces:
        size = end - begin
        if at < size and data:
            part = data[: size - at]
            stream.replace(start + begin + at, part)
            data = data[len(part) :]
            at = 0
        else:
            at -= size


def data_pieces(raw: bytes) -> Iterator[tuple[int, int]]:
    """Data of chunks in a body that begins with one."""
    pos = 0
    while (stop := raw.find(b"\n", pos)) >= 0:
        digits = raw[pos:stop].split(b";", 1)[0].strip()
        try:
            size = int(digits, 16)
        except ValueError:
            return
        begin = stop + 1
        if not size:
            return
        yield begin, min(begin + size, len(raw))
        pos = raw.find(b"\n", begin + size) + 1
        if not pos or begin + size >= len(raw):
            return


class Seams:
    """What stands around the ends of the chunks of image data, so that secrets are found that a chunk line cuts."""

    def __init__(self) -> None:
        self._tail = b""
        self._places: list[tuple[int, int]] = []

    def add(
        self, data: bytes, start: int, ranges: list[tuple[int, int]]
    ) -> Iterator[tuple[bytes, list[tuple[int, int]]]]:
        """Data of the next chunks: the bytes around each seam, and the ranges of the stream that they are."""
        for begin, end in ranges:
            if self._tail and self._places[-1][1] != start + begin:
                head = data[begin : min(end, begin + _SEAM)]
                yield self._tail + head, [*self._places, (start + begin, start + begin + len(head))]
            self._keep(data[max(begin, end - _SEAM) : end], start + max(begin, end - _SEAM), start + end)

    def _keep(self, data: bytes, begin: int, end: int) -> None:
        self._tail = (self._tail + data)[-_SEAM:]
        self._places.append((begin, end))
        left = len(self._tail)
        kept: list[tuple[int, int]] = []
        for first, last in reversed(self._places):
            if left > 0:
                kept.append((max(first, last - left), last))
                left -= last - first
        self._places = kept[::-1]
