"""The status machine of images, as a table: the only place that knows it.

Source: `valid_state_targets` in `glance/domain/__init__.py`, unchanged since Rocky (17.0.0), and what older releases
had besides. Tasks: `glance/domain/__init__.py`, `Task`; members: `glance/domain/__init__.py`, `ImageMembership`;
locations: `glance/common/store_utils.py`.

Only the machine is here: tools that write the database (scrubber, image_restore) and API v1 go past it, and writing the
status an image already has is no transition.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = [
    "CREATED",
    "LEGACY_TRANSITIONS",
    "STATUSES",
    "TASK_TRANSITIONS",
    "TRANSIENT",
    "TRANSITIONS",
    "ImageStatus",
    "LocationStatus",
    "MemberStatus",
    "TaskStatus",
    "is_legal",
    "is_legal_task",
]


class ImageStatus(StrEnum):
    """Values of `images.status`."""

    QUEUED = "queued"
    SAVING = "saving"
    UPLOADING = "uploading"
    IMPORTING = "importing"
    ACTIVE = "active"
    KILLED = "killed"
    PENDING_DELETE = "pending_delete"
    DELETED = "deleted"
    DEACTIVATED = "deactivated"


class TaskStatus(StrEnum):
    """Values of `tasks.status`."""

    PENDING = "pending"
    PROCESSING = "processing"
    SUCCESS = "success"
    FAILURE = "failure"


class MemberStatus(StrEnum):
    """Values of `image_members.status`."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


class LocationStatus(StrEnum):
    """Values of `image_locations.status`."""

    ACTIVE = "active"
    PENDING_DELETE = "pending_delete"
    DELETED = "deleted"


_S = ImageStatus

TRANSITIONS: dict[ImageStatus, frozenset[ImageStatus]] = {
    _S.QUEUED: frozenset({_S.SAVING, _S.UPLOADING, _S.IMPORTING, _S.ACTIVE, _S.DELETED}),
    _S.SAVING: frozenset({_S.ACTIVE, _S.KILLED, _S.DELETED, _S.QUEUED}),
    _S.UPLOADING: frozenset({_S.IMPORTING, _S.QUEUED, _S.DELETED}),
    _S.IMPORTING: frozenset({_S.ACTIVE, _S.DELETED, _S.QUEUED}),
    _S.ACTIVE: frozenset({_S.PENDING_DELETE, _S.DELETED, _S.DEACTIVATED}),
    _S.KILLED: frozenset({_S.DELETED}),
    _S.PENDING_DELETE: frozenset({_S.DELETED, _S.ACTIVE}),
    _S.DELETED: frozenset(),
    _S.DEACTIVATED: frozenset({_S.ACTIVE, _S.DELETED}),
}
"""Status -> statuses that may follow."""

LEGACY_TRANSITIONS: dict[ImageStatus, frozenset[ImageStatus]] = {_S.ACTIVE: frozenset({_S.QUEUED})}
"""What Icehouse to Liberty allowed besides."""

CREATED: ImageStatus = _S.QUEUED
"""Status of every new image."""

TRANSIENT: frozenset[str] = frozenset({_S.SAVING.value, _S.UPLOADING.value, _S.IMPORTING.value})
"""Statuses of an image that somebody is working on: an image that stays in one is stuck."""

STATUSES: frozenset[str] = frozenset(status.value for status in ImageStatus)
"""All values of `images.status`."""

TASK_TRANSITIONS: dict[TaskStatus, frozenset[TaskStatus]] = {
    TaskStatus.PENDING: frozenset({TaskStatus.PROCESSING, TaskStatus.FAILURE}),
    TaskStatus.PROCESSING: frozenset({TaskStatus.SUCCESS, TaskStatus.FAILURE}),
    TaskStatus.SUCCESS: frozenset(),
    TaskStatus.FAILURE: frozenset(),
}
"""Task status -> statuses that may follow."""


def is_legal(from_status: str | None, to_status: str, *, legacy: bool = False) -> bool:
    """Glance allows this change of an image's status.

    Args:
        from_status: status before, None for a creation.
        to_status: status after; an equal one is no change, and legal.
        legacy: allow what releases up to Liberty allowed too.
    """
    if to_status not in STATUSES:
        return False
    if from_status is None:
        return to_status == CREATED.value
    if from_status not in STATUSES:
        return False
    before, after = ImageStatus(from_status), ImageStatus(to_status)
    if before is after or after in TRANSITIONS[before]:
        return True
    return legacy and after in LEGACY_TRANSITIONS.get(before, frozenset())


def is_legal_task(from_status: str | None, to_status: str) -> bool:
    """Glance allows this change of a task's status; `from_status` is None for a creation."""
    statuses = {status.value for status in TaskStatus}
    if to_status not in statuses or (from_status is not None and from_status not in statuses):
        return False
    if from_status is None:
        return to_status == TaskStatus.PENDING.value
    before, after = TaskStatus(from_status), TaskStatus(to_status)
    return before is after or after in TASK_TRANSITIONS[before]
