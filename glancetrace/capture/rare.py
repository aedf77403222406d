"""The rare path of the packet index: one packet at a time.

IPv6 extension headers (RFC 8200, 4; parsed by dpkt) and fragments of either version. What comes out are TCP datagrams
that the index treats like all others; the bytes of rebuilt datagrams are appended to the block's buffer.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from glancetrace.capture.blocks import PacketBlock
from glancetrace.capture.fragments import FragmentTable, fits_datagram
from glancetrace.issues import IssueLog

__all__ = ["EXTENSION_HEADERS", "PROTOCOL_TCP", "RareDatagram", "RareFound", "RarePackets", "protocol_reason"]

PROTOCOL_TCP = 6
_FRAGMENT = 44
EXTENSION_HEADERS = (0, 43, _FRAGMENT, 51, 60)
"""Hop-by-hop options, routing, fragment, authentication, destination options."""

_REASONS = {
    1: "icmp",
    2: "igmp",
    4: "tunnel",
    17: "udp",
    41: "tunnel",
    47: "tunnel",
    50: "esp",
    58: "icmp",
    132: "sctp",
}


def protocol_reason(protocol: int) -> str:
    """Why a packet of this IP protocol is ignored."""
    return _REASONS.get(protocol, "ip-protocol")


@dataclass(frozen=True, slots=True)
class RareDatagram:
    """TCP inside IP: `row` in the block, `tcp` offset in the buffer, `tcp_len` on the wire, `end` of captured bytes."""

    row: int
    version: int
    src: tuple[int, int]
    dst: tuple[int, int]
    tcp: int
    tcp_len: int
    end: int


@dataclass(slots=True)
class RareFound:
    """Outcome of one block: `rebuilt` is to be appended to its buffer; `malformed` holds rows."""

    datagrams: list[RareDatagram] = field(default_factory=list)
    rebuilt: bytes = b""
    ignored: dict[str, int] = field(default_factory=dict)
    malformed: list[int] = field(default_factory=list)

    def ignore(self, reason: str) -> None:
        """Count one packet as ignored."""
        self.ignored[reason] = self.ignored.get(reason, 0) + 1


@dataclass(frozen=True, slots=True)
class _Payload:
    """Where the chain of extension headers ends: protocol and offset; or at a fragment, with its fields."""

    protocol: int
    offset: int
    fragment: tuple[int, bool, int] | None = None
    """Offset in the datagram, whether more follow, identification."""


def _address(data: bytes) -> tuple[int, int]:
    return int.from_bytes(data[:-8], "big"), int.from_bytes(data[-8:], "big")


def _address_v4(data: bytes) -> tuple[int, int]:
    return 0, int.from_bytes(data, "big")


def _walk_extension_headers(protocol: int, data: bytes) -> _Payload | None:
    """Step over extension headers at the start of `data`; None where they are cut or contradict themselves."""
    import dpkt

    offset = 0
    while protocol in EXTENSION_HEADERS:
        try:
            header = dpkt.ip6.EXT_HDRS_CLS[protocol](data[offset:])
        except dpkt.UnpackError:
            return None
        offset += header.length
        if offset > len(data):
            return None
        is_fragment = protocol == _FRAGMENT
        protocol = header.nxt
        if is_fragment:
            return _Payload(protocol, offset, (header.frag_off * 8, bool(header.m_flag), header.id))
    return _Payload(protocol, offset)


class RarePackets:
    """Takes the rare packets of one block after the other, each version's in order."""

    def __init__(self, issues: IssueLog) -> None:
        self._fragments_v4 = FragmentTable(issues)
        self._fragments_v6 = FragmentTable(issues)
        self._block: PacketBlock | None = None
        self._found: RareFound | None = None
        self._rebuilt: list[bytes] = []
        self._end = 0

    def begin(self, block: PacketBlock) -> None:
        """The next packets are rows of `block`."""
        self._block = block
        self._found = None
        self._rebuilt = []
        self._end = len(block.data)

    def take(self) -> RareFound | None:
        """What the block's rare packets became; None if there were none."""
        found = self._found
        if found is not None:
            found.rebuilt = b"".join(self._rebuilt)
        self._block = None
        return found

    def finish(self) -> None:
        """The input is read to its end."""
        self._fragments_v4.finish()
        self._fragments_v6.finish()

    def add_ipv4(self, row: int, ip: int, end: int, total: int) -> None:
        """A fragment (RFC 791, 3.1): header at `ip`, captured up to `end`, `total` bytes on the wire."""
        block, found = self._current()
        header = block.data[ip : ip + 20]
        header_len = (header[0] & 15) * 4
        offset = (int.from_bytes(header[6:8], "big") & 0x1FFF) * 8
        more = bool(header[6] & 0x20)
        if not fits_datagram(offset, total - header_len):
            found.malformed.append(row)
            return
        src, dst, protocol = header[12:16], header[16:20], header[9]
        key = (src, dst, int.from_bytes(header[4:6], "big"), protocol)
        data = block.data[ip + header_len : end]
        ts, frame = int(block.ts[row]), block.first_frame + row
        payload = self._fragments_v4.add(key, offset, data, total - header_len, more, ts, frame)
        if not payload:
            found.ignore("fragment")
        elif protocol != PROTOCOL_TCP:
            found.ignore(protocol_reason(protocol))
        else:
            start = self._append(payload)
            length = len(payload)
            found.datagrams.append(
                RareDatagram(row, 4, _address_v4(src), _address_v4(dst), start, length, start + length)
            )

    def add_ipv6(self, row: int, ip: int, end: int, length: int) -> None:
        """A packet with extension headers: at `ip`, captured up to `end`; `length` bytes on the wire."""
        block, found = self._current()
        start = ip + 40
        data = block.data[start:end]
        walked = _walk_extension_headers(block.data[ip + 6], data)
        if walked is None:
            found.malformed.append(row)
            return
        src, dst = block.data[ip + 8 : ip + 24], block.data[ip + 24 : ip + 40]
        offset = walked.offset
        if walked.fragment is not None:
            at, more, identification = walked.fragment
            if not fits_datagram(at, length - offset):
                found.malformed.append(row)
                return
            key = (src, dst, identification, 0)
            ts, frame = int(block.ts[row]), block.first_frame + row
            payload = self._fragments_v6.add(key, at, data[offset:], length - offset, more, ts, frame)
            if not payload:
                found.ignore("fragment")
                return
            inner = _walk_extension_headers(walked.protocol, payload)
            if inner is None or inner.fragment is not None:
                found.malformed.append(row)
                return
            walked, offset, length = inner, inner.offset, len(payload)
            start = self._append(payload)
            end = start + length
        if walked.protocol != PROTOCOL_TCP:
            found.ignore(protocol_reason(walked.protocol))
            return
        found.datagrams.append(RareDatagram(row, 6, _address(src), _address(dst), start + offset, length - offset, end))

    def _current(self) -> tuple[PacketBlock, RareFound]:
        assert self._block is not None
        if self._found is None:
            self._found = RareFound()
        return self._block, self._found

    def _append(self, payload: bytes) -> int:
        start = self._end
        self._rebuilt.append(payload)
        self._end += len(payload)
        return start
