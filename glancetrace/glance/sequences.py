"""What a unit of work does, in a word, and which word can stand before which in an operation.

A request to Glance uses its database in steps: read the image, read its tags, save, read it again ... (facts from
`glance/db/sqlalchemy/api.py` and `glance/db/__init__.py`, measured on Glance 26 and 33). Each step is one unit of work.
The table of followers is a prior only: attribution learns from the capture how often each follows which, so a release
that does it otherwise costs certainty, not correctness.

Kinds of units: `create` (INSERT of an image), `save` (UPDATE of one, with the statuses of its guard), `list`, `img`
(reads one image), `tags`, `members`, `locations`, `properties`, `tasks`, `other`. Marks behind it: `0` nothing found,
`+m` looks for a membership of the caller on the way, `&` reads the image twice, `*` writes, `!` commits though it has
only read. Glance 30 reads an image twice in the unit after the one that created or saved it, and only there.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from glancetrace.glance.statement import SqlStatement

__all__ = ["END", "KINDS", "START", "base_of", "kind_of_unit", "preceders"]

START = "^"
END = "$"

_TRANSACTION = frozenset({"COMMIT", "ROLLBACK", "BEGIN", "START", "SAVEPOINT", "RELEASE"})
_TABLES = {
    "image_tags": "tags",
    "image_members": "members",
    "image_locations": "locations",
    "image_properties": "properties",
    "tasks": "tasks",
    "task_info": "tasks",
}
KINDS = ("create", "save", "list", "img", *dict.fromkeys(_TABLES.values()), "other")
"""Kinds without their marks."""


def kind_of_unit(statements: Sequence[SqlStatement], reads_list: bool) -> str:
    """Kind of a unit of work with these statements.

    Args:
        statements: the unit.
        reads_list: it reads image rows without naming one.
    """
    base = mark = found = ""
    writes = looks_up = commits = again = False
    for statement in statements:
        operation = statement.operation
        commits = commits or operation == "COMMIT"
        if statement.kind not in ("request", "background", "unattributed") or operation in _TRANSACTION:
            continue
        tables = statement.parsed.shape.tables if statement.parsed is not None else ()
        table = tables[0] if tables else ""
        reads = operation == "SELECT"
        writes = writes or not reads
        if table == "images" and not reads and base not in ("create", "save"):
            base = "create" if operation == "INSERT" else "save"
            mark = ""
        elif table == "images" and not base:
            base = "list" if reads_list else "img"
            found = "0" if statement.command.returned_rows == 0 and not reads_list else ""
        elif table == "images" and base == "img":
            again = True
        elif table == "image_members" and base == "img":
            looks_up = True
            found = "0" if statement.command.returned_rows == 0 else ""
        elif not base:
            base = _TABLES.get(table, "other")
            if table == "image_members" and len(tables) > 1:
                looks_up = True
                found = "0" if statement.command.returned_rows == 0 else ""
        if base == "save" and operation == "UPDATE" and not mark:
            mark = _statuses(statement)
    if base in ("create", "save"):
        return base + mark
    marks = f"{'+m' if looks_up else ''}{found}{'&' if again else ''}{'*' if writes else '!' if commits else ''}"
    return (base or "other") + marks


def _statuses(statement: SqlStatement) -> str:
    for change in statement.changes:
        if change.table == "images" and change.status_to is not None:
            return f":{change.status_from or ''}>{change.status_to}"
    return ""


@cache
def base_of(kind: str) -> str:
    """A kind without its marks."""
    for mark in "+0&*!:":
        kind = kind.partition(mark)[0]
    return kind


_READ: dict[str, tuple[str, ...]] = {
    START: ("img",),
    "img": ("tags", "members", END),
    "tags": (END,),
    "members": (END,),
}
_SAVE: dict[str, tuple[str, ...]] = {
    START: ("img",),
    "img": ("tags", "members"),
    "tags": ("save", "tags", "members", END),
    "save": ("img",),
    "members": (END,),
}
_MEMBERS: dict[str, tuple[str, ...]] = {
    START: ("img",),
    "img": ("tags", "members"),
    "tags": ("members",),
    "members": ("members", END),
}
_FOLLOWERS: dict[str, dict[str, tuple[str, ...]]] = {
    "image-show": _READ,
    "image-download": _READ,
    "location-list": _READ,
    "image-task-list": {START: ("img",), "img": ("tags", "members"), "tags": ("tasks",), "tasks": (END,)},
    "image-list": {START: ("list", "img"), "img": ("list",), "list": (END,)},
    "image-create": {START: ("create",), "create": ("img",), "img": ("tags",), "tags": ("tags", "members", END)},
    "image-upload": _SAVE,
    "image-stage": _SAVE,
    "image-update": _SAVE,
    "image-deactivate": _SAVE,
    "image-reactivate": _SAVE,
    "image-tag-add": _SAVE,
    "image-tag-delete": _SAVE,
    "member-list": _MEMBERS,
    "member-show": _MEMBERS,
    "member-create": _MEMBERS,
    "member-update": _MEMBERS,
    "member-delete": _MEMBERS,
    "image-delete": {
        START: ("img",),
        "img": ("tags", "members", "save"),
        "tags": ("locations", "save"),
        "locations": ("locations", "save"),
        "save": ("img", "save", END),
    },
    "store-image-delete": {
        START: ("img",),
        "img": ("tags", "members"),
        "tags": ("locations", "save", "members", END),
        "locations": ("locations", "save"),
        "save": ("img",),
        "members": (END,),
    },
}


@cache
def preceders(operation: str, kind: str, failed: bool) -> tuple[str, ...]:
    """Kinds (without marks, or START) that can stand before `kind` (or END); all of them where nothing is known.

    Args:
        operation: of the call. kind: with or without marks. failed: an error ends a call after any of its units.
    """
    table = _FOLLOWERS.get(operation)
    if table is None:
        return (*KINDS, START)
    base = END if kind == END else base_of(kind)
    if base == END and failed:
        return tuple(before for before in table if before != START)
    return tuple(before for before, after in table.items() if base in after)
