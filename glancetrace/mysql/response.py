"""The response to one command: its packets, until it is complete. What the packets say is up to subclasses.

MySQL Server documentation, "MySQL Packets", "Generic Response Packets"; MariaDB, "ERR_Packet" (progress reports). The
sequence ids of a response count on from the request's; a packet that breaks the count does not belong to it.
"""

from __future__ import annotations

from enum import Enum, auto

from glancetrace.mysql.command import MysqlCommand
from glancetrace.mysql.constants import MAX_PACKET_LEN, ServerStatus
from glancetrace.mysql.packets import HEADER_LEN, Channel
from glancetrace.mysql.prepared import Prepared
from glancetrace.mysql.session_state import PROGRESS_REPORT, parse_err, parse_ok, tracked_schema

__all__ = ["Outcome", "ResponseReader", "is_eof"]

_MORE_RESULTS = int(ServerStatus.SERVER_MORE_RESULTS_EXISTS)
_EOF_LEN = 5
_MAX_PARTS = 4
"""Full packets of one payload that are held; a row that goes on is dropped."""

_MAX_FIRST_LEN = 1 << 16
"""No response begins with a longer packet; in bytes that are no response, lengths are random."""


class Outcome(Enum):
    """What reading came to."""

    MORE = auto()
    """More bytes are needed."""
    DONE = auto()
    """The response is complete."""
    LOST = auto()
    """The next packet does not belong to this response."""


def is_eof(first: int, length: int) -> bool:
    """An EOF packet, and no OK packet that stands in its place (CLIENT_DEPRECATE_EOF; at least 7 bytes)."""
    return first == 0xFE and length == _EOF_LEN


class ResponseReader:
    """Reads the response of `command`.

    Attributes:
        prepared: the statement that the response is about.
        sequence: sequence id that the next packet must have, None when any will do.
        deprecate_eof: whether OK packets stand in place of EOF packets, None as long as that is not known.
        takes_client_data: the client sends further packets before the response goes on.
        takes_file: these are file data (LOCAL INFILE), up to an empty packet.
        perhaps_done: complete, unless one more EOF packet follows (capabilities not known).
        damaged: bytes are missing within rows.
        schema: schema that the session changed to, if the response says so.
    """

    __slots__ = (
        "_begun",
        "_done",
        "_parts",
        "command",
        "damaged",
        "deprecate_eof",
        "perhaps_done",
        "prepared",
        "schema",
        "sequence",
        "takes_client_data",
        "takes_file",
    )

    def __init__(
        self, command: MysqlCommand, prepared: Prepared | None, sequence: int | None, deprecate_eof: bool | None
    ) -> None:
        self.command = command
        self.prepared = prepared
        self.sequence = sequence
        self.deprecate_eof = deprecate_eof
        self.takes_client_data = False
        self.takes_file = False
        self.perhaps_done = False
        self.damaged = False
        self.schema: str | None = None
        self._parts: list[bytes] = []
        self._begun = False
        self._done = False

    def read(self, channel: Channel) -> Outcome:
        """Consume what belongs to the response."""
        command = self.command
        while not self._done:
            available = channel.available
            if available and command.response_ts is None:
                command.response_ts = channel.place(channel.pos)[0]
            if available < HEADER_LEN:
                channel.need = HEADER_LEN
                return Outcome.MORE
            data, pos = channel.data, channel.pos
            length = data[pos] | data[pos + 1] << 8 | data[pos + 2] << 16
            sequence = data[pos + 3]
            if (self.sequence is not None and sequence != self.sequence) or (
                not self._begun and length > _MAX_FIRST_LEN
            ):
                return Outcome.LOST
            if length and available == HEADER_LEN:
                channel.need = HEADER_LEN + 1
                return Outcome.MORE
            if not self._skips(data[pos + HEADER_LEN] if length else -1, length):
                if available < HEADER_LEN + length:
                    channel.need = HEADER_LEN + length
                    return Outcome.MORE
                if not self._take(data, pos + HEADER_LEN, length):
                    return Outcome.LOST
            self._begun = True
            channel.consume(HEADER_LEN + length)
            if self.sequence is not None:
                self.sequence = sequence + 1 & 0xFF
            if channel.skip:
                return Outcome.MORE
        return Outcome.DONE

    def seen_until(self, channel: Channel) -> tuple[int, int]:
        """Time and frame of the last byte that was read, or else of the first one that is there."""
        return channel.last_place() if self._begun else channel.place(channel.pos)

    def survives_gap(self, channel: Channel, gap: int) -> bool:
        """Bytes are missing: true when they all lie in a packet that may miss bytes, so that the next one is known."""
        if not channel.skip:
            held = channel.take()
            if len(held) <= HEADER_LEN:
                return False
            length = int.from_bytes(held[:3], "little")
            if gap > HEADER_LEN + length - len(held) or not self._drops(held[HEADER_LEN], length):
                return False
            if self.sequence is not None:
                self.sequence = held[3] + 1 & 0xFF
            channel.consume(HEADER_LEN + length)
        if gap > channel.skip:
            return False
        channel.skip -= gap
        self.damaged = True
        return True

    def client_sent(self, sequence: int, length: int) -> None:
        """The client sent a packet of file data or authentication; an empty one ends file data."""
        self.sequence = None
        if self.takes_file and not length:
            self.takes_client_data = self.takes_file = False
            self.sequence = sequence + 1 & 0xFF

    def _skips(self, first: int, length: int) -> bool:
        """The packet is understood by its header and `first` byte (-1 without one): its payload need not be there."""
        return False

    def _drops(self, first: int, length: int) -> bool:
        """The packet, of which bytes are missing, is taken without them; false when it is needed whole."""
        return False

    def _take_packet(self, data: bytes, start: int, end: int, first: int) -> bool:
        """A whole payload, `data[start:end]`, of which `first` is the first byte (-1 without one); false when it
        cannot stand here."""
        raise NotImplementedError

    def _take(self, data: bytes, start: int, length: int) -> bool:
        """A packet: further parts of a payload are joined, errors end the response."""
        end = start + length
        if length == MAX_PACKET_LEN:
            if len(self._parts) == _MAX_PARTS:
                return self._drops(data[start], length)
            self._parts.append(data[start:end])
            return True
        if self._parts:
            data = b"".join([*self._parts, data[start:end]])
            start, end = 0, len(data)
            self._parts.clear()
        first = data[start] if end > start else -1
        if first != 0xFF:
            return self._take_packet(data, start, end, first)
        error = parse_err(data, start, end)
        if error is None:
            return False
        if error.code != PROGRESS_REPORT:
            self.command.error = error
            self._done = True
        return True

    def _take_ok(self, data: bytes, start: int, end: int, *, of_rows: bool) -> bool:
        """OK packet: ends the response, or this result of it. `of_rows`: it stands where an EOF packet would."""
        ok = parse_ok(data, start, end)
        if ok is None:
            return False
        if not of_rows:
            self.command.affected_rows = ok.affected_rows
            self.command.last_insert_id = ok.last_insert_id
        schema = tracked_schema(data, ok, end)
        if schema is not None:
            self.schema = schema
        self._end_result(ok.status_flags)
        return True

    def _take_end_of_rows(self, data: bytes, start: int, end: int) -> bool:
        """EOF packet, or OK packet in its place."""
        if end - start > _EOF_LEN:
            return self._take_ok(data, start, end, of_rows=True)
        if end - start == _EOF_LEN:
            self._end_result(data[start + 3] | data[start + 4] << 8)
        return end - start == _EOF_LEN

    def _end_result(self, status_flags: int) -> None:
        """A result is complete; the response is, too, unless the flags say that there are more results."""
        self.command.status_flags = status_flags
        self._done = not status_flags & _MORE_RESULTS
