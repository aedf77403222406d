"""TCP: packet blocks into runs of contiguous bytes, per connection (RFC 9293).

Flows that are in perfect order in a block, nearly all of them, are cut into runs by numpy; see `glancetrace.net.clean`.
The others go packet by packet (see `glancetrace.net.reorder`) where they are out of order, and elsewhere stretch by
stretch (see `glancetrace.net.stretches`). Which way a packet takes changes nothing in what comes out, and neither does
the way the packets are cut into blocks.

House rules: checksums are not looked at (offload leaves them empty). Connections are numbered by their first packet.
A connection on a port of a known server is wanted at once; any other is judged once by its first bytes, and when nobody
wants it, its packets are left out with one mask per block.

Memory follows the connections that are open. Connections that nobody wants do not tell when they end, so after every
`EPOCH_PACKETS` packets those are forgotten that sent none of them, and likewise those that were closed; if one of them
speaks again, it is judged again. Blocks are cut at the end of an epoch, so this does not depend on their size either.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from glancetrace.capture.blocks import Int64Array
from glancetrace.capture.segments import SegmentBlock, Segments
from glancetrace.issues import IssueLog
from glancetrace.net.accounting import TcpAccounting
from glancetrace.net.clean import FlowTable, check_flows
from glancetrace.net.cut import cut_runs
from glancetrace.net.flow import JUDGED, UNKNOWN, UNWANTED, Flow, Sink, endpoint_of
from glancetrace.net.grouping import FlowGroups, FlowKey, group_flows
from glancetrace.net.reorder import ACK, RST, SEQUENCE_BASE, SYN, Reordering
from glancetrace.net.run import Connection, Run
from glancetrace.net.share import Dealt, Share
from glancetrace.net.stretches import Packet, cut_stretch, find_stretches, packets_of
from glancetrace.net.verdict import ConsumerFactory, Judge, Probe

__all__ = ["EPOCH_PACKETS", "Deal", "TcpReassembler"]

EPOCH_PACKETS = 1 << 18

_MASK = SEQUENCE_BASE - 1
_BOTH = 0b11

Deal = Callable[[SegmentBlock, FlowGroups, Int64Array, Int64Array], None]
"""Is given a block, its flows, whose these are and the capture time at each packet."""

_STRETCH = 4
"""So many packets in order are worth being taken at once."""


class TcpReassembler:
    """Takes the TCP packets of a capture and feeds each connection's runs to its consumer.

    Args:
        make_consumer: asked for a consumer once per wanted connection.
        issues: where gaps and contradictions are counted.
        server_ports: ports of known servers.
        judge: decides about connections on other ports; None: nobody wants them.
        fast: False takes every packet one by one (for tests: the result is the same).
        epoch_packets: how long silent connections are remembered that nobody wants or that are closed.
        share: the connections to take; None: all of them. Those of a share are numbered among themselves.
        deal: is given every block, for the other shares.

    Attributes:
        accounting: where the bytes went; it balances after `finish`. Of a share it has the bytes of its connections.
        first_frames: first frame of each connection of a share, by number.
    """

    def __init__(
        self,
        make_consumer: ConsumerFactory,
        issues: IssueLog,
        *,
        server_ports: frozenset[int] = frozenset(),
        judge: Judge | None = None,
        fast: bool = True,
        epoch_packets: int = EPOCH_PACKETS,
        share: Share | None = None,
        deal: Deal | None = None,
    ) -> None:
        self.accounting = TcpAccounting()
        self.first_frames: list[int] = []
        self._share = share
        self._deal = deal
        self._sink = Sink(make_consumer, issues, self.accounting)
        self._server_ports = server_ports
        self._judge = judge
        self._fast = fast
        self._epoch_packets = epoch_packets
        self._epoch = 0
        self._flows: dict[FlowKey, Flow] = {}
        self._unsettled: dict[Flow, None] = {}
        self._clock = 0

    @property
    def connections(self) -> list[Connection]:
        """Connections that are or were wanted, in order of their first packet."""
        return sorted(self._sink.connections, key=lambda connection: connection.id)

    def push(self, block: SegmentBlock) -> None:
        """Take the next block of packets."""
        start = 0
        while start < len(block):
            left = self._epoch_packets - self.accounting.packets % self._epoch_packets
            stop = min(start + left, len(block))
            self._push(block if stop - start == len(block) else block.rows(slice(start, stop)))
            start = stop

    def _push(self, block: SegmentBlock) -> None:
        clock = np.maximum.accumulate(np.maximum(block.ts, self._clock))
        groups = group_flows(block)
        if self._share is not None:
            owners = self._share.owners(groups)
            if self._deal is not None:
                self._deal(block, groups, owners, clock)
            groups = self._share.own(groups, owners)
        self._take_flows(block, groups, clock)
        self._pass(len(block), int(block.payload_len.sum()), int(clock[-1]))

    def push_dealt(self, dealt: Dealt) -> None:
        """Take what another process has dealt, in place of `push`."""
        if len(dealt.block):
            self._take_flows(dealt.block, dealt.groups, dealt.clock)
        self._pass(dealt.packets, dealt.payload_bytes, dealt.last_clock)

    def _take_flows(self, block: Segments, groups: FlowGroups, clock: Int64Array) -> None:
        """Take the packets of some flows of a block."""
        groups = self._leave_out_unwanted(block, groups)
        if groups.keys:
            known = [self._flows.get(key) for key in groups.keys]
            table = check_flows(block, groups, known)
            if not self._fast:
                table.clean[:] = False
            flows = self._push_packets(block, groups, known, table, clock)
            self._push_clean(block, groups, flows, table)
            for flow in flows:
                flow.epoch = self._epoch

    def _pass(self, packets: int, payload_bytes: int, clock: int) -> None:
        """Time has come to the end of so many packets, all of which are taken."""
        self.accounting.packets += packets
        self.accounting.payload_bytes += payload_bytes
        self._clock = clock
        for flow in list(self._unsettled):
            self._settle(flow)
        if self.accounting.packets % self._epoch_packets == 0:
            self._forget()

    def _forget(self) -> None:
        """The epoch is over: forget what nobody wants or what is closed, and was silent."""
        silent = [
            key
            for key, flow in self._flows.items()
            if flow.epoch < self._epoch and (flow.closed or flow.wanted == UNWANTED)
        ]
        for key in silent:
            del self._flows[key]
        self._epoch += 1

    def finish(self) -> None:
        """The capture is over: give up what is missing and close all connections."""
        for flow in self._flows.values():
            if not flow.closed:
                self._end(flow, flow.connection.last_ts, flow.last_frame, "end")

    def _leave_out_unwanted(self, block: Segments, groups: FlowGroups) -> FlowGroups:
        """Drop the packets of flows that nobody wants, unless one of them opens a new connection."""
        flows = [self._flows.get(key) for key in groups.keys]
        unwanted = np.array([flow is not None and flow.wanted == UNWANTED for flow in flows])
        if not unwanted.any():
            return groups
        for flow in flows:
            if flow is not None:
                flow.epoch = self._epoch
        opens = (block.flags[groups.rows] & (SYN | ACK)) == SYN
        unwanted &= ~np.logical_or.reduceat(opens, groups.starts)
        dropped = groups.rows[np.repeat(unwanted, groups.sizes())]
        self.accounting.skipped_packets += len(dropped)
        self.accounting.skipped_bytes += int(block.payload_len[dropped].sum())
        return groups.some(~unwanted)

    def _open(self, block: Segments, row: int, key: FlowKey, side: int) -> Flow:
        """A new connection between two endpoints, by its first packet."""
        flags = int(block.flags[row])
        if flags & SYN:
            client_side = side ^ 1 if flags & ACK else side
        else:
            client_side = self._guess_client(key)
        self.accounting.connections += 1
        ts, frame = int(block.ts[row]), int(block.frame[row])
        if self._share is not None:
            self.first_frames.append(frame)
        connection = Connection(
            self.accounting.connections,
            endpoint_of(key, client_side),
            endpoint_of(key, client_side ^ 1),
            not flags & SYN,
            ts,
            frame,
            ts,
        )
        flow = self._flows[key] = Flow(self._sink, connection, client_side)
        flow.base[side] = (int(block.seq[row]) + bool(flags & SYN)) & _MASK
        if flags & ACK:
            flow.base[side ^ 1] = int(block.ack[row])
        if connection.server[1] in self._server_ports:
            flow.want()
        elif self._judge is not None:
            flow.wanted = JUDGED
            flow.probe = Probe(connection, self._judge)
        return flow

    def _guess_client(self, key: FlowKey) -> int:
        """Side of the client where no SYN says so: a known server's port, else the lower one, is the server's."""
        ports = (key[3], key[6])
        known = [port in self._server_ports for port in ports]
        if known[0] != known[1]:
            return 0 if known[1] else 1
        return 0 if ports[0] > ports[1] else 1

    def _push_packets(
        self, block: Segments, groups: FlowGroups, known: list[Flow | None], table: FlowTable, clock: Int64Array
    ) -> list[Flow]:
        """Open new connections and take the packets of flows that are not clean, all in capture order."""
        keys = groups.keys
        firsts = groups.rows[groups.starts].tolist()
        to_open = sorted((firsts[number], number) for number, flow in enumerate(known) if flow is None)
        to_open.append((len(block), -1))
        opened = 0
        flows = {number: flow for number, flow in enumerate(known) if flow is not None}
        positions = np.flatnonzero(~table.clean[table.group])
        rows = groups.rows[positions]
        packets = packets_of(block, groups.side, rows, clock, self._clock)
        numbers = table.group[positions].tolist()
        stops, expected = find_stretches(table, positions)
        done: dict[int, int] = {}
        for at, row in zip((order := np.argsort(rows)).tolist(), rows[order].tolist(), strict=True):
            number = numbers[at]
            if at < done.get(number, 0):
                continue
            while to_open[opened][0] <= row:
                first, new = to_open[opened]
                flows[new] = self._open(block, first, keys[new], int(groups.side[first]))
                opened += 1
            flow = flows[number]
            packet = packets[at]
            side, seq, _, flags, _, _, wire_len, _, _, clock_before, _ = packet
            stop = stops[at]
            if stop - at >= _STRETCH and self._fast and flow.is_in_order(side, *expected[at]):
                self._take_stretch(flow, packets[at:stop], block.data)
                done[number] = stop
                continue
            if flow.order is not None and flow.order.waits and clock_before >= flow.order.due_clock:
                self._give_up(flow, clock_before)
            unusual = flags & SYN or (wire_len and flow.is_far(side, seq))
            if unusual and flow.is_reused_by(side, seq, flags):
                if not flow.closed:
                    self._end(flow, flow.connection.last_ts, flow.last_frame, "reused")
                flow = flows[number] = self._open(block, row, keys[number], side)
            self._take(flow, packet, block.data)
        for first, new in to_open[opened:-1]:
            flows[new] = self._open(block, first, keys[new], int(groups.side[first]))
        return [flows[number] for number in range(len(keys))]

    def _take(self, flow: Flow, packet: Packet, buffer: bytes) -> None:
        """Take one packet of a connection."""
        side, seq, ack, flags, payload, payload_len, wire_len, ts, frame, _, clock = packet
        if flow.wanted == UNWANTED:
            flow.count(1, payload_len)
            return
        flow.pending_packets += 1
        flow.last_frame = frame
        connection = flow.connection
        if ts > connection.last_ts:
            connection.last_ts = ts
        if flow.closed or flags & RST:
            self.accounting.late_bytes += payload_len
        if flow.closed:
            flow.count(0, 0)
            return
        flow.seen |= 1 << side
        order = flow.order
        if order is None:
            order = flow.order = Reordering(flow)
            self._unsettled[flow] = None
        if flags & RST:
            order.push_reset(ts, frame, clock)
        else:
            order.push(side, seq, ack, flags, buffer[payload : payload + payload_len], wire_len, ts, frame, clock)
        if order.is_due(clock) or flow.fins == _BOTH or flow.wanted == UNWANTED:
            self._give_up(flow, clock)

    def _take_stretch(self, flow: Flow, packets: list[Packet], buffer: bytes) -> None:
        """Take packets that follow on each other while nothing waits, as if a block ended before and behind them."""
        self._settle(flow)
        payload = 0
        nxt, connection = flow.nxt, flow.connection
        for packet in packets:
            length = packet[5]
            if length:
                nxt[packet[0]] += length
                flow.began[packet[0]] = True
                payload += length
            flow.seen |= 1 << packet[0]
            if packet[7] > connection.last_ts:
                connection.last_ts = packet[7]
        flow.last_frame = packets[-1][8]
        flow.count(len(packets), payload)
        flow.feed_all(cut_stretch(buffer, packets))

    def _push_clean(self, block: Segments, groups: FlowGroups, flows: list[Flow], table: FlowTable) -> None:
        """Feed the runs of clean flows and bring their state up to date."""
        wanted = table.clean & np.array([flow.wanted != UNWANTED for flow in flows])
        for number, runs in cut_runs(block, groups, table, wanted):
            flows[number].feed_all(runs)
        payload = np.add.reduceat(block.payload_len[groups.rows], groups.starts).tolist()
        sizes = groups.sizes().tolist()
        last_ts = np.maximum.reduceat(block.ts[groups.rows], groups.starts).tolist()
        last_frame = block.frame[groups.rows[np.append(groups.starts[1:], len(groups.rows)) - 1]].tolist()
        nxt, base, began = table.nxt.tolist(), table.base.tolist(), table.began.tolist()
        seen = table.seen.tolist()
        for number in np.flatnonzero(table.clean).tolist():
            flow = flows[number]
            flow.count(sizes[number], payload[number])
            flow.nxt = nxt[number]
            for side in (0, 1):
                if base[number][side] != UNKNOWN:
                    flow.base[side] = base[number][side]
                flow.began[side] |= began[number][side]
            flow.seen |= seen[number]
            flow.last_frame = last_frame[number]
            connection = flow.connection
            connection.last_ts = max(connection.last_ts, last_ts[number])
        self._close_finished(block, groups, flows, table)

    def _close_finished(self, block: Segments, groups: FlowGroups, flows: list[Flow], table: FlowTable) -> None:
        fins = np.flatnonzero((table.flags & 1 != 0) & table.clean[table.group])
        rows = groups.rows[fins]
        for number, side, ts, frame in zip(
            table.group[fins].tolist(),
            table.side[fins].tolist(),
            block.ts[rows].tolist(),
            block.frame[rows].tolist(),
            strict=True,
        ):
            flow = flows[number]
            flow.fins |= 1 << side
            if frame > flow.fin_frame:
                flow.fin_ts, flow.fin_frame = ts, frame
            if flow.fins == _BOTH and not flow.closed:
                self._end(flow, flow.fin_ts, flow.fin_frame, "fin")

    def _give_up(self, flow: Flow, clock: int) -> None:
        """Give up what is due at the capture time `clock` (ns), or all when it turned out that nobody wants it."""
        order = flow.order
        if order is None:
            return
        order.give_up_due(clock)
        if flow.wanted == UNWANTED:
            flow.count(0, order.drop())
            flow.order = None
            del self._unsettled[flow]
        elif order.is_over(clock):
            self._end(flow, flow.fin_ts, flow.fin_frame, "fin")

    def _settle(self, flow: Flow) -> None:
        """No packet follows in this block: feed the run under way, and keep only what waits."""
        if flow.order is not None and flow.order.waits:
            self._give_up(flow, self._clock)
        if flow.order is not None:
            flow.order.run.end()
            flow.count(0, 0)
            if flow.order.waits:
                return
            flow.order = None
        self._unsettled.pop(flow, None)

    def _end(self, flow: Flow, ts: int, frame: int, how: str) -> None:
        """Close a connection: feed what waits, and tell the gap at the end of a stream."""
        order = flow.order
        if order is not None:
            if order.reset is not None:
                (ts, frame), how = order.reset, "rst"
            order.give_up_all()
            order.run.end()
            self._unsettled.pop(flow, None)
        for side in (0, 1):
            gap, flow.gap[side] = flow.gap[side], 0
            if not flow.began[side] and flow.base[side] != UNKNOWN:
                gap = flow.nxt[side] - flow.base[side] - SEQUENCE_BASE  # acknowledged, but none of it was captured
            # One byte acknowledged at the end of a stream, and no FIN: it is the FIN that is not in the capture.
            if gap > 1 or (gap and flow.fins >> side & 1):
                flow.feed(side, Run(side, b"", [0], [ts], [frame], gap))
        flow.close(ts, frame, how)
