"""The packet index: a block of packets becomes a block of TCP segments.

Link, IP and TCP headers of all packets are gathered as columns (RFC 791, RFC 8200, RFC 9293); what is rare (extension
headers, fragments) goes packet by packet to `glancetrace.capture.rare`. Every packet ends in exactly one place: a
segment, `ignored` with a reason, or `malformed`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from glancetrace.capture.blocks import Int64Array, PacketBlock
from glancetrace.capture.columns import Columns
from glancetrace.capture.link import ARP, CUT, IPV4, IPV6, UNSUPPORTED, find_network_layer
from glancetrace.capture.rare import EXTENSION_HEADERS, PROTOCOL_TCP, RarePackets, protocol_reason
from glancetrace.capture.segments import SegmentBlock
from glancetrace.issues import IssueLog

__all__ = ["PacketIndex", "index_block"]

_NEXT_IS_EXTENSION = np.isin(np.arange(256), EXTENSION_HEADERS)


@dataclass(slots=True, eq=False, repr=False)
class _Tally:
    """Where packets without a segment went."""

    ignored: dict[str, int]
    malformed: int = 0
    first_malformed: int | None = None

    def ignore(self, reason: str, count: int) -> None:
        if count:
            self.ignored[reason] = self.ignored.get(reason, 0) + count

    def ignore_protocols(self, protocol: Int64Array) -> None:
        for number, count in enumerate(np.bincount(protocol).tolist()):
            if count:
                self.ignore(protocol_reason(number), count)

    def reject(self, rows: Int64Array) -> None:
        if len(rows):
            self.malformed += len(rows)
            first = int(rows.min())
            if self.first_malformed is None or first < self.first_malformed:
                self.first_malformed = first


@dataclass(slots=True, eq=False, repr=False)
class _Datagrams:
    """TCP inside IP: `row` in the block, `tcp` header offset, `tcp_len` bytes on the wire, `end` of captured bytes."""

    row: Int64Array
    version: int
    src: npt.NDArray[np.uint64]
    dst: npt.NDArray[np.uint64]
    tcp: Int64Array
    tcp_len: Int64Array
    end: Int64Array


@dataclass(slots=True, eq=False, repr=False)
class _Segments:
    """The columns of `SegmentBlock`, with `row` in the block instead of frame and time."""

    row: Int64Array
    src: npt.NDArray[np.uint64]
    dst: npt.NDArray[np.uint64]
    version: npt.NDArray[np.uint8]
    sport: Int64Array
    dport: Int64Array
    seq: Int64Array
    ack: Int64Array
    flags: npt.NDArray[np.uint8]
    payload: Int64Array
    payload_len: Int64Array
    wire_len: Int64Array


def _gather_tcp(columns: Columns, datagrams: _Datagrams, tally: _Tally) -> _Segments:
    """TCP headers (RFC 9293, 3.1)."""
    tcp = datagrams.tcp
    ports, seq, ack, last = columns.u32s(tcp, 4)
    offset_and_flags = last >> 16
    header_len = (offset_and_flags >> 12) * 4
    captured = np.minimum(datagrams.end - tcp, datagrams.tcp_len)
    bad = (captured < 20) | (header_len < 20) | (header_len > datagrams.tcp_len)
    row, src, dst, tcp_len = datagrams.row, datagrams.src, datagrams.dst, datagrams.tcp_len
    if bad.any():
        tally.reject(row[bad])
        good = ~bad
        row, src, dst, tcp, tcp_len = row[good], src[good], dst[good], tcp[good], tcp_len[good]
        ports, seq, ack = ports[good], seq[good], ack[good]
        offset_and_flags, header_len, captured = offset_and_flags[good], header_len[good], captured[good]
    skipped = np.minimum(header_len, captured)
    return _Segments(
        row=row,
        src=src,
        dst=dst,
        version=np.full(len(row), datagrams.version, np.uint8),
        sport=ports >> 16,
        dport=ports & 0xFFFF,
        seq=seq,
        ack=ack,
        flags=(offset_and_flags & 0xFF).astype(np.uint8),
        payload=tcp + skipped,
        payload_len=captured - skipped,
        wire_len=tcp_len - header_len,
    )


def _merge(parts: list[_Segments]) -> _Segments:
    """Rows of several parts in the order of the capture."""
    if len(parts) == 1:
        return parts[0]
    order = np.argsort(np.concatenate([part.row for part in parts]), kind="stable")
    return _Segments(*(np.concatenate([getattr(part, f.name) for part in parts])[order] for f in fields(_Segments)))


class PacketIndex:
    """Indexes the blocks of one input, in order; fragments of a datagram may lie in different blocks."""

    def __init__(self, issues: IssueLog) -> None:
        self._issues = issues
        self._rare = RarePackets(issues)

    def index(self, block: PacketBlock) -> SegmentBlock:
        """The TCP segments of `block`, in capture order."""
        columns = Columns(block.data)
        network, ethertype = find_network_layer(block, columns)
        tally = _Tally({})
        self._rare.begin(block)
        parts = [
            _gather_tcp(columns, self._index_ipv4(block, columns, network, ethertype, tally), tally),
        ]
        datagrams = self._index_ipv6(block, columns, network, ethertype, tally)
        if datagrams is not None:
            parts.append(_gather_tcp(columns, datagrams, tally))
        self._count_others(block, ethertype, tally)
        data = self._gather_rare(block, parts, tally)
        found = _merge(parts)
        if tally.malformed:
            first = tally.first_malformed
            frame = None if first is None else block.first_frame + first
            self._issues.count("packet-malformed", frame=frame, times=tally.malformed)
        truncated = np.flatnonzero(found.payload_len < found.wire_len)
        if len(truncated):
            frame = block.first_frame + int(found.row[truncated[0]])
            self._issues.count("packet-truncated", frame=frame, times=len(truncated))
        return SegmentBlock(
            data=data,
            frame=found.row + block.first_frame,
            ts=block.ts[found.row],
            src=found.src,
            dst=found.dst,
            version=found.version,
            sport=found.sport,
            dport=found.dport,
            seq=found.seq,
            ack=found.ack,
            flags=found.flags,
            payload=found.payload,
            payload_len=found.payload_len,
            wire_len=found.wire_len,
            ignored=tally.ignored,
            malformed=tally.malformed,
        )

    def finish(self) -> None:
        """The input is read to its end: count the datagrams that stayed incomplete."""
        self._rare.finish()

    def _index_ipv4(
        self, block: PacketBlock, columns: Columns, network: Int64Array, ethertype: Int64Array, tally: _Tally
    ) -> _Datagrams:
        """IPv4 (RFC 791, 3.1). A total length of 0 is a packet that the network card was to cut (TSO)."""
        row = np.flatnonzero(ethertype == IPV4)
        ip = network[row]
        start = block.offset[row]
        end = start + block.cap_len[row]
        first, second, third, source = columns.u32s(ip, 4)
        version_and_length = first >> 24
        header_len = (version_and_length & 15) * 4
        total = first & 0xFFFF
        if not total.all():
            total = np.where(total == 0, block.orig_len[row] - (ip - start), total)
        bad = (version_and_length >> 4 != 4) | (header_len < 20) | (ip + header_len > end) | (total < header_len)
        fragment = (second & 0x3FFF) != 0
        protocol = third >> 16 & 0xFF
        plain = ~(bad | fragment | (protocol != PROTOCOL_TCP))
        if not plain.all():
            tally.reject(row[bad])
            tally.ignore_protocols(protocol[~(bad | fragment | (protocol == PROTOCOL_TCP))])
            for index in np.flatnonzero(fragment & ~bad).tolist():
                packet_end = min(int(end[index]), int(ip[index] + total[index]))
                self._rare.add_ipv4(int(row[index]), int(ip[index]), packet_end, int(total[index]))
            row, ip, header_len, total, end = row[plain], ip[plain], header_len[plain], total[plain], end[plain]
            source = source[plain]
        src = np.zeros((len(row), 2), np.uint64)
        dst = np.zeros((len(row), 2), np.uint64)
        src[:, 1] = source
        dst[:, 1] = columns.u32(ip + 16)
        return _Datagrams(row, 4, src, dst, ip + header_len, total - header_len, end)

    def _index_ipv6(
        self, block: PacketBlock, columns: Columns, network: Int64Array, ethertype: Int64Array, tally: _Tally
    ) -> _Datagrams | None:
        """IPv6 (RFC 8200, 3). A payload length of 0 is a jumbogram, or a packet that the network card was to cut."""
        row = np.flatnonzero(ethertype == IPV6)
        if not len(row):
            return None
        ip = network[row]
        start = block.offset[row]
        end = start + block.cap_len[row]
        length = columns.u16(ip + 4)
        length = np.where(length == 0, block.orig_len[row] - (ip - start) - 40, length)
        bad = (columns.u8(ip) >> 4 != 6) | (ip + 40 > end) | (length < 0)
        protocol = columns.u8(ip + 6)
        extended = _NEXT_IS_EXTENSION[protocol]
        tally.reject(row[bad])
        tally.ignore_protocols(protocol[~(bad | extended | (protocol == PROTOCOL_TCP))])
        for index in np.flatnonzero(extended & ~bad).tolist():
            packet_end = min(int(end[index]), int(ip[index] + 40 + length[index]))
            self._rare.add_ipv6(int(row[index]), int(ip[index]), packet_end, int(length[index]))
        plain = ~bad & (protocol == PROTOCOL_TCP)
        row, ip, length, end = row[plain], ip[plain], length[plain], end[plain]
        src = np.stack([columns.u64(ip + 8), columns.u64(ip + 16)], axis=1)
        dst = np.stack([columns.u64(ip + 24), columns.u64(ip + 32)], axis=1)
        return _Datagrams(row, 6, src, dst, ip + 40, length, end)

    def _count_others(self, block: PacketBlock, ethertype: Int64Array, tally: _Tally) -> None:
        other = (ethertype != IPV4) & (ethertype != IPV6)
        if not other.any():
            return
        tally.reject(np.flatnonzero(ethertype == CUT))
        tally.ignore("arp", int((ethertype == ARP).sum()))
        unsupported = np.flatnonzero(ethertype == UNSUPPORTED)
        tally.ignore("link-type", len(unsupported))
        if len(unsupported):
            frame = block.first_frame + int(unsupported[0])
            self._issues.count("link-type-unsupported", frame=frame, times=len(unsupported))
        known = (ethertype == CUT) | (ethertype == ARP) | (ethertype == UNSUPPORTED)
        tally.ignore("not-ip", int((other & ~known).sum()))

    def _gather_rare(self, block: PacketBlock, parts: list[_Segments], tally: _Tally) -> bytes:
        """Add what the rare path found; the buffer that all payloads point into."""
        found = self._rare.take()
        if found is None:
            return block.data
        tally.reject(np.array(found.malformed, np.int64))
        for reason, count in found.ignored.items():
            tally.ignore(reason, count)
        data = b"".join((block.data, found.rebuilt))
        columns = Columns(data)
        for version in (4, 6):
            rows = [datagram for datagram in found.datagrams if datagram.version == version]
            if rows:
                table = np.array([(d.row, d.tcp, d.tcp_len, d.end) for d in rows], np.int64)
                src = np.array([d.src for d in rows], np.uint64)
                dst = np.array([d.dst for d in rows], np.uint64)
                gathered = _Datagrams(table[:, 0], version, src, dst, table[:, 1], table[:, 2], table[:, 3])
                parts.append(_gather_tcp(columns, gathered, tally))
        return data


def index_block(block: PacketBlock, issues: IssueLog) -> SegmentBlock:
    """Index one block on its own: as if it were the whole input."""
    index = PacketIndex(issues)
    segments = index.index(block)
    index.finish()
    return segments
