"""Cutting a capture into pieces of so many packets, as `editcap -c` does.

The pieces keep the format of the input (byte order, time resolution, interfaces) and its record bytes, and have the
names that editcap gives: `<stem>_NNNNN_YYYYmmddHHMMSS<ext>`, with the local time of the first packet. Each is a
complete capture: a pcapng piece begins with the section header, interfaces, secrets and names that its packets need.
Other pcapng blocks (statistics, unknown ones) describe the whole and are left out, as are damaged bytes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from glancetrace.capture.blocks import PacketBlock
from glancetrace.capture.formats import FormatReader
from glancetrace.capture.inputs import open_captures
from glancetrace.capture.pcapng import PCAPNG_MAGIC
from glancetrace.errors import GlancetraceError, UsageError
from glancetrace.issues import IssueLog

__all__ = ["SplitPiece", "split_by_count"]


@dataclass(frozen=True, slots=True)
class SplitPiece:
    """A file that was written: `first_ts` (ns) is the time of its first packet, None for a piece without packets."""

    path: str
    packets: int
    first_ts: int | None


def _piece_path(output: str, ordinal: int, first_ts: int) -> str:
    """The infix stands before the last dot of the name, if it has one."""
    directory, name = os.path.split(output)
    stem, dot, extension = name.rpartition(".")
    if not dot:
        stem, extension = extension, stem
    local = time.strftime("%Y%m%d%H%M%S", time.localtime(first_ts // 1_000_000_000))
    return os.path.join(directory, f"{stem}_{ordinal:05d}_{local}{dot}{extension}")


class _PieceWriter:
    """Writes records to one piece after the other; `packets_per_file` go into each."""

    def __init__(self, inputs: Sequence[str], output: str, packets_per_file: int) -> None:
        self._inputs = {os.path.realpath(path) for path in inputs if path != "-"}
        self._output = output
        self._limit = packets_per_file
        self._descriptor = -1
        self._preamble = b""
        self._packets = 0
        self._path = ""
        self._first_ts: int | None = None
        self.pieces: list[SplitPiece] = []

    def write(self, block: PacketBlock, reader: FormatReader) -> None:
        """All records of a block, over as many pieces as they take."""
        preamble = reader.preamble
        if not self._can_continue_with(preamble):
            self.close()
        row = 0
        while row < len(block):
            if self._packets == self._limit:
                self.close()
            if self._descriptor < 0:
                first_ts = int(block.ts[row])
                self._open(_piece_path(self._output, len(self.pieces), first_ts), first_ts)
            self._continue_with(preamble)
            stop = min(len(block), row + self._limit - self._packets)
            self._write_records(block.data, reader, row, stop)
            self._packets += stop - row
            row = stop

    def write_empty(self, reader: FormatReader) -> None:
        """A capture without packets: one piece, under the plain name, as editcap does."""
        self._open(self._output, None)
        self._continue_with(reader.preamble)

    def close(self) -> None:
        """The piece is complete."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self.pieces.append(SplitPiece(self._path, self._packets, self._first_ts))
        self._packets = 0

    def _open(self, path: str, first_ts: int | None) -> None:
        if os.path.realpath(path) in self._inputs:
            raise UsageError("the output would overwrite the input", where=path, action="choose another name")
        try:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        except OSError as error:
            what = f"cannot be written: {error.strerror}"
            raise GlancetraceError(what, where=path, action="check the directory") from None
        self._path, self._first_ts, self._preamble = path, first_ts, b""

    def _can_continue_with(self, preamble: bytes) -> bool:
        """A pcap has one file header; in pcapng new interfaces and sections may follow."""
        is_pcapng = preamble.startswith(PCAPNG_MAGIC) and self._preamble.startswith(PCAPNG_MAGIC)
        return is_pcapng or preamble == self._preamble

    def _continue_with(self, preamble: bytes) -> None:
        """Make sure that the piece holds what the next packets need: what was added since, or a new section."""
        if preamble != self._preamble:
            known = len(self._preamble) if preamble.startswith(self._preamble) else 0
            self._write(memoryview(preamble)[known:])
            self._preamble = preamble

    def _write_records(self, data: bytes, reader: FormatReader, start: int, stop: int) -> None:
        starts, ends = reader.starts[start:stop], reader.ends[start:stop]
        view = memoryview(data)
        # Records usually lie end to end; where they do not, something else stands between them.
        breaks = [0, *(np.flatnonzero(starts[1:] != ends[:-1]) + 1).tolist(), stop - start]
        for first, behind in pairwise(breaks):
            self._write(view[int(starts[first]) : int(ends[behind - 1])])

    def _write(self, view: memoryview) -> None:
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            what = f"cannot be written: {error.strerror}"
            raise GlancetraceError(what, where=self._path, action="make room, or choose another directory") from None


def split_by_count(
    paths: Sequence[str],
    output: str,
    packets_per_file: int,
    *,
    issues: IssueLog | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> list[SplitPiece]:
    """Write the packets of captures to pieces of `packets_per_file` packets.

    Several captures are taken in the order of their first packets, each as a whole; where one begins that needs another
    file header, a new piece begins too.

    Args:
        paths: files, patterns, or "-" for standard input; compressed ones too (the pieces are not compressed).
        output: the name that the pieces' names are made from.
        issues: where damage of the input is counted.
        progress: called with the bytes read and the total (None for a pipe).

    Raises:
        UsageError: a count below one, or a piece would overwrite an input.
        InputError: an input cannot be read.
        GlancetraceError: a piece cannot be written.
    """
    if packets_per_file < 1:
        raise UsageError("a piece needs at least one packet", action="give a count of 1 or more")
    if output == "-":
        raise UsageError("pieces cannot go to standard output", action="give a file name")
    with open_captures(paths, issues if issues is not None else IssueLog()) as captures:
        captures.progress = progress
        writer = _PieceWriter([file.name for file in captures.files], output, packets_per_file)
        try:
            for block, reader in captures.records():
                writer.write(block, reader)
            if not captures.packets:
                writer.write_empty(captures.readers[0])
        finally:
            writer.close()
    return writer.pieces
