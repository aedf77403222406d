"""Builds the chain of status changes of one image from its evidence.

Committed writes make the chain. Reads and API views are held against it: each must show a status that the image can
have had at some moment of its window. The first evidence gives the status of an image that is older than the capture.
A view that fits no such status means that a change is missing in the capture: it is inferred, never observed.
"""

from __future__ import annotations

from dataclasses import dataclass

from glancetrace.glance.call import ApiCall
from glancetrace.glance.status import is_legal
from glancetrace.timeline.evidence import ImageEvidence, Read, Write
from glancetrace.timeline.image import ASSUMED, INFERRED, OBSERVED, Transition

__all__ = ["Chain", "build_chain"]

_COMMITTED = "committed"
_UNKNOWN = "unknown"

_SUCCESS_STATUS = {
    "image-create": "queued",
    "image-upload": "active",
    "image-stage": "uploading",
    "image-deactivate": "deactivated",
    "image-reactivate": "active",
    "image-delete": "deleted",
}
"""Status that the success of an operation implies."""


@dataclass(slots=True)
class Chain:
    """Status changes of one image.

    `first_status`, `first_ts` (ns), `first_frame`: the status of its first evidence and how sure it is (`certainty`);
    None and no transitions for an image of which no status is known.
    """

    transitions: list[Transition]
    first_status: str | None
    first_ts: int
    first_frame: int
    certainty: str | None

    @property
    def status(self) -> str | None:
        """Status at the end."""
        return self.transitions[-1].to_status if self.transitions else self.first_status


@dataclass(slots=True)
class _Step:
    """A write to the status that may be part of the chain."""

    write: Write
    from_status: str | None
    to_status: str
    creates: bool
    certain: bool


def build_chain(evidence: ImageEvidence) -> Chain:
    """The chain of an image; from the API alone where no SQL of the image is in the capture."""
    steps = _steps(evidence)
    if not steps and not evidence.reads:
        return _chain_from_api(evidence)
    chain = _chain_from_writes(steps, evidence.reads)
    _infer_from_reads(chain, evidence.reads)
    _mark_confirmed(chain, evidence)
    return chain


def _steps(evidence: ImageEvidence) -> list[_Step]:
    """Writes of the status that took effect, in the order in which they did."""
    steps = []
    for write in evidence.writes:
        change, statement = write.change, write.statement
        if change.table != "images" or change.status_to is None or statement.outcome not in (_COMMITTED, _UNKNOWN):
            continue
        if statement.command.affected_rows == 0:
            continue
        certain = statement.outcome == _COMMITTED and statement.command.complete
        steps.append(_Step(write, change.status_from, change.status_to, change.operation == "INSERT", certain))
    # A write whose transaction's end is not known counts only where later evidence needs it.
    steps.sort(key=lambda step: (step.write.ts, step.write.statement.id))
    return steps


def _chain_from_writes(steps: list[_Step], reads: list[Read]) -> Chain:
    chain = Chain([], None, 0, 0, None)
    open_steps: list[_Step] = []
    if reads and (not steps or reads[0].ts < steps[0].write.ts) and not (steps and steps[0].creates):
        first = reads[0]
        chain.first_status, chain.first_ts = str(first.values.get("status")), first.ts
        chain.first_frame, chain.certainty = first.statement.command.first_frame, OBSERVED
    for step in steps:
        if not step.certain and step.write.statement.outcome == _UNKNOWN:
            open_steps.append(step)
            continue
        _settle_open(chain, open_steps, step.from_status)
        _append(chain, step, OBSERVED)
    _settle_open(chain, open_steps, _read_after(open_steps, reads))
    return chain


def _read_after(open_steps: list[_Step], reads: list[Read]) -> str | None:
    """Status that the last read after an open write shows."""
    if not open_steps:
        return None
    later = [read for read in reads if read.since > open_steps[0].write.ts]
    return str(later[-1].values.get("status")) if later else None


def _settle_open(chain: Chain, open_steps: list[_Step], status: str | None) -> None:
    """Writes whose COMMIT was not seen count when what comes next starts from the status they wrote."""
    if status is not None and status != chain.status:
        for index, step in enumerate(open_steps):
            if step.to_status == status:
                for used in open_steps[: index + 1]:
                    _append(chain, used, INFERRED)
                break
    open_steps.clear()


def _append(chain: Chain, step: _Step, certainty: str) -> None:
    statement = step.write.statement
    command = statement.command
    before = chain.status
    if step.creates:
        previous = None
    elif chain.status is None:
        if step.from_status is None:
            # An UPDATE of an image never seen before: it may write the status that the image already had.
            chain.first_status, chain.first_ts = step.to_status, step.write.ts
            chain.first_frame, chain.certainty = command.first_frame, INFERRED
            return
        chain.first_status, chain.first_ts = step.from_status, command.ts
        chain.first_frame, chain.certainty = command.first_frame, OBSERVED
        previous = step.from_status
    else:
        previous = step.from_status or before
        if previous != before and before is not None:
            chain.transitions.append(
                _transition(before, str(previous), command.ts, INFERRED, frame=command.request_frame, write=None)
            )
    if previous == step.to_status:
        return
    chain.transitions.append(
        _transition(previous, step.to_status, step.write.ts, certainty, frame=command.request_frame, write=step.write)
    )


def _transition(
    before: str | None, after: str, ts: int, certainty: str, *, frame: int | None, write: Write | None
) -> Transition:
    return Transition(
        from_status=before,
        to_status=after,
        ts=ts,
        source="sql",
        certainty=certainty,
        legal=is_legal(before, after),
        statement_id=write.statement.id if write else None,
        call_id=write.call_id if write else None,
        frame=frame,
        commit_frame=write.statement.commit_frame if write else None,
    )


def possible_statuses(chain: Chain, since: int, until: int, early: dict[int, int]) -> set[str]:
    """Statuses that the image can have shown to someone who looked at some moment in [since, until].

    Args:
        chain: its status changes.
        since, until: ns.
        early: index of a transition -> ns from which it may have been visible (its statement was sent).
    """
    possible = set()
    if chain.first_status is not None and (not chain.transitions or since <= chain.transitions[0].ts):
        possible.add(chain.first_status)
    for index, transition in enumerate(chain.transitions):
        visible_from = early.get(index, transition.ts)
        visible_to = chain.transitions[index + 1].ts if index + 1 < len(chain.transitions) else until
        if visible_from <= until and since <= max(visible_to, transition.ts):
            possible.add(transition.to_status)
    return possible


def _infer_from_reads(chain: Chain, reads: list[Read]) -> None:
    """Insert a change where a read shows a status that no seen change explains."""
    for read in reads:
        status = read.values.get("status")
        if not isinstance(status, str) or (not chain.transitions and status == chain.first_status):
            continue
        if status in possible_statuses(chain, read.since, read.ts, _early(chain)):
            continue
        if chain.transitions and chain.transitions[0].from_status is None and read.ts < chain.transitions[0].ts:
            continue
        later = [i for i, t in enumerate(chain.transitions) if t.ts > read.ts]
        index = later[0] if later else len(chain.transitions)
        before = chain.transitions[index - 1].to_status if index else chain.first_status
        command = read.statement.command
        chain.transitions.insert(
            index, _transition(before, status, read.ts, INFERRED, frame=command.response_frame, write=None)
        )
        if index + 1 < len(chain.transitions):
            following = chain.transitions[index + 1]
            if following.from_status is not None:
                following.from_status = status
                following.legal = is_legal(status, following.to_status)


def _early(chain: Chain) -> dict[int, int]:
    """When each change may have become visible: bounded below by the change before it."""
    return {i: (chain.transitions[i - 1].ts if i else 0) for i in range(len(chain.transitions))}


def _mark_confirmed(chain: Chain, evidence: ImageEvidence) -> None:
    """`source` both: an API response shows the status while it held, or the success of its own call implies it."""
    success = {
        call.id: _SUCCESS_STATUS.get(call.operation)
        for call in evidence.calls
        if call.status_code is not None and 200 <= call.status_code < 300
    }
    for index, transition in enumerate(chain.transitions):
        until = chain.transitions[index + 1].ts if index + 1 < len(chain.transitions) else None
        shown = any(
            view.values.get("status") == transition.to_status
            and view.ts >= transition.ts
            and (until is None or view.since <= until)
            for view in evidence.views
        )
        if shown or (transition.call_id is not None and success.get(transition.call_id) == transition.to_status):
            transition.source = "both"


def _chain_from_api(evidence: ImageEvidence) -> Chain:
    """Status changes as the API alone tells them: responses that show a status, calls whose success implies one."""
    told: list[tuple[int, int, str, str, ApiCall]] = []
    for view in evidence.views:
        certainty = OBSERVED if view.call.operation != "image-create" else INFERRED
        told.append((view.ts, view.call.id, str(view.values["status"]), certainty, view.call))
    for call in evidence.calls:
        told += _implied(call)
    told.sort(key=lambda item: item[:2])
    chain = Chain([], None, 0, 0, None)
    for ts, _call_id, status, certainty, call in told:
        if status == chain.status:
            continue
        frame = call.response_frame or call.last_frame
        creates = call.operation == "image-create" and chain.status is None
        if chain.status is None and not creates:
            chain.first_status, chain.first_ts, chain.first_frame = status, ts, frame
            chain.certainty = OBSERVED if certainty == OBSERVED else certainty
            continue
        before = None if creates else chain.status
        transition = _transition(
            before, status, ts, INFERRED if certainty == OBSERVED else certainty, frame=frame, write=None
        )
        transition.source, transition.call_id = "api", call.id
        chain.transitions.append(transition)
    return chain


def _implied(call: ApiCall) -> list[tuple[int, int, str, str, ApiCall]]:
    """Statuses that a call implies by having been made and by its status code."""
    told: list[tuple[int, int, str, str, ApiCall]] = []
    if call.operation == "image-upload":
        told.append((call.ts, call.id, "saving", ASSUMED, call))
    if call.status_code is None or call.response_ts is None:
        return told
    succeeded = 200 <= call.status_code < 300
    status = _SUCCESS_STATUS.get(call.operation)
    if succeeded and status is not None and call.response_json is None:
        told.append((call.response_ts, call.id, status, INFERRED, call))
    elif call.operation == "image-upload" and call.status_code not in (404, 409, 410):
        told.append((call.response_ts, call.id, "queued", ASSUMED, call))
    return told
