"""Row changes, image ids and evidence of Glance's statements."""

from __future__ import annotations

import pytest

from glancetrace.glance.database import RowChange, evidence_keys, image_ids, row_changes
from glancetrace.sql import Statement, StatementParser

IMAGE = "daa062e8-ea76-4c92-8360-bc7a3dabf789"
OTHER = "b4fd358a-c90b-4c96-b129-1f6a3a853662"
TASK = "4f29fbc3-54a5-4216-9673-7d8654f31b92"
OWNER = "e6499f47484f45538d61b37b7d4a386c"

# As Glance 33 sends it, and the column order of Glance 26.
SAVING = (
    f"UPDATE images SET id='{IMAGE}', name='abort-cl-rst', disk_format='raw', container_format='bare', size=NULL, "
    f"virtual_size=NULL, status='saving', visibility='shared', checksum=NULL, os_hash_algo=NULL, os_hash_value=NULL, "
    f"min_disk=0, min_ram=0, owner='{OWNER}', protected=0, os_hidden=0, updated_at='2026-11-20 19:26:54.405127' "
    f"WHERE images.id = '{IMAGE}' AND images.status = 'queued'"
)
ACTIVE_OLD = (
    f"UPDATE images SET updated_at='2026-11-20 19:40:27.340871', id='{IMAGE}', name='vmlinuz', size=150000, "
    f"status='active', checksum='fa1d5a1c88bac10be664a9b79bfb1d19', protected=0 "
    f"WHERE images.id = '{IMAGE}' AND images.status = 'saving'"
)


def parse(sql: str) -> Statement:
    return StatementParser().parse(sql)


def only_change(sql: str) -> RowChange:
    changes = row_changes(parse(sql))
    assert len(changes) == 1
    return changes[0]


def told(change: RowChange) -> tuple[str, str, str | None, str | None, str | None, str | None]:
    return change.table, change.operation, change.image_id, change.row_id, change.status_from, change.status_to


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (SAVING, ("images", "UPDATE", IMAGE, IMAGE, "queued", "saving")),
        (ACTIVE_OLD, ("images", "UPDATE", IMAGE, IMAGE, "saving", "active")),
        (
            f"UPDATE images SET status='deleted', updated_at='2026-11-20 19:27:06.197359' WHERE images.id = '{IMAGE}'",
            ("images", "UPDATE", IMAGE, IMAGE, None, "deleted"),
        ),
        (
            f"UPDATE images SET updated_at='x', deleted_at='y', deleted=1 WHERE images.id = '{IMAGE}'",
            ("images", "UPDATE", IMAGE, IMAGE, None, None),
        ),
        ("update glance.images set is_public=1", ("images", "UPDATE", None, None, None, None)),
        (
            "UPDATE images SET status='killed' WHERE status IN ('saving', 'queued') AND owner='x'",
            ("images", "UPDATE", None, None, None, "killed"),
        ),
        (
            f"INSERT INTO images (id, name, size, status, deleted) VALUES ('{IMAGE}', 'n', NULL, 'queued', 0)",
            ("images", "INSERT", IMAGE, IMAGE, None, "queued"),
        ),
        (
            f"INSERT INTO image_properties (image_id, name, value) VALUES ('{IMAGE}', 'foo', '1')",
            ("image_properties", "INSERT", IMAGE, None, None, None),
        ),
        (
            "UPDATE image_properties SET value='0', updated_at='x' WHERE image_properties.id = 35",
            ("image_properties", "UPDATE", None, "35", None, None),
        ),
        (
            (
                f"DELETE FROM image_properties WHERE image_properties.name = 'os_glance_import_task' AND "
                f"image_properties.value = '{TASK}' AND image_properties.image_id = '{IMAGE}'"
            ),
            ("image_properties", "DELETE", IMAGE, None, None, None),
        ),
        (
            f"INSERT INTO image_members (image_id, member, can_share, status) VALUES ('{IMAGE}', 'm', 0, 'pending')",
            ("image_members", "INSERT", IMAGE, None, None, "pending"),
        ),
        (
            "UPDATE image_locations SET status='deleted', deleted=1 WHERE image_locations.id = 30",
            ("image_locations", "UPDATE", None, "30", None, "deleted"),
        ),
        (
            (
                f"INSERT INTO tasks (id, type, status, image_id, request_id) VALUES ('{TASK}', 'api_image_import', "
                f"'pending', '{IMAGE}', 'req-1')"
            ),
            ("tasks", "INSERT", IMAGE, TASK, None, "pending"),
        ),
        (
            f"UPDATE tasks SET status='success', updated_at='x' WHERE tasks.id = '{TASK}'",
            ("tasks", "UPDATE", None, TASK, None, "success"),
        ),
        (
            f"UPDATE task_info SET message='Copied 0 MiB' WHERE task_info.task_id = '{TASK}'",
            ("task_info", "UPDATE", None, TASK, None, None),
        ),
    ],
)
def test_row_changes(sql: str, expected: tuple[str, str, str | None, str | None, str | None, str | None]) -> None:
    assert told(only_change(sql)) == expected


def test_values_and_conditions() -> None:
    change = only_change(SAVING)
    assert change.values["owner"] == OWNER
    assert change.values["size"] is None
    assert change.values["min_disk"] == 0
    assert change.conditions == {"id": IMAGE, "status": "queued"}
    deleted = only_change(
        f"DELETE FROM image_tags WHERE image_tags.image_id = '{IMAGE}' AND image_tags.deleted = false"
    )
    assert (deleted.values, deleted.conditions) == ({}, {"image_id": IMAGE, "deleted": False})


def test_one_change_per_image() -> None:
    changes = row_changes(parse(f"UPDATE images SET status='deleted' WHERE id IN ('{IMAGE}', '{OTHER}')"))
    assert [(change.image_id, change.status_to) for change in changes] == [(IMAGE, "deleted"), (OTHER, "deleted")]
    rows = row_changes(parse(f"INSERT INTO image_tags (image_id, value) VALUES ('{IMAGE}', 'a'), ('{OTHER}', 'b')"))
    assert [(row.image_id, row.values["value"]) for row in rows] == [(IMAGE, "a"), (OTHER, "b")]


def test_an_or_does_not_name_the_image() -> None:
    change = only_change(f"UPDATE images SET status='killed' WHERE id = '{IMAGE}' OR id = '{OTHER}'")
    assert change.image_id is None


@pytest.mark.parametrize(
    "sql", ["SELECT * FROM images", "UPDATE instances SET image_ref='x'", "COMMIT", "INSERT INTO", "SET a=1"]
)
def test_what_changes_no_image(sql: str) -> None:
    assert row_changes(parse(sql)) == ()


def test_bound_values_count_as_well() -> None:
    sql = "UPDATE images SET updated_at=?, status=?, size=? WHERE images.id = ? AND images.status IN (?)"
    statement = StatementParser().parse(sql, ("2026-11-20 01:02:04", "saving", 12345, IMAGE, "queued"))
    (change,) = row_changes(statement)
    assert told(change) == ("images", "UPDATE", IMAGE, IMAGE, "queued", "saving")
    unbound = StatementParser().parse(sql)
    assert [told(change)[2:] for change in row_changes(unbound)] == [(None, None, None, None)]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (SAVING, (IMAGE,)),
        (f"SELECT * FROM image_properties WHERE '{IMAGE}' = image_properties.image_id", (IMAGE,)),
        (f"SELECT * FROM images WHERE images.id IN ('{IMAGE}', '{OTHER}', '{IMAGE}')", (IMAGE, OTHER)),
        (f"INSERT INTO images (id, name) VALUES ('{IMAGE}', '{OTHER}')", (IMAGE,)),
        (f"INSERT INTO tasks (id, image_id) VALUES ('{TASK}', '{IMAGE}')", (IMAGE,)),
        (f"SELECT * FROM instances WHERE instances.image_ref = '{IMAGE}'", ()),
        (f"SELECT * FROM tasks WHERE tasks.id = '{TASK}'", ()),
        ("SELECT * FROM images WHERE images.id = 'overcloud-full'", ()),
        (f"SELECT * FROM images WHERE images.id != '{IMAGE}'", ()),
        (
            (
                f"SELECT anon_1.images_id FROM (SELECT images.id AS images_id FROM images) AS anon_1 "
                f"WHERE anon_1.images_id = '{IMAGE}'"
            ),
            (IMAGE,),
        ),
    ],
)
def test_image_ids(sql: str, expected: tuple[str, ...]) -> None:
    assert image_ids(parse(sql)) == expected


def test_evidence() -> None:
    keys = evidence_keys(parse(ACTIVE_OLD))
    assert keys == {
        ("image", IMAGE), ("name", "vmlinuz"), ("size", "150000"), ("status_to", "active"), ("status_from", "saving"),
        ("checksum", "fa1d5a1c88bac10be664a9b79bfb1d19"),
    }  # fmt: skip
    listed = evidence_keys(
        parse(
            "SELECT images.id FROM images WHERE images.owner = 'own' AND images.status IN ('active', 'queued') AND "
            "(images.created_at < 'x' OR images.created_at = 'x' AND images.id < 'y') LIMIT 20"
        )
    )
    assert listed == {("owner", "own"), ("limit", "20"), ("marker", "created_at"), ("marker", "id")}
    task = evidence_keys(parse(f"INSERT INTO tasks (id, request_id, user_id) VALUES ('{TASK}', 'req-1', 'u')"))
    assert task == {("task", TASK), ("request", "req-1"), ("user", "u")}
    tag = evidence_keys(parse(f"INSERT INTO image_tags (image_id, value, deleted) VALUES ('{IMAGE}', 't1', 0)"))
    assert tag == {("image", IMAGE), ("tag", "t1")}
    assert evidence_keys(parse("ROLLBACK")) == frozenset()
