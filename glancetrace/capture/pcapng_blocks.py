"""The pcapng blocks that say how packets are to be read: section header, interface, secrets, names.

Section numbers refer to https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-03.html, 4. A parser gets one complete
block whose two total lengths agree.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from glancetrace.capture.blocks import Int64Array

__all__ = [
    "DECRYPTION_SECRETS",
    "ENHANCED_PACKET",
    "INTERFACE_DESCRIPTION",
    "NAME_RESOLUTION",
    "PACKET",
    "SECTION_HEADER",
    "SILENT_BLOCKS",
    "SIMPLE_PACKET",
    "Interface",
    "Section",
    "parse_names",
    "parse_secrets",
    "parse_section_order",
    "ticks_to_ns",
]

SECTION_HEADER = 0x0A0D0D0A
INTERFACE_DESCRIPTION = 1
PACKET = 2
SIMPLE_PACKET = 3
NAME_RESOLUTION = 4
INTERFACE_STATISTICS = 5
ENHANCED_PACKET = 6
DECRYPTION_SECRETS = 10
SILENT_BLOCKS = (INTERFACE_STATISTICS, 0xBAD, 0x40000BAD)
"""Skipped without a word: statistics, and custom blocks, which nobody but their maker knows."""

_OPTION_TSRESOL = 9
_OPTION_TSOFFSET = 14
_SECOND = 1_000_000_000
_MAX_TICK_EXPONENT = 27


@dataclass(frozen=True, slots=True)
class Interface:
    """Interface Description Block (4.2): a tick is 10^-exponent s, or 2^-exponent s if `binary`; `ts_offset` in ns."""

    link_type: int
    snaplen: int
    exponent: int = 6
    binary: bool = False
    ts_offset: int = 0


@dataclass(slots=True)
class Section:
    """A section so far: byte order ("<" or ">"), interfaces, and the blocks that its packets need."""

    order: str
    interfaces: list[Interface] = field(default_factory=list)
    _blocks: list[bytes] = field(default_factory=list)

    def add(self, block: bytes) -> None:
        """Keep a block that packets need."""
        if not self._blocks:  # the section header: a copy of some of its packets has another, unknown length
            block = block[:16] + b"\xff" * 8 + block[24:]
        self._blocks.append(block)

    def add_interface(self, block: bytes) -> bool:
        """Keep an interface; False if the block is too short for one."""
        interface = _parse_interface(block, self.order)
        if interface is None:
            return False
        self.interfaces.append(interface)
        self.add(block)
        return True

    def preamble(self) -> bytes:
        """The start of a file with packets of this section."""
        return b"".join(self._blocks)


def parse_section_order(data: bytes, position: int) -> str | None:
    """Byte order of the section header at `position` (4.1), None if it has none."""
    return {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}.get(data[position + 8 : position + 12])


def _pull_options(block: bytes, position: int, order: str) -> Iterator[tuple[int, bytes]]:
    """Options (3.5) from `position` to the end of the block."""
    end = len(block) - 4
    while position + 4 <= end:
        code, length = struct.unpack_from(order + "HH", block, position)
        if code == 0 or position + 4 + length > end:
            return
        yield code, block[position + 4 : position + 4 + length]
        position += 4 + (length + 3 & ~3)


def _parse_interface(block: bytes, order: str) -> Interface | None:
    if len(block) < 20:
        return None
    link_type, _, snaplen = struct.unpack_from(order + "HHI", block, 8)
    exponent, binary, ts_offset = 6, False, 0
    for code, value in _pull_options(block, 16, order):
        if code == _OPTION_TSRESOL and len(value) == 1:
            exponent, binary = value[0] & 0x7F, bool(value[0] & 0x80)
        elif code == _OPTION_TSOFFSET and len(value) == 8:
            seconds = int.from_bytes(value, "little" if order == "<" else "big", signed=True)
            # An offset beyond the year 2262 cannot be told in ns and is garbage.
            ts_offset = seconds * _SECOND if abs(seconds) < 1 << 33 else 0
    return Interface(link_type, snaplen, exponent, binary, ts_offset)


def ticks_to_ns(ticks: npt.NDArray[np.uint64], interface: Interface) -> Int64Array:
    """Times of packets of one interface, ns since the epoch; a garbage time stays garbage."""
    exponent = interface.exponent
    if interface.binary:
        exponent = min(exponent, 63)
        fraction = ticks & np.uint64((1 << exponent) - 1)
        # The fraction times 10^9 has to fit into 64 bits.
        excess = max(0, exponent - 33)
        fraction = (fraction >> np.uint64(excess)) * np.uint64(_SECOND) >> np.uint64(exponent - excess)
        ns = (ticks >> np.uint64(exponent)) * np.uint64(_SECOND) + fraction
    elif exponent <= 9:
        ns = ticks * np.uint64(10 ** (9 - exponent))
    else:
        ns = ticks // np.uint64(10 ** (min(exponent, _MAX_TICK_EXPONENT) - 9))
    return ns.astype(np.int64) + interface.ts_offset


def parse_secrets(block: bytes, order: str) -> tuple[int, bytes] | None:
    """Decryption Secrets Block (4.7): type and data."""
    if len(block) < 20:
        return None
    kind, length = struct.unpack_from(order + "II", block, 8)
    if 16 + length > len(block) - 4:
        return None
    return kind, block[16 : 16 + length]


def parse_names(block: bytes, order: str) -> dict[str, str]:
    """Name Resolution Block (4.5): address -> its first name."""
    names: dict[str, str] = {}
    position, end = 8, len(block) - 4
    while position + 4 <= end:
        kind, length = struct.unpack_from(order + "HH", block, position)
        value = block[position + 4 : position + 4 + length]
        position += 4 + (length + 3 & ~3)
        address_len = {1: 4, 2: 16}.get(kind)
        if kind == 0 or len(value) < length or position > end:
            break
        if address_len is None or length <= address_len:
            continue
        import socket

        family = socket.AF_INET if kind == 1 else socket.AF_INET6
        name = value[address_len:].split(b"\0", 1)[0].decode("utf-8", "replace")
        names.setdefault(socket.inet_ntop(family, value[:address_len]), name)
    return names
