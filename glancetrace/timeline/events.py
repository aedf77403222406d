"""What happens to an image besides its status: properties, tags, members, locations, tasks, lookups, transfers."""

from __future__ import annotations

from collections.abc import Mapping

from glancetrace.correlate.link import Link
from glancetrace.glance.call import ApiCall
from glancetrace.glance.statement import SqlStatement
from glancetrace.timeline.evidence import ImageEvidence, Write
from glancetrace.timeline.image import ImageEvent, ImageStory

__all__ = ["call_events", "lookup_events", "write_events"]

_KIND_OF_TABLE = {
    "image_properties": "property",
    "image_tags": "tag",
    "image_members": "member",
    "image_locations": "location",
    "tasks": "task",
}
_TRANSFERS = {"image-upload": "upload", "image-stage": "upload", "image-download": "download"}


def write_events(evidence: ImageEvidence) -> list[ImageEvent]:
    """Events of the rows that were written; a transaction that was rolled back changes nothing."""
    events = []
    for write in evidence.writes:
        kind, summary = _what(write)
        if kind is not None:
            events.append(
                ImageEvent(
                    kind=kind,
                    ts=write.ts,
                    summary=summary,
                    statement_id=write.statement.id,
                    call_id=write.call_id,
                    frame=write.statement.command.request_frame,
                )
            )
    return events


def _what(write: Write) -> tuple[str | None, str]:
    """Kind and summary of a write, (None, "") for one that is no event."""
    change, statement = write.change, write.statement
    affected = statement.command.affected_rows
    if change.table == "images":
        if statement.outcome == "rolled_back":
            return None, ""
        if affected == 0 and change.status_from is not None:
            return "lost-race", f"status was no longer {change.status_from}, so it did not become {change.status_to}"
        if change.operation == "DELETE" and statement.outcome == "committed":
            return "delete", "row purged"
        if _truthy(change.values.get("deleted")) and statement.outcome == "committed" and affected:
            return "delete", "marked deleted"
        return None, ""
    kind = _KIND_OF_TABLE.get(change.table)
    if kind is None or statement.outcome != "committed" or affected == 0:
        return None, ""
    summary = _summary(write)
    # A save writes rows again that stay as they were; only their time of update is new then.
    return (kind, summary) if summary != "changed" else (None, "")


def _truthy(value: object) -> bool:
    return value in (1, "1", True)


def _summary(write: Write) -> str:
    change = write.change
    values = change.values
    if _truthy(values.get("deleted")) or change.operation == "DELETE":
        verb = "removed"
    elif change.operation == "INSERT":
        verb = "added"
    else:
        verb = "changed"
    named = values.get("name") or values.get("member") or values.get("type") or ""
    value = values.get("status") if change.table == "tasks" else values.get("value")
    if change.table == "image_members":
        value = values.get("status")
    what = " = ".join(str(part) for part in (named, value) if part not in (None, ""))
    return f"{verb} {what}".rstrip()


def call_events(calls: list[ApiCall]) -> list[ImageEvent]:
    """Transfers of image data."""
    events = []
    for call in calls:
        kind = _TRANSFERS.get(call.operation)
        if kind is None:
            continue
        count = call.request_body_bytes if kind == "upload" else call.response_body_bytes
        answer = f"status {call.status_code}" if call.status_code is not None else "no response"
        size = "" if count is None else f"{count} bytes, "
        whole = "" if call.complete else ", not complete"
        events.append(
            ImageEvent(
                kind=kind,
                ts=call.ts,
                summary=f"{size}{answer}{whole}",
                call_id=call.id,
                frame=call.request_frame or call.first_frame or None,
            )
        )
    return events


def lookup_events(
    stories: list[ImageStory], calls: list[ApiCall], statements: list[SqlStatement], link_of: Mapping[int, Link]
) -> None:
    """Tie lookups by name that found nothing to the image created later under that name."""
    created: dict[str, list[tuple[int, ImageStory]]] = {}
    for story in stories:
        if story.name and not story.existed_before:
            created.setdefault(story.name, []).append((story.transitions[0].ts, story))
    for call in calls:
        name = call.path_ids.get("image_id")
        if name and call.operation == "image-show" and call.status_code == 404:
            frame = call.request_frame or call.first_frame or None
            _tie(created.get(name, []), ImageEvent("lookup", call.ts, _not_found(name), call_id=call.id, frame=frame))
    for statement in statements:
        # Of a call that was seen, the call itself is the lookup.
        if statement.command.returned_rows != 0 or statement.image_ids or statement.id in link_of:
            continue
        for value in statement.parsed.equal_to("images", "id") if statement.parsed is not None else ():
            command = statement.command
            event = ImageEvent("lookup", command.ts, _not_found(str(value)), statement.id, frame=command.request_frame)
            _tie(created.get(str(value), []), event)


def _not_found(name: str) -> str:
    return f"looked up by name {name}: not found"


def _tie(created: list[tuple[int, ImageStory]], event: ImageEvent) -> None:
    """Add a lookup to the first image created after it."""
    later = [(ts, story) for ts, story in created if ts >= event.ts]
    if later:
        min(later, key=lambda item: item[0])[1].events.append(event)
