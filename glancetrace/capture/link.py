"""Link layer: where the network layer begins in each packet, and what it is.

Turns packets of the link types that tcpdump produces on servers into two columns, the offset of the network header and
its EtherType (https://www.tcpdump.org/linktypes.html, IEEE 802.1Q). VLAN tags, also stacked ones, are stepped over.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from glancetrace.capture.blocks import Int64Array, PacketBlock
from glancetrace.capture.columns import Columns

__all__ = ["ARP", "CUT", "IPV4", "IPV6", "UNSUPPORTED", "find_network_layer"]

IPV4 = 0x0800
IPV6 = 0x86DD
ARP = 0x0806
CUT = -1
"""Instead of an EtherType: the packet ends inside its link header."""
UNSUPPORTED = -2
"""Instead of an EtherType: the link type is not decoded."""
_OTHER = 0

_VLAN_TAGS = (0x8100, 0x88A8, 0x9100)

_Layer = tuple[Int64Array, Int64Array]


def _ethernet(columns: Columns, offset: Int64Array) -> _Layer:
    return offset + 14, columns.u16(offset + 12)


def _linux_sll(columns: Columns, offset: Int64Array) -> _Layer:
    return offset + 16, columns.u16(offset + 14)


def _linux_sll2(columns: Columns, offset: Int64Array) -> _Layer:
    return offset + 20, columns.u16(offset)


def _raw(columns: Columns, offset: Int64Array) -> _Layer:
    version = columns.u8(offset) >> 4
    return offset + 0, np.where(version == 4, IPV4, np.where(version == 6, IPV6, _OTHER))


def _ipv4(columns: Columns, offset: Int64Array) -> _Layer:
    return offset + 0, np.full(len(offset), IPV4, np.int64)


def _ipv6(columns: Columns, offset: Int64Array) -> _Layer:
    return offset + 0, np.full(len(offset), IPV6, np.int64)


def _bsd_loopback(columns: Columns, offset: Int64Array) -> _Layer:
    """The address family in the byte order of the recording host (NULL) or of the network (LOOP): small either way."""
    family = columns.u32(offset)
    small = np.where(family < 0x10000, family, (family >> 24) | ((family >> 8) & 0xFF00))
    is_ipv6 = (small == 10) | (small == 24) | (small == 28) | (small == 30)
    return offset + 4, np.where(small == 2, IPV4, np.where(is_ipv6, IPV6, _OTHER))


_LINK_LAYERS: dict[int, tuple[int, Callable[[Columns, Int64Array], _Layer]]] = {
    0: (4, _bsd_loopback),
    1: (14, _ethernet),
    12: (1, _raw),
    14: (1, _raw),
    101: (1, _raw),
    108: (4, _bsd_loopback),
    113: (16, _linux_sll),
    228: (1, _ipv4),
    229: (1, _ipv6),
    276: (20, _linux_sll2),
}
"""Link type -> length of its header (or what is needed to tell the network layer), and how to read it."""


def _step_over_tags(columns: Columns, network: Int64Array, ethertype: Int64Array, end: Int64Array) -> None:
    """Move rows with a VLAN tag behind it, in place, until no tag is left."""
    while True:
        tagged = ethertype == _VLAN_TAGS[0]
        for tag in _VLAN_TAGS[1:]:
            tagged |= ethertype == tag
        if not tagged.any():
            return
        rows = np.flatnonzero(tagged)
        inner = columns.u16(network[rows] + 2)
        network[rows] += 4
        ethertype[rows] = np.where(network[rows] <= end[rows], inner, CUT)


def _one_link_type(columns: Columns, link_type: int, offset: Int64Array, end: Int64Array) -> _Layer:
    layer = _LINK_LAYERS.get(link_type)
    if layer is None:
        return offset + 0, np.full(len(offset), UNSUPPORTED, np.int64)
    needed, read = layer
    network, ethertype = read(columns, offset)
    cut: npt.NDArray[np.bool_] = offset + needed > end
    if cut.any():
        ethertype[cut] = CUT
    _step_over_tags(columns, network, ethertype, end)
    return network, ethertype


def find_network_layer(block: PacketBlock, columns: Columns) -> _Layer:
    """Offset of the network header in `block.data`, and EtherType (or `CUT`, `UNSUPPORTED`), of every packet."""
    end = block.offset + block.cap_len
    link_type = int(block.link_type[0]) if len(block) else 1
    if (block.link_type == link_type).all():
        return _one_link_type(columns, link_type, block.offset, end)
    network = np.empty(len(block), np.int64)
    ethertype = np.empty(len(block), np.int64)
    for link_type in np.unique(block.link_type).tolist():
        rows = np.flatnonzero(block.link_type == link_type)
        network[rows], ethertype[rows] = _one_link_type(columns, link_type, block.offset[rows], end[rows])
    return network, ethertype
