"""Writes packets to files, each of them a complete capture in the format of the input.

A pcapng piece begins with the section header, interfaces, secrets and names that its packets need, and gets what is
added to them later in its place. A piece is there when it is complete; what was broken off leaves nothing. Packets that
lie end to end in a plain file are copied by the kernel, and ranges that follow each other are copied at once; a few
packets at a time are gathered in memory.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from glancetrace.capture.blocks import Int64Array, PacketBlock
from glancetrace.capture.formats import FormatReader
from glancetrace.capture.pcapng import PCAPNG_MAGIC
from glancetrace.capture.source import RawSource
from glancetrace.edit.copying import Copier
from glancetrace.edit.piece_file import PieceFile
from glancetrace.errors import GlancetraceError, ReaderGone, UsageError
from glancetrace.outfile import is_one_of

__all__ = ["PieceWriter", "SplitPiece"]

_KERNEL_SIZE = 64 << 10
"""Bytes from which on a system call of its own is worth it."""
_LONGEST_RANGE = 16 << 20
_MOST_OPEN = 200
_MOST_COMPRESSED = 8
"""So many may be open that are compressed, each of which takes some MB."""


@dataclass(frozen=True, slots=True)
class SplitPiece:
    """A file that was written: `first_ts` (ns) is the time of its first packet, None for a piece without packets."""

    path: str
    packets: int
    first_ts: int | None


class _Piece:
    """A file under way; `range`: descriptor, offset and end of what is to be copied next."""

    __slots__ = ("file", "first_ts", "packets", "preamble", "range")

    def __init__(self, path: str, first_ts: int | None) -> None:
        self.file = PieceFile(path)
        self.first_ts = first_ts
        self.packets = 0
        self.preamble = b""
        self.range: tuple[int, int, int] | None = None


class PieceWriter:
    """Writes pieces; a context manager, at whose end they are complete, or, if it is an early one, those that were.

    Args:
        inputs: paths that must not be overwritten.

    Attributes:
        pieces: what was written, in order of their first packets.
    """

    def __init__(self, inputs: Sequence[str]) -> None:
        self._inputs = inputs
        self._copier = Copier()
        self._pieces: dict[str, _Piece] = {}
        self._open: OrderedDict[str, _Piece] = OrderedDict()
        self._sources: dict[int, int] = {}

    @property
    def pieces(self) -> list[SplitPiece]:
        """What was written."""
        return [SplitPiece(piece.file.path, piece.packets, piece.first_ts) for piece in self._pieces.values()]

    def can_continue(self, path: str | None, preamble: bytes) -> bool:
        """Whether packets that need this preamble can go to the piece: a pcap file has only one header."""
        piece = self._pieces.get(path) if path is not None else None
        if piece is None or piece.preamble == preamble:
            return True
        return preamble.startswith(PCAPNG_MAGIC) and piece.preamble.startswith(PCAPNG_MAGIC)

    def write(self, path: str, block: PacketBlock, reader: FormatReader, rows: Int64Array) -> None:
        """Append rows (ascending) of a block to the piece of that name.

        Raises:
            UsageError: it would overwrite an input, or cannot be opened. GlancetraceError: something could not be
                written. ReaderGone: nobody reads the pipe any more.
        """
        piece = self._piece(path, int(block.ts[rows[0]]))
        self._continue_with(piece, reader.preamble)
        piece.packets += len(rows)
        starts, ends = reader.starts[rows], reader.ends[rows]
        # Records usually lie end to end; where they do not, something else stands between them.
        breaks = [0, *(np.flatnonzero(starts[1:] != ends[:-1]) + 1).tolist(), len(rows)]
        source = self._file_of(reader)
        gathered: list[memoryview] = []
        view = memoryview(block.data)
        for first, behind in pairwise(breaks):
            start, end = int(starts[first]), int(ends[behind - 1])
            if source is None or end - start < _KERNEL_SIZE:
                gathered.append(view[start:end])
                continue
            self._write_gathered(piece, gathered)
            self._add_range(piece, source[0], source[1] + start, source[1] + end)
        self._write_gathered(piece, gathered)

    def write_empty(self, path: str, reader: FormatReader) -> None:
        """A piece without packets."""
        self._continue_with(self._piece(path, None), reader.preamble)

    def end(self, path: str) -> None:
        """Nothing is added to that piece any more."""
        piece = self._open.pop(path, None)
        if piece is not None:
            self._shut(piece, complete=True)

    def _piece(self, path: str, first_ts: int | None) -> _Piece:
        piece = self._pieces.get(path)
        if piece is None:
            piece = self._pieces[path] = _Piece(path, first_ts)
            if piece.file.is_there and is_one_of(path, self._inputs):
                raise UsageError("the output would overwrite the input", where=path, action="choose another name")
        if path in self._open:
            self._open.move_to_end(path)
            return piece
        if piece.file.is_open:
            self._copier.drain()  # it was shut, but not yet closed
        self._copier.check()  # what failed is not there to be opened again
        piece.file.open()
        self._open[path] = piece
        if len(self._open) > (_MOST_OPEN if piece.file.is_plain else _MOST_COMPRESSED):
            self._shut(self._open.popitem(last=False)[1], complete=False)
        return piece

    def _shut(self, piece: _Piece, *, complete: bool) -> None:
        self._flush(piece)
        self._copier.close(piece.file, complete=complete)

    def _continue_with(self, piece: _Piece, preamble: bytes) -> None:
        """Make sure that the piece holds what the next packets need: what was added since, or a new section."""
        if preamble != piece.preamble:
            known = len(piece.preamble) if preamble.startswith(piece.preamble) else 0
            self._flush(piece)
            self._copier.write(piece.file, preamble[known:])
            piece.preamble = preamble

    def _write_gathered(self, piece: _Piece, gathered: list[memoryview]) -> None:
        if gathered:
            self._flush(piece)
            self._copier.write(piece.file, b"".join(gathered))
            gathered.clear()

    def _add_range(self, piece: _Piece, source: int, offset: int, end: int) -> None:
        if piece.range is not None:
            known, begin, until = piece.range
            if known == source and until == offset and end - begin <= _LONGEST_RANGE:
                piece.range = (source, begin, end)
                return
            self._flush(piece)
        piece.range = (source, offset, end)

    def _flush(self, piece: _Piece) -> None:
        if piece.range is not None:
            source, offset, end = piece.range
            piece.range = None
            self._copier.copy(piece.file, source, offset, end - offset)

    def _file_of(self, reader: FormatReader) -> tuple[int, int] | None:
        """Descriptor and offset of the block's data where they lie in a plain file."""
        source = reader.source
        if not isinstance(source, RawSource) or not source.is_file:
            return None
        descriptor = self._sources.get(id(reader))
        if descriptor is None:
            # The reader closes its own when it has read everything, perhaps before it is copied.
            descriptor = self._sources[id(reader)] = os.dup(source.descriptor)
        return descriptor, source.start + reader.base

    def __enter__(self) -> PieceWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        complete = False
        try:
            if kind is None:
                self._complete()
                complete = True
            elif issubclass(kind, GlancetraceError):  # pieces of what was read so far may be complete
                with suppress(GlancetraceError, ReaderGone):
                    self._copier.finish()
        finally:
            self._leave(complete)

    def _complete(self) -> None:
        for piece in self._open.values():
            self._shut(piece, complete=True)
        self._copier.finish()
        for piece in self._pieces.values():
            self._keep(piece)

    def _keep(self, piece: _Piece) -> None:
        """A piece that was closed and not opened again goes to its place; any other is there."""
        try:
            piece.file.keep()
        except OSError as error:
            what = f"cannot be written: {error.strerror}"
            raise GlancetraceError(what, where=piece.file.path, action="choose another name") from None

    def _leave(self, complete: bool) -> None:
        """Leave nothing half-written behind."""
        is_writing = not complete and not self._copier.has_failed
        if is_writing and any(piece.file.takes_one_writing for piece in self._open.values()):
            self._copier.stop(wait=False)  # nobody may ever read a pipe to its end
            return
        self._copier.stop()
        for piece in self._pieces.values():
            piece.file.discard()
        for descriptor in self._sources.values():
            os.close(descriptor)
