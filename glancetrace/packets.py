"""The packets behind a claim, read again from the capture by frame number.

A part of a result is spans: two endpoints and the frames from first to last; what the two sent each other in between
belongs to it. `read_packets` gives them as scapy packets, whose bytes are kept as they were captured, passwords and
tokens included. `read_segments` gives the times and sizes of their TCP segments.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from glancetrace.capture.blocks import Int64Array, PacketBlock
from glancetrace.capture.index import PacketIndex
from glancetrace.capture.inputs import open_captures
from glancetrace.capture.segments import SegmentBlock
from glancetrace.errors import UsageError
from glancetrace.issues import IssueLog
from glancetrace.net.flow import endpoint_of
from glancetrace.net.grouping import group_flows
from glancetrace.net.run import render_endpoint

if TYPE_CHECKING:
    from scapy.plist import PacketList

    from glancetrace.result import Result, Row
    from glancetrace.views import CallView, ImageView, StatementView

__all__ = ["MOST", "Segments", "Span", "read_packets", "read_segments", "spans_of"]

MOST = 50_000
"""scapy needs about 5 kB for a packet: more than so many belong into a file (`glancetrace extract`)."""


@dataclass(frozen=True, slots=True)
class Span:
    """What two endpoints (`address:port`) sent each other, from the first frame to the last."""

    client: str
    server: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Segments:
    """TCP segments of a client to a server, in order: int64[n], `ts` in ns, `end` bytes sent so far."""

    frame: Int64Array
    ts: Int64Array
    end: Int64Array


def spans_of(what: CallView | ImageView | StatementView) -> list[Span]:
    """Where the packets of a call (with its statements and nested calls), an image or a statement are.

    Raises:
        UsageError: it is something else.
    """
    from glancetrace.views import CallView, ImageView, StatementView

    if not isinstance(what, CallView | ImageView | StatementView):
        raise UsageError(
            f"packets are those of a call, a statement or an image, not of {type(what).__name__}",
            action="as in trace.packets(trace.call(1))",
        )
    result = what.result
    if isinstance(what, CallView):
        return _of_calls(result, {what.id}, set())
    if isinstance(what, ImageView):
        return _of_calls(result, set(what.calls.index), set(what.statements.index))
    return [_of_statement(what.row)]


def _of_statement(row: Row) -> Span:
    return Span(row["client"], row["server"], row["first_frame"], row["last_frame"])


def _of_calls(result: Result, calls: set[int], statements: set[int]) -> list[Span]:
    spans: list[Span] = []
    calls = set(calls)
    for row in result.rows("api_calls", raw_times=True):
        if row["id"] in calls or row["parent_id"] in calls:
            calls.add(row["id"])
            hop = row["hops"][0] if row["hops"] else row
            if None not in (hop["first_frame"], hop["client"], hop["server"]):
                spans.append(Span(hop["client"], hop["server"], hop["first_frame"], hop["last_frame"]))
    ran = {row["statement_id"] for row in result.rows("links", raw_times=True) if row["call_id"] in calls}
    wanted = statements | ran
    return spans + [_of_statement(row) for row in result.rows("statements", raw_times=True) if row["id"] in wanted]


def _captures(files: Sequence[Row]) -> list[str]:
    """Names of the captures, if they can be read again and have the same frame numbers then.

    Raises:
        UsageError: they cannot.
    """
    names = [file["name"] for file in files]
    if "-" in names:
        raise UsageError("standard input can be read only once", action="write it to a file first, and analyse that")
    following = 1
    for file in files:
        if not os.path.exists(file["name"]):
            raise UsageError(
                "the capture is not where it was", where=file["name"], action="put it back, or go to its directory"
            )
        if file["first_frame"] != following:
            raise UsageError("frames of captures that were merged by time cannot be found", action="use mergecap first")
        following += file["packets"]
    return names


def _blocks(result: Result, last: int) -> Iterator[tuple[PacketBlock, SegmentBlock]]:
    """The capture again, up to a frame."""
    index = PacketIndex(IssueLog())
    with open_captures(_captures(result.capture_row(raw_times=True)["files"]), IssueLog()) as reader:
        for block, _ in reader.records():
            if block.first_frame > last:
                return
            yield block, index.index(block)


def _frames_of(segments: SegmentBlock, spans: dict[frozenset[str], list[Span]]) -> Int64Array:
    """Frames of a block's segments that lie in one of the spans, ascending."""
    if not len(segments):
        return np.empty(0, np.int64)
    groups = group_flows(segments)
    bounds = [*groups.starts.tolist(), len(groups.rows)]
    found = [np.empty(0, np.int64)]
    for key, start, stop in zip(groups.keys, bounds, bounds[1:], strict=False):
        pair = frozenset(render_endpoint(endpoint_of(key, side)) for side in (0, 1))
        frames = segments.frame[groups.rows[start:stop]]
        for span in spans.get(pair, ()):
            found.append(frames[(frames >= span.first) & (frames <= span.last)])
    return np.unique(np.concatenate(found))


def _by_pair(spans: Iterable[Span]) -> dict[frozenset[str], list[Span]]:
    pairs: dict[frozenset[str], list[Span]] = {}
    for span in spans:
        pairs.setdefault(frozenset((span.client, span.server)), []).append(span)
    return pairs


def _check_found(result: Result, spans: Iterable[Span], found: set[int]) -> None:
    """The first frame of every span must be one of its own packets, or this is another capture."""
    if any(span.first not in found for span in spans):
        raise UsageError(
            "the capture is not the one that was analysed",
            where=", ".join(file["name"] for file in result.capture_row()["files"]),
            action="analyse it again",
        )


def read_packets(what: CallView | ImageView | StatementView) -> PacketList:
    """Packets of a call, an image or a statement, in the capture's order, not redacted.

    Raises:
        UsageError: scapy is not installed, the capture cannot be read again, or there are more than `MOST`.
        InputError: a capture cannot be read.
    """
    dissect, packet_list = _scapy()
    spans = spans_of(what)
    pairs = _by_pair(spans)
    packets: list[Any] = []
    found: set[int] = set()
    for block, segments in _blocks(what.result, max((span.last for span in spans), default=0)):
        frames = _frames_of(segments, pairs)
        found.update(frames.tolist())
        if len(found) > MOST:
            raise UsageError(
                f"that are more than {MOST:,} packets", action="use 'glancetrace extract' and open its file"
            )
        for row in (frames - block.first_frame).tolist():
            start = int(block.offset[row])
            data = bytes(block.data[start : start + int(block.cap_len[row])])
            packets.append(dissect(data, int(block.link_type[row]), int(block.ts[row]), int(block.orig_len[row])))
    _check_found(what.result, spans, found)
    listed: PacketList = packet_list(packets, name=repr(what).strip("<>"))
    return listed


def _scapy() -> tuple[Any, Any]:
    """What makes a packet of bytes, link type, time (ns) and length on the wire; and what makes a list of packets."""
    try:
        from scapy.config import conf
        from scapy.layers import inet, inet6, l2  # noqa: F401 - they register the layers
        from scapy.packet import Raw
        from scapy.plist import PacketList
        from scapy.utils import EDecimal
    except ImportError:
        raise UsageError("scapy is not installed", action="pip install 'glancetrace[notebook]'") from None

    def dissect(data: bytes, link_type: int, ts: int, length: int) -> Any:
        layer: Any = conf.l2types.get(link_type, Raw)
        packet = layer(data)
        packet.time = EDecimal(ts) / EDecimal(1_000_000_000)
        packet.wirelen = length
        return packet

    return dissect, PacketList


def read_segments(what: CallView) -> Segments:
    """What the client of a call sent, packet by packet; retransmissions do not count twice.

    Raises:
        UsageError: the capture cannot be read again. InputError: a capture cannot be read.
    """
    spans = spans_of(what)[:1] if what.row["first_frame"] is not None else []
    columns: list[tuple[Int64Array, Int64Array, Int64Array, Int64Array]] = []
    for span in spans:
        for _, block in _blocks(what.result, span.last):
            if not len(block):
                continue
            rows = np.flatnonzero(np.isin(block.frame, _frames_of(block, _by_pair(spans))))
            port = int(span.client.rpartition(":")[2])
            rows = rows[(block.sport[rows] == port) & (block.wire_len[rows] > 0)]
            size = block.wire_len[rows]
            columns.append((block.frame[rows], block.ts[rows], block.seq[rows] + size, size))
    empty = np.empty(0, np.int64)
    frame, ts, seq, size = (np.concatenate([empty, *(own[number] for own in columns)]) for number in range(4))
    _check_found(what.result, spans, set(frame.tolist()))
    order = np.argsort(ts, kind="stable")
    return Segments(frame[order], ts[order], _sent(seq[order], size[order]))


def _sent(ends: Int64Array, sizes: Int64Array) -> Int64Array:
    """Bytes sent up to each segment, from where segments end: 32-bit sequence numbers that go round."""
    if not len(ends):
        return ends
    steps = (np.diff(ends) + (1 << 31)) % (1 << 32) - (1 << 31)
    positions = sizes[0] + np.concatenate(([0], np.cumsum(steps)))
    reached: Int64Array = np.maximum.accumulate(positions)
    return reached
