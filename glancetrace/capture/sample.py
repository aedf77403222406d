"""A few stretches of a capture, to see what it is made of before it is read.

Of a plain pcap file pieces from all over it are read, and the reader finds the first packet in each as it does behind
damage. Of any other input the beginning has to do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice

from glancetrace.capture.blocks import PacketBlock
from glancetrace.capture.inputs import open_captures
from glancetrace.capture.pcap import PCAP_MAGICS, PcapReader
from glancetrace.capture.source import RawSource, open_source
from glancetrace.issues import IssueLog

__all__ = ["sample"]

_HEADER_LEN = 24
_PIECES = 32
_PIECE_SIZE = 32 << 10


class _Nothing(RawSource):
    """A source whose bytes have all been handed out."""

    def __init__(self, name: str, descriptor: int) -> None:
        super().__init__(name, descriptor)
        self.ended = True


def sample(path: str) -> Iterator[PacketBlock]:
    """Some packets of a capture file; their frames and link to each other mean nothing.

    Raises:
        InputError: the file cannot be read, or is no capture.
    """
    raw = open_source(path)
    try:
        header = raw.peek(_HEADER_LEN)
        if header[:4] in PCAP_MAGICS and len(header) == _HEADER_LEN and raw.size is not None:
            pieces = [os.pread(raw.descriptor, _PIECE_SIZE, raw.size * at // _PIECES) for at in range(1, _PIECES)]
            first = os.pread(raw.descriptor, _PIECE_SIZE, 0)
            source = _Nothing(path, raw.descriptor)
            yield from PcapReader(source, first + b"".join(pieces), _PIECE_SIZE)
            return
    finally:
        raw.close()
    with open_captures([path], IssueLog(), block_size=_PIECES * _PIECE_SIZE) as reader:
        yield from islice(reader, 1)
