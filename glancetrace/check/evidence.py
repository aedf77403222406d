"""What the rules look things up in: the tables of a result with their cross references, made once per result."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from glancetrace.check.rules import RULES
from glancetrace.correlate.link import Link
from glancetrace.glance.call import ApiCall
from glancetrace.glance.statement import SqlStatement
from glancetrace.net.run import Connection
from glancetrace.timeline.image import ImageStory
from glancetrace.trace import CaptureSummary, Finding, Tables

__all__ = [
    "UPLOADS",
    "Evidence",
    "Writer",
    "call_text",
    "found",
    "image_text",
    "is_error",
    "is_upload",
    "is_vain",
    "is_write",
    "may_be_loose",
    "writer_of",
]

UPLOADS = frozenset({"image-upload", "image-stage"})
"""Operations whose request body is always image data; v1 also takes data with a create or an update."""

_MAX_FRAMES = 20
_WRITES = frozenset({"INSERT", "UPDATE", "DELETE", "REPLACE"})
_IMAGE_TABLES = frozenset({"images", "image_properties", "image_locations", "image_members", "image_tags"})

Writer = tuple[str | None, str | None, bool]
"""MySQL user and schema of statements, and whether calls are known to have run them."""


def found(
    rule: str,
    message: str,
    ts: int,
    *,
    image_id: str | None = None,
    call_id: int | None = None,
    statement_id: int | None = None,
    frames: Iterable[int | None] = (),
) -> Finding:
    """A finding of `rule` (KeyError if there is no such rule); at most 20 frames, ascending."""
    proof = sorted({frame for frame in frames if frame})[:_MAX_FRAMES]
    return Finding(RULES[rule].name, RULES[rule].severity, message, ts, image_id, call_id, statement_id, proof)


def image_text(image: ImageStory) -> str:
    """How messages name an image."""
    return f"{image.name} ({image.id})" if image.name else image.id


def call_text(call: ApiCall) -> str:
    """How messages name a call."""
    return f"{call.operation} (call {call.id})"


class Evidence:
    """Tables, capture and what belongs to what."""

    def __init__(self, tables: Tables, capture: CaptureSummary) -> None:
        self.tables = tables
        self.capture = capture
        self.end_ts = capture.last_ts or 0

    @cached_property
    def calls(self) -> dict[int, ApiCall]:
        """Call id -> call."""
        return {call.id: call for call in self.tables.calls}

    @cached_property
    def images(self) -> Mapping[str, ImageStory]:
        """Image id -> image."""
        return {image.id: image for image in self.tables.images}

    def statement(self, statement_id: int) -> SqlStatement:
        """The statement of an id; the table is in the order of ids, from 1."""
        return self.tables.statements[statement_id - 1]

    @cached_property
    def errors(self) -> Sequence[SqlStatement]:
        """Statements of Glance and Keystone that the database refused."""
        return list(filter(is_error, self.tables.statements))

    @cached_property
    def _writes(self) -> list[SqlStatement]:
        return list(filter(is_write, self.tables.statements))

    @cached_property
    def vain_writes(self) -> Sequence[SqlStatement]:
        """Statements that write, and changed no row."""
        return list(filter(is_vain, self._writes))

    @cached_property
    def loose_writes(self) -> Sequence[SqlStatement]:
        """Statements that wrote to tables of images, and that no call is known to have run."""
        return [s for s in self._writes if s.id not in self.link_of and may_be_loose(s)]

    @cached_property
    def writers(self) -> Counter[Writer]:
        """Who has how many statements that write to Glance's database, in the order in which they appear."""
        return Counter(writer_of(s, linked=s.id in self.link_of) for s in self._writes if s.service == "glance")

    @cached_property
    def link_of(self) -> Mapping[int, Link]:
        """Statement id -> its link."""
        return {link.statement_id: link for link in self.tables.links}

    @cached_property
    def ran_by(self) -> Mapping[int, list[SqlStatement]]:
        """Call id -> statements that it ran before its response, in order."""
        groups: dict[int, list[SqlStatement]] = defaultdict(list)
        statements = self.tables.statements
        for link in self.tables.links:
            if link.relation == "in_request":
                groups[link.call_id].append(statements[link.statement_id - 1])
        return groups

    def statements_of(self, call_id: int) -> list[SqlStatement]:
        """Statements that a call ran before its response, in order."""
        return self.ran_by.get(call_id, [])

    @cached_property
    def children(self) -> dict[int, list[ApiCall]]:
        """Call id -> calls made in its course."""
        groups: dict[int, list[ApiCall]] = defaultdict(list)
        for call in self.tables.calls:
            if call.parent_id is not None:
                groups[call.parent_id].append(call)
        return groups

    @cached_property
    def uploads(self) -> dict[str, list[ApiCall]]:
        """Image id -> calls that carried image data to Glance, in order."""
        groups: dict[str, list[ApiCall]] = defaultdict(list)
        for call in self.tables.calls:
            if call.service == "glance" and call.image_id and is_upload(call):
                groups[call.image_id].append(call)
        return groups

    @cached_property
    def glance_connections(self) -> Iterable[Connection]:
        """Connections that ran statements of Glance."""
        return {s.connection for s in self.tables.statements if s.service == "glance"}

    def sql_lost_since(self, ts: int) -> bool:
        """Statements of Glance from `ts` (ns) on may be missing: one of its database connections misses bytes."""
        return any(any(c.bytes_missing) and c.last_ts >= ts for c in self.glance_connections)

    def last_sign(self, image_id: str) -> int:
        """Time of the last statement that names an image, ns; 0 if none does."""
        return max((s.end_ts for s in self.tables.statements if image_id in s.image_ids), default=0)

    @cached_property
    def lossy(self) -> bool:
        """Bytes that matter are missing from the capture."""
        if self.capture.accounting.stream_bytes_missing:
            return True
        return any(any(row.connection.bytes_missing) for row in self.tables.connections)


def is_error(statement: SqlStatement) -> bool:
    """The database refused a statement of Glance or Keystone."""
    return statement.command.error is not None and statement.service != "other"


def is_write(statement: SqlStatement) -> bool:
    """The statement writes, to whatever table."""
    return statement.operation in _WRITES and statement.parsed is not None


def is_vain(statement: SqlStatement) -> bool:
    """A statement that writes changed no row."""
    return statement.command.affected_rows == 0


def may_be_loose(statement: SqlStatement) -> bool:
    """A statement that writes wrote to a table of images."""
    tables = statement.parsed.shape.tables if statement.parsed is not None else ()
    if not tables or tables[0] not in _IMAGE_TABLES:
        return False
    return statement.outcome != "rolled_back" and statement.command.error is None


def writer_of(statement: SqlStatement, *, linked: bool) -> Writer:
    """Who ran a statement; `linked`: a call is known to have."""
    return statement.command.session.user, statement.schema, linked


def is_upload(call: ApiCall) -> bool:
    """The call's request body is image data."""
    return call.operation in UPLOADS or call.upload_hasher is not None
