"""What rows and bodies say against a call: the database's answers and the API's must tell the same.

A response shows what its call's own SELECTs returned, and a call writes what its request says, so ids of a list, the
version (`updated_at`), status, properties and tags of an image, the caller's project in a WHERE, names and values of
what is inserted can contradict. Only what both sides show for certain is compared; what either side does not show, or
lost in the capture, contradicts nothing. Compared are only units that more than one call could have run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from glancetrace.glance.call import ApiCall
from glancetrace.glance.statement import SqlStatement
from glancetrace.sql.statement import Literal

__all__ = ["UnitRows", "read_rows", "unlike"]

_PREFIXES = ("anon_1_anon_2_", "anon_1_")
_CREATES = frozenset({"image-create"})
_SHOWS = frozenset({"image-show"})
_SAVES = frozenset({"image-update"})
_BASE_COLUMNS = ("status", "name", "visibility", "owner", "checksum")
_FILTERS = ("name", "status", "visibility", "owner", "tag", "container_format", "disk_format")


@dataclass(slots=True)
class UnitRows:
    """What a unit's rows and literals show.

    `image`: column -> value of the one image read, and `properties` name -> value of it; `tags`: all tags read;
    `listed`: ids of a list; each None if not shown whole. `projects`: whose images or memberships it asks for.
    `saved`: columns written to the image; `inserted`: (table, column -> value) of rows inserted; `updated`: values that
    properties got. `literals`: all texts.
    """

    image: dict[str, str | None] | None = None
    properties: dict[str, str | None] | None = None
    tags: frozenset[str] | None = None
    listed: frozenset[str] | None = None
    projects: frozenset[str] = frozenset()
    saved: dict[str, Literal] = field(default_factory=dict)
    inserted: list[tuple[str, Mapping[str, Literal]]] = field(default_factory=list)
    updated: list[Literal] = field(default_factory=list)
    literals: frozenset[Literal] = frozenset()
    limit: int | None = None


def read_rows(statements: list[SqlStatement], reads_list: bool) -> UnitRows:
    """Rows of a unit of work; a unit that reads an image or its tags twice shows the first."""
    seen = UnitRows()
    projects: set[str] = set()
    for statement in statements:
        parsed = statement.parsed
        if parsed is None or not parsed.shape.tables:
            continue
        table = parsed.shape.tables[0]
        if table == "tasks" and statement.operation == "UPDATE":
            projects.update(str(owner) for owner in parsed.equal_to("tasks", "owner"))
        if statement.operation == "SELECT":
            projects |= _projects(statement)
            if reads_list and table == "images":
                seen.listed = _listed(statement)
                seen.literals = frozenset(parsed.literals)
                limit = parsed.shape.limit
                seen.limit = int(str(parsed.literals[limit])) if limit is not None else None
            elif table == "images" and seen.image is None:
                _take_image(seen, statement)
            elif table == "image_tags" and seen.tags is None:
                seen.tags = _tags(statement)
        for change in statement.changes:
            if change.operation == "INSERT":
                seen.inserted.append((change.table, change.values))
            elif change.table == "image_properties" and change.values.get("value") is not None:
                seen.updated.append(change.values["value"])
            elif change.table == "images" and "name" in change.values:
                seen.saved = dict(change.values)
    seen.projects = frozenset(projects)
    return seen


def _projects(statement: SqlStatement) -> set[str]:
    """Projects that an owner OR a member must be, or whose tasks are read: so Glance asks for what a caller may see."""
    parsed = statement.parsed
    found: set[str] = set()
    if parsed is not None:
        for p in parsed.shape.predicates:
            if p.table == "images" and p.column == "owner" and p.operator == "=" and not p.conjunct:
                found.update(str(parsed.literals[slot]) for slot in p.slots)
    return found


def _rows(statement: SqlStatement) -> tuple[list[str], list[tuple[Any, ...]]] | None:
    """Column names without the prefixes of subqueries, and all rows; None if not all were seen."""
    command = statement.command
    if command.columns is None or not command.rows_complete or command.rows is None:
        if command.returned_rows == 0 and command.columns is not None:
            return list(command.columns), []
        return None
    names = []
    for column in command.columns:
        for prefix in _PREFIXES:
            column = column.removeprefix(prefix)
        names.append(column)
    return names, command.rows


def _listed(statement: SqlStatement) -> frozenset[str] | None:
    found = _rows(statement)
    if found is None or "images_id" not in found[0]:
        return None
    position = found[0].index("images_id")
    return frozenset(str(row[position]) for row in found[1])


def _tags(statement: SqlStatement) -> frozenset[str] | None:
    found = _rows(statement)
    if found is None or "image_tags_value" not in found[0] or len(found[0]) > 2:
        return None
    position = found[0].index("image_tags_value")
    return frozenset(str(row[position]) for row in found[1])


def _take_image(seen: UnitRows, statement: SqlStatement) -> None:
    found = _rows(statement)
    if found is None or not found[1] or "images_status" not in found[0]:
        return
    names, rows = found
    first = dict(zip(names, rows[0], strict=True))
    seen.image = {name.removeprefix("images_"): value for name, value in first.items() if name.startswith("images_")}
    if "image_properties_1_name" in names:
        seen.properties = {}
        for row in rows:
            values = dict(zip(names, row, strict=True))
            name = values["image_properties_1_name"]
            if name is not None and values.get("image_properties_1_deleted", "0") == "0":
                seen.properties[str(name)] = values.get("image_properties_1_value")


def unlike(call: ApiCall, project_id: str | None, unit: UnitRows) -> str | None:
    """What in the rows of a unit contradicts a call, None when nothing does."""
    if unit.projects and project_id is not None and project_id not in unit.projects:
        return "asks for what another project may see"
    operation = call.operation
    if operation == "image-list":
        return _unlike_list(call, unit)
    answer = call.response_json if isinstance(call.response_json, dict) else None
    if operation in _SHOWS and call.succeeded:
        if answer is not None and answer.get("id"):
            return _unlike_shown(answer, unit)
    elif operation in _SAVES and call.succeeded:
        if answer is not None and answer.get("id"):
            return _unlike_saved(answer, unit)
    elif operation in _CREATES:
        return _unlike_created(call, answer, unit)
    elif operation == "image-upload" and call.upload_complete and unit.saved.get("status") == "active":
        size = unit.saved.get("size")
        if size is not None and str(size) != str(call.request_body_bytes):
            return "stores another size"
    elif operation == "member-create":
        return _unlike_member(call, unit)
    return None


def _unlike_list(call: ApiCall, unit: UnitRows) -> str | None:
    query = call.query
    if unit.literals:
        for name in _FILTERS:
            value = query.get(name)
            if value and ":" not in value and value not in unit.literals and value not in ("all", "public"):
                return f"does not ask for the {name}"
        wanted = query.get("limit")
        if wanted is not None and wanted.isdigit() and unit.limit is not None and unit.limit > int(wanted):
            return "asks for more than the limit"
    answer = call.response_json
    images = answer.get("images") if isinstance(answer, dict) else None
    if unit.listed is None or not call.succeeded or not isinstance(images, list):
        return None
    shown = [image.get("id") if isinstance(image, dict) else None for image in images]
    if not all(isinstance(image, str) for image in shown):
        return None
    return None if unit.listed == set(shown) else "returned other images than the response shows"


def _same_second(shown: Any, stored: Any) -> bool:
    """`2026-11-20T19:28:21Z` of the API and `2026-11-20 19:28:21[.98]` of the database, rounded or cut."""
    if not isinstance(shown, str) or not isinstance(stored, str):
        return True
    return shown[:19].replace("T", " ") == stored[:19]


def _unlike_shown(answer: dict[str, Any], unit: UnitRows) -> str | None:
    """A response that shows an image as its call read it."""
    image = unit.image
    if image is not None:
        for column in _BASE_COLUMNS:
            if column in image and column in answer and image[column] != answer[column]:
                return f"read another {column}"
        if not _same_second(answer.get("updated_at"), image.get("updated_at")):
            return "read another version of the image"
        for name, value in (unit.properties or {}).items():
            if name in answer and answer[name] != value and isinstance(answer[name], str):
                return f"read another value of {name}"
    tags = answer.get("tags")
    if unit.tags is not None and isinstance(tags, list) and unit.tags != set(map(str, tags)):
        return "read other tags"
    return None


def _unlike_saved(answer: dict[str, Any], unit: UnitRows) -> str | None:
    """A response that shows an image as its call saved it."""
    saved = unit.saved
    for column in ("name", "visibility"):
        if column in saved and column in answer and saved[column] != answer[column]:
            return f"writes another {column}"
    if unit.updated:
        # The row's number does not say which property it is; all of them are texts.
        shown = {value for value in answer.values() if isinstance(value, str)}
        if not shown.issuperset(unit.updated):
            return "writes another value of a property"
    return _unlike_inserted(answer, unit)


def _unlike_inserted(answer: dict[str, Any], unit: UnitRows) -> str | None:
    tags = answer.get("tags")
    for table, values in unit.inserted:
        if table == "image_properties":
            name, value = values.get("name"), values.get("value")
            shown = answer.get(str(name))
            if shown is None or (isinstance(shown, str) and shown != value):
                return "writes another value of a property"
        elif table == "image_tags" and isinstance(tags, list) and values.get("value") not in tags:
            return "writes a tag that the response lacks"
    return None


def _unlike_created(call: ApiCall, answer: dict[str, Any] | None, unit: UnitRows) -> str | None:
    if call.succeeded and answer is not None and answer.get("id"):
        return _unlike_inserted(answer, unit)
    asked = call.request_json if isinstance(call.request_json, dict) else {}
    for table, values in unit.inserted:
        if table == "images":
            for column in ("id", "name"):
                if column in asked and asked[column] != values.get(column):
                    return f"creates another {column}"
    return None


def _unlike_member(call: ApiCall, unit: UnitRows) -> str | None:
    asked = call.request_json if isinstance(call.request_json, dict) else {}
    member = asked.get("member")
    for table, values in unit.inserted:
        if table == "image_members" and member is not None and values.get("member") != member:
            return "adds another member"
    return None
