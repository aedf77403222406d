"""What happens to an image besides its status: properties, tags, members, locations, tasks, lookups, transfers."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

from glancetrace.glance.call import ApiCall
from glancetrace.glance.statement import SqlStatement
from glancetrace.timeline.evidence import ImageEvidence, Write
from glancetrace.timeline.image import ImageEvent, ImageStory

__all__ = ["Lookups", "call_events", "lookups_of_calls", "lookups_of_statements", "write_events"]

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


NamedEvent = tuple[str, ImageEvent]
"""A lookup that found nothing, and the name that was looked for."""


def lookups_of_calls(calls: Iterable[ApiCall]) -> Iterator[NamedEvent]:
    """Calls that looked for an image by its name and found nothing."""
    for call in calls:
        name = call.path_ids.get("image_id")
        if name and call.operation == "image-show" and call.status_code == 404:
            frame = call.request_frame or call.first_frame or None
            yield name, ImageEvent("lookup", call.ts, _not_found(name), call_id=call.id, frame=frame)


def lookups_of_statements(statements: Iterable[SqlStatement], linked: Container[int]) -> Iterator[NamedEvent]:
    """The same of statements, but for those of a call that was seen (`linked`): the call itself is the lookup."""
    for statement in statements:
        if statement.command.returned_rows != 0 or statement.image_ids or statement.id in linked:
            continue
        for value in statement.parsed.equal_to("images", "id") if statement.parsed is not None else ():
            command = statement.command
            name = str(value)
            yield name, ImageEvent("lookup", command.ts, _not_found(name), statement.id, frame=command.request_frame)


def _not_found(name: str) -> str:
    return f"looked up by name {name}: not found"


class Lookups:
    """Ties lookups by name that found nothing to the image created later under that name."""

    def __init__(self) -> None:
        self._created: dict[str, list[tuple[int, str]]] = {}
        self._of_image: dict[str, list[ImageEvent]] = {}

    def add_image(self, story: ImageStory) -> None:
        """An image; all of them come before the lookups."""
        if story.name and not story.existed_before:
            self._created.setdefault(story.name, []).append((story.transitions[0].ts, story.id))

    def add(self, lookups: Iterable[NamedEvent]) -> None:
        """Lookups; each is of the first image created after it."""
        for name, event in lookups:
            later = [created for created in self._created.get(name, ()) if created[0] >= event.ts]
            if later:
                _, image_id = min(later, key=lambda created: created[0])
                self._of_image.setdefault(image_id, []).append(event)

    def of(self, image_id: str) -> list[ImageEvent]:
        """The lookups of an image."""
        return self._of_image.get(image_id, [])
