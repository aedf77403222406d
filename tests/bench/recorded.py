"""The messages of a recorded capture, in order, without the packets they came in.

What two sides said to each other is kept; segment sizes, acknowledgements, retransmissions and sequence numbers are
not: whoever writes the messages again makes new ones.
"""

from __future__ import annotations

import gzip
import io
import socket
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import dpkt

__all__ = ["ACK", "FIN", "PUSH", "SYN", "Endpoint", "Message", "read_messages"]

FIN, SYN, RST, PUSH, ACK = 1, 2, 4, 8, 16

Endpoint = tuple[str, int]


@dataclass(frozen=True)
class Message:
    """Bytes that `source` sent without being answered in between; `flags` holds SYN, FIN or RST of an empty one."""

    ts: int
    source: Endpoint
    destination: Endpoint
    data: bytes
    flags: int = 0


def read_messages(capture: Path) -> list[Message]:
    """Messages of a gzip'd Ethernet/IPv4 pcap; `ts` is ns."""
    flows: dict[tuple[Endpoint, Endpoint], list[tuple[int, int, Message]]] = defaultdict(list)
    for order, (sequence, segment) in enumerate(_read_segments(capture)):
        flows[segment.source, segment.destination].append((sequence, order, segment))
    segments: list[tuple[int, Message]] = []
    for flow in flows.values():
        segments.extend(_in_sequence(flow))
    return _joined(message for _, message in sorted(segments, key=lambda pair: pair[0]))


def _read_segments(capture: Path) -> Iterator[tuple[int, Message]]:
    """Sequence number and content of every segment that is more than an acknowledgement."""
    for ts, raw in dpkt.pcap.Reader(io.BytesIO(gzip.decompress(capture.read_bytes()))):
        packet = dpkt.ethernet.Ethernet(raw).data
        tcp = packet.data
        flags = tcp.flags & (SYN | FIN | RST)
        if tcp.data or flags:
            source = (socket.inet_ntoa(packet.src), tcp.sport)
            destination = (socket.inet_ntoa(packet.dst), tcp.dport)
            yield tcp.seq, Message(round(ts * 10**6) * 1000, source, destination, bytes(tcp.data), flags)


def _in_sequence(flow: list[tuple[int, int, Message]]) -> Iterator[tuple[int, Message]]:
    """The segments of one direction by sequence number, each once, none before its predecessor."""
    flow.sort(key=lambda item: (item[0], item[1]))
    seen: set[int] = set()
    latest = 0
    for sequence, order, segment in flow:
        if sequence in seen and not segment.flags:
            continue
        seen.add(sequence)
        latest = max(latest, order)
        yield latest, segment


def _joined(segments: Iterator[Message]) -> list[Message]:
    """Neighbours of the same direction become one message."""
    messages: list[Message] = []
    last: dict[frozenset[Endpoint], int] = {}
    for segment in segments:
        pair = frozenset((segment.source, segment.destination))
        before = messages[last[pair]] if pair in last else None
        if before and before.source == segment.source and not before.flags and not segment.flags:
            messages[last[pair]] = replace(before, data=before.data + segment.data)
            continue
        last[pair] = len(messages)
        messages.append(segment)
    return messages
