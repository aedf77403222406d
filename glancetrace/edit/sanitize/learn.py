"""The first reading: what each connection says is decoded, secrets are learned, and plans are made.

The same recognition as for `analyze` decides what a connection speaks; then, in place of the decoders that make rows,
those run that say what may stay. Encrypted connections stay as they are, ciphertext and handshake, and so does nothing
that nobody decodes.
"""

from __future__ import annotations

from collections.abc import Callable

from glancetrace.edit.sanitize.http_spans import HttpSpans
from glancetrace.edit.sanitize.known import KnownSecrets
from glancetrace.edit.sanitize.mysql_blocks import DefinitionBlocks
from glancetrace.edit.sanitize.mysql_spans import MysqlSpans
from glancetrace.edit.sanitize.plan import ConnectionPlan, PlacedRun, StreamPlan, place
from glancetrace.net.run import Connection, Run
from glancetrace.streams import ConnectionDecoder, Stage

__all__ = ["KeptRun", "KeptRuns", "Learner"]

_RUN_LEN = 300
"""Bytes of memory that a run takes beside its payload."""


class StreamPlacer:
    """Counts the bytes of both directions, so that every run knows where it begins.

    `checks` of the plans get a frame per run, with the offset and the length of what the run has of its payload.
    """

    def __init__(self, streams: tuple[StreamPlan, StreamPlan]) -> None:
        self._streams = streams

    def place(self, run: Run) -> int:
        """Where the run begins."""
        stream = self._streams[run.direction]
        start = stream.end + run.gap
        if run.data:
            offsets = run.offsets
            stream.checks.extend((run.frames[0], start, offsets[1] if len(offsets) > 1 else len(run.data)))
        stream.end = start + len(run.data)
        return start


class _ProtocolSpans(ConnectionDecoder):
    """Recognises what a connection speaks, and has it planned."""

    def __init__(self, stage: Stage, plan: ConnectionPlan, known: KnownSecrets, blocks: DefinitionBlocks) -> None:
        super().__init__(stage, plan.connection)
        self.plan = plan
        self._known = known
        self._blocks = blocks
        self._http: HttpSpans | None = None
        self.mysql: MysqlSpans | None = None

    def _begin(self, protocol: str, run: Run) -> Callable[[Run], None]:
        if protocol == "http":
            self.plan.protocol = protocol
            self._http = HttpSpans(self.plan, self._known)
            return self._http.feed
        if protocol == "mysql":
            self.plan.protocol = protocol
            self.mysql = MysqlSpans(self.plan, self._known, self._blocks, self._begin_tls)
            return self._feed_mysql
        return self._ignore

    def _feed_mysql(self, run: Run) -> None:
        assert self.mysql is not None
        assert isinstance(run, PlacedRun)
        self.mysql.feed(run)

    def _begin_tls(self, run: Run | None) -> None:
        if self.plan.protocol == "unknown":
            self.plan.protocol = "tls"
        self.feed = self._keep
        if run is not None:
            self._keep(run)

    def _keep(self, run: Run) -> None:
        """Ciphertext: who has no keys learns nothing from it."""
        assert isinstance(run, PlacedRun)
        self.plan.streams[run.direction].keep(run.start, run.start + len(run.data))

    def close(self, ts: int, frame: int, how: str) -> None:
        super().close(ts, frame, how)
        if self._http is not None:
            self._http.close(ts, frame, how)
        if self.mysql is not None:
            self.mysql.close()


class _Consumer:
    """Places the runs of a connection before they are decoded."""

    def __init__(self, placer: StreamPlacer, decoder: _ProtocolSpans, kept: KeptRuns) -> None:
        self._place = placer.place
        self._decoder = decoder
        self._plan = decoder.plan
        self._keep = kept.add

    def feed(self, run: Run) -> None:
        """The next run."""
        start = self._place(run)
        if run.data:
            self._keep(self._plan, run, start)
        mysql = self._decoder.mysql
        if mysql is None or not mysql.take_whole(run, start):
            self._decoder.feed(place(run, start))

    def close(self, ts: int, frame: int, how: str) -> None:
        """The connection is over."""
        self._decoder.close(ts, frame, how)


KeptRun = tuple[ConnectionPlan, int, int, bytes]
"""Direction, offset and bytes of a run of a connection."""


class KeptRuns:
    """Bytes of the streams as they were read, as long as they are few: then they need not be read again to be searched.

    Attributes:
        runs: in the order of the wire. blocks: how many of them had come at the end of each block of packets.
        overflown: there were too many.
    """

    def __init__(self, limit: int) -> None:
        self.runs: list[KeptRun] = []
        self.blocks: list[int] = []
        self.overflown = False
        self._left = limit

    def add(self, plan: ConnectionPlan, run: Run, start: int) -> None:
        """A run that begins at `start`."""
        if self.overflown:
            return
        self._left -= len(run.data) + _RUN_LEN
        if self._left < 0:
            self.overflown = True
            self.runs.clear()
        else:
            self.runs.append((plan, run.direction, start, run.data))

    def end_block(self) -> None:
        """A block of packets was taken."""
        self.blocks.append(len(self.runs))


class Learner:
    """Makes the consumers of the first reading.

    Attributes:
        plans: of the connections that are of interest, in no order.
    """

    def __init__(self, stage: Stage, known: KnownSecrets, kept: KeptRuns) -> None:
        self._stage = stage
        self._known = known
        self._kept = kept
        self._blocks = DefinitionBlocks()
        self.plans: list[ConnectionPlan] = []

    def consumer(self, connection: Connection) -> _Consumer:
        """What takes the runs of a connection."""
        plan = ConnectionPlan(connection)
        self.plans.append(plan)
        decoder = _ProtocolSpans(self._stage, plan, self._known, self._blocks)
        return _Consumer(StreamPlacer(plan.streams), decoder, self._kept)
