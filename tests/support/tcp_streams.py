"""A second, naive TCP reassembly: the samples' HTTP connections as segments in wire order, read with dpkt.

Segments that overtake each other wait until those before them are there. It knows nothing of losses, of connections
that began before the capture, and of captures that do not fit into memory.
"""

from __future__ import annotations

import gzip
import socket
from dataclasses import dataclass, field
from pathlib import Path

import dpkt

from glancetrace.net.run import FROM_CLIENT, FROM_SERVER, Connection, Run

__all__ = ["Stream", "http_streams"]

_MODULUS = 1 << 32


@dataclass
class Stream:
    """A connection, its segments as runs, and how it ended."""

    connection: Connection
    runs: list[Run] = field(default_factory=list)
    end: str = "end"
    _expected: list[int] = field(default_factory=lambda: [0, 0])
    _waiting: tuple[dict[int, Run], dict[int, Run]] = field(default_factory=lambda: ({}, {}))

    def add(self, direction: int, tcp: dpkt.tcp.TCP, ts: int, frame: int) -> None:
        """The next packet of this connection."""
        if tcp.flags & dpkt.tcp.TH_SYN:
            self._expected[direction] = (tcp.seq + 1) % _MODULUS
        if tcp.data:
            self._waiting[direction].setdefault(tcp.seq, Run(direction, bytes(tcp.data), [0], [ts], [frame]))
            self._release(direction)
        if self.end == "end":
            self.end = "rst" if tcp.flags & dpkt.tcp.TH_RST else "fin" if tcp.flags & dpkt.tcp.TH_FIN else "end"

    def _release(self, direction: int) -> None:
        waiting = self._waiting[direction]
        while waiting:
            expected = self._expected[direction]
            ready = [seq for seq in waiting if (expected - seq) % _MODULUS < _MODULUS // 2]
            if not ready:
                return
            run = waiting.pop(ready[0])
            old = (expected - ready[0]) % _MODULUS
            if old < len(run.data):
                run.data = run.data[old:]
                self._expected[direction] = (expected + len(run.data)) % _MODULUS
                self.runs.append(run)


def http_streams(capture: Path, ports: tuple[int, ...]) -> list[Stream]:
    """Connections to servers on these ports, in the order of their first packet."""
    streams: list[Stream] = []
    current: dict[tuple[object, object], Stream] = {}
    with gzip.open(capture) as file:
        for number, (seconds, frame) in enumerate(dpkt.pcap.Reader(file), 1):
            packet = dpkt.ethernet.Ethernet(frame).data
            tcp = packet.data if isinstance(packet, dpkt.ip.IP) else None
            if not isinstance(tcp, dpkt.tcp.TCP) or not (tcp.sport in ports or tcp.dport in ports):
                continue
            ts = round(float(seconds) * 1_000_000) * 1000
            source, target = (packet.src, tcp.sport), (packet.dst, tcp.dport)
            direction = FROM_CLIENT if tcp.dport in ports else FROM_SERVER
            client, server = (source, target) if direction == FROM_CLIENT else (target, source)
            opening = tcp.flags & (dpkt.tcp.TH_SYN | dpkt.tcp.TH_ACK) == dpkt.tcp.TH_SYN
            if opening:
                names = [(socket.inet_ntoa(address), port) for address, port in (client, server)]
                stream = Stream(Connection(len(streams) + 1, names[0], names[1], False, ts, number))
                streams.append(stream)
                current[client, server] = stream
            if (client, server) in current:
                current[client, server].add(direction, tcp, ts, number)
    return streams
