"""What is known of every image by now, and what changes.

Committed writes change a status at once; `timeline.chain` does the same with the whole capture at hand. What a SELECT
or a response shows is believed for an image that nothing was known of. Where it contradicts what is known, the change
may simply not have been seen yet, so it is held back for `_SETTLES`; if no write has come by then, the change is told
as inferred. Memory is bounded: the images that nothing was heard of for longest are forgotten.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from glancetrace.correlate.hops import CLOCK_SLACK
from glancetrace.glance.call import ApiCall
from glancetrace.glance.statement import SqlStatement
from glancetrace.glance.status import TRANSIENT, is_legal
from glancetrace.live.notice import Emit, Notice
from glancetrace.timeline.chain import SUCCESS_STATUS
from glancetrace.timeline.evidence import Read, View, Write, collect_evidence
from glancetrace.timeline.image import INFERRED, OBSERVED

__all__ = ["ImageState", "Images"]

_KNOWN = 20_000
_SETTLES = 1_000_000_000
"""ns that a write may come after a sight of what it wrote."""


@dataclass(slots=True)
class _Sight:
    """A status that was shown and that no write explains; `since`: the moment that it is true of, at the earliest."""

    status: str
    since: int
    ts: int
    frame: int | None
    source: str


@dataclass(slots=True)
class ImageState:
    """An image: `since` (ns) is its last change, `active_ts` (ns) the last that was heard of it.

    `stuck_told`: that it does not go on was told. `written`: a write of its status was seen.
    """

    id: str
    name: str | None = None
    status: str | None = None
    since: int = 0
    active_ts: int = 0
    frames: tuple[int, ...] = ()
    stuck_told: bool = False
    written: bool = False
    sight: _Sight | None = None


class Images:
    """The images of a watch.

    Args:
        emit: gets the notices. stuck_after: ns of silence after which an image that is half-way is told.

    Attributes:
        changes: status changes so far.
    """

    def __init__(self, emit: Emit, stuck_after: int) -> None:
        self.changes = 0
        self._emit = emit
        self._stuck_after = stuck_after
        self._known: OrderedDict[str, ImageState] = OrderedDict()
        self._half_way: dict[str, ImageState] = {}
        self._doubted: dict[str, ImageState] = {}
        self._lossy = False

    def __len__(self) -> int:
        return len(self._known)

    def name_of(self, image_id: str | None) -> str | None:
        """Name of an image, as far as known."""
        state = self._known.get(image_id or "")
        return state.name if state is not None else None

    def statuses(self) -> dict[str, int]:
        """Status -> how many of the images that are known have it."""
        counts: dict[str, int] = {}
        for state in self._known.values():
            if state.status is not None:
                counts[state.status] = counts.get(state.status, 0) + 1
        return dict(sorted(counts.items()))

    def take_transaction(self, statements: list[SqlStatement]) -> None:
        """What a transaction read and wrote."""
        if any(statement.image_ids for statement in statements):
            ts = statements[-1].end_ts
            for image_id in dict.fromkeys(i for statement in statements for i in statement.image_ids):
                self._heard_of(image_id, ts)
        self._lossy = self._lossy or any(any(s.connection.bytes_missing) for s in statements)
        for evidence in collect_evidence(statements, [], {}).values():
            self._take(evidence.id, evidence.reads)
            for write in evidence.writes:
                self._write(evidence.id, write, evidence.reads)

    def take_call(self, call: ApiCall) -> None:
        """What a call showed of images, and implies by its success."""
        ts = call.response_ts or call.ts
        if call.image_id and (call.succeeded or call.image_id in self._known):
            state = self._heard_of(call.image_id, call.ts + (call.dur or 0))
            if call.image_name and state is not None:
                state.name = state.name or call.image_name
        for evidence in collect_evidence([], [call], {}).values():
            self._take(evidence.id, evidence.views)
        status = SUCCESS_STATUS.get(call.operation)
        if call.image_id and status and call.succeeded and call.service == "glance" and call.response_json is None:
            self._show(self._state(call.image_id), _Sight(status, call.ts, ts, call.response_frame, "api"))

    def tick(self, now: int, uploads: Collection[tuple[str, int]]) -> None:
        """Time goes on: what is overdue at `now` (ns); `uploads` are images whose data come, and when they last did."""
        for state in list(self._doubted.values()):
            sight = state.sight
            if sight is None:
                del self._doubted[state.id]
            elif now - sight.ts > _SETTLES:
                self._believe(state, sight)
        for state in self._half_way.values():
            last = max([state.active_ts, *(ts for image_id, ts in uploads if image_id == state.id)])
            if now - last > self._stuck_after and not state.stuck_told:
                state.stuck_told = True
                seconds = (now - last) // 1_000_000_000
                message = f"is {state.status}, and nothing was heard of it for {seconds} s"
                self._emit(Notice("finding", now, "image-stuck", message, state.id, state.name, state.frames))

    def settle(self) -> None:
        """Nothing follows: believe what was shown last."""
        self.tick(max((s.sight.ts for s in self._doubted.values() if s.sight), default=0) + _SETTLES + 1, ())

    def _state(self, image_id: str) -> ImageState:
        state = self._known.get(image_id)
        if state is None:
            state = self._known[image_id] = ImageState(image_id)
            while len(self._known) > _KNOWN:
                forgotten = self._known.popitem(last=False)[0]
                self._half_way.pop(forgotten, None)
                self._doubted.pop(forgotten, None)
        else:
            self._known.move_to_end(image_id)
        return state

    def _heard_of(self, image_id: str, ts: int) -> ImageState | None:
        """Something names an image; what never existed (a lookup by a wrong id) is not remembered for that."""
        state = self._known.get(image_id)
        if state is not None:
            state.active_ts = max(state.active_ts, ts)
        return state

    def _take(self, image_id: str, shown: Sequence[Read | View]) -> None:
        for sight in shown:
            state = self._state(image_id)
            self._name(state, sight.values)
            if isinstance(sight, Read):
                frame, source = sight.statement.command.response_frame, "sql"
            else:
                frame, source = sight.call.response_frame, "api"
            self._show(state, _Sight(str(sight.values["status"]), sight.since, sight.ts, frame, source))

    def _name(self, state: ImageState, values: Any) -> None:
        name = values.get("name")
        if isinstance(name, str) and name:
            state.name = name

    def _show(self, state: ImageState, sight: _Sight) -> None:
        """A status was shown."""
        state.active_ts = max(state.active_ts, sight.ts)
        if sight.status == state.status:
            return
        if state.status is None and sight.source == "api" and not state.written and sight.status == "queued":
            self._believe(state, sight)  # the answer to a create
        elif state.status is None:
            self._put(state, sight.status, sight.since, ())
        elif state.sight is None and sight.since > state.since + CLOCK_SLACK and _counts(state, sight):
            state.sight = sight
            self._doubted[state.id] = state

    def _believe(self, state: ImageState, sight: _Sight) -> None:
        frames = (sight.frame,) if sight.frame else ()
        self._change(state, state.status, sight.status, sight.ts, INFERRED, sight.source, frames)

    def _write(self, image_id: str, write: Write, reads: Sequence[Read]) -> None:
        """A row was written, by a transaction that made `reads` of the image; see `timeline.chain` for the rules."""
        change, statement = write.change, write.statement
        command = statement.command
        if change.table != "images" or statement.outcome != "committed" or command.affected_rows == 0:
            return
        state = self._state(image_id)
        self._name(state, change.values)
        state.active_ts = max(state.active_ts, write.ts)
        status = change.status_to
        if status is None:
            return
        creates = change.operation == "INSERT"
        frames = tuple(f for f in (command.request_frame, statement.commit_frame) if f is not None)
        before = None if creates else change.status_from or state.status
        state.written = True
        whole = command.complete and command.affected_rows is not None
        if write.ts < state.since:  # its packets had to wait for one that was lost: the image has gone on since
            if creates or (change.status_from is not None and change.status_from != status):
                self._tell(state, before, status, write.ts, OBSERVED if whole else INFERRED, "sql", frames)
            return
        if before is None and not creates:
            self._put(state, status, write.ts, frames)  # it may have had that status before
            return
        if change.status_from is not None and state.status not in (None, change.status_from):
            self._change(state, state.status, change.status_from, command.ts, INFERRED, "sql", frames[:1])
        if before == status:
            return
        if not (creates or change.status_from is not None or not self._lossy or _has_read(reads, command.ts, before)):
            whole = False  # a write in between may be missing
        self._change(state, before, status, write.ts, OBSERVED if whole else INFERRED, "sql", frames)

    def _put(self, state: ImageState, status: str, ts: int, frames: tuple[int, ...]) -> None:
        """An image has a status; nothing is told."""
        state.status, state.since, state.frames, state.stuck_told, state.sight = status, ts, frames, False, None
        self._doubted.pop(state.id, None)
        if status in TRANSIENT:
            self._half_way[state.id] = state
        else:
            self._half_way.pop(state.id, None)

    def _change(
        self,
        state: ImageState,
        before: str | None,
        after: str,
        ts: int,
        certainty: str,
        source: str,
        frames: tuple[int, ...],
    ) -> None:
        """A status changed."""
        self._put(state, after, ts, frames)
        self._tell(state, before, after, ts, certainty, source, frames)

    def _tell(
        self,
        state: ImageState,
        before: str | None,
        after: str,
        ts: int,
        certainty: str,
        source: str,
        frames: tuple[int, ...],
    ) -> None:
        """Tell a change, and also if Glance does not allow it."""
        self.changes += 1
        legal = is_legal(before, after)
        details = {"from": before, "to": after, "certainty": certainty, "legal": legal, "source": source}
        self._emit(Notice("status", ts, None, None, state.id, state.name, frames, details))
        if not legal and certainty == OBSERVED:
            message = f"went from {before or 'nothing'} to {after}, which Glance does not allow"
            self._emit(Notice("finding", ts, "status-illegal", message, state.id, state.name, frames))


def _counts(state: ImageState, sight: _Sight) -> bool:
    """The database is asked before the API: its responses count only where no write of the image's status is seen."""
    return sight.source == "sql" or not state.written


def _has_read(reads: Sequence[Read], until: int, status: str | None) -> bool:
    """The last that a transaction read of an image before `until` (ns) is `status`."""
    earlier = [read for read in reads if read.ts <= until]
    return bool(earlier) and earlier[-1].values["status"] == status
