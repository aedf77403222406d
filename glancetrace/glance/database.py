"""Glance's database: which rows a statement writes, which images it names, what joins it with calls.

Source: `glance/db/sqlalchemy/models.py` (tables, columns), `glance/db/sqlalchemy/api.py` (statements). Whose statement
it is and what it is for is told by `service`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from glancetrace.glance.identifier import is_image_id
from glancetrace.glance.service import kind_of_statement, service_of, wanted_columns
from glancetrace.sql.statement import Literal, Predicate, Shape, Statement

__all__ = [
    "CHANGED_TABLES",
    "RowChange",
    "evidence_keys",
    "image_ids",
    "kind_of_statement",
    "row_changes",
    "service_of",
    "wanted_columns",
]

CHANGED_TABLES = frozenset(
    {"images", "image_properties", "image_tags", "image_locations", "image_members", "tasks", "task_info"}
)
"""Tables whose changes make the story of an image."""

_IMAGE_COLUMNS = frozenset({("images", "id")}) | {
    (table, "image_id") for table in CHANGED_TABLES - {"images", "task_info"} | {"cached_images"}
}
_TASK_COLUMNS = frozenset({("tasks", "id"), ("task_info", "task_id")})
_OPERATIONS = {"INSERT": "INSERT", "REPLACE": "INSERT", "UPDATE": "UPDATE", "DELETE": "DELETE"}
_KEYS: dict[tuple[str, str], str] = {
    **dict.fromkeys(_IMAGE_COLUMNS, "image"),
    **dict.fromkeys(_TASK_COLUMNS, "task"),
    ("images", "owner"): "owner",
    ("tasks", "owner"): "owner",
    ("image_members", "member"): "member",
    ("image_tags", "value"): "tag",
    ("image_properties", "name"): "property",
    ("image_locations", "value"): "location",
    ("images", "name"): "name",
    ("images", "checksum"): "checksum",
    ("images", "os_hash_value"): "os_hash_value",
    ("tasks", "request_id"): "request",
    ("tasks", "user_id"): "user",
}


@dataclass(frozen=True, slots=True)
class RowChange:
    """Rows of one table that a statement writes, as its text says; whether it did is the transaction's business.

    Attributes:
        table: one of `CHANGED_TABLES`.
        operation: "INSERT", "UPDATE" or "DELETE".
        image_id: image that the rows belong to; None if the text does not name it.
        row_id: the row's own id as text (image id, task id, or the number of a property, location ...), None likewise.
        values: column -> value written (expressions are left out).
        conditions: column -> value that the rows had before (`WHERE column = value` of this table).
        status_from, status_to: the status that the rows must have had, and the one they get; None if not named.
    """

    table: str
    operation: str
    image_id: str | None
    row_id: str | None
    values: Mapping[str, Literal] = field(default_factory=dict)
    conditions: Mapping[str, Literal] = field(default_factory=dict)
    status_from: str | None = None
    status_to: str | None = None


def _text(value: Literal) -> str | None:
    if isinstance(value, str):
        return value
    return None if value is None else str(value)


def row_changes(statement: Statement) -> tuple[RowChange, ...]:
    """What a statement writes to `CHANGED_TABLES`; one entry per row of an INSERT and per id of an IN list."""
    shape = statement.shape
    operation = _OPERATIONS.get(shape.operation)
    if operation is None or not shape.tables or shape.tables[0] not in CHANGED_TABLES:
        return ()
    table = shape.tables[0]
    if operation == "INSERT":
        rows = 1 + max((a.row for a in shape.assignments), default=0)
        return tuple(_insert(table, statement.assigned(row)) for row in range(rows))
    return tuple(_written(table, operation, statement))


def _insert(table: str, values: dict[str, Literal]) -> RowChange:
    row_id = _text(values.get("task_id" if table == "task_info" else "id"))
    image_id = row_id if table == "images" else _text(values.get("image_id"))
    status = _text(values.get("status"))
    return RowChange(table, "INSERT", image_id, row_id, values, status_to=status)


def _written(table: str, operation: str, statement: Statement) -> list[RowChange]:
    """An UPDATE or DELETE: one change per id that its WHERE names."""
    values = statement.assigned() if operation == "UPDATE" else {}
    conditions: dict[str, Literal] = {}
    lists: dict[str, tuple[Literal, ...]] = {}
    for p in statement.shape.predicates:
        if p.conjunct and p.table == table and p.operator in ("=", "IN", "IS"):
            found = tuple(statement.literals[slot] for slot in p.slots) if p.slots else (p.constant,)
            lists.setdefault(p.column, found)
            if len(found) == 1:
                conditions.setdefault(p.column, found[0])
    key = "task_id" if table == "task_info" else "id"
    image_column = "id" if table == "images" else "image_id"
    status_from = _text(conditions.get("status"))
    status_to = _text(values.get("status"))
    changes = []
    ids = lists.get(key) or lists.get(image_column) or (None,)
    for value in ids:
        row_id = _text(value) if key in lists else None
        image_id = _text(value) if image_column in lists and (key == image_column or key not in lists) else None
        if image_id is None and image_column != key:
            image_id = _text(conditions.get(image_column))
        changes.append(RowChange(table, operation, image_id, row_id, values, conditions, status_from, status_to))
    return changes


@lru_cache(maxsize=4096)
def _image_slots(shape: Shape) -> tuple[int, ...]:
    """Slots of a statement's literals that are image ids by the column they stand with, each once."""
    slots: list[int] = []
    if shape.tables and shape.operation != "SELECT":
        table = shape.tables[0]
        slots += [a.slot for a in shape.assignments if a.slot is not None and (table, a.column) in _IMAGE_COLUMNS]
    for p in shape.predicates:
        if (p.table, p.column) in _IMAGE_COLUMNS and p.operator in ("=", "IN"):
            slots += p.slots
    return tuple(dict.fromkeys(slots))


def image_ids(statement: Statement) -> tuple[str, ...]:
    """Image ids that a statement names, in order: values of typed columns, not of names that look like ids."""
    slots = _image_slots(statement.shape)
    if not slots:
        return ()
    literals = statement.literals
    found = dict.fromkeys(value for slot in slots if isinstance(value := literals[slot], str))
    return tuple(value for value in found if is_image_id(value))


def evidence_keys(statement: Statement) -> frozenset[tuple[str, str]]:
    """Typed keys that join a statement with calls.

    ("image", id), ("task", id), ("owner", id), ("member", id), ("tag", value), ("property", name), ("location", url),
    ("name", name), ("checksum", hex), ("os_hash_value", hex), ("request", id), ("user", id), ("size", bytes),
    ("visibility", v), ("marker", "created_at"), ("limit", count), ("status_from", status), ("status_to", status),
    ("property_value", value).
    """
    shape, literals = statement.shape, statement.literals
    keys: set[tuple[str, str]] = set()
    table = shape.tables[0] if shape.tables else ""
    for a in shape.assignments:
        if a.slot is None or (value := literals[a.slot]) is None:
            continue
        kind = _KEYS.get((table, a.column))
        if kind is not None:
            keys.add((kind, str(value)))
        elif a.column == "status" and table in ("images", "tasks", "image_members"):
            keys.add(("status_to", str(value)))
        elif table == "images" and a.column in ("size", "visibility"):
            keys.add((a.column, str(value)))
        elif table == "image_properties" and a.column == "value":
            keys.add(("property_value", str(value)))
    for p in shape.predicates:
        _predicate_keys(keys, p, literals)
    if shape.limit is not None:
        keys.add(("limit", str(literals[shape.limit])))
    return frozenset(keys)


def _predicate_keys(keys: set[tuple[str, str]], p: Predicate, literals: tuple[Literal, ...]) -> None:
    if not p.slots:
        return
    if p.operator in ("<", ">") and p.table == "images":
        keys.add(("marker", p.column))
    if p.operator not in ("=", "IN"):
        return
    kind = _KEYS.get((p.table, p.column))
    if kind is None and p.table == "images" and p.column == "status" and len(p.slots) == 1:
        kind = "status_from"
    elif kind is None and p.table == "images" and p.column == "visibility":
        kind = "visibility"
    if kind is not None:
        keys.update((kind, str(literals[slot])) for slot in p.slots)
