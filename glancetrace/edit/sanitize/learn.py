"""The first reading: what each connection says is decoded, secrets are learned, and plans are made.

The same recognition as for `analyze` decides what a connection speaks; then, in place of the decoders that make rows,
those run that say what may stay. Encrypted connections stay as they are, ciphertext and handshake, and so does nothing
that nobody decodes.
"""

from __future__ import annotations

from collections.abc import Callable

from glancetrace.edit.sanitize.http_spans import HttpSpans
from glancetrace.edit.sanitize.known import KnownSecrets
from glancetrace.edit.sanitize.mysql_spans import DefinitionBlocks, MysqlSpans
from glancetrace.edit.sanitize.plan import ConnectionPlan, PlacedRun, StreamPlan, place
from glancetrace.net.run import Connection, Run
from glancetrace.streams import ConnectionDecoder, Stage

__all__ = ["Learner", "StreamPlacer"]


class StreamPlacer:
    """Counts the bytes of both directions, so that every run knows where it begins.

    `checks` of the plans get a frame per run, with the offset and the length of what the run has of its payload.
    """

    def __init__(self, streams: tuple[StreamPlan, StreamPlan]) -> None:
        self._streams = streams

    def place(self, run: Run) -> PlacedRun:
        """The run with its place."""
        stream = self._streams[run.direction]
        start = stream.end + run.gap
        if run.data:
            offsets = run.offsets
            first = offsets[1] if len(offsets) > 1 else len(run.data)
            stream.checks.append((run.frames[0], start, first))
            if len(offsets) > 1:
                stream.checks.append((run.frames[-1], start + offsets[-1], len(run.data) - offsets[-1]))
        stream.end = start + len(run.data)
        return place(run, start)


class _ProtocolSpans(ConnectionDecoder):
    """Recognises what a connection speaks, and has it planned."""

    def __init__(self, stage: Stage, plan: ConnectionPlan, known: KnownSecrets, blocks: DefinitionBlocks) -> None:
        super().__init__(stage, plan.connection)
        self._plan = plan
        self._known = known
        self._blocks = blocks
        self._http: HttpSpans | None = None
        self._mysql: MysqlSpans | None = None

    def _begin(self, protocol: str, run: Run) -> Callable[[Run], None]:
        if protocol == "http":
            self._plan.protocol = protocol
            self._http = HttpSpans(self._plan, self._known)
            return self._http.feed
        if protocol == "mysql":
            self._plan.protocol = protocol
            self._mysql = MysqlSpans(self._plan, self._known, self._blocks, self._begin_tls)
            return self._feed_mysql
        return self._ignore

    def _feed_mysql(self, run: Run) -> None:
        assert self._mysql is not None
        assert isinstance(run, PlacedRun)
        self._mysql.feed(run)

    def _begin_tls(self, run: Run | None) -> None:
        if self._plan.protocol == "unknown":
            self._plan.protocol = "tls"
        self.feed = self._keep
        if run is not None:
            self._keep(run)

    def _keep(self, run: Run) -> None:
        """Ciphertext: who has no keys learns nothing from it."""
        assert isinstance(run, PlacedRun)
        self._plan.streams[run.direction].keep(run.start, run.start + len(run.data))

    def close(self, ts: int, frame: int, how: str) -> None:
        super().close(ts, frame, how)
        if self._http is not None:
            self._http.close(ts, frame, how)
        if self._mysql is not None:
            self._mysql.close()


class Learner:
    """Makes the consumers of the first reading.

    Attributes:
        plans: of the connections that are of interest, in no order.
    """

    def __init__(self, stage: Stage, known: KnownSecrets) -> None:
        self._stage = stage
        self._known = known
        self._blocks = DefinitionBlocks()
        self.plans: list[ConnectionPlan] = []

    def consumer(self, connection: Connection) -> _Consumer:
        """What takes the runs of a connection."""
        plan = ConnectionPlan(connection)
        self.plans.append(plan)
        return _Consumer(StreamPlacer(plan.streams), _ProtocolSpans(self._stage, plan, self._known, self._blocks))


class _Consumer:
    """Places the runs of a connection before they are decoded."""

    def __init__(self, placer: StreamPlacer, decoder: ConnectionDecoder) -> None:
        self._place = placer.place
        self._decoder = decoder

    def feed(self, run: Run) -> None:
        """The next run."""
        self._decoder.feed(self._place(run))

    def close(self, ts: int, frame: int, how: str) -> None:
        """The connection is over."""
        self._decoder.close(ts, frame, how)
