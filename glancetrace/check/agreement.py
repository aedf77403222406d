"""Whether API and database tell the same story.

What a response shows is held against what the database had committed at any time between the first byte of the request
and the first byte of the response, so that a read which races with a write is no finding. Only images whose status
changes are known from SQL can be judged. Where packets are missing the statement may be among them, so nothing is said
against the database: the claim is uncertain.
"""

from __future__ import annotations

from collections.abc import Iterator

from glancetrace.check.evidence import Evidence, call_text, found, image_text
from glancetrace.correlate.hops import CLOCK_SLACK
from glancetrace.glance.call import ApiCall
from glancetrace.timeline.image import ImageStory, Transition
from glancetrace.trace import Finding

__all__ = ["find_outcome_disagreement", "find_status_disagreement", "shown_statuses"]

_SUCCESS = {
    "image-upload": frozenset({"active"}),
    "image-stage": frozenset({"uploading"}),
    "image-deactivate": frozenset({"deactivated"}),
    "image-reactivate": frozenset({"active"}),
    "image-delete": frozenset({"deleted", "pending_delete"}),
}
"""Operation -> statuses one of which an image has when the operation succeeded."""

_LOSSY = ", but packets are missing from the capture"


class _History:
    """Statuses of an image as the database committed them."""

    def __init__(self, image: ImageStory) -> None:
        self.changes: list[Transition] = [t for t in image.transitions if t.source != "api"]

    def between(self, start: int, end: int) -> set[str | None]:
        """Statuses that were true at any time from `start` to `end` (ns)."""
        current = self.changes[0].from_status
        seen: set[str | None] = set()
        for change in self.changes:
            if change.ts > end:
                break
            if change.ts >= start:
                seen.add(current)
            current = change.to_status
        seen.add(current)
        return seen

    def ever(self, status: str) -> bool:
        """The database had this status at some time."""
        return any(status in (change.from_status, change.to_status) for change in self.changes)


def shown_statuses(call: ApiCall) -> Iterator[tuple[str, str]]:
    """(image id, status) pairs that a response shows: v2 documents and lists, v1 documents, v1 headers."""
    if call.service != "glance" or not call.operation.startswith("image-") or not 200 <= (call.status_code or 0) < 300:
        return
    document = call.response_json
    if isinstance(document, dict):
        inner = document.get("image")
        listed = document.get("images")
        for image in listed if isinstance(listed, list) else [inner if isinstance(inner, dict) else document]:
            if isinstance(image, dict) and isinstance(image.get("id"), str) and isinstance(image.get("status"), str):
                yield image["id"], image["status"]
    response = call.exchange.response if call.exchange is not None else None
    if response is not None:
        image_id, status = response.get("x-image-meta-id"), response.get("x-image-meta-status")
        if image_id and status:
            yield image_id, status


def find_status_disagreement(evidence: Evidence) -> Iterator[Finding]:
    """Statuses that responses show and the database did not have while the call ran; the first of each is told."""
    histories: dict[str, _History] = {}
    told: set[tuple[str, str]] = set()
    for call in evidence.tables.calls:
        if call.response_ts is None:
            continue
        slack = CLOCK_SLACK + call.uncertainty
        for image_id, status in shown_statuses(call):
            image = evidence.images.get(image_id)
            if image is None or (image_id, status) in told:
                continue
            history = histories.setdefault(image_id, _History(image))
            if not history.changes:
                continue
            had = history.between(call.ts - slack, call.response_ts + slack)
            if status in had:
                continue
            told.add((image_id, status))
            known = " or ".join(sorted(s or "not created" for s in had))
            rule = "status-outdated" if history.ever(status) else "status-not-committed"
            yield found(
                "claim-uncertain" if evidence.lossy else rule,
                f"{call_text(call)} showed {image_text(image)} as {status} while the database had "
                f"it as {known}{_LOSSY if evidence.lossy else ''}",
                call.response_ts,
                image_id=image_id,
                call_id=call.id,
                frames=[call.response_frame, *(c.commit_frame for c in history.changes)],
            )


def find_outcome_disagreement(evidence: Evidence) -> Iterator[Finding]:
    """Success without the committed status that it stands for, failure with it."""
    for call in evidence.tables.calls:
        wanted = _SUCCESS.get(call.operation)
        image = evidence.images.get(call.image_id or "")
        if wanted is None or image is None or call.status_code is None or call.response_ts is None:
            continue
        history = _History(image)
        if not history.changes:
            continue
        if 200 <= call.status_code < 300:
            slack = CLOCK_SLACK + call.uncertainty
            had = history.between(call.ts - slack, call.response_ts + slack)
            if not had & wanted:
                known = " or ".join(sorted(s or "not created" for s in had))
                message = f"{call_text(call)} was answered with {call.status_code}, but the database had {known}"
                if evidence.lossy:
                    yield _about("claim-uncertain", message + _LOSSY, call, image)
                else:
                    yield _about("success-not-committed", message, call, image)
        elif call.status_code >= 400:
            done = [c for c in history.changes if c.call_id == call.id and c.to_status in wanted]
            if done and history.changes[-1] is done[-1]:
                message = (
                    f"{call_text(call)} was answered with {call.status_code}, but {image_text(image)} became "
                    f"{done[-1].to_status}"
                )
                yield _about("failure-committed", message, call, image, done[-1])


def _about(rule: str, message: str, call: ApiCall, image: ImageStory, change: Transition | None = None) -> Finding:
    return found(
        rule,
        message,
        call.response_ts or call.ts,
        image_id=image.id,
        call_id=call.id,
        statement_id=change.statement_id if change else None,
        frames=[call.request_frame, call.response_frame, *([change.frame, change.commit_frame] if change else [])],
    )
