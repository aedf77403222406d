"""Builds the chain of status changes of one image from the database's statements.

Committed writes make the chain; a guarded one (`WHERE status = 'x'`) also tells the status before it. One that is not
guarded starts from where the chain stands; where packets are missing that is observed only if its own transaction has
read that status, for the write in between may be among them. A write whose COMMIT was not seen counts where what comes
later starts from the status that it wrote. Reads are held against the
chain: each must show a status that the image can have had at some moment of its window; one that does not means that a
change is missing in the capture, which is inferred, never observed. The first evidence gives the status of an image
that is older than the capture. Responses of the API only confirm (`source`), for what they show may never have been
committed; an image of which there is no SQL has its chain from them alone, see `from_api`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from glancetrace.correlate.hops import CLOCK_SLACK
from glancetrace.glance.status import STATUSES, TRANSITIONS, ImageStatus, is_legal
from glancetrace.timeline.evidence import ImageEvidence, Read, Write
from glancetrace.timeline.image import INFERRED, OBSERVED, Transition

__all__ = ["SUCCESS_STATUS", "Chain", "Change", "build_chain"]

_COMMITTED = "committed"
_UNKNOWN = "unknown"

SUCCESS_STATUS = {
    "image-create": "queued",
    "image-upload": "active",
    "image-stage": "uploading",
    "image-deactivate": "deactivated",
    "image-reactivate": "active",
    "image-delete": "deleted",
}
"""Status that the success of an operation implies."""


@dataclass(slots=True)
class Change:
    """A link of the chain.

    `sent` (ns): earlier than that nobody can have seen it. `until` (ns): so long the status before it may have been
    seen; later than the change's own time where its COMMIT is missing. `guarded`: the statement itself tells the status
    before.
    """

    transition: Transition
    sent: int
    guarded: bool = False
    until: int = 0


@dataclass(slots=True)
class Chain:
    """Status changes of one image.

    `first_status`, `first_ts` (ns): the status of an image that is older than its first change, and how sure it is
    (`certainty`); None for an image that was created, or of which no status is known.
    """

    changes: list[Change] = field(default_factory=list)
    first_status: str | None = None
    first_ts: int = 0
    certainty: str | None = None

    @property
    def status(self) -> str | None:
        """Status at the end."""
        return self.changes[-1].transition.to_status if self.changes else self.first_status

    @property
    def transitions(self) -> list[Transition]:
        """The changes as rows."""
        return [change.transition for change in self.changes]

    def begin(self, status: str, ts: int, certainty: str) -> None:
        """The image had a status before anything was seen to happen to it."""
        self.first_status, self.first_ts, self.certainty = status, ts, certainty

    def possible(self, since: int, until: int) -> set[str]:
        """Statuses that the image can have shown to someone who looked at some moment in [since, until] (ns)."""
        possible = set()
        status, begins = self.first_status, 0
        for change in self.changes:
            if (
                status is not None
                and begins <= until
                and since <= max(change.transition.ts, change.until) + CLOCK_SLACK
            ):
                possible.add(status)
            status, begins = change.transition.to_status, change.sent - CLOCK_SLACK
        if status is not None and begins <= until:
            possible.add(status)
        return possible


@dataclass(slots=True)
class _Step:
    """A write of the status that may be part of the chain."""

    write: Write
    from_status: str | None
    to_status: str
    creates: bool
    open: bool
    certainty: str

    @property
    def sent(self) -> int:
        """When its statement was sent, ns."""
        return self.write.statement.command.ts


def build_chain(evidence: ImageEvidence, *, lossy: bool = False) -> Chain:
    """The chain of an image by its SQL; `lossy`: statements may be missing in the capture."""
    steps = _steps(evidence)
    chain = _chain_from_writes(steps, evidence, lossy=lossy)
    _infer_from_reads(chain, evidence.reads)
    _mark_confirmed(chain, evidence)
    return chain


def _steps(evidence: ImageEvidence) -> list[_Step]:
    """Writes of the status that took effect, or may have, in the order in which they did."""
    steps = []
    for write in evidence.writes:
        change, statement = write.change, write.statement
        command = statement.command
        if change.table != "images" or change.status_to is None or command.affected_rows == 0:
            continue
        if statement.outcome not in (_COMMITTED, _UNKNOWN):
            continue
        # Without its own OK nobody knows whether the statement found its row.
        whole = statement.outcome == _COMMITTED and command.complete and command.affected_rows is not None
        steps.append(
            _Step(
                write,
                change.status_from,
                change.status_to,
                change.operation == "INSERT",
                statement.outcome == _UNKNOWN,
                OBSERVED if whole else INFERRED,
            )
        )
    steps.sort(key=lambda step: (step.write.ts, step.write.statement.id))
    return steps


def _chain_from_writes(steps: list[_Step], evidence: ImageEvidence, *, lossy: bool) -> Chain:
    chain = Chain()
    reads = evidence.reads
    if reads and (not steps or _shows_before(reads[0], steps[0])):
        _begin_with(chain, reads[0])
    open_steps: list[_Step] = []
    for step in steps:
        if step.open:
            open_steps.append(step)
            continue
        if open_steps:
            # A write without a guard, of a status that an open one wrote, writes what was there.
            shown = [(step.sent, step.from_status)]
            if step.from_status is None:
                shown = [*_shown(evidence, open_steps, step.sent), (step.sent, step.to_status)]
            _settle_open(chain, open_steps, shown)
            open_steps.clear()
            if chain.status is None and reads and _shows_before(reads[0], step):  # the open ones had no effect
                _begin_with(chain, reads[0])
        sure = not lossy or step.creates or step.from_status is not None or _has_read(evidence, step, chain.status)
        _append(chain, step, step.certainty if sure else INFERRED)
    if open_steps:
        _settle_open(chain, open_steps, _shown(evidence, open_steps, 1 << 63))
    return chain


def _begin_with(chain: Chain, read: Read) -> None:
    chain.begin(str(read.values["status"]), read.ts, OBSERVED)


def _shows_before(read: Read, first: _Step) -> bool:
    """A read shows the status before the first write; one that ends while it is under way may show that after it."""
    if first.creates:
        return False
    if first.from_status is None and read.values["status"] != first.to_status:
        return read.ts <= first.write.ts
    return read.ts < first.sent


def _has_read(evidence: ImageEvidence, step: _Step, status: str | None) -> bool:
    """The last that the write's own unit of work read of the image before it is `status`."""
    unit = step.write.statement.unit_id
    own = [read for read in evidence.reads if read.statement.unit_id == unit and read.ts <= step.sent]
    return bool(own) and own[-1].values["status"] == status


def _shown(evidence: ImageEvidence, open_steps: list[_Step], until: int) -> list[tuple[int, str | None]]:
    """When (ns) and which statuses were seen after open writes and before `until`; a call's own answer comes after."""
    since = open_steps[0].write.ts
    own = {step.write.call_id for step in open_steps}
    seen = [(read.ts, read.values["status"]) for read in evidence.reads if read.since > since]
    seen += [
        (v.ts, v.values["status"]) for v in evidence.views if v.since > since or (v.call.id in own and v.ts > since)
    ]
    for call in evidence.calls:
        status = SUCCESS_STATUS.get(call.operation)
        if call.id in own and status and call.response_ts and call.succeeded:
            seen.append((call.response_ts, status))
    seen.sort()
    return [(ts, status) for ts, status in seen if ts < until]


def _settle_open(chain: Chain, open_steps: list[_Step], shown: Iterable[tuple[int, str | None]]) -> None:
    """Writes whose COMMIT was not seen count when the status that they wrote shows later."""
    left = list(open_steps)
    for ts, status in shown:
        if left and left[0].creates and chain.status is None:
            _append(chain, left.pop(0), INFERRED)
        wrote = [index for index, step in enumerate(left) if step.to_status == status]
        if status == chain.status or not wrote:
            continue
        shows = left[wrote[0]]
        for step in left[: wrote[0] + 1]:
            fits = step.from_status in (None, chain.status) or chain.status is None
            if fits or (step is shows and step.from_status in _reachable(chain.status)):
                _append(chain, step, INFERRED, until=ts)
        del left[: wrote[0] + 1]


def _append(chain: Chain, step: _Step, certainty: str, until: int = 0) -> None:
    before = chain.status
    guarded = step.creates or step.from_status is not None
    if step.creates:
        before = None
    elif before is None:
        if step.from_status is None:
            # An UPDATE of an image never seen before: it may write the status that the image already had.
            chain.begin(step.to_status, step.write.ts, INFERRED)
            return
        before = step.from_status
        chain.begin(before, step.sent, OBSERVED if certainty == OBSERVED else INFERRED)
    elif step.from_status is not None and step.from_status != before:
        # It was so when this statement was sent, though the change before may have become true only after that.
        ts = max(step.sent, chain.changes[-1].transition.ts if chain.changes else chain.first_ts)
        chain.changes.append(_inferred(before, step.from_status, ts, step.write.statement.command.request_frame))
        before = step.from_status
    if before == step.to_status:
        return
    statement = step.write.statement
    transition = Transition(
        from_status=before,
        to_status=step.to_status,
        ts=step.write.ts,
        source="sql",
        certainty=certainty,
        legal=_is_legal(before, step.to_status, certainty),
        statement_id=statement.id,
        call_id=step.write.call_id,
        frame=statement.command.request_frame,
        commit_frame=statement.commit_frame,
    )
    chain.changes.append(Change(transition, step.sent, guarded, until))


def _inferred(before: str | None, after: str, ts: int, frame: int | None) -> Change:
    """A change, or several, of which there is no statement; it shows at `ts` for the first time."""
    legal = _is_legal(before, after, INFERRED)
    return Change(Transition(before, after, ts, "sql", INFERRED, legal, None, None, frame, None), ts)


def _is_legal(before: str | None, after: str, certainty: str) -> bool:
    """Glance allows the change; what is not observed may stand for several changes."""
    return is_legal(before, after) or (certainty != OBSERVED and after in _reachable(before))


def _reachable(status: str | None) -> set[str]:
    """Statuses that some legal way leads to."""
    found: set[str] = set()
    ahead = [status] if status in STATUSES else []
    while ahead:
        for after in TRANSITIONS.get(ImageStatus(ahead.pop()), ()):
            if after.value not in found:
                found.add(after.value)
                ahead.append(after.value)
    return found


def _infer_from_reads(chain: Chain, reads: Sequence[Read]) -> None:
    """Insert a change where a read shows a status that no seen change explains."""
    changes = chain.changes
    for read in reads:
        status = read.values["status"]
        if not isinstance(status, str) or (not changes and status == chain.first_status):
            continue
        if chain.status is None:
            chain.begin(status, read.ts, OBSERVED)
            continue
        if status in chain.possible(read.since, read.ts):
            continue
        if chain.first_status is None and read.ts < changes[0].transition.ts:
            continue
        index = next((i for i, change in enumerate(changes) if change.transition.ts > read.ts), len(changes))
        frame = read.statement.command.response_frame
        before = changes[index - 1].transition.to_status if index else chain.first_status
        if not index:  # reads that overlap: the first that was sent need not be the first that was answered
            chain.first_ts = min(chain.first_ts, read.ts)
        if index < len(changes) and _is_inferred_as(changes[index].transition, status):
            # An earlier sight of the status tells its time better.
            changes[index] = _inferred(before, status, read.ts, frame)
            continue
        changes.insert(index, _inferred(before, status, read.ts, frame))
        if index + 1 < len(changes):
            _mend_next(changes, index + 1)


def _is_inferred_as(transition: Transition, status: str) -> bool:
    """It is a change to `status` of which there is no statement."""
    return transition.statement_id is None and transition.to_status == status


def _mend_next(changes: list[Change], index: int) -> None:
    """Let a change start from the status that the inferred one before it ends with."""
    status, following = changes[index - 1].transition.to_status, changes[index]
    transition = following.transition
    if transition.from_status == status:
        return
    if following.guarded and transition.from_status is not None:
        ts = max(following.sent, changes[index - 1].transition.ts)
        changes.insert(index, _inferred(status, transition.from_status, ts, transition.frame))
    elif transition.to_status == status:
        del changes[index]
    else:
        transition.from_status = status
        transition.legal = _is_legal(status, transition.to_status, transition.certainty)


def _mark_confirmed(chain: Chain, evidence: ImageEvidence) -> None:
    """`source` both: an API response shows the status while it held, or the success of its own call implies it."""
    success = {call.id: SUCCESS_STATUS.get(call.operation) for call in evidence.calls if call.succeeded}
    views = [(view.values["status"], view.since, view.ts) for view in evidence.views]
    transitions = chain.transitions
    for index, transition in enumerate(transitions):
        status, ts = transition.to_status, transition.ts
        if transition.call_id is not None and success.get(transition.call_id) == status:
            transition.source = "both"
            continue
        until = transitions[index + 1].ts if index + 1 < len(transitions) else 1 << 63
        if any(shown == status and seen >= ts and since <= until for shown, since, seen in views):
            transition.source = "both"
