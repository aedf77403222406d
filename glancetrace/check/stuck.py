"""Images left half-way, status changes that Glance does not allow, and claims that are less than certain."""

from __future__ import annotations

from collections.abc import Iterator

from glancetrace.check.evidence import Evidence, call_text, found, image_text
from glancetrace.check.wording import byte_text, count_text, duration_text
from glancetrace.glance.call import ApiCall
from glancetrace.glance.statement import SqlStatement
from glancetrace.timeline.image import OBSERVED, ImageStory, Transition
from glancetrace.trace import Finding

__all__ = ["find_illegal", "find_missing_bytes", "find_stuck", "find_uncertain"]

_HALF_WAY = frozenset({"saving", "uploading", "importing"})

_STILL_WORKING = 5_000_000_000
"""ns: an import whose last statement is younger than this at the end of the capture counts as running."""


def find_stuck(evidence: Evidence) -> Iterator[Finding]:
    """Images that are saving, uploading or importing when the capture ends.

    Where packets of the database are missing the end may be among them: then it is no more than uncertain, and nothing
    is said of it if its upload was answered with success.
    """
    for image in evidence.tables.images:
        if image.status not in _HALF_WAY or not image.intervals:
            continue
        since = image.intervals[-1].ts
        lasted = duration_text(max(0, evidence.end_ts - since))
        transition = image.transitions[-1] if image.transitions else None
        frames = [transition.frame, transition.commit_frame] if transition else [image.first_frame]
        running = _running_upload(evidence, image)
        if running is not None:
            body = running.exchange.request_body if running.exchange else None
            message = (
                f"{image_text(image)} is {image.status} for {lasted} at the end of the capture; its upload is still "
                f"running, {byte_text(body.byte_count if body else running.request_body_bytes or 0)} so far"
            )
            yield found(
                "upload-running",
                message,
                since,
                image_id=image.id,
                call_id=running.id,
                frames=[*frames, running.last_frame],
            )
            continue
        if image.status == "importing" and evidence.end_ts - evidence.last_sign(image.id) < _STILL_WORKING:
            message = f"{image_text(image)} is importing for {lasted} at the end of the capture, and work on it goes on"
            yield found("upload-running", message, since, image_id=image.id, frames=frames)
            continue
        if evidence.lossy and _upload_succeeded(evidence, image, since):
            continue
        message = f"{image_text(image)} is still {image.status} at the end of the capture, {lasted} after it began"
        lost = evidence.sql_lost_since(since)
        yield found(
            "claim-uncertain" if lost else "image-stuck",
            f"{message}, as far as the capture shows: packets of the database are missing" if lost else message,
            since,
            image_id=image.id,
            call_id=transition.call_id if transition else None,
            statement_id=transition.statement_id if transition else None,
            frames=frames,
        )


def _running_upload(evidence: Evidence, image: ImageStory) -> ApiCall | None:
    for call in evidence.uploads.get(image.id, ()):
        if call.status_code is None and call.exchange is not None and call.exchange.end == "capture-end":
            return call
    return None


def _upload_succeeded(evidence: Evidence, image: ImageStory, since: int) -> bool:
    """An upload of the image was answered with success after `since` (ns)."""
    return any(
        200 <= (call.status_code or 0) < 300 and (call.response_ts or 0) >= since
        for call in evidence.uploads.get(image.id, ())
    )


def find_illegal(evidence: Evidence) -> Iterator[Finding]:
    """Status changes that are not in Glance's table.

    What is inferred where packets are missing proves nothing: `find_uncertain` tells it.
    """
    for image in evidence.tables.images:
        for number, transition in enumerate(image.transitions):
            if transition.legal or (evidence.lossy and transition.certainty != OBSERVED):
                continue
            sure = "" if transition.certainty == OBSERVED else f" ({transition.certainty})"
            message = (
                f"{image_text(image)} went from {transition.from_status or 'nothing'} to {transition.to_status}{sure}"
            )
            frames = [transition.frame, transition.commit_frame]
            read = _stale_read(evidence, image, number)
            if read is not None and transition.call_id is not None:
                before = duration_text(max(0, image.transitions[number - 1].ts - read.end_ts))
                writer = call_text(evidence.calls[transition.call_id])
                message = (
                    f"{message}: {writer} wrote back what it had read {before} before it was {transition.from_status}"
                )
                frames.append(read.command.request_frame)
            yield found(
                "status-illegal",
                message,
                transition.ts,
                image_id=image.id,
                call_id=transition.call_id,
                statement_id=transition.statement_id,
                frames=frames,
            )


def _stale_read(evidence: Evidence, image: ImageStory, number: int) -> SqlStatement | None:
    """How a change came about that undid the one before: its call had read the image before that one, and wrote all.

    Glance saves an image whole, its status too (`glance/db/__init__.py: ImageRepo.save`), and asks for the status that
    it was to have had (`from_state`) only where an operation is about the status. What a task wrote is not looked at.
    """
    change, before = image.transitions[number], image.transitions[:number]
    if change.call_id is None or not before or before[-1].call_id == change.call_id:
        return None
    found = None
    for statement in evidence.statements_of(change.call_id):
        if _reads(statement, image.id) and statement.end_ts < before[-1].ts:
            then = [earlier.to_status for earlier in before if earlier.ts <= statement.command.ts]
            if then and then[-1] == change.to_status:
                found = statement
    return found


def _reads(statement: SqlStatement, image_id: str) -> bool:
    parsed = statement.parsed
    return (
        statement.operation == "SELECT"
        and image_id in statement.image_ids
        and parsed is not None
        and "images" in parsed.shape.tables
    )


def find_uncertain(evidence: Evidence) -> Iterator[Finding]:
    """Status changes that are not observed: per image where packets are lost, else one finding for all."""
    total = count = 0
    first: Transition | None = None
    proof: list[int | None] = []
    for image in evidence.tables.images:
        transitions = [t for t in image.transitions if t.certainty != OBSERVED]
        if not transitions:
            continue
        if evidence.lossy:
            changes = ", ".join(f"{t.from_status or 'nothing'} to {t.to_status} ({t.certainty})" for t in transitions)
            frames = [frame for t in transitions for frame in (t.frame, t.commit_frame)]
            message = f"packets are missing, so these status changes of {image_text(image)} are not certain: {changes}"
            yield found("claim-uncertain", message, transitions[0].ts, image_id=image.id, frames=frames)
            continue
        total, count = total + len(transitions), count + 1
        first = min((first, *transitions) if first else transitions, key=lambda t: t.ts)
        proof += [t.frame for t in transitions]
    if first is not None:
        message = (
            f"{count_text(total, 'status change')} of {count_text(count, 'image')} "
            f"{'is' if total == 1 else 'are'} not observed in committed statements but inferred"
        )
        yield found("claim-inferred", message, first.ts, frames=proof)


def find_missing_bytes(evidence: Evidence) -> Iterator[Finding]:
    """Connections that lost bytes, in one finding."""
    rows = [row for row in evidence.tables.connections if any(row.connection.bytes_missing)]
    if not rows:
        return
    missing = sum(sum(row.connection.bytes_missing) for row in rows)
    protocols = sorted({row.protocol for row in rows})
    issues = [issue for issue in evidence.tables.issues if issue.kind == "tcp-gap"]
    yield found(
        "capture-incomplete",
        f"{byte_text(missing)} of {count_text(len(rows), 'connection')} ({', '.join(protocols)}) are missing",
        min(row.connection.first_ts for row in rows),
        frames=[issue.first_frame for issue in issues] or [row.connection.first_frame for row in rows],
    )
