"""The last reading: packets are written as the plans say, with checksums that fit.

Payload is rewritten by its place in the stream, so every copy of a byte becomes the same; where packets carry the same
range with different bytes, the first one decides. Packets that nobody decodes keep their headers and are cut behind
them, as a small snapshot length would have; their lengths on the wire stay.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
import numpy.typing as npt

from glancetrace.capture.blocks import Int64Array, PacketBlock
from glancetrace.capture.columns import Columns
from glancetrace.capture.link import ARP, IPV4, IPV6, find_network_layer
from glancetrace.capture.segments import SegmentBlock
from glancetrace.edit.sanitize.addresses import Addresses
from glancetrace.edit.sanitize.checksums import fill_ipv4_checksums, fill_tcp_checksums
from glancetrace.edit.sanitize.headers import new_addresses, replace_addresses
from glancetrace.edit.sanitize.offsets import Offsets, StreamRows
from glancetrace.edit.sanitize.plan import BLANK, StreamPlan, Tally

__all__ = ["Rewriter"]

_Bytes = npt.NDArray[np.uint8]
_TRANSPORT_LEN = 8
"""Bytes behind the IP header that stay of a datagram: the header of UDP or ICMP."""
_ROUTING = 43
"""IPv6 extension header with addresses (RFC 8200, 4.4)."""
_UDP_OR_ICMP = (1, 17, 58)
_FORGOTTEN = 16 << 20
"""So far behind in the stream a copy is blanked instead of being held against the first one."""


class _Copies:
    """What was written of the ranges of a stream that several packets carry."""

    def __init__(self, ranges: list[tuple[int, int]]) -> None:
        self._begins = [begin for begin, _ in ranges]
        self._ranges = ranges
        self._written: dict[int, tuple[bytearray, bytearray]] = {}
        self._forgotten = -1

    def take(self, begin: int, out: bytearray) -> bytearray:
        """Bytes of a packet that begins at an offset: those that were written before replace its own."""
        end = begin + len(out)
        index = max(bisect_right(self._begins, begin) - 1, 0)
        while index < len(self._ranges) and self._ranges[index][0] < end:
            first, last = self._ranges[index]
            low, high = max(first, begin), min(last, end)
            if low < high:
                out[low - begin : high - begin] = self._take(index, low - first, out[low - begin : high - begin])
            index += 1
        self._forget(begin - _FORGOTTEN)
        return out

    def _take(self, index: int, at: int, own: bytearray) -> bytearray:
        first, last = self._ranges[index]
        if index <= self._forgotten and index not in self._written:
            return bytearray(BLANK * len(own))
        data, filled = self._written.setdefault(index, (bytearray(last - first), bytearray(last - first)))
        for place, byte in enumerate(own, at):
            if not filled[place]:
                filled[place], data[place] = 1, byte
        return data[at : at + len(own)]

    def _forget(self, before: int) -> None:
        for index in [one for one in self._written if self._ranges[one][1] < before]:
            del self._written[index]
            self._forgotten = max(self._forgotten, index)


class Rewriter:
    """Rewrites blocks, in order.

    Args:
        addresses: makes addresses of addresses; None: they stay.
        keep_other: leave what nobody decodes as it is.
    """

    def __init__(self, offsets: Offsets, tally: Tally, addresses: Addresses | None, *, keep_other: bool) -> None:
        self._offsets = offsets
        self._tally = tally
        self._addresses = addresses
        self._keep_other = keep_other
        self._copies: dict[int, _Copies] = {}

    def rewrite(self, block: PacketBlock, segments: SegmentBlock) -> tuple[_Bytes, Int64Array]:
        """The bytes of a block and how many of each packet stay."""
        buffer = np.frombuffer(bytearray(block.data), np.uint8)
        columns = Columns(block.data)
        network, ethertype = find_network_layer(block, columns)
        end = block.offset + block.cap_len
        stay = self._headers_end(block, columns, network, ethertype)
        in_place = segments.payload <= len(block.data)
        rows = (segments.frame - block.first_frame)[in_place]
        payload, payload_len = segments.payload[in_place], segments.payload_len[in_place]
        stay[rows] = payload
        for found in self._offsets.of(segments):
            if found.plan.decoded:
                mine = found.rows[in_place[found.rows]]
                stay[segments.frame[mine] - block.first_frame] = segments.payload[mine] + segments.payload_len[mine]
                self._write_stream(buffer, segments, found, in_place[found.rows])
        if self._keep_other:
            stay = np.where(stay < end, end, stay)
        else:
            self._count_cut(stay, rows, payload, payload_len, end)
        # Padding of a link is no part of any stream.
        padded = np.zeros(len(block), bool)
        padded[rows] = (stay[rows] == payload + payload_len) & (stay[rows] < end[rows])
        if not self._keep_other:
            for row in np.flatnonzero(padded).tolist():
                buffer[stay[row] : end[row]] = 0
            stay = np.where(padded, end, stay)
        if self._addresses is not None:
            replace_addresses(buffer, block, network, ethertype, self._addresses)
            routed = (ethertype == IPV6) & (network + 40 <= end) & (columns.u8(network + 6) == _ROUTING)
            stay = np.where(routed, network + 40, stay)
        self._fill_checksums(block, buffer, columns, network, ethertype, segments, in_place)
        return buffer, np.minimum(stay, end) - block.offset

    def _count_cut(
        self, stay: Int64Array, rows: Int64Array, payload: Int64Array, payload_len: Int64Array, end: Int64Array
    ) -> None:
        is_tcp = np.zeros(len(stay), bool)
        is_tcp[rows] = True
        tcp_cut = int(((stay[rows] == payload) & (payload_len > 0)).sum())
        if tcp_cut:
            self._tally.blanked["tcp-packets-cut"] += tcp_cut
        other = int((~is_tcp & (stay < end)).sum())
        if other:
            self._tally.blanked["other-packets-cut"] += other

    def _headers_end(
        self, block: PacketBlock, columns: Columns, network: Int64Array, ethertype: Int64Array
    ) -> Int64Array:
        """Where packets are cut that nobody decodes."""
        end = block.offset + block.cap_len
        stay = np.minimum(network, end)
        stay = np.where(ethertype == ARP, np.minimum(network + 28, end), stay)
        is_v4, is_v6 = ethertype == IPV4, ethertype == IPV6
        if is_v4.any():
            ip = network[is_v4]
            header = ip + (columns.u8(ip) & 15) * 4
            plain = np.isin(columns.u8(ip + 9), _UDP_OR_ICMP) & (columns.u16(ip + 6) & 0x1FFF == 0)
            stay[is_v4] = header + np.where(plain, _TRANSPORT_LEN, 0)
        if is_v6.any():
            ip = network[is_v6]
            stay[is_v6] = ip + 40 + np.where(np.isin(columns.u8(ip + 6), _UDP_OR_ICMP), _TRANSPORT_LEN, 0)
        result: Int64Array = np.minimum(stay, end)
        return result

    def _write_stream(
        self, buffer: _Bytes, segments: SegmentBlock, found: StreamRows, in_place: npt.NDArray[np.bool_]
    ) -> None:
        stream = found.stream
        carries = in_place & (segments.payload_len[found.rows] > 0)
        if not carries.any():
            return
        rows, begin = found.rows[carries], found.begin[carries]
        payload, end = segments.payload[rows], begin + segments.payload_len[rows]
        low, high = int(begin.min()), int(end.max())
        stream.written = max(stream.written, high)
        changes: list[tuple[int, int, bytes | None]] = [
            (at, at + len(data), data) for at, data in (*stream.edits_in(low, high), *stream.zeros_in(low, high))
        ]
        changes += [(first, last, None) for first, last in stream.blanks_in(low, high)]
        for first, last, data in changes:
            for row in np.flatnonzero((begin < last) & (end > first)).tolist():
                at = int(begin[row])
                start, stop = max(first, at), min(last, int(end[row]))
                place = int(payload[row]) - at
                if data is None:
                    buffer[place + start : place + stop] = BLANK[0]
                else:
                    buffer[place + start : place + stop] = np.frombuffer(data[start - first : stop - first], np.uint8)
        if stream.copied:
            self._unify_copies(buffer, stream, begin, end, payload)

    def _unify_copies(
        self, buffer: _Bytes, stream: StreamPlan, begin: Int64Array, end: Int64Array, payload: Int64Array
    ) -> None:
        """Packets that carry the same range get the same bytes."""
        copies = self._copies.get(id(stream))
        if copies is None:
            copies = self._copies[id(stream)] = _Copies(stream.copied)
        firsts = np.array([first for first, _ in stream.copied], np.int64)
        lasts = np.array([last for _, last in stream.copied], np.int64)
        # Ranges are apart from each other: the first that ends behind a packet's begin is the one to look at.
        index = np.searchsorted(lasts, begin, side="right")
        touched = (index < len(firsts)) & (firsts[np.minimum(index, len(firsts) - 1)] < end)
        for row in np.flatnonzero(touched).tolist():
            at, length = int(payload[row]), int(end[row] - begin[row])
            out = copies.take(int(begin[row]), bytearray(buffer[at : at + length].tobytes()))
            buffer[at : at + length] = np.frombuffer(bytes(out), np.uint8)

    def _fill_checksums(
        self,
        block: PacketBlock,
        buffer: _Bytes,
        columns: Columns,
        network: Int64Array,
        ethertype: Int64Array,
        segments: SegmentBlock,
        in_place: npt.NDArray[np.bool_],
    ) -> None:
        v4 = np.flatnonzero(ethertype == IPV4)
        ip = network[v4]
        header_len = (columns.u8(ip) & 15) * 4
        sound = (
            (columns.u8(ip) >> 4 == 4) & (header_len >= 20) & (ip + header_len <= (block.offset + block.cap_len)[v4])
        )
        fill_ipv4_checksums(buffer, ip[sound], header_len[sound])
        whole = in_place & (segments.payload_len == segments.wire_len)
        rows = (segments.frame - block.first_frame)[whole]
        payload, length = segments.payload[whole], segments.payload_len[whole]
        tcp = self._tcp_headers(block.data, columns, network[rows], ethertype[rows], segments, whole)
        known = tcp >= 0
        sums = np.zeros(int(whole.sum()), np.int64)
        for address in (segments.src[whole], segments.dst[whole]):
            if self._addresses is not None:
                address = new_addresses(address, segments.version[whole], self._addresses)
            sums += _address_sum(address)
        fill_tcp_checksums(buffer, tcp[known], (payload + length)[known], sums[known])

    def _tcp_headers(
        self,
        data: bytes,
        columns: Columns,
        network: Int64Array,
        ethertype: Int64Array,
        segments: SegmentBlock,
        whole: npt.NDArray[np.bool_],
    ) -> Int64Array:
        """Where the TCP header of each segment begins; -1 where that is not known."""
        payload = segments.payload[whole]
        tcp = np.where(ethertype == IPV4, network + (columns.u8(network) & 15) * 4, network + 40)
        odd = tcp + (columns.u8(tcp + 12) >> 4) * 4 != payload
        for row in np.flatnonzero(odd).tolist():
            tcp[row] = _find_header(data, int(payload[row]))
        return tcp


def _find_header(data: bytes, payload: int) -> int:
    """The TCP header in front of a payload behind extension headers: its data offset leads there."""
    for length in range(20, 64, 4):
        if payload >= length and data[payload - length + 12] >> 4 == length // 4:
            return payload - length
    return -1


def _address_sum(address: npt.NDArray[np.uint64]) -> Int64Array:
    """Sum of the 16-bit words of addresses."""
    total = np.zeros(len(address), np.int64)
    for half in (0, 1):
        for shift in (0, 16, 32, 48):
            total += ((address[:, half] >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.int64)
    return total
