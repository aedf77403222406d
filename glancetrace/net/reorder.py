"""A connection packet by packet: out of order, repeated, overlapping, cut, or with bytes missing.

A segment goes on when the bytes before it have gone on, and the peer's bytes that it acknowledges have, too: so a
response that was captured before its request comes out after it. Until then it waits. Where bytes do not come:

- The peer acknowledged them, or the peer is not in the capture at all: the capture lost them. They are given up after
  `GIVE_UP_PACKETS` further packets of the connection or `GIVE_UP_NS` of capture time since.
- Nobody acknowledged them: they were lost on the network, and their retransmission is waited for, until more than
  `MAX_WAITING_BYTES` wait behind them or the connection ends.

A reset connection stays open for `GIVE_UP_NS`, for what was on its way then or was captured after the RST.

All is judged by packets and capture time, which only goes forward, never by where a block ends. Bytes given up become
the `gap` of the next run; a copy that comes later is ignored. A stream that began before the capture has no gap before
its first byte; where none comes at all, what was acknowledged is missing when the connection ends (`reassemble`).
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from glancetrace.net.flow import FAR, UNKNOWN, Flow, unwrap
from glancetrace.net.open_run import OpenRun
from glancetrace.net.waiting import Piece, WaitingPieces

__all__ = [
    "ACK",
    "FIN",
    "GIVE_UP_NS",
    "GIVE_UP_PACKETS",
    "MAX_WAITING_BYTES",
    "NEVER",
    "RST",
    "SEQUENCE_BASE",
    "SYN",
    "Reordering",
]

FIN, SYN, RST, ACK = 1, 2, 4, 16

SEQUENCE_BASE = 1 << 32
"""Added to the first sequence number of a stream; see `glancetrace.net.flow`."""

_MASK = SEQUENCE_BASE - 1
_HALF = SEQUENCE_BASE >> 1
_BOTH = 0b11

NEVER = 1 << 63
"""Later than all capture times (ns)."""

GIVE_UP_PACKETS = 64
GIVE_UP_NS = 300_000_000
MAX_WAITING_BYTES = 4 << 20


class _Acknowledged(NamedTuple):
    """The bytes before `number` were acknowledged at the capture time `clock` (ns), when `packets` had been taken."""

    number: int
    clock: int
    packets: int


class Reordering:
    """Packets of one flow that wait, and the run that is under way.

    Attributes:
        waiting: pieces by side. acked: by side, the number up to which the peer acknowledged.
        fin_at: by side, number of a FIN that was seen and not delivered, else `UNKNOWN`.
        acks: by side, when which number beyond `nxt` was acknowledged, oldest first.
        packets: how many were taken. clock: capture time (ns) at the newest.
        reset: time (ns) and frame of the first RST. reset_clock: capture time (ns) then.
        waits: whether anything waits or is missing, or the connection was reset.
        due_clock, due_packets: capture time (ns) and count of packets when something is to be given up.
    """

    __slots__ = (
        "acked",
        "acks",
        "clock",
        "due_clock",
        "due_packets",
        "fin_at",
        "flow",
        "packets",
        "reset",
        "reset_clock",
        "run",
        "waiting",
        "waits",
    )

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.waiting = (WaitingPieces(), WaitingPieces())
        self.acked = flow.nxt.copy()
        self.fin_at = [UNKNOWN, UNKNOWN]
        self.acks: tuple[deque[_Acknowledged], deque[_Acknowledged]] = (deque(), deque())
        self.packets = 0
        self.clock = 0
        self.reset: tuple[int, int] | None = None
        self.reset_clock = 0
        self.waits = False
        self.due_clock = NEVER
        self.due_packets = NEVER
        self.run = OpenRun(flow)

    def push(
        self, side: int, seq: int, ack: int, flags: int, data: bytes, wire_len: int, ts: int, frame: int, clock: int
    ) -> None:
        """Take the next packet of the open connection.

        `data` is its captured payload, `wire_len` the true length; `clock` is the capture time (ns).
        """
        self.packets += 1
        self.clock = clock
        flow = self.flow
        nxt = flow.nxt
        expected = nxt[side]
        known = expected != UNKNOWN and nxt[side ^ 1] != UNKNOWN
        plain = known and not self.waits and flags & (SYN | FIN | ACK) == ACK
        if plain and not 0 < (ack - nxt[side ^ 1]) & _MASK < _HALF:
            behind = (expected - seq) & _MASK
            if not wire_len:
                return
            if not behind and len(data) == wire_len and not flow.fins:
                nxt[side] = expected + wire_len
                self.run.append(side, data, ts, frame)
                return
            if behind == wire_len and self.run.ends_with(side, data):
                flow.sink.accounting.duplicate_bytes += wire_len
                return
        self._push_any(side, seq, ack, flags, data, wire_len, ts, frame)
        self._plan()

    def _push_any(
        self, side: int, seq: int, ack: int, flags: int, data: bytes, wire_len: int, ts: int, frame: int
    ) -> None:
        flow = self.flow
        nxt = flow.nxt
        if nxt[side] == UNKNOWN:
            self._set_base(side, seq + (flags >> 1 & 1))
        need = 0
        if flags & ACK:
            need = self._acknowledge(side ^ 1, ack)
        if flags & SYN:
            flow.began[side] = True
            flow.began[side ^ 1] |= bool(flags & ACK)
            seq += 1
        if not (wire_len or flags & FIN):
            return
        start = unwrap(seq, nxt[side])
        if flags & FIN and start + wire_len >= nxt[side] and not flow.fins >> side & 1:
            self.fin_at[side] = start + wire_len
            if frame > flow.fin_frame:
                flow.fin_ts, flow.fin_frame = ts, frame
        if wire_len:
            self._take(side, Piece(start, start + wire_len, need, self.packets, data, ts, frame))
        self._reach_fin(side)

    def push_reset(self, ts: int, frame: int, clock: int) -> None:
        """Take a packet with RST set; its numbers mean nothing. `clock` is the capture time (ns)."""
        self.packets += 1
        if self.reset is None:
            self.reset = (ts, frame)
            self.reset_clock = clock
        self._plan()

    def is_due(self, clock: int) -> bool:
        """Whether something is to be given up at the capture time `clock` (ns)."""
        return clock >= self.due_clock or self.packets >= self.due_packets

    def is_over(self, clock: int) -> bool:
        """Whether nothing more is expected at the capture time `clock` (ns)."""
        if self.reset is not None and clock - self.reset_clock >= GIVE_UP_NS:
            return True
        return self.flow.fins == _BOTH

    def give_up_due(self, clock: int) -> None:
        """Give up what was acknowledged and did not come in time; `clock` is the capture time (ns)."""
        progress = True
        while progress:
            progress = False
            for side in (0, 1):
                end = self._due_up_to(side, clock)
                if end > self.flow.nxt[side]:
                    self._skip(side, end)
                    self._drain()
                    progress = True
        self._plan()

    def give_up_all(self) -> None:
        """The connection is over: nothing that is missing will come."""
        while any([self._give_up(0), self._give_up(1)]):
            self._drain()

    def drop(self) -> int:
        """Forget all that waits; returns its bytes."""
        return self.waiting[0].drop() + self.waiting[1].drop()

    def _is_idle(self) -> bool:
        """Nothing waits and nothing is missing: the flow needs no reordering any more."""
        nxt = self.flow.nxt
        return not (
            self.reset
            or self.waiting[0].pieces
            or self.waiting[1].pieces
            or self.acked[0] > nxt[0]
            or self.acked[1] > nxt[1]
            or self.fin_at[0] != UNKNOWN
            or self.fin_at[1] != UNKNOWN
            or self.flow.gap[0]
            or self.flow.gap[1]
        )

    def _set_base(self, side: int, seq: int) -> None:
        flow = self.flow
        flow.base[side] = seq & _MASK
        flow.nxt[side] = self.acked[side] = flow.base[side] + SEQUENCE_BASE

    def _acknowledge(self, side: int, ack: int) -> int:
        """The peer of `side` acknowledged; returns the unwrapped number, 0 when it makes no sense."""
        nxt = self.flow.nxt[side]
        if nxt == UNKNOWN:
            self._set_base(side, ack)
            return self.acked[side]
        number = unwrap(ack, nxt)
        if number > nxt + FAR:
            return 0
        if number > self.acked[side]:
            self._note(side, number)
        return number

    def _note(self, side: int, number: int) -> None:
        """What `side` sent before `number` has arrived."""
        self.acked[side] = number
        self.acks[side].append(_Acknowledged(number, self.clock, self.packets))

    def _take(self, side: int, piece: Piece) -> None:
        """Deliver a segment, or let it wait."""
        flow = self.flow
        nxt = flow.nxt[side]
        if piece.start < nxt:
            is_probe = piece.start == nxt - 1 and piece.end == nxt
            if not flow.began[side] and not is_probe:
                nxt = flow.nxt[side] = piece.start
                flow.base[side] = piece.start & _MASK
                self.acks[side].clear()  # what was given up is waited for anew
                self._note(side, self.acked[side])
            else:
                seen = piece.data[: nxt - piece.start]
                flow.sink.accounting.duplicate_bytes += len(seen)
                if not is_probe and self.run.differs(side, piece.start, seen):
                    flow.complain("tcp-overlap-differs", piece.frame)
                if piece.end <= nxt:
                    return
                piece = piece._replace(start=nxt, data=piece.data[len(seen) :])
        if flow.fins >> side & 1:
            flow.sink.accounting.late_bytes += len(piece.data)
            return
        waiting = self.waiting[side]
        if piece.start == nxt and piece.need <= flow.nxt[side ^ 1] and not waiting.pieces:
            self._deliver(side, piece)
            if self.waiting[side ^ 1].pieces:
                self._drain()
            return
        if not flow.seen >> (side ^ 1) & 1 and piece.start > self.acked[side]:
            self._note(side, piece.start)
        duplicate, differs = waiting.add(piece)
        if duplicate:
            flow.sink.accounting.duplicate_bytes += duplicate
        if differs:
            flow.complain("tcp-overlap-differs", piece.frame)
        if waiting.pieces[0].start > nxt:
            self._bound(piece.frame)
        else:
            self._drain()

    def _bound(self, frame: int) -> None:
        """Give up what is missing while too much waits for it."""
        while self.waiting[0].bytes_held + self.waiting[1].bytes_held > MAX_WAITING_BYTES:
            self.flow.complain("tcp-buffer-exceeded", frame)
            if not any([self._give_up(0), self._give_up(1)]):
                break
            self._drain()

    def _deliver(self, side: int, piece: Piece) -> None:
        flow = self.flow
        data = piece.data
        if flow.gap[side]:
            self.run.end()
        if data:
            self.run.append(side, data, piece.ts, piece.frame)
        flow.nxt[side] = piece.end
        flow.began[side] = True
        flow.gap[side] += piece.end - piece.start - len(data)

    def _drain(self) -> None:
        """Deliver all that need not wait any more, in capture order where both sides could go on."""
        nxt = self.flow.nxt
        while True:
            heads = [pieces.pieces[0] if pieces.pieces else None for pieces in self.waiting]
            at_turn = [side for side in (0, 1) if (head := heads[side]) is not None and head.start <= nxt[side]]
            ready = [side for side in at_turn if (head := heads[side]) is not None and head.need <= nxt[side ^ 1]]
            if ready:
                side = min(ready, key=lambda side: self.waiting[side].pieces[0].order)
            elif len(at_turn) == 2:
                # Each acknowledges the other: the later one is a retransmission with a newer acknowledgment.
                side = max(at_turn, key=lambda side: self.waiting[side].pieces[0].order)
            else:
                return
            self._deliver(side, self.waiting[side].pop())
            self._reach_fin(side)

    def _reach_fin(self, side: int) -> None:
        """Deliver the FIN of `side` if all before it has been."""
        flow = self.flow
        if self.fin_at[side] == UNKNOWN or flow.nxt[side] < self.fin_at[side]:
            return
        flow.nxt[side] += 1
        flow.began[side] = True
        flow.fins |= 1 << side
        self.fin_at[side] = UNKNOWN
        flow.sink.accounting.late_bytes += self.waiting[side].drop()

    def _missing_up_to(self, side: int) -> int:
        """The number where the missing bytes of `side` end; `nxt` when none are missing."""
        nxt = self.flow.nxt[side]
        pieces = self.waiting[side].pieces
        if pieces:
            return max(nxt, pieces[0].start)
        return max(nxt, self.fin_at[side] if self.fin_at[side] != UNKNOWN else self.acked[side])

    def _due_up_to(self, side: int, clock: int) -> int:
        """The number up to which the missing bytes of `side` are given up at the capture time `clock` (ns)."""
        number = self.flow.nxt[side]
        for acknowledged in self.acks[side]:
            if clock - acknowledged.clock < GIVE_UP_NS and self.packets - acknowledged.packets < GIVE_UP_PACKETS:
                break
            number = acknowledged.number
        return min(number, self._missing_up_to(side))

    def _plan(self) -> None:
        """Find out whether and for how long to wait."""
        self.due_clock = self.due_packets = NEVER
        self.waits = not self._is_idle()
        if not self.waits:
            return
        if self.reset is not None:
            self.due_clock = self.reset_clock + GIVE_UP_NS
        for side, acks in enumerate(self.acks):
            nxt = self.flow.nxt[side]
            while acks and acks[0].number <= nxt:
                acks.popleft()
            if acks and self._missing_up_to(side) > nxt:
                self.due_clock = min(self.due_clock, acks[0].clock + GIVE_UP_NS)
                self.due_packets = min(self.due_packets, acks[0].packets + GIVE_UP_PACKETS)

    def _give_up(self, side: int) -> bool:
        """Give up the missing bytes of `side`, acknowledged or not."""
        end = self._missing_up_to(side)
        if end <= self.flow.nxt[side]:
            return False
        self._skip(side, end)
        return True

    def _skip(self, side: int, end: int) -> None:
        flow = self.flow
        if flow.began[side]:
            flow.gap[side] += end - flow.nxt[side]
        flow.nxt[side] = end
        self._reach_fin(side)
