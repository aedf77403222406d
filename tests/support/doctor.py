"""Doctored captures: a recorded one with something else in it, still a valid conversation.

Packets are taken apart (classic little-endian pcap in microseconds, Ethernet, IPv4, TCP, as all plain samples are) and
can be changed, put in, left out and moved in time; sequence numbers and acknowledgements of what follows go along.
"""

from __future__ import annotations

import gzip
import struct
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["AUTOCOMMIT", "Addition", "Doctored", "Packet", "error_packet", "ok_packet", "query"]

_GLOBAL, _RECORD, _ETHERNET = 24, 16, 14
RST, PSH_ACK = 0x04, 0x18

IN_TRANS, AUTOCOMMIT = 1, 2


def ok_packet(affected: int = 0, status: int = IN_TRANS) -> bytes:
    """Reply to a command: it went well; `status` is that of the session."""
    payload = bytes([0, affected, 0]) + struct.pack("<HH", status, 0)
    return struct.pack("<I", len(payload) | 1 << 24) + payload


def error_packet(code: int, state: str, message: str) -> bytes:
    """Reply to a command: it failed."""
    payload = b"\xff" + struct.pack("<H", code) + b"#" + state.encode() + message.encode()
    return struct.pack("<I", len(payload) | 1 << 24) + payload


def query(sql: str) -> bytes:
    """COM_QUERY."""
    return struct.pack("<I", len(sql) + 1) + b"\x03" + sql.encode()


@dataclass
class Packet:
    """One packet; `frame` is that of the recorded capture, 0 for one that was put in."""

    frame: int
    ts: int
    head: bytes
    payload: bytes
    flow: tuple[bytes, bytes, int, int]
    seq: int
    ack: int
    flags: int

    @property
    def reverse(self) -> tuple[bytes, bytes, int, int]:
        """The other direction of its connection."""
        return self.flow[1], self.flow[0], self.flow[3], self.flow[2]

    def raw(self) -> bytes:
        """The packet, its lengths and numbers written anew."""
        head = bytearray(self.head)
        tcp = _ETHERNET + (head[_ETHERNET] & 15) * 4
        struct.pack_into(">H", head, _ETHERNET + 2, len(head) - _ETHERNET + len(self.payload))
        struct.pack_into(">II", head, tcp + 4, self.seq & 0xFFFFFFFF, self.ack & 0xFFFFFFFF)
        head[tcp + 13] = self.flags
        return bytes(head) + self.payload


@dataclass(frozen=True)
class Addition:
    """A request and its response, after the packet of `frame` (a response) and within `room` microseconds."""

    frame: int
    request: bytes
    response: bytes
    room: int


def _parse(frame: int, ts: int, raw: bytes) -> Packet:
    tcp = _ETHERNET + (raw[_ETHERNET] & 15) * 4
    end = _ETHERNET + int(struct.unpack_from(">H", raw, _ETHERNET + 2)[0])
    start = tcp + (raw[tcp + 12] >> 4) * 4
    ports = struct.unpack_from(">HH", raw, tcp)
    seq, ack = struct.unpack_from(">II", raw, tcp + 4)
    flow = (raw[_ETHERNET + 12 : _ETHERNET + 16], raw[_ETHERNET + 16 : _ETHERNET + 20], *ports)
    return Packet(frame, ts, raw[:start], raw[start:end], flow, seq, ack, raw[tcp + 13])


class _Moves:
    """By how much the sequence numbers of one direction move, after what was put in so far."""

    def __init__(self) -> None:
        self._from: list[int] = []
        self._sums = [0]

    def put_in(self, number: int, length: int) -> None:
        """So many bytes at this number."""
        self._from.append(number)
        self._sums.append(self._sums[-1] + length)

    def moved(self, number: int) -> int:
        """The number as it is now."""
        return number + self._sums[bisect_right(self._from, number)]


class Doctored:
    """The packets of a capture, to be changed and written; times are microseconds since the epoch."""

    def __init__(self, capture: Path) -> None:
        data = gzip.decompress(capture.read_bytes())
        self.header = data[:_GLOBAL]
        self.packets: list[Packet] = []
        offset = _GLOBAL
        while offset < len(data):
            seconds, micros, length = struct.unpack_from("<III", data, offset)
            raw = data[offset + _RECORD : offset + _RECORD + length]
            self.packets.append(_parse(len(self.packets) + 1, seconds * 1_000_000 + micros, raw))
            offset += _RECORD + length

    def at(self, frame: int) -> Packet:
        """The packet of a frame."""
        return next(packet for packet in self.packets if packet.frame == frame)

    def find(self, text: bytes, nth: int = 0) -> Packet:
        """The nth packet whose payload holds a text; negative ones count from the end."""
        return [packet for packet in self.packets if text in packet.payload][nth]

    def after(self, packet: Packet, text: bytes = b"", *, reply: bool = False) -> Packet:
        """The next packet with a payload that holds `text`, of the same direction or the other one."""
        flow = packet.reverse if reply else packet.flow
        rest = self.packets[self.packets.index(packet) + 1 :]
        return next(p for p in rest if p.flow == flow and p.payload and text in p.payload)

    def rewrite(self, packet: Packet, payload: bytes) -> None:
        """Another payload; what follows on its connection moves."""
        delta = len(payload) - len(packet.payload)
        end = packet.seq + len(packet.payload)
        packet.payload = payload
        self._move(packet, end, delta)

    def replace(self, packet: Packet, old: bytes, new: bytes) -> None:
        """A text in a payload."""
        assert old in packet.payload
        self.rewrite(packet, packet.payload.replace(old, new, 1))

    def replace_all(self, old: bytes, new: bytes, *, port: int | None = None) -> int:
        """A text of the same length in all payloads, to or from a port if one is named; how often it was there."""
        assert len(old) == len(new)
        count = 0
        for packet in self.packets:
            if port is None or port in packet.flow[2:]:
                count += packet.payload.count(old)
                packet.payload = packet.payload.replace(old, new)
        return count

    def _move(self, changed: Packet, end: int, delta: int) -> None:
        for other in self.packets:
            if other is changed:
                continue
            if other.flow == changed.flow and other.seq >= end:
                other.seq += delta
            elif other.flow == changed.reverse and other.ack >= end:
                other.ack += delta

    def exchange(self, packet: Packet, request: bytes, response: bytes) -> Packet:
        """A request and its response on the connection of `packet`, after it (a response); gives the new response."""
        position = self.packets.index(packet) + 1
        sent = Packet(0, packet.ts + 10, packet.head, request, packet.reverse, packet.ack, 0, PSH_ACK)
        template = next(p for p in self.packets if p.flow == packet.reverse)
        sent.head, sent.ack = template.head, packet.seq + len(packet.payload)
        answer = Packet(0, packet.ts + 60, packet.head, response, packet.flow, sent.ack, sent.seq, PSH_ACK)
        self._move(sent, sent.seq, len(request))
        self._move(answer, answer.seq, len(response))
        sent.ack, answer.ack = answer.seq, sent.seq + len(request)
        for later in self.packets[position:]:
            later.ts += 100
        self.packets[position:position] = [sent, answer]
        return answer

    def add(self, additions: Iterable[Addition]) -> None:
        """Many exchanges at once, each on the connection of its packet; no other packet changes its time."""
        chosen = {addition.frame: addition for addition in additions}
        heads: dict[tuple[bytes, bytes, int, int], bytes] = {}
        for packet in self.packets:
            heads.setdefault(packet.flow, packet.head)
        put_in: list[Packet] = []
        for packet in self.packets:
            added = chosen.get(packet.frame)
            if added is not None:
                end, flow, back = packet.seq + len(packet.payload), packet.flow, packet.reverse
                at, until = packet.ts + added.room // 4, packet.ts + added.room * 3 // 4
                put_in.append(Packet(0, at, heads[back], added.request, back, packet.ack, end, PSH_ACK))
                put_in.append(Packet(0, until, packet.head, added.response, flow, end, packet.ack, PSH_ACK))
        moves: dict[tuple[bytes, bytes, int, int], _Moves] = defaultdict(_Moves)
        self.packets = sorted([*self.packets, *put_in], key=lambda packet: (packet.ts, not packet.frame))
        for packet in self.packets:
            number, mine = packet.seq, moves[packet.flow]
            packet.seq, packet.ack = mine.moved(packet.seq), moves[packet.reverse].moved(packet.ack)
            if not packet.frame:
                mine.put_in(number, len(packet.payload))

    def cut_after(self, packet: Packet) -> None:
        """The capture ends with this packet."""
        del self.packets[self.packets.index(packet) + 1 :]

    def drop(self, *packets: Packet) -> None:
        """Lost packets."""
        self.packets = [packet for packet in self.packets if not any(packet is lost for lost in packets)]

    def drop_port(self, port: int) -> None:
        """All packets of a port."""
        self.packets = [packet for packet in self.packets if port not in packet.flow[2:]]

    def delay(self, packet: Packet, seconds: float) -> None:
        """This packet and all that follow come so much later."""
        for other in self.packets[self.packets.index(packet) :]:
            other.ts += round(seconds * 1_000_000)

    def reset(self, packet: Packet) -> None:
        """The sender of `packet` resets the connection after it; nothing more passes on it."""
        position = self.packets.index(packet) + 1
        both = (packet.flow, packet.reverse)
        self.packets[position:] = [p for p in self.packets[position:] if p.flow not in both]
        seq = packet.seq + len(packet.payload)
        self.packets.insert(position, Packet(0, packet.ts + 10, packet.head, b"", packet.flow, seq, packet.ack, RST))

    def write(self, path: Path) -> Path:
        """The capture, in order of time."""
        out = [self.header]
        for packet in sorted(self.packets, key=lambda p: p.ts):
            raw = packet.raw()
            out.append(struct.pack("<IIII", *divmod(packet.ts, 1_000_000), len(raw), len(raw)) + raw)
        path.write_bytes(b"".join(out))
        return path
