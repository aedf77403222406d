"""What the database says at once: refused statements, deadlocks, updates that came too late."""

from __future__ import annotations

from collections.abc import Iterator

from glancetrace.glance.statement import SqlStatement
from glancetrace.live.images import Images
from glancetrace.live.notice import Notice

__all__ = ["find_in_transaction"]

_ER_LOCK_DEADLOCK = 1213


def find_in_transaction(statements: list[SqlStatement], images: Images) -> Iterator[Notice]:
    """Findings about the statements of one transaction; those of other services are left alone."""
    for statement in statements:
        if statement.service == "other":
            continue
        error = statement.command.error
        if error is not None:
            rule = "sql-deadlock" if error.code == _ER_LOCK_DEADLOCK else "sql-error"
            state = f" ({error.sqlstate})" if error.sqlstate else ""
            message = (
                f"{statement.service}: {statement.operation} was refused with {error.code}{state}: {error.message}"
            )
            yield _about(statement, images, rule, message)
        elif statement.command.affected_rows == 0 and statement.operation == "UPDATE":
            yield from _lost_race(statement, images)


def _lost_race(statement: SqlStatement, images: Images) -> Iterator[Notice]:
    """An UPDATE of an image that expects a status and changed no row."""
    for change in statement.changes:
        if change.table == "images" and change.status_from is not None:
            message = f"was no longer {change.status_from} when a statement set it to {change.status_to or 'another'}"
            yield _about(statement, images, "lost-race", message)


def _about(statement: SqlStatement, images: Images, rule: str, message: str) -> Notice:
    command = statement.command
    image_id = statement.image_ids[0] if len(statement.image_ids) == 1 else None
    frames = tuple(sorted({f for f in (command.request_frame, command.response_frame) if f is not None}))
    return Notice("finding", statement.end_ts, rule, message, image_id, images.name_of(image_id), frames)
