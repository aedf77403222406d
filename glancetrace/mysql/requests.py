"""Requests of one direction: packets joined to whole requests, and how framing is found (again).

MySQL Server documentation, "MySQL Packets": a request begins with sequence id 0; a packet of 0xFFFFFF bytes goes on in
the next one. A reader that has no framing (session joined in the middle, bytes missing) looks for a request where the
client speaks after the server, and right behind a gap.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import NamedTuple

from glancetrace.mysql.commands import PLAUSIBLE_LEN, is_request
from glancetrace.mysql.constants import COMMAND_NAMES, MAX_PACKET_LEN
from glancetrace.mysql.packets import HEADER_LEN, Channel
from glancetrace.mysql.response import ResponseReader
from glancetrace.net.run import Run

__all__ = ["MAX_REQUEST_LEN", "Request", "RequestReader", "SyncOutcome"]

MAX_REQUEST_LEN = 1 << 26
"""Bytes of one request that are kept; of a longer one only the start is."""


class Request(NamedTuple):
    """A request: payload, (ts ns, frame) of its first and last byte, last sequence id (-1 unknown), bytes missing."""

    payload: bytes
    first: tuple[int, int]
    last: tuple[int, int]
    sequence: int
    cut: bool


class SyncOutcome(Enum):
    """What bytes without framing turned out to be."""

    MORE = auto()
    REQUEST = auto()
    NOTHING = auto()


class RequestReader:
    """Reads requests from `channel` and hands each to `take`.

    Attributes:
        synced: packets are known to begin at the channel's position.
        lenient: sequence ids mean nothing (compressed protocol).
    """

    __slots__ = ("_cut", "_first", "_kept_len", "_may_sync", "_parts", "_take", "channel", "lenient", "synced")

    def __init__(self, channel: Channel, take: Callable[[Request], None]) -> None:
        self.channel = channel
        self.synced = True
        self.lenient = False
        self._take = take
        self._may_sync = False
        self._parts: list[bytes] = []
        self._kept_len = 0
        self._cut = False
        self._first = (0, 0)

    @property
    def idle(self) -> bool:
        """No request is under way."""
        return self.synced and not self._parts and not self.channel.available and not self.channel.skip

    def lose_framing(self) -> None:
        """Nothing is known of what comes next."""
        self.synced = self._may_sync = False
        self._parts.clear()
        self._kept_len = 0
        self._cut = False
        self.channel.clear()

    def expect(self) -> None:
        """The session is joined: the bytes that are there, or come next from a client, may be a request."""
        self.synced = False
        self._may_sync = True

    def push(self, run: Run, turn: bool) -> bool:
        """Take the bytes of a run; true when there is something to read. `turn`: the server spoke before."""
        if not self.synced:
            if turn or run.gap:
                self.channel.clear()
                self._may_sync = True
            elif not self._may_sync:
                return False
        return self.channel.push(run)

    def sync(self) -> SyncOutcome:
        """Find out whether a request begins here."""
        channel = self.channel
        held = channel.take()
        wanted = HEADER_LEN + 1
        if len(held) >= HEADER_LEN:
            wanted = HEADER_LEN + max(1, min(int.from_bytes(held[:3], "little"), PLAUSIBLE_LEN - HEADER_LEN))
        if len(held) < wanted:
            channel.need = wanted
            return SyncOutcome.MORE
        if is_request(held, 0):
            self.synced, self._may_sync = True, False
            return SyncOutcome.REQUEST
        return SyncOutcome.NOTHING

    def give_up_sync(self) -> None:
        """No request begins here; wait for the next turn."""
        self._may_sync = False
        self.channel.clear()

    def read(self, reader: ResponseReader | None) -> bool:
        """Consume one packet; false when there is none, or framing is lost. `reader`: of the response under way."""
        channel = self.channel
        available = channel.available
        if available < HEADER_LEN:
            channel.need = HEADER_LEN
            return False
        data, pos = channel.data, channel.pos
        length = data[pos] | data[pos + 1] << 8 | data[pos + 2] << 16
        sequence = data[pos + 3]
        if reader is not None and reader.takes_client_data and (sequence or reader.takes_file):
            reader.client_sent(sequence, length)
            channel.consume(HEADER_LEN + length)
            channel.need = HEADER_LEN
            return not channel.skip
        known = min(length, PLAUSIBLE_LEN - HEADER_LEN)
        if available < HEADER_LEN + known:
            channel.need = HEADER_LEN + known
            return False
        if not self._fits(data, pos):
            self.lose_framing()
            return False
        if available < HEADER_LEN + length:
            channel.need = HEADER_LEN + length
            return False
        if not self._parts:
            self._first = channel.place(pos)
        self._keep(data[pos + HEADER_LEN : pos + HEADER_LEN + length])
        channel.consume(HEADER_LEN + length)
        if length < MAX_PACKET_LEN:
            self._finish(sequence)
        return True

    def pass_gap(self, gap: int) -> None:
        """`gap` bytes are missing here. A request whose end is known is cut; else framing is lost."""
        channel = self.channel
        if not self.synced:
            return
        if channel.skip >= gap:
            channel.skip -= gap
            return
        held = channel.take()
        left = HEADER_LEN + int.from_bytes(held[:3], "little") - len(held) if len(held) >= HEADER_LEN else 0
        known = not channel.skip and left >= gap
        if self.cut() and known:
            channel.skip -= gap
        else:
            self.lose_framing()

    def cut(self) -> bool:
        """What is there of a request is all that will be seen of it; true when its end is known."""
        channel = self.channel
        held = channel.take()
        if not self._parts:
            if len(held) <= HEADER_LEN or held[3] or held[HEADER_LEN] not in COMMAND_NAMES:
                return False
            self._first = channel.place(channel.pos)
        length = int.from_bytes(held[:3], "little") if len(held) >= HEADER_LEN else MAX_PACKET_LEN
        sequence = held[3] if len(held) >= HEADER_LEN else 0
        self._keep(held[HEADER_LEN:])
        self._cut = True
        channel.consume(len(held))
        self._finish(-1 if length == MAX_PACKET_LEN else sequence)
        channel.skip = HEADER_LEN + length - len(held)
        return length < MAX_PACKET_LEN

    def interrupt(self, *, cut: bool) -> None:
        """The server speaks although nothing waits for it: a request under way is not answered as a whole one.

        `cut`: it becomes a cut one; else the bytes were none.
        """
        if not self.synced:
            self.give_up_sync()
        elif not self.idle and not self.channel.skip and not (cut and self.cut()):
            self.lose_framing()

    def _fits(self, data: bytes, pos: int) -> bool:
        """The packet at `pos` can stand here: a further part of a request, or a request."""
        if self._parts:
            return self.lenient or bool(data[pos + 3])
        if self.lenient:
            return is_request(data[pos : pos + 3] + b"\0" + data[pos + HEADER_LEN : pos + PLAUSIBLE_LEN], 0)
        return is_request(data, pos)

    def _keep(self, part: bytes) -> None:
        room = MAX_REQUEST_LEN - self._kept_len
        if len(part) > room:
            part = part[:room]
            self._cut = True
        self._kept_len += len(part)
        self._parts.append(part)

    def _finish(self, sequence: int) -> None:
        payload = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        request = Request(payload, self._first, self.channel.last_place(), sequence, self._cut)
        self._parts.clear()
        self._kept_len = 0
        self._cut = False
        self._take(request)
