"""From command-line arguments to one stream of packets.

`open_captures` takes paths, globs and "-" and gives a `CaptureReader`: iterate it once for blocks of packets whose
frames are numbered over the whole input, in the order of `glancetrace.capture.ordering`.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from glancetrace.capture.blocks import Int64Array, PacketBlock
from glancetrace.capture.formats import FormatReader, read_format
from glancetrace.capture.ordering import Piece, in_order
from glancetrace.capture.source import ByteSource, FileSource, RawSource, open_source
from glancetrace.errors import InputError
from glancetrace.issues import IssueLog

__all__ = ["BLOCK_SIZE", "CaptureFile", "CaptureReader", "Secret", "expand", "open_captures"]

BLOCK_SIZE = 4 << 20
"""Bytes of capture in a block."""

Secret = tuple[int, bytes]
"""Type (https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-03.html, 4.7) and data of a secrets block."""

_PEEK_SIZE = 64 << 10


@dataclass(slots=True)
class CaptureFile:
    """One input.

    Attributes:
        name: as given, or as a pattern gave it; "-" is standard input.
        first_frame: number of its first packet in the whole input; where captures of the same time are merged, others'
            packets stand between its own.
        packets: how many it has.
        format: "pcap" or "pcapng".
    """

    name: str
    first_frame: int
    packets: int
    format: str


def _natural_key(path: str) -> list[tuple[bool, int, str]]:
    """`ring.pcap2` before `ring.pcap10`."""
    return [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"([0-9]+)", path)]


def expand(paths: Sequence[str]) -> list[str]:
    """Patterns become the files that match; each file once.

    Raises:
        InputError: nothing matches a pattern.
    """
    expanded: dict[str, str] = {}
    for path in paths:
        matches = [path]
        if path != "-" and glob.has_magic(path) and not os.path.lexists(path):
            matches = sorted(glob.glob(path, recursive=True), key=_natural_key)
            if not matches:
                raise InputError("no file matches", where=path, action="check the pattern")
        for match in matches:
            expanded.setdefault("-" if match == "-" else os.path.abspath(match), match)
    return list(expanded.values())


class _Input:
    """One capture: opened, judged and, where it can be, closed again until its turn comes."""

    def __init__(self, path: str, block_size: int, *, learn_time: bool, mapped: bool) -> None:
        self.path = path
        self.size: int | None = None
        self.first_ts: int | None = None
        self.file = 0
        self._block_size = block_size
        self._plain: Callable[[str, int], RawSource] = FileSource
        if mapped:
            from glancetrace.capture.mapped import MappedSource

            self._plain = MappedSource
        self._source: ByteSource | None = None
        self._ahead: PacketBlock | None = None
        self._done = False
        self.can_reopen = can_reopen = os.path.isfile(path)
        self._open(_PEEK_SIZE if learn_time and can_reopen else block_size)
        if learn_time:
            first = next(self._blocks, None)
            self.first_ts = None if first is None else int(first.ts[0])
            if can_reopen:
                self.close()
            else:
                self._ahead = first

    def _open(self, block_size: int) -> None:
        raw = open_source(self.path, self._plain)
        self.size = raw.size
        self.reader, self._source = read_format(raw, block_size)
        self._blocks = iter(self.reader)

    def pieces(self) -> Iterator[Piece]:
        """Its packets; the file is closed at the end."""
        if self._source is None:
            self._open(self._block_size)
        if self._ahead is not None:
            yield self._piece(self._ahead)
            self._ahead = None
        for block in self._blocks:
            yield self._piece(block)
        self._done = True
        self.close()

    def _piece(self, block: PacketBlock) -> Piece:
        return Piece(block, np.full(len(block), self.file, np.int64))

    def bytes_read(self) -> int:
        """Bytes of the file as it lies on disk that were read."""
        if self._source is not None:
            return self._source.bytes_read()
        return (self.size or 0) if self._done else 0

    def close(self) -> None:
        """Give the file back."""
        if self._source is not None:
            self._source.close()
            self._source = None


class CaptureReader:
    """Packets of all inputs in one sequence; iterate once. A context manager that closes what is left open.

    Attributes (final when the iteration has ended):
        files: the inputs in the order of their first packets.
        packets: how many; `bytes`: captured bytes of all of them.
        first_ts, last_ts: earliest and latest packet, ns; None without packets.
        link_types: LINKTYPE_ values, in the order of their first packets.
        progress: called after every block with the bytes read and the total as they lie on disk (None for a pipe).
    """

    def __init__(self, paths: Sequence[str], issues: IssueLog, block_size: int, *, mapped: bool = False) -> None:
        names = expand(paths)
        if not names:
            raise InputError("no capture is given", action="name a file, or - for standard input")
        self._issues = issues
        inputs = [_Input(name, block_size, learn_time=len(names) > 1, mapped=mapped) for name in names]
        inputs.sort(key=lambda one: (one.first_ts is None, one.first_ts or 0))
        for number, one in enumerate(inputs):
            one.file = number
        self._inputs = inputs
        self.files = [CaptureFile(one.path, 0, 0, one.reader.format) for one in inputs]
        self.packets = 0
        self.bytes = 0
        self.first_ts: int | None = None
        self.last_ts: int | None = None
        self.link_types: list[int] = []
        self.progress: Callable[[int, int | None], None] | None = None
        self._latest_file = 0
        self._interleaved: set[int] = set()

    @property
    def readers(self) -> list[FormatReader]:
        """The readers of the captures, in order."""
        return [one.reader for one in self._inputs]

    @property
    def secrets(self) -> list[Secret]:
        """Contents of the decryption secrets blocks read so far."""
        return [secret for one in self._inputs for secret in one.reader.secrets]

    def read_secrets(self) -> list[Secret]:
        """Contents of all decryption secrets blocks, wherever they stand, as far as the inputs can be read twice.

        Raises:
            InputError: a file cannot be read any more.
        """
        found: list[Secret] = []
        for one in self._inputs:
            if one.can_reopen and one.reader.format == "pcapng":
                reader, source = read_format(open_source(one.path), BLOCK_SIZE)
                try:
                    for _ in reader:
                        pass
                finally:
                    source.close()
                found += reader.secrets
        return found

    @property
    def can_bring_secrets(self) -> bool:
        """An input that can be read only once may bring decryption secrets blocks."""
        return any(one.reader.format == "pcapng" and not one.can_reopen for one in self._inputs)

    @property
    def names(self) -> dict[str, str]:
        """Address -> name, from the name resolution blocks read so far."""
        return {address: name for one in self._inputs for address, name in one.reader.names.items()}

    def __iter__(self) -> Iterator[PacketBlock]:
        try:
            if len(self._inputs) == 1:
                pieces = self._inputs[0].pieces()
            else:
                pieces = in_order(self._inputs)
            for piece in pieces:
                self._count(piece)
                yield piece.block
                self._report()
            self._finish()
        finally:
            self.close()

    def records(self) -> Iterator[tuple[PacketBlock, FormatReader]]:
        """Instead of iterating: one capture after the other, never merged, each block with the reader it came from."""
        for one in self._inputs:
            for piece in one.pieces():
                self._count(piece)
                yield piece.block, one.reader
                self._report()
        self._finish()

    def _report(self) -> None:
        if self.progress is not None:
            self.progress(*self._position())

    def _count(self, piece: Piece) -> None:
        """Number the packets and take them into the figures."""
        block = piece.block
        block.first_frame = self.packets + 1
        self.packets += len(block)
        self.bytes += int(block.cap_len.sum())
        numbers = _distinct(piece.file)
        for number in numbers:
            file = self.files[number]
            if len(numbers) > 1 or (file.packets and number != self._latest_file):
                self._interleaved.add(number)
            self._latest_file = number
            if not file.packets:
                file.first_frame = block.first_frame + int(np.argmax(piece.file == number))
            file.packets += int((piece.file == number).sum())
        for link_type in _distinct(block.link_type):
            if link_type not in self.link_types:
                self.link_types.append(link_type)
        self._count_times(block)

    def _count_times(self, block: PacketBlock) -> None:
        ts = block.ts
        first, last = int(ts.min()), int(ts.max())
        latest = first if self.last_ts is None else self.last_ts
        if first < latest or (ts[1:] < ts[:-1]).any():
            older = np.flatnonzero(ts < np.maximum(np.maximum.accumulate(ts), latest))
            self._issues.count("time-backwards", frame=block.first_frame + int(older[0]), times=len(older))
        self.first_ts = first if self.first_ts is None else min(first, self.first_ts)
        self.last_ts = last if self.last_ts is None else max(last, self.last_ts)

    def _position(self) -> tuple[int, int | None]:
        total = 0
        for one in self._inputs:
            if one.size is None:
                return self._bytes_read(), None
            total += one.size
        return self._bytes_read(), total

    def _bytes_read(self) -> int:
        return sum(one.bytes_read() for one in self._inputs)

    def _finish(self) -> None:
        """The input is read to its end: count what the readers found wrong."""
        if not self.packets:
            self._issues.count("capture-empty")
        for one, file in zip(self._inputs, self.files, strict=True):
            if not file.packets:
                file.first_frame = self.packets + 1
            for kind, packets_before in one.reader.problems:
                known = packets_before and one.file not in self._interleaved
                frame = file.first_frame + packets_before - 1 if known else None
                self._issues.count(kind, frame=frame)

    def close(self) -> None:
        """Close what is still open."""
        for one in self._inputs:
            one.close()

    def __enter__(self) -> CaptureReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _distinct(column: Int64Array) -> list[int]:
    """The values of a column, in order of their first row; nearly always there is only one."""
    first = int(column[0])
    if (column == first).all():
        return [first]
    return list(dict.fromkeys(column.tolist()))


def open_captures(
    paths: Sequence[str], issues: IssueLog, *, block_size: int = BLOCK_SIZE, mapped: bool = False
) -> CaptureReader:
    """Open captures: paths, patterns, "-" for standard input.

    `mapped`: a block of a plain file may be the file itself, and is used only until the next one
    (`glancetrace.capture.mapped`).

    Raises:
        InputError: one of them is missing, a directory, not readable, empty or no capture.
    """
    return CaptureReader(paths, issues, block_size, mapped=mapped)
