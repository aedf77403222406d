"""Whatever a network and a capture do to a conversation, what comes out is what a naive model says.

The model puts every captured byte at its sequence number, first copy first. Then: no cut into blocks and no choice
between the fast and the slow way changes anything; and nothing comes out before what it acknowledges.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from glancetrace.net.run import Connection
from glancetrace.net.verdict import Verdict
from tests.support.tcp_packets import ACK, CLIENT, FIN, RST, SERVER, SYN, Packet, Result, reassemble

ISNS = st.sampled_from([0, 7, 2**31 - 20, 2**32 - 40, 2**32 - 1])


class Wire(NamedTuple):
    """A conversation as it was: the packets, and where each side's bytes begin."""

    packets: list[Packet]
    first: tuple[int, int]
    sent: tuple[bytes, bytes]


@st.composite
def wires(draw: st.DrawFn) -> Wire:
    """A conversation without accidents: handshake, messages in segments, acknowledgments, FINs, RST."""
    isn = (draw(ISNS), draw(ISNS))
    nxt = [isn[0] + 1, isn[1] + 1]
    packets = [
        Packet(CLIENT, SERVER, isn[0], 0, SYN),
        Packet(SERVER, CLIENT, isn[1], isn[0] + 1, SYN | ACK),
        Packet(CLIENT, SERVER, nxt[0], nxt[1], ACK),
    ]
    sent = [bytearray(), bytearray()]
    ends = ((CLIENT, SERVER), (SERVER, CLIENT))
    for side, sizes in draw(
        st.lists(st.tuples(st.integers(0, 1), st.lists(st.integers(1, 12), max_size=5)), max_size=10)
    ):
        for size in sizes:
            data = bytes((len(sent[side]) + n) * (7 + 4 * side) & 0xFF for n in range(size))
            packets.append(Packet(*ends[side], nxt[side], nxt[1 - side], ACK, data))
            nxt[side] += size
            sent[side] += data
        packets.append(Packet(*ends[1 - side], nxt[1 - side], nxt[side], ACK))
    for side in draw(st.sampled_from([(), (0,), (0, 1), (1, 0)])):
        packets.append(Packet(*ends[side], nxt[side], nxt[1 - side], ACK | FIN))
        nxt[side] += 1
        packets.append(Packet(*ends[1 - side], nxt[1 - side], nxt[side], ACK))
    if draw(st.integers(0, 3)) == 0:
        side = draw(st.integers(0, 1))
        packets.append(Packet(*ends[side], nxt[side], nxt[1 - side], draw(st.sampled_from([RST, RST | ACK]))))
    timed = [packet._replace(ts=1000 * number) for number, packet in enumerate(packets)]
    return Wire(timed, (isn[0] + 1, isn[1] + 1), (bytes(sent[0]), bytes(sent[1])))


@st.composite
def captures(draw: st.DrawFn, wire: Wire, *, losses: bool, repeats: bool = True) -> list[Packet]:
    """What a capture makes of it: packets repeated, cut otherwise, with other bytes, moved, lost."""
    packets = list(wire.packets)
    for _ in range(draw(st.integers(0, 4)) if repeats else 0):
        packet = packets[draw(st.integers(3, len(packets) - 1))] if len(packets) > 3 else packets[-1]
        if not packet.payload:
            continue
        side = packet.source == SERVER
        begin = (packet.seq - wire.first[side]) % 2**32
        start = draw(st.integers(max(0, begin - 9), begin))
        stop = draw(st.integers(begin + 1, begin + len(packet.payload)))
        data = wire.sent[side][start:stop]
        if draw(st.booleans()):
            data = bytes(byte ^ 0x55 for byte in data)
        again = packet._replace(seq=wire.first[side] + start, payload=data)
        packets.insert(draw(st.integers(min(len(packets), 4), len(packets))), again)
    first = draw(st.sampled_from([(0, 1, 2), (1, 0, 2), (0, 2, 1)]))
    packets[:3] = [packets[number] for number in first]
    for _ in range(draw(st.integers(0, 5)) if len(packets) > 3 else 0):
        at = draw(st.integers(3, len(packets) - 1))
        packet = packets.pop(at)
        packets.insert(min(len(packets), at + draw(st.integers(1, 6))), packet)
    if losses and len(packets) > 3:
        lost = draw(st.sets(st.integers(3, len(packets) - 1), max_size=4))
        packets = [packet for number, packet in enumerate(packets) if number not in lost]
    return packets


def model(wire: Wire, packets: list[Packet], side: int) -> list[int | None]:
    """By place in the stream: the first byte captured, None where none was."""
    source = (CLIENT, SERVER)[side]
    stream: list[int | None] = [None] * len(wire.sent[side])
    for packet in packets:
        if packet.source == source and packet.payload:
            start = (packet.seq - wire.first[side]) % 2**32
            for place, byte in enumerate(packet.payload, start):
                if stream[place] is None:
                    stream[place] = byte
    return stream


def places(result: Result, side: int) -> list[int | None]:
    """The same of what came out; a gap at the end of a stream is left out, as nobody may know of it."""
    stream: list[int | None] = []
    for part in result.only().stream(side):
        stream += [None] * part if isinstance(part, int) else list(part)
    return stream


def trimmed(stream: list[int | None]) -> list[int | None]:
    while stream and stream[-1] is None:
        stream = stream[:-1]
    return stream


def outcome(result: Result) -> object:
    rows = [(r.connection, r.segments, r.closed) for r in result.recorders]
    plain = [
        (c.id, c.client, c.server, c.started_before_capture, c.last_ts, c.bytes_seen, c.bytes_missing, c.closed, s, e)
        for c, s, e in rows
    ]
    return plain, result.issues.rows(), result.tcp.accounting


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_every_captured_byte_is_at_its_place(data: st.DataObject) -> None:
    wire = data.draw(wires())
    packets = data.draw(captures(wire, losses=True))
    result = reassemble(packets, cuts=data.draw(st.sets(st.integers(1, 60), max_size=6)))
    for side in (0, 1):
        assert trimmed(places(result, side)) == trimmed(model(wire, packets, side))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.data())
def test_without_losses_there_is_no_gap(data: st.DataObject) -> None:
    wire = data.draw(wires())
    packets = data.draw(captures(wire, losses=False))
    result = reassemble(packets)
    assert result.tcp.accounting.missing_bytes == 0
    assert "tcp-gap" not in result.kinds()
    assert [len(places(result, side)) for side in (0, 1)] == [len(sent) for sent in wire.sent]


def by_length(_connection: Connection, client: bytes, server: bytes) -> Verdict:
    """Some connections are wanted, some are not, some have swapped roles; by their first bytes alone."""
    seen = len(client) + 3 * len(server)
    if seen < 9:
        return Verdict.MORE
    return (Verdict.WANT, Verdict.WANT_SWAPPED, Verdict.SKIP)[seen % 3]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.data())
def test_cuts_and_ways_change_nothing(data: st.DataObject) -> None:
    wire = data.draw(wires())
    packets = data.draw(captures(wire, losses=True))
    skipped = data.draw(st.integers(0, 12))
    other = data.draw(captures(wire, losses=False))
    packets = packets[skipped:] + [
        p._replace(source=(p.source[0], p.source[1] ^ 1)) for p in other if p.source == CLIENT
    ]
    packets += data.draw(captures(wire, losses=True)) if data.draw(st.booleans()) else []
    if not packets:
        return
    epoch = data.draw(st.sampled_from([5, 20, 1000]))
    ports = data.draw(st.sampled_from([frozenset({3306}), frozenset({1})]))

    def result(cuts: Iterable[int], *, fast: bool) -> object:
        return outcome(
            reassemble(packets, cuts=cuts, fast=fast, epoch_packets=epoch, server_ports=ports, judge=by_length)
        )

    whole = result((), fast=False)
    assert result((), fast=True) == whole
    for fast in (True, False):
        assert result(data.draw(st.sets(st.integers(1, len(packets)), max_size=8)), fast=fast) == whole
    assert result(range(len(packets)), fast=True) == whole


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_nothing_comes_before_what_it_acknowledges(data: st.DataObject) -> None:
    wire = data.draw(wires())
    packets = data.draw(captures(wire, losses=True, repeats=False))
    captured: tuple[set[int], set[int]] = (set(), set())
    for packet in packets:
        side = int(packet.source == SERVER)
        start = (packet.seq - wire.first[side]) % 2**32
        captured[side].update(range(start, start + len(packet.payload)))
    received = [0, 0]
    for segment in reassemble(packets).only().segments:
        packet, side, peer = packets[segment.frame - 1], segment.direction, 1 - segment.direction
        received[side] += segment.gap
        if segment.data:
            acknowledged = (packet.ack - wire.first[peer]) % 2**32
            assert received[peer] > max((place for place in captured[peer] if place < acknowledged), default=-1)
        received[side] += len(segment.data)
