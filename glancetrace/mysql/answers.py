"""Which bytes of the server answer which command.

Responses come in the order of the commands, so what the server sends belongs to the head of the `Pipeline` as long as
all bytes are there. Where bytes are missing, three things tell:

- A client that waits for answers has got one when it sends the next request: behind a gap of the server only the newest
  command can still be answered.
- A response that follows a gap is held in doubt until the client goes on. If bytes of the client are missing there, or
  the server goes on unasked, it may have answered a request that nobody has seen, and is nobody's.
- The same holds for the first response of a session that was joined: what is missing before it is not told as a gap.
"""

from __future__ import annotations

from glancetrace.mysql.command import ColumnPolicy, MysqlCommand
from glancetrace.mysql.commands import response_form
from glancetrace.mysql.packets import Channel
from glancetrace.mysql.pipeline import Pipeline, forget_response
from glancetrace.mysql.replies import make_reader
from glancetrace.mysql.response import Outcome, ResponseReader
from glancetrace.net.run import FROM_SERVER, Run

__all__ = ["Answers"]


class Answers:
    """Reads the responses to the commands of a pipeline, which goes on with each.

    Attributes:
        channel: the server's bytes.
        reader: of the response under way, None between responses.
        deprecate_eof: whether OK packets stand in place of EOF packets, None as long as that is not known.
        clean: all server bytes before the head's response are accounted for: bytes that are missing now are its own.
    """

    __slots__ = (
        "_doubtful",
        "_early",
        "_pipeline",
        "_policy",
        "_suspect",
        "_unasked",
        "channel",
        "clean",
        "deprecate_eof",
        "reader",
    )

    def __init__(self, pipeline: Pipeline, policy: ColumnPolicy) -> None:
        self.channel = Channel()
        self.reader: ResponseReader | None = None
        self.deprecate_eof: bool | None = None
        self.clean = False
        self._pipeline = pipeline
        self._policy = policy
        self._suspect = True
        """Server bytes are missing, and what comes next may or may not be the head's response. Before the first answer
        of a session that was joined bytes may be missing without being told as a gap."""
        self._doubtful: ResponseReader | None = None
        """A response that was complete under suspicion; whether a request is missing behind it will tell."""
        self._early = False
        """The session was joined and began with server bytes: perhaps the answer to a request captured after it."""
        self._unasked = False
        """Client bytes are missing behind the newest request: the next answer may be that of a missing one."""

    @property
    def idle(self) -> bool:
        """No response is under way, and the next bytes are the head's response."""
        return self.clean and self.reader is None and not self.channel.available and not self.channel.skip

    def begin(self, *, deprecate_eof: bool) -> None:
        """The session's start was seen, and no command yet."""
        self.deprecate_eof = deprecate_eof
        self.clean, self._suspect = True, False

    def read(self) -> bool:
        """Consume what is there; false when it cannot be an answer, so that what was taken for a command was none."""
        channel, pipeline = self.channel, self._pipeline
        fits = True
        while channel.available:
            # A server that goes on without being asked has answered a request that is not there.
            self.settle_doubt(believed=False)
            head = pipeline.head
            if head is None:
                self._early = self._early or not (pipeline.confirmed or pipeline.ordinal)
                channel.clear()
                break
            reader = self.reader
            if reader is None:
                reader = self.reader = make_reader(
                    response_form(pipeline.code),
                    head,
                    pipeline.prepared,
                    None if pipeline.sequence < 0 else pipeline.sequence,
                    self.deprecate_eof,
                    self._policy,
                )
            outcome = reader.read(channel)
            if outcome is Outcome.MORE:
                break
            if outcome is Outcome.DONE or reader.perhaps_done:
                self._finish(reader)
            elif pipeline.confirmed:
                self.abandon()
            else:
                self.reader = None
                pipeline.retract()
                fits = False
        return fits

    def expect(self, frame: int) -> None:
        """A request that begins in `frame` is complete: what is to be thought of the commands before it."""
        pipeline = self._pipeline
        self._unasked = False
        while self._suspect and pipeline.head is not None and not self._is_sent_along(pipeline.head, frame):
            # A client that waits for answers has got one.
            self.abandon()
        if pipeline.head is None:
            self.channel.clear()
            self._suspect = not pipeline.confirmed

    def _is_sent_along(self, command: MysqlCommand, frame: int) -> bool:
        """A client that does not wait for answers has sent the request that begins in `frame` with `command`."""
        return not (self._pipeline.confirmed or self._early) and command.request_frame == frame

    def pass_gap(self, gap: int) -> None:
        """`gap` bytes of the server are missing here."""
        reader, pipeline = self.reader, self._pipeline
        if reader is not None and reader.survives_gap(self.channel, gap):
            return
        if reader is not None or (self.clean and pipeline.head is not None):
            self.abandon()
        while pipeline.waiting or (self._unasked and pipeline.head is not None):
            self.abandon()
        self.channel.clear()
        self._suspect = pipeline.head is not None

    def pass_client_gap(self) -> None:
        """Bytes of the client are missing, perhaps whole requests: if bytes of the server are, too, nobody knows what
        the next response answers."""
        if self._suspect and self.reader is None:
            self.abandon_all()
        self._unasked = self._pipeline.head is not None
        self.clean = self.clean and self._unasked

    def settle_doubt(self, *, believed: bool) -> None:
        """A response followed missing bytes. Unless a request is missing, too, it must be the head's."""
        reader = self._doubtful
        if reader is None:
            return
        self._doubtful = None
        if believed:
            self._complete(reader)
        else:
            self._suspect = True
            self.abandon()

    def finish_if_perhaps_done(self) -> None:
        """The client goes on, or nobody does: nothing more belongs to the response under way."""
        reader = self.reader
        if reader is not None and reader is not self._doubtful and reader.perhaps_done and not self.channel.available:
            self._finish(reader)

    def abandon(self) -> None:
        """The rest of the head's response will not be seen."""
        reader = self.reader
        self.clean = False
        if reader is not None and self._suspect:
            forget_response(reader.command)
        elif reader is not None and reader.command.response_ts is not None:
            reader.command.response_end_ts, reader.command.response_frame = reader.seen_until(self.channel)
        self.reader = None
        self._pipeline.abandon()

    def abandon_all(self) -> None:
        """No more bytes come."""
        while self._pipeline.head is not None:
            self.abandon()

    def stop(self) -> None:
        """Nothing is read any more, and what was not answered was no command."""
        self._pipeline.retract()
        self.reader = None
        self.channel.clear()

    def take_rest(self) -> Run | None:
        """The unconsumed bytes, for another decoder."""
        return self.channel.take_run(FROM_SERVER)

    def _finish(self, reader: ResponseReader) -> None:
        """The response is complete; the server's channel stands behind it."""
        command = reader.command
        command.response_end_ts, command.response_frame = self.channel.last_place()
        if self._suspect and not self._pipeline.waiting:
            self._doubtful = reader
        else:
            self._complete(reader)

    def _complete(self, reader: ResponseReader) -> None:
        """The response is the head's."""
        self._suspect = False
        if reader.deprecate_eof is not None:
            self.deprecate_eof = reader.deprecate_eof
        self.reader = None
        self.clean = True
        self._pipeline.finish(reader.prepared, reader.schema, damaged=reader.damaged)
