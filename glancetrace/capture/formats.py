"""Which file format an input has, told by its first bytes; and what all format readers have in common.

Nearly every capture is a plain pcap file, so what only the others need is loaded for them alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from glancetrace.capture.blocks import Int64Array, PacketBlock
from glancetrace.capture.pcap import PCAP_MAGICS, PcapReader
from glancetrace.capture.source import ByteSource, RawSource
from glancetrace.errors import InputError

__all__ = ["FormatReader", "read_format"]

_FIRST_READ = 64
_FOREIGN_MAGICS = (b"snoop\0\0\0", b"GMBU", b"RTSS", b"XCP\0", b"\x54\x52\x53\x4e\x49\x46\x46")


class FormatReader(Protocol):
    """Reads one capture file; attributes as described at `glancetrace.capture.pcap.PcapReader`."""

    format: str
    source: ByteSource
    secrets: list[tuple[int, bytes]]
    names: dict[str, str]
    problems: list[tuple[str, int]]
    packet_count: int
    base: int
    starts: Int64Array
    ends: Int64Array

    @property
    def preamble(self) -> bytes:
        """The bytes that a file with the packets of the last block must begin with."""
        ...

    def __iter__(self) -> Iterator[PacketBlock]: ...


def _plain(raw: RawSource) -> ByteSource:
    """What `raw` holds, decompressed."""
    if raw.peek(4) in PCAP_MAGICS:
        return raw
    from glancetrace.capture.compressed import decompressed

    return decompressed(raw)


def read_format(raw: RawSource, block_size: int) -> tuple[FormatReader, ByteSource]:
    """The reader for what `raw` holds, and the source that it reads; `InputError` if it is no capture."""
    source = _plain(raw)
    data = source.read_on(b"", max(block_size, _FIRST_READ))
    magic = data[:4]
    if magic in PCAP_MAGICS:
        return PcapReader(source, data, block_size), source
    from glancetrace.capture.pcapng import PCAPNG_MAGIC, PcapngReader

    if magic == PCAPNG_MAGIC:
        return PcapngReader(source, data, block_size), source
    source.close()
    where = raw.name if raw.name != "-" else "standard input"
    if not data:
        raise InputError("is empty", where=where, action="copy or record it again")
    if data.startswith(_FOREIGN_MAGICS):
        raise InputError("is a capture of another format", where=where, action="convert it with editcap -F pcapng")
    raise InputError("is no capture (neither pcap nor pcapng)", where=where, action="give a file that tcpdump -w wrote")
