"""Which SQL an operation of Glance's API can run.

A table of what each operation reads and writes, from Glance's sources (`glance/api/v2/*.py`,
`glance/db/sqlalchemy/api.py`): attribution uses it to rule calls out, never to invent statements. An operation that is
not listed can run anything.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["GRAMMAR", "OperationSql", "sql_of"]

IMAGE = "image"
LIST = "list"
CREATE = "create"
NOTHING = "nothing"
ANY = "any"


@dataclass(frozen=True, slots=True)
class OperationSql:
    """SQL of one operation.

    Attributes:
        scope: "image" (only statements about the image in its path), "list" (image lists), "create" (inserts an image),
            "nothing" (no SQL at all) or "any".
        writes: tables that it may write.
        status_to: statuses that it may give an image by a guarded UPDATE (`... AND images.status = 'from'`).
        goes_on: work of it may go on after its response.
        expires_tasks: it deletes expired tasks, whosever they are.
        checks_first: it writes nothing before it knows that the caller may, so 403 and 404 come without a write.
    """

    scope: str
    writes: frozenset[str] = frozenset()
    status_to: frozenset[str] = frozenset()
    goes_on: bool = False
    expires_tasks: bool = False
    checks_first: bool = False


_SAVE = frozenset({"images", "image_properties", "image_locations", "image_tags"})
_READ_IMAGE = OperationSql(IMAGE)
_MEMBER_WRITE = OperationSql(IMAGE, frozenset({"image_members"}), checks_first=True)
_NO_SQL = OperationSql(NOTHING)

GRAMMAR: dict[str, OperationSql] = {
    "image-show": _READ_IMAGE,
    "image-download": _READ_IMAGE,
    "image-list": OperationSql(LIST),
    "image-create": OperationSql(CREATE, _SAVE, frozenset({"queued", "active"})),
    "image-upload": OperationSql(
        IMAGE, _SAVE, frozenset({"saving", "active", "queued", "killed", "deleted", "pending_delete"})
    ),
    "image-stage": OperationSql(IMAGE, _SAVE, frozenset({"uploading", "queued", "deleted", "pending_delete"})),
    "image-import": OperationSql(
        IMAGE,
        _SAVE | {"tasks", "task_info", "image_members"},
        frozenset({"importing", "active", "queued", "uploading", "saving", "deleted"}),
        goes_on=True,
    ),
    "image-update": OperationSql(IMAGE, _SAVE, frozenset({"active", "queued"}), checks_first=True),
    "image-deactivate": OperationSql(IMAGE, _SAVE, frozenset({"deactivated"}), checks_first=True),
    "image-reactivate": OperationSql(IMAGE, _SAVE, frozenset({"active"}), checks_first=True),
    "image-delete": OperationSql(IMAGE, _SAVE | {"image_members"}, frozenset({"deleted", "pending_delete"})),
    "store-image-delete": OperationSql(IMAGE, _SAVE, frozenset({"active", "queued"})),
    "image-tag-add": OperationSql(IMAGE, _SAVE, checks_first=True),
    "image-tag-delete": OperationSql(IMAGE, _SAVE, checks_first=True),
    "member-list": _READ_IMAGE,
    "member-show": _READ_IMAGE,
    "member-create": _MEMBER_WRITE,
    "member-update": _MEMBER_WRITE,
    "member-delete": _MEMBER_WRITE,
    "location-list": _READ_IMAGE,
    "image-task-list": OperationSql(IMAGE, frozenset({"tasks"}), expires_tasks=True),
    "location-add": OperationSql(IMAGE, _SAVE | {"tasks", "task_info"}, frozenset({"active"}), goes_on=True),
    "schema-show": _NO_SQL,
    "version-list": _NO_SQL,
    "healthcheck": _NO_SQL,
}

_ANY = OperationSql(ANY, goes_on=True)


def sql_of(operation: str, service: str = "glance") -> OperationSql:
    """What `operation` can run; anything for one that is not in the table, or of a registry, which only stores."""
    return GRAMMAR.get(operation, _ANY) if service == "glance" else _ANY
