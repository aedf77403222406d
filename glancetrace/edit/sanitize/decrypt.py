"""TLS connections as plain ones: the capture that would have been recorded had nobody encrypted.

Every packet stays, with its time and frame number. Its payload becomes the plaintext of the records that it completed,
or nothing; sequence and acknowledgment numbers count plaintext (RFC 9293, 3.4), SACK options are blanked (RFC 2018).
Connections that cannot be decrypted to their end, and those that turn to TLS in MySQL's login, stay as they are.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from glancetrace.capture.blocks import PacketBlock
from glancetrace.capture.columns import Columns
from glancetrace.capture.link import IPV4, find_network_layer
from glancetrace.capture.segments import SegmentBlock
from glancetrace.edit.sanitize.learn import StreamPlacer
from glancetrace.edit.sanitize.offsets import Offsets
from glancetrace.edit.sanitize.plan import ConnectionPlan
from glancetrace.net.run import Connection, Run
from glancetrace.streams import ConnectionDecoder, Stage

__all__ = ["Decrypter", "PlainWriter"]

_SYN, _FIN = 2, 1
_MASK = 0xFFFFFFFF
_SACK, _NOP = 5, 1
_LONGEST_PACKET = 65_535


@dataclass(slots=True)
class _Side:
    """Plaintext of one direction: (offset, bytes) by the frame that completed it; what was written so far."""

    pieces: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    end: int = 0
    sent: int = 0
    cipher_ends: list[int] = field(default_factory=list)
    plain_ends: list[int] = field(default_factory=list)

    def plain_before(self, cipher: int) -> int:
        """Bytes of plaintext that packets have carried whose ciphertext ends at or before an offset."""
        index = bisect_right(self.cipher_ends, cipher)
        return self.plain_ends[index - 1] if index else 0


class _Collector(ConnectionDecoder):
    """Decrypts a connection and keeps the plaintext."""

    def __init__(self, stage: Stage, connection: Connection) -> None:
        super().__init__(stage, connection)
        self.plan = ConnectionPlan(connection)
        self.sides = (_Side(), _Side())
        self.sound = True
        self._place = StreamPlacer(self.plan.streams).place

    def take(self, run: Run) -> None:
        """The next run from the wire."""
        self._place(run)
        self.feed(run)

    def _begin(self, protocol: str, run: Run) -> Callable[[Run], None]:
        return super()._begin("mysql", run) if protocol == "mysql" else self._ignore

    def _first_decrypted(self, run: Run) -> None:
        side = self.sides[run.direction]
        side.end += run.gap
        bounds = [*run.offsets[1:], len(run.data)]
        for begin, end, frame in zip(run.offsets, bounds, run.frames, strict=True):
            data = run.data[begin:end]
            offset, before = side.pieces.get(frame, (side.end, b""))
            self.sound &= offset + len(before) == side.end and len(before) + len(data) < _LONGEST_PACKET - 200
            side.pieces[frame] = (offset, before + data)
            side.end += len(data)

    @property
    def decrypted(self) -> bool:
        """All of it can be written as plain."""
        tls = self.row.tls
        return bool(
            self.sound
            and tls is not None
            and tls.decrypted
            and not tls.reason
            and any(side.pieces for side in self.sides)
        )


class _Consumer:
    """Passes runs on to a collector."""

    def __init__(self, collector: _Collector) -> None:
        self.feed = collector.take
        self.close = collector.close


class Decrypter:
    """Makes the consumers that decrypt.

    Attributes:
        collectors: one per connection of interest.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.collectors: list[_Collector] = []

    def consumer(self, connection: Connection) -> _Consumer:
        """What takes the runs of a connection."""
        collector = _Collector(self._stage, connection)
        self.collectors.append(collector)
        return _Consumer(collector)


class PlainWriter:
    """Makes blocks with plain packets of blocks with encrypted ones, in order.

    Args:
        offsets: of the plans of the collectors.
    """

    def __init__(self, collectors: list[_Collector], offsets: Offsets) -> None:
        self._by_plan = {id(one.plan): one for one in collectors if one.decrypted}
        self._offsets = offsets
        self.connections = len(self._by_plan)

    def write(self, block: PacketBlock, segments: SegmentBlock) -> PacketBlock:
        """The block as it would be without TLS."""
        rows: list[tuple[int, _Collector, int, int]] = []
        for found in self._offsets.of(segments):
            collector = self._by_plan.get(id(found.plan))
            if collector is not None:
                direction = found.plan.streams.index(found.stream)
                places = zip(found.rows.tolist(), found.begin.tolist(), strict=True)
                rows += [(row, collector, direction, begin) for row, begin in places]
        if not rows:
            return block
        columns = Columns(block.data)
        network, ethertype = find_network_layer(block, columns)
        new: dict[int, bytes] = {}
        for row, collector, direction, begin in sorted(rows, key=lambda one: one[0]):
            at = int(segments.frame[row]) - block.first_frame
            if segments.payload[row] <= len(block.data):
                head = bytearray(block.data[int(block.offset[at]) : int(segments.payload[row])])
                ip = int(network[at] - block.offset[at])
                new[at] = _plain_packet(
                    head, ip, bool(ethertype[at] == IPV4), segments, row, collector, direction, begin
                )
        return _replaced(block, new)


def _plain_packet(
    head: bytearray,
    ip: int,
    is_v4: bool,
    segments: SegmentBlock,
    row: int,
    collector: _Collector,
    direction: int,
    begin: int,
) -> bytes:
    """A packet with plaintext; `head` are its headers, `ip` where the IP header begins in them."""
    own, peer = collector.sides[direction], collector.sides[1 - direction]
    frame, flags = int(segments.frame[row]), int(segments.flags[row])
    stream, peer_stream = collector.plan.streams[direction], collector.plan.streams[1 - direction]
    offset, data = own.pieces.get(frame, (own.sent, b""))
    if flags & _FIN:
        offset, data = own.pieces.get(frame, (own.end, b""))
    tcp = len(head) - (_header_len(head, segments, row))
    if stream.anchor is not None and not flags & _SYN:
        head[tcp + 4 : tcp + 8] = ((stream.anchor + offset) & _MASK).to_bytes(4, "big")
    if peer_stream.anchor is not None and flags & 16:
        cipher = (int(segments.ack[row]) - peer_stream.anchor) & _MASK
        if cipher < 1 << 31:
            acknowledged = peer.end + 1 if cipher > peer_stream.end else peer.plain_before(cipher)
            head[tcp + 8 : tcp + 12] = ((peer_stream.anchor + acknowledged) & _MASK).to_bytes(4, "big")
    _blank_sack(head, tcp)
    if data:
        own.sent = max(own.sent, offset + len(data))
    length = int(segments.payload_len[row])
    if length:
        own.cipher_ends.append(max(begin + length, own.cipher_ends[-1] if own.cipher_ends else 0))
        own.plain_ends.append(own.sent)
    size = len(head) - ip + len(data)
    if is_v4:
        head[ip + 2 : ip + 4] = size.to_bytes(2, "big")
    else:
        head[ip + 4 : ip + 6] = (size - 40).to_bytes(2, "big")
    return bytes(head) + data


def _header_len(head: bytearray, segments: SegmentBlock, row: int) -> int:
    """Bytes of the TCP header that ends with `head`: the one whose ports and data offset fit."""
    ports = int(segments.sport[row]).to_bytes(2, "big") + int(segments.dport[row]).to_bytes(2, "big")
    for length in range(20, 64, 4):
        at = len(head) - length
        if at >= 0 and head[at + 12] >> 4 == length // 4 and head[at : at + 4] == ports:
            return length
    return 20


def _blank_sack(head: bytearray, tcp: int) -> None:
    """Selective acknowledgments count ciphertext: NOPs in their place."""
    at = tcp + 20
    while at + 1 < len(head) and head[at]:
        if head[at] == _NOP:
            at += 1
            continue
        length = max(head[at + 1], 2)
        if head[at] == _SACK:
            head[at : at + length] = bytes([_NOP]) * len(head[at : at + length])
        at += length


def _replaced(block: PacketBlock, new: dict[int, bytes]) -> PacketBlock:
    """The block with some packets replaced."""
    pieces: list[bytes] = []
    cap_len, orig_len = block.cap_len.copy(), block.orig_len.copy()
    for row, (offset, length) in enumerate(zip(block.offset.tolist(), block.cap_len.tolist(), strict=True)):
        packet = new.get(row)
        if packet is None:
            packet = block.data[offset : offset + length]
        else:
            cap_len[row] = orig_len[row] = len(packet)
        pieces.append(packet)
    offset_column = np.concatenate(([0], np.cumsum(cap_len)[:-1]))
    return PacketBlock(b"".join(pieces), block.first_frame, offset_column, cap_len, orig_len, block.ts, block.link_type)
