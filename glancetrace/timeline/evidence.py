"""Collects, image by image, everything in a capture that says something about it.

Three kinds: writes (rows of Glance's tables that a statement changed), reads (image rows that a SELECT returned) and
views (what an API response showed). Each keeps when it can have become true, not only when it was seen: a row that was
read while a COMMIT was under way may show the state before or after it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from glancetrace.correlate.link import Link
from glancetrace.glance.call import ApiCall
from glancetrace.glance.database import RowChange
from glancetrace.glance.statement import SqlStatement

__all__ = ["ImageEvidence", "Read", "View", "Write", "collect_evidence"]

_CHILD_TABLES = frozenset({"image_properties", "image_tags", "image_locations", "image_members"})


@dataclass(slots=True)
class Write:
    """A row that a statement changed; `call_id` is the call that ran it."""

    statement: SqlStatement
    change: RowChange
    call_id: int | None

    @property
    def ts(self) -> int:
        """When it became true: the OK to the COMMIT, else the end of the statement itself, ns."""
        return self.statement.commit_ts or self.statement.end_ts


@dataclass(slots=True)
class Read:
    """An image row that a SELECT returned; it shows the state of some moment in [`since`, `ts`]."""

    statement: SqlStatement
    since: int
    ts: int
    values: dict[str, Any]


@dataclass(slots=True)
class View:
    """What an API response showed of an image; the state of some moment in [`since`, `ts`]."""

    call: ApiCall
    since: int
    ts: int
    values: dict[str, Any]


@dataclass(slots=True)
class ImageEvidence:
    """Everything about one image; `calls` are those about it, in order."""

    id: str
    writes: list[Write] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    calls: list[ApiCall] = field(default_factory=list)

    @property
    def is_image(self) -> bool:
        """Something shows that the image exists; a lookup that found nothing does not."""
        return bool(self.reads or self.views) or any(
            write.change.table == "images" and write.statement.command.affected_rows != 0 for write in self.writes
        )


def collect_evidence(
    statements: list[SqlStatement], calls: list[ApiCall], link_of: dict[int, Link]
) -> dict[str, ImageEvidence]:
    """Image id -> evidence, for every id that is named anywhere.

    Args:
        statements: all statements in order; those of other services must not carry changes or rows of images.
        calls: all calls, hops folded, in order.
        link_of: statement id -> link.
    """
    found: dict[str, ImageEvidence] = {}

    def of(image_id: str) -> ImageEvidence:
        evidence = found.get(image_id)
        if evidence is None:
            evidence = found[image_id] = ImageEvidence(image_id)
        return evidence

    first_ts: dict[int | None, int] = {}
    written: dict[int | None, set[str]] = defaultdict(set)
    for statement in statements:
        first_ts.setdefault(statement.unit_id, statement.command.ts)
        if statement.changes and statement.command.error is None:
            link = link_of.get(statement.id)
            for change in statement.changes:
                if change.image_id:
                    of(change.image_id).writes.append(Write(statement, change, link.call_id if link else None))
                    written[statement.unit_id].add(change.image_id)
        elif statement.command.rows and statement.service == "glance":
            for image_id, values in _image_rows(statement):
                # Behind its own uncommitted write a transaction reads what nobody else sees yet.
                if image_id not in written[statement.unit_id]:
                    of(image_id).reads.append(Read(statement, first_ts[statement.unit_id], statement.end_ts, values))
    for call in calls:
        if call.service not in ("glance", "registry"):
            continue
        if call.image_id:
            of(call.image_id).calls.append(call)
        for image_id, values in _shown(call):
            of(image_id).views.append(View(call, call.ts, call.response_ts or call.ts, values))
    return found


@lru_cache(maxsize=256)
def _plain_names(columns: tuple[str, ...]) -> tuple[str | None, ...]:
    """Columns of table images by their plain names: `anon_1_images_status` -> `status`; None for other tables."""
    plain: list[str | None] = []
    for column in columns:
        head, separator, tail = column.rpartition("images_")
        if separator and (not head or head.endswith("_")):
            plain.append(tail)
        elif any(f"{table}_" in f"{column}_" for table in _CHILD_TABLES):
            plain.append(None)
        else:
            plain.append(column)
    return tuple(plain)


def _image_rows(statement: SqlStatement) -> Iterator[tuple[str, dict[str, Any]]]:
    """Image rows that a SELECT returned; a joined result repeats the image per property."""
    command = statement.command
    if command.columns is None or statement.parsed is None or "images" not in statement.parsed.shape.tables:
        return
    names = _plain_names(command.columns)
    if "id" not in names or "status" not in names:
        return
    id_index = names.index("id")
    seen: set[Any] = set()
    for row in command.rows or ():
        image_id = row[id_index]
        if isinstance(image_id, str) and image_id not in seen:
            seen.add(image_id)
            values = {name: value for name, value in zip(names, row, strict=False) if name is not None}
            if isinstance(values.get("size"), str):
                values["size"] = _whole(values["size"])
            yield image_id, values


def _whole(text: Any) -> int | None:
    try:
        return int(text)
    except (TypeError, ValueError):
        return None


def _shown(call: ApiCall) -> Iterator[tuple[str, dict[str, Any]]]:
    """Images that a successful response describes: one (v2), a list, or one under "image" (v1)."""
    body = call.response_json
    if not isinstance(body, dict) or call.status_code is None or not 200 <= call.status_code < 300:
        return
    candidates: list[Any] = [body]
    if isinstance(body.get("images"), list):
        candidates = body["images"]
    elif isinstance(body.get("image"), dict):
        candidates = [body["image"]]
    for image in candidates:
        if isinstance(image, dict) and isinstance(image.get("id"), str) and isinstance(image.get("status"), str):
            if "type" in image and "expires_at" in image:  # a task has an id and a status too
                continue
            yield image["id"], image
