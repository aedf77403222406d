"""Blocks of a pcapng file, to be written (https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-03.html, 4)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence

from glancetrace.capture.blocks import PacketBlock
from glancetrace.capture.pcapng_blocks import (
    DECRYPTION_SECRETS,
    ENHANCED_PACKET,
    INTERFACE_DESCRIPTION,
    SECTION_HEADER,
)

__all__ = ["comment_options", "enhanced_packets", "interface_block", "secrets_block", "section_header"]

_BYTE_ORDER_MAGIC = 0x1A2B3C4D
_UNKNOWN_LEN = -1
_TSRESOL = 9
_COMMENT = 1
_LONGEST_OPTION = 0xFFFF


def _block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    total = 12 + len(body)
    return struct.pack(order + "II", kind, total) + body + struct.pack(order + "I", total)


def section_header(order: str = "<") -> bytes:
    """A section of unknown length, without options (4.1)."""
    return _block(order, SECTION_HEADER, struct.pack(order + "IHHq", _BYTE_ORDER_MAGIC, 1, 0, _UNKNOWN_LEN))


def interface_block(link_type: int, snaplen: int, exponent: int, order: str = "<") -> bytes:
    """An interface whose ticks are 10^-exponent s (4.2)."""
    options = struct.pack(order + "HHBxxxHH", _TSRESOL, 1, exponent, 0, 0)
    return _block(order, INTERFACE_DESCRIPTION, struct.pack(order + "HHI", link_type, 0, snaplen) + options)


def secrets_block(order: str, kind: int, data: bytes) -> bytes:
    """Decryption secrets (4.7)."""
    return _block(order, DECRYPTION_SECRETS, struct.pack(order + "II", kind, len(data)) + data)


def comment_options(comments: Iterable[str], order: str = "<") -> bytes:
    """opt_comment, once per comment (3.5.1), without the option that ends a list; what is too long is cut."""
    options = b""
    for comment in comments:
        data = comment.encode("utf-8", "replace")
        if len(data) > _LONGEST_OPTION:
            data = data[:_LONGEST_OPTION].decode("utf-8", "ignore").encode()
        options += struct.pack(order + "HH", _COMMENT, len(data)) + data + bytes(-len(data) % 4)
    return options


def enhanced_packets(
    block: PacketBlock, ns_per_tick: int, order: str = "<", comments: Mapping[int, Sequence[str]] | None = None
) -> Iterator[bytes]:
    """The packets of a block, all of interface 0 (4.3); `comments` by row of the block."""
    head = struct.Struct(order + "IIIIIII")
    tail = struct.Struct(order + "I")
    columns = (block.offset, block.cap_len, block.orig_len, block.ts // ns_per_tick)
    for row, (offset, cap_len, orig_len, ticks) in enumerate(zip(*(c.tolist() for c in columns), strict=True)):
        padding = -cap_len % 4
        options = b""
        if comments and row in comments:
            options = comment_options(comments[row], order) + bytes(4)  # opt_endofopt
        total = 32 + cap_len + padding + len(options)
        ticks &= (1 << 64) - 1
        yield head.pack(ENHANCED_PACKET, total, 0, ticks >> 32, ticks & 0xFFFFFFFF, cap_len, orig_len)
        yield block.data[offset : offset + cap_len] + bytes(padding) + options
        yield tail.pack(total)
