"""Collects, image by image, everything in a capture that says something about it.

Three kinds: writes (rows of Glance's tables that a statement changed), reads (image rows that a SELECT returned) and
views (what an API response showed). Each keeps when it can have become true, not only when it was seen: a row that was
read while a COMMIT was under way may show the state before or after it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from glancetrace.correlate.link import Link
from glancetrace.glance.call import ApiCall
from glancetrace.glance.database import RowChange
from glancetrace.glance.statement import SqlStatement

__all__ = ["EvidenceCollector", "ImageEvidence", "Read", "View", "Write", "collect_evidence"]

_CHILD_TABLES = frozenset({"image_properties", "image_tags", "image_locations", "image_members"})
_OWNED_TABLES = _CHILD_TABLES | {"tasks"}
_EXISTING = frozenset(
    {"image-create", "image-upload", "image-stage", "image-deactivate", "image-reactivate", "image-delete"}
)
"""Operations that an image must exist for."""
_HEADERS = ("id", "name", "status", "size", "checksum", "owner")


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
    """An image row that a SELECT returned; it shows the state of some moment in [`since`, `ts`].

    `values` has a status, always.
    """

    statement: SqlStatement
    since: int
    ts: int
    values: dict[str, Any]


@dataclass(slots=True)
class View:
    """What an API response showed of an image; the state of some moment in [`since`, `ts`].

    `values` has a status, always.
    """

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
        """Something shows that the image exists; a lookup that found nothing does not, nor what was rolled back."""
        return (
            bool(self.reads or self.views)
            or any(map(_shows_row, self.writes))
            or any(call.operation in _EXISTING and _worked(call) for call in self.calls)
        )


def _shows_row(write: Write) -> bool:
    statement = write.statement
    if write.change.table != "images" or statement.command.affected_rows == 0:
        return False
    return write.change.operation != "INSERT" or statement.outcome != "rolled_back"


def _worked(call: ApiCall) -> bool:
    """It was done, or is being done: data are on their way."""
    if call.status_code is None:
        return call.operation == "image-upload" and (call.request_body_bytes or 0) > 0
    return 200 <= call.status_code < 300


def collect_evidence(
    statements: Iterable[SqlStatement], calls: Iterable[ApiCall], link_of: Mapping[int, Link]
) -> dict[str, ImageEvidence]:
    """Image id -> evidence, for every id that is named anywhere.

    Args:
        statements: all statements in order; those of other services must not carry changes or rows of images.
        calls: all calls, hops folded, in order.
        link_of: statement id -> link.
    """
    calls = list(calls)
    found = EvidenceCollector({call.id: call.image_id for call in calls if call.image_id}, {})
    found.add_statements(statements, link_of)
    found.add_calls(calls)
    return found.by_image


_Columns = tuple[int, tuple[tuple[int, str], ...]]
"""Index of the image's id, and (index, plain name) of its columns."""


class EvidenceCollector:
    """Evidence as it comes.

    Args:
        image_of_call: call id -> image id. image_of_task: task id -> image id, as far as known; what is learnt of
            tasks is added.

    Attributes:
        by_image: image id -> evidence.
        since: unit of work -> its first moment, ns: all it reads may be as old.
    """

    def __init__(self, image_of_call: Mapping[int, str], image_of_task: dict[str | None, str]) -> None:
        self.by_image: dict[str, ImageEvidence] = {}
        self.since: dict[int | None, int] = {}
        self._image_of_call = image_of_call
        self._image_of_task = image_of_task
        self._written: dict[int | None, set[str]] = defaultdict(set)
        self._columns: dict[int, _Columns | None] = {}

    def of(self, image_id: str) -> ImageEvidence:
        """Evidence about an image."""
        evidence = self.by_image.get(image_id)
        if evidence is None:
            evidence = self.by_image[image_id] = ImageEvidence(image_id)
        return evidence

    def add_statements(self, statements: Iterable[SqlStatement], link_of: Mapping[int, Link]) -> None:
        """What statements write and read, units of work as a whole and in order; `link_of`: statement id -> link."""
        for statement in statements:
            if statement.changes:
                if statement.command.error is None:
                    link = link_of.get(statement.id)
                    self.add_writes(statement, link.call_id if link else None)
            elif statement.command.rows:
                self.add_reads(statement)
            self.since.setdefault(statement.unit_id, statement.command.ts)

    def add_calls(self, calls: Iterable[ApiCall]) -> None:
        """Calls in order, and what they show."""
        for call in calls:
            if call.service not in ("glance", "registry"):
                continue
            if call.image_id:
                self.of(call.image_id).calls.append(call)
            for image_id, values in _shown(call):
                since, until = call.ts - call.uncertainty, (call.response_ts or call.ts) + call.uncertainty
                self.of(image_id).views.append(View(call, since, until, values))

    def add_writes(self, statement: SqlStatement, call_id: int | None) -> None:
        """A statement changed rows."""
        for change in statement.changes:
            image_id = change.image_id
            if image_id is None and change.table in _OWNED_TABLES:
                # Named by the row's own id only: its image is that of the task, or of the call.
                image_id = self._image_of_task.get(change.row_id) if change.table == "tasks" else None
                image_id = image_id or self._image_of_call.get(call_id or 0)
            if image_id is None:
                continue
            if change.table == "tasks" and change.row_id is not None:
                self._image_of_task[change.row_id] = image_id
            self.of(image_id).writes.append(Write(statement, change, call_id))
            self._written[statement.unit_id].add(image_id)

    def add_reads(self, statement: SqlStatement) -> None:
        """A statement returned rows; a joined result repeats the image per property."""
        command = statement.command
        columns, rows = command.columns, command.rows
        if columns is None or rows is None or statement.parsed is None:
            return
        # Columns live as long as their commands, and equal ones are mostly one object.
        key = id(columns)
        if key not in self._columns:
            self._columns[key] = _image_columns(columns)
        known = self._columns[key]
        if known is None or "images" not in statement.parsed.shape.tables:
            return
        id_index, names = known
        own = self._written.get(statement.unit_id, ())
        since = self.since.get(statement.unit_id, command.ts)
        seen: set[Any] = set()
        for row in rows:
            image_id = row[id_index]
            if image_id in seen or not isinstance(image_id, str):
                continue
            seen.add(image_id)
            # Behind its own uncommitted write a transaction reads what nobody else sees yet.
            if image_id not in own:
                values = {name: row[index] for index, name in names}
                if not isinstance(values["status"], str):
                    continue
                if isinstance(values.get("size"), str):
                    values["size"] = _whole(values["size"])
                self.of(image_id).reads.append(Read(statement, since, statement.end_ts, values))


def _image_columns(columns: tuple[str, ...]) -> _Columns | None:
    """Columns of table images by their plain names: `anon_1_images_status` -> `status`; None without id and status."""
    plain: dict[str, int] = {}
    for index, column in enumerate(columns):
        head, separator, tail = column.rpartition("images_")
        if separator and (not head or head.endswith("_")):
            plain.setdefault(tail, index)
        elif not any(f"{table}_" in f"{column}_" for table in _CHILD_TABLES):
            plain.setdefault(column, index)
    if "id" not in plain or "status" not in plain:
        return None
    return plain["id"], tuple((index, name) for name, index in plain.items())


def _whole(text: Any) -> int | None:
    try:
        return int(text)
    except (TypeError, ValueError):
        return None


def _shown(call: ApiCall) -> Iterator[tuple[str, dict[str, Any]]]:
    """Images that a successful response describes: one (v2), a list, one under "image" or in headers (v1)."""
    if call.status_code is None or not 200 <= call.status_code < 300:
        return
    body = call.response_json
    if not isinstance(body, dict):
        response = call.exchange.response if call.exchange is not None else None
        values = {name: response.get(f"x-image-meta-{name}") for name in _HEADERS} if response is not None else {}
        if values.get("id") and values.get("status"):
            yield values["id"], {**values, "size": _whole(values["size"])}
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
