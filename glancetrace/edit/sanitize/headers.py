"""Addresses in the headers of packets become others: Ethernet, Linux cooked (SLL, SLL2), ARP, IPv4 and IPv6.

All packets of a block at once: the distinct addresses of a field are few and each is replaced once. What else may name
an address there is blanked: the options of IPv4 (RFC 791, 3.1: routes), the gateway of an ICMP redirect (RFC 792).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from glancetrace.capture.blocks import Int64Array, PacketBlock
from glancetrace.capture.link import ARP, IPV4, IPV6
from glancetrace.edit.sanitize.addresses import Addresses

__all__ = ["new_addresses", "replace_addresses"]

_Bytes = npt.NDArray[np.uint8]
_MACS = {1: (0, 6), 113: (6,), 276: (12,)}
"""Link type -> where MAC addresses stand in its header."""
_ARP_LEN = 28
_NO_OPERATION = 1
_ICMP, _REDIRECT = 1, 5


def replace_addresses(
    buffer: _Bytes, block: PacketBlock, network: Int64Array, ethertype: Int64Array, addresses: Addresses
) -> None:
    """Replace them in place, before checksums are made; what is cut off in the midst of a header becomes zeros."""
    end = block.offset + block.cap_len
    for link_type, places in _MACS.items():
        rows = block.link_type == link_type
        for place in places:
            _replace(buffer, block.offset[rows] + place, end[rows], 6, addresses.mac)
    arp = network[ethertype == ARP]
    arp_end = np.minimum(end[ethertype == ARP], arp + _ARP_LEN)
    for place, length, made in ((8, 6, addresses.mac), (14, 4, _as_bytes(addresses.v4, 4)),
                                (18, 6, addresses.mac), (24, 4, _as_bytes(addresses.v4, 4))):  # fmt: skip
        _replace(buffer, arp + place, arp_end, length, made)
    v4, v6 = ethertype == IPV4, ethertype == IPV6
    for place in (12, 16):
        _replace(buffer, network[v4] + place, end[v4], 4, _as_bytes(addresses.v4, 4))
    for place in (8, 24):
        _replace(buffer, network[v6] + place, end[v6], 16, _as_bytes(addresses.v6, 16))
    _blank_options(buffer, network[v4], end[v4])


def _as_bytes(made: Callable[[int], int], length: int) -> Callable[[bytes], bytes]:
    return lambda old: made(int.from_bytes(old, "big")).to_bytes(length, "big")


def _replace(buffer: _Bytes, at: Int64Array, end: Int64Array, length: int, made: Callable[[bytes], bytes]) -> None:
    for cut, stop in zip(at[at + length > end].tolist(), end[at + length > end].tolist(), strict=True):
        buffer[cut:stop] = 0
    at = at[at + length <= end]
    if not len(at):
        return
    places = at[:, None] + np.arange(length)
    old = np.ascontiguousarray(buffer[places]).view(f"V{length}").ravel()
    distinct, index = np.unique(old, return_inverse=True)
    new = np.frombuffer(b"".join([made(one.tobytes()) for one in distinct]), np.uint8).reshape(-1, length)
    buffer[places] = new[index.ravel()]


def _blank_options(buffer: _Bytes, ip: Int64Array, end: Int64Array) -> None:
    whole = ip + 20 <= end
    ip, end = ip[whole], end[whole]
    stop = np.minimum(ip + (buffer[ip] & 15).astype(np.int64) * 4, end)
    for row in np.flatnonzero(stop > ip + 20).tolist():
        buffer[ip[row] + 20 : stop[row]] = _NO_OPERATION
    redirects = (buffer[ip + 9] == _ICMP) & (stop + 8 <= end)
    for at in stop[redirects][buffer[stop[redirects]] == _REDIRECT].tolist():
        buffer[at + 4 : at + 8] = 0


def new_addresses(
    address: npt.NDArray[np.uint64], version: npt.NDArray[np.uint8], addresses: Addresses
) -> npt.NDArray[np.uint64]:
    """The addresses of segments as they are now, in the same columns."""
    pairs = np.column_stack((address, version.astype(np.uint64)))
    distinct, index = np.unique(pairs, axis=0, return_inverse=True)
    new = np.empty((len(distinct), 2), np.uint64)
    for row, (high, low, kind) in enumerate(distinct.tolist()):
        made = addresses.v4(low) if kind == 4 else addresses.v6(high << 64 | low)
        new[row] = made >> 64, made & (1 << 64) - 1
    return new[index.ravel()]
