"""From command-line arguments to one stream of packets.

`open_captures` takes paths, globs and "-" and gives a `CaptureReader`: iterate it once for blocks of packets whose
frames are numbered over the whole input.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from glancetrace.capture.blocks import PacketBlock
from glancetrace.capture.pcap import MAGICS, PcapReader
from glancetrace.capture.source import open_source
from glancetrace.errors import InputError
from glancetrace.issues import IssueLog

__all__ = ["BLOCK_SIZE", "CaptureFile", "CaptureReader", "open_captures"]

BLOCK_SIZE = 4 << 20


@dataclass(slots=True)
class CaptureFile:
    """One input: `first_frame` is the number of its first packet in the whole input."""

    name: str
    first_frame: int
    packets: int = 0
    bytes: int = 0


def _natural_key(path: str) -> list[str | int]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path)]


def _expand(paths: Sequence[str]) -> list[str]:
    """Globs become the files that match; each file once."""
    expanded: list[str] = []
    for path in paths:
        if path != "-" and glob.has_magic(path) and not os.path.lexists(path):
            matches = sorted(glob.glob(path, recursive=True), key=_natural_key)
            if not matches:
                raise InputError("no file matches", where=path, action="check the pattern")
            expanded += matches
        else:
            expanded.append(path)
    return list(dict.fromkeys(expanded))


class CaptureReader:
    """Packets of all inputs, in one sequence."""

    def __init__(self, paths: Sequence[str], issues: IssueLog, block_size: int) -> None:
        self._paths = _expand(paths)
        self._issues = issues
        self._block_size = block_size
        self.files: list[CaptureFile] = []
        self.packets = 0
        self.bytes = 0
        self.first_ts: int | None = None
        self.last_ts: int | None = None
        self.link_types: list[int] = []
        self.secrets: list[tuple[int, bytes]] = []

    def __iter__(self) -> Iterator[PacketBlock]:
        for path in self._paths:
            source = open_source(path)
            magic = source.peek(4)
            if magic not in MAGICS:
                raise InputError("is no capture", where=path, action="give a pcap file")
            reader = PcapReader(source, self._block_size)
            file = CaptureFile(path, self.packets + 1)
            self.files.append(file)
            for block in reader:
                block.first_frame = self.packets + 1
                self.packets += len(block)
                file.packets += len(block)
                low, high = int(block.ts.min()), int(block.ts.max())
                self.first_ts = low if self.first_ts is None else min(low, self.first_ts)
                self.last_ts = high if self.last_ts is None else max(high, self.last_ts)
                for link_type in np.unique(block.link_type).tolist():
                    if link_type not in self.link_types:
                        self.link_types.append(link_type)
                yield block
            file.bytes = source.bytes_read()
            self.bytes += file.bytes
            source.close()


def open_captures(paths: Sequence[str], issues: IssueLog, *, block_size: int = BLOCK_SIZE) -> CaptureReader:
    """Open captures: paths, globs, "-" for standard input. `InputError` when one cannot be read."""
    return CaptureReader(paths, issues, block_size)
