"""A quick look at a capture: who talks to which server, without decoding what is said.

Packets are indexed and counted by connection with numpy; nothing is reassembled. The server of a conversation is the
side that received the SYN; without a SYN the side with a configured port, else the one with the lower port.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from glancetrace.capture.index import PacketIndex
from glancetrace.capture.inputs import BLOCK_SIZE, open_captures
from glancetrace.capture.segments import SegmentBlock
from glancetrace.issues import Issue, IssueLog
from glancetrace.net.run import Endpoint
from glancetrace.trace import CapturedFile

__all__ = ["Conversation", "QuickLook", "look"]

_SYN, _ACK = 2, 16
_Side = tuple[int, int, int]
"""Address in two halves, port."""

_Flow = tuple[int, _Side, _Side]
"""One direction of a connection: IP version, source, destination."""


@dataclass(slots=True)
class Conversation:
    """Everything that went to and from one server port.

    Attributes:
        server: who listens. service: what the port is configured for, None if nothing is.
        clients: addresses that talk to it. connections: pairs of endpoints (a reused port counts once).
        packets, bytes: TCP segments of both directions and their payload on the wire, retransmissions included.
        first_ts, last_ts: ns.
    """

    server: Endpoint
    service: str | None
    clients: int = 0
    connections: int = 0
    packets: int = 0
    bytes: int = 0
    first_ts: int = 0
    last_ts: int = 0


@dataclass(slots=True)
class QuickLook:
    """What a capture holds: see `CaptureSummary`; `ignored` counts packets without TCP by reason."""

    files: list[CapturedFile]
    packets: int
    bytes: int
    first_ts: int | None
    last_ts: int | None
    link_types: list[int]
    segments: int
    ignored: dict[str, int]
    malformed: int
    conversations: list[Conversation] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)


@dataclass(slots=True)
class _Count:
    packets: int
    bytes: int
    first_ts: int
    last_ts: int
    opened: bool
    accepted: bool


def _mix(block: SegmentBlock) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """A 64-bit key per segment, the same for all segments of one direction of a connection."""
    with np.errstate(over="ignore"):
        key = block.src[:, 0] * np.uint64(0x9E3779B97F4A7C15)
        for part in (block.src[:, 1], block.dst[:, 0], block.dst[:, 1],
                     (block.sport << 16 | block.dport).astype(np.uint64)):  # fmt: skip
            key = (key ^ part) * np.uint64(0xBF58476D1CE4E5B9)
            key ^= key >> np.uint64(29)
    return key


def _count_block(block: SegmentBlock, flows: dict[_Flow, _Count]) -> None:
    """Add a block's segments to the counts per direction."""
    _, first, inverse = np.unique(_mix(block), return_index=True, return_inverse=True)
    packets = np.bincount(inverse)
    sizes = np.bincount(inverse, weights=block.wire_len).astype(np.int64)
    low = np.full(len(first), np.iinfo(np.int64).max)
    high = np.full(len(first), np.iinfo(np.int64).min)
    np.minimum.at(low, inverse, block.ts)
    np.maximum.at(high, inverse, block.ts)
    handshake = block.flags & (_SYN | _ACK)
    opened = np.bincount(inverse, weights=handshake == _SYN)
    accepted = np.bincount(inverse, weights=handshake == _SYN | _ACK)
    for index, row in enumerate(first.tolist()):
        source = (int(block.src[row, 0]), int(block.src[row, 1]), int(block.sport[row]))
        target = (int(block.dst[row, 0]), int(block.dst[row, 1]), int(block.dport[row]))
        flow = (int(block.version[row]), source, target)
        begin, end = int(low[index]), int(high[index])
        count = flows.get(flow)
        if count is None:
            count = flows[flow] = _Count(0, 0, begin, end, False, False)
        count.packets += int(packets[index])
        count.bytes += int(sizes[index])
        count.first_ts, count.last_ts = min(count.first_ts, begin), max(count.last_ts, end)
        count.opened |= bool(opened[index])
        count.accepted |= bool(accepted[index])


def _endpoint(version: int, side: _Side) -> Endpoint:
    high, low, port = side
    if version == 4:
        return str(ipaddress.IPv4Address(low)), port
    return str(ipaddress.IPv6Address(high << 64 | low)), port


def _server_of(flow: _Flow, flows: Mapping[_Flow, _Count], ports: Mapping[int, str]) -> _Side:
    version, source, target = flow
    there, back = flows[flow], flows.get((version, target, source))
    opened = there.opened or (back is not None and back.accepted)
    accepted = there.accepted or (back is not None and back.opened)
    if opened != accepted:
        return target if opened else source
    if (source[2] in ports) != (target[2] in ports):
        return target if target[2] in ports else source
    return min(source, target, key=lambda side: (side[2], side))


def _group(flows: Mapping[_Flow, _Count], ports: Mapping[int, str]) -> list[Conversation]:
    """Both directions of all connections to a server port become one row."""
    found: dict[tuple[int, _Side], Conversation] = {}
    clients: dict[tuple[int, _Side], set[_Side]] = {}
    for flow, count in flows.items():
        version, source, target = flow
        server = _server_of(flow, flows, ports)
        key = (version, server)
        row = found.get(key)
        if row is None:
            row = found[key] = Conversation(
                _endpoint(version, server), ports.get(server[2]), first_ts=count.first_ts, last_ts=count.last_ts
            )
        row.packets += count.packets
        row.bytes += count.bytes
        row.first_ts, row.last_ts = min(row.first_ts, count.first_ts), max(row.last_ts, count.last_ts)
        clients.setdefault(key, set()).add(source if server == target else target)
    for key, row in found.items():
        row.connections = len(clients[key])
        row.clients = len({side[:2] for side in clients[key]})
    return sorted(found.values(), key=lambda row: (-row.bytes, -row.packets, row.server))


def look(
    paths: Sequence[str | os.PathLike[str]],
    ports: Mapping[int, str],
    *,
    progress: Callable[[int, int | None], None] | None = None,
    block_size: int = 2 * BLOCK_SIZE,
) -> QuickLook:
    """Look at captures.

    Args:
        paths: files, globs, "-" for standard input. ports: port -> service. progress: as `glancetrace.options.Options`.

    Raises:
        InputError: a capture cannot be read.
    """
    issues = IssueLog()
    index = PacketIndex(issues)
    flows: dict[_Flow, _Count] = {}
    ignored: dict[str, int] = {}
    segments = malformed = 0
    with open_captures([os.fspath(path) for path in paths], issues, block_size=block_size) as reader:
        reader.progress = progress
        for block in reader:
            found = index.index(block)
            segments += len(found)
            malformed += found.malformed
            for reason, count in found.ignored.items():
                ignored[reason] = ignored.get(reason, 0) + count
            if len(found):
                _count_block(found, flows)
    index.finish()
    return QuickLook(
        files=[CapturedFile(file.name, file.first_frame, file.packets) for file in reader.files],
        packets=reader.packets,
        bytes=reader.bytes,
        first_ts=reader.first_ts,
        last_ts=reader.last_ts,
        link_types=sorted(reader.link_types),
        segments=segments,
        ignored=dict(sorted(ignored.items())),
        malformed=malformed,
        conversations=_group(flows, ports),
        issues=issues.rows(),
    )
