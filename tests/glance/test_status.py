"""The status machine is Glance's."""

from __future__ import annotations

import pytest

from glancetrace.glance.status import STATUSES, TRANSITIONS, ImageStatus, is_legal, is_legal_task

# `valid_state_targets` of glance/domain/__init__.py, written down once more by hand.
LEGAL = {
    "queued": "saving uploading importing active deleted",
    "saving": "active killed deleted queued",
    "uploading": "importing queued deleted",
    "importing": "active deleted queued",
    "active": "pending_delete deleted deactivated",
    "killed": "deleted",
    "pending_delete": "deleted active",
    "deleted": "",
    "deactivated": "active deleted",
}


@pytest.mark.parametrize("before", sorted(LEGAL))
def test_each_pair_of_statuses(before: str) -> None:
    for after in LEGAL:
        assert is_legal(before, after) == (after == before or after in LEGAL[before].split()), (before, after)


def test_the_table_knows_every_status() -> None:
    assert set(TRANSITIONS) == set(ImageStatus)
    assert set(LEGAL) == STATUSES


def test_creation_is_queued() -> None:
    assert [after for after in LEGAL if is_legal(None, after)] == ["queued"]


def test_older_releases_went_back_to_queued() -> None:
    assert not is_legal("active", "queued")
    assert is_legal("active", "queued", legacy=True)
    assert not is_legal("deleted", "queued", legacy=True)


@pytest.mark.parametrize(
    ("before", "after"), [("queued", "nonsense"), ("nonsense", "active"), (None, ""), ("", "queued")]
)
def test_unknown_statuses_are_not_legal(before: str | None, after: str) -> None:
    assert not is_legal(before, after)


def test_tasks() -> None:
    assert is_legal_task(None, "pending")
    assert is_legal_task("pending", "processing")
    assert is_legal_task("processing", "success")
    assert is_legal_task("pending", "failure")
    assert not is_legal_task("pending", "success")
    assert not is_legal_task("success", "failure")
    assert not is_legal_task(None, "success")
    assert not is_legal_task("x", "success")
