"""What rows and bodies contradict: one difference at a time."""

from __future__ import annotations

from typing import Any

import pytest

from glancetrace.correlate.rows import read_rows, unlike
from tests.support.scene import IMAGE, OTHER, Played, Scene

IMAGE_SQL = f"SELECT images.id AS images_id FROM images WHERE images.id = '{IMAGE}'"
COLUMNS = ("images_id", "images_status", "images_name", "images_visibility", "images_updated_at",
           "image_properties_1_name", "image_properties_1_value")  # fmt: skip
SHOWN = {
    "id": IMAGE, "status": "active", "name": "cirros", "visibility": "shared", "updated_at": "2026-11-20T19:25:52Z",
    "tags": ["a"], "hw_architecture": "x86_64",
}  # fmt: skip
ROW = (IMAGE, "active", "cirros", "shared", "2026-11-20 19:25:52", "hw_architecture", "x86_64")
TAGS_SQL = f"SELECT image_tags.value AS image_tags_value FROM image_tags WHERE image_tags.image_id = '{IMAGE}'"
LIST_SQL = "SELECT images.id AS images_id FROM images WHERE images.owner = 'o' AND images.name = 'cirros' LIMIT 20"
MEMBER_SQL = (
    "SELECT image_members.id FROM image_members INNER JOIN images ON images.id = image_members.image_id WHERE "
    f"(images.owner = 'mine' OR image_members.member = 'mine') AND image_members.image_id = '{IMAGE}'"
)


def contradiction(
    operation: str,
    sql: str,
    *,
    status: int = 200,
    columns: tuple[str, ...] = COLUMNS,
    rows: list[tuple[Any, ...]] | None = None,
    project: str | None = None,
    **fields: Any,
) -> str | None:
    """What speaks against a call having run a unit with this statement."""
    scene = Scene()
    call = scene.call(operation, status, 0, 100, **fields)
    database = scene.session()
    database.run(sql, 10, rows=rows, columns=columns)
    database.run("ROLLBACK", 12)
    played: Played = scene.play()
    reads_list = operation == "image-list"
    return unlike(call, project, read_rows(played.units[0].statements, reads_list))


def test_row_equal_to_the_response() -> None:
    assert contradiction("image-show", IMAGE_SQL, rows=[ROW], response_json=SHOWN) is None


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        (1, "queued", "read another status"),
        (2, "other", "read another name"),
        (3, "private", "read another visibility"),
        (4, "2026-11-20 19:25:53", "read another version of the image"),
        (6, "aarch64", "read another value of hw_architecture"),
    ],
)
def test_row_unlike_the_response(column: int, value: str, reason: str) -> None:
    row = tuple(value if index == column else old for index, old in enumerate(ROW))
    assert contradiction("image-show", IMAGE_SQL, rows=[row], response_json=SHOWN) == reason


def test_property_that_the_api_hides_is_no_contradiction() -> None:
    row = (*ROW[:5], "os_glance_import_task", "t")
    assert contradiction("image-show", IMAGE_SQL, rows=[row], response_json=SHOWN) is None


@pytest.mark.parametrize(("tags", "reason"), [(["a"], None), (["a", "b"], "read other tags"), ([], "read other tags")])
def test_tags(tags: list[str], reason: str | None) -> None:
    found = contradiction(
        "image-show", TAGS_SQL, columns=("image_tags_value",), rows=[(tag,) for tag in tags], response_json=SHOWN
    )
    assert found == reason


@pytest.mark.parametrize(
    ("query", "listed", "reason"),
    [
        ({}, [IMAGE], None),
        ({}, [IMAGE, OTHER], "returned other images than the response shows"),
        ({"name": "cirros"}, [IMAGE], None),
        ({"name": "fedora"}, [IMAGE], "does not ask for the name"),
        ({"limit": "20"}, [IMAGE], None),
        ({"limit": "5"}, [IMAGE], "asks for more than the limit"),
    ],
)
def test_lists(query: dict[str, str], listed: list[str], reason: str | None) -> None:
    found = contradiction(
        "image-list",
        LIST_SQL,
        columns=("images_id",),
        rows=[(image,) for image in listed],
        query=query,
        response_json={"images": [{"id": IMAGE}]},
        image_id=None,
    )
    assert found == reason


@pytest.mark.parametrize("shown", [{"id": {}}, {"id": [IMAGE]}, {"id": 5}, {}, [], None, "text"])
def test_a_list_that_is_none_of_images_contradicts_nothing(shown: Any) -> None:
    response = {"images": [{"id": IMAGE}, shown]}
    found = contradiction(
        "image-list", LIST_SQL, columns=("images_id",), rows=[(OTHER,)], response_json=response, image_id=None
    )
    assert found is None


@pytest.mark.parametrize(
    ("project", "reason"), [("mine", None), (None, None), ("theirs", "asks for what another project may see")]
)
def test_who_asks_for_a_membership(project: str | None, reason: str | None) -> None:
    assert contradiction("image-show", MEMBER_SQL, project=project) == reason


@pytest.mark.parametrize(
    ("operation", "sql", "fields", "reason"),
    [
        (
            "image-update",
            f"INSERT INTO image_properties (image_id, name, value) VALUES ('{IMAGE}', 'hw_architecture', 'arm')",
            {"response_json": SHOWN},
            "writes another value of a property",
        ),
        (
            "image-update",
            "UPDATE image_properties SET value='arm', updated_at='x' WHERE image_properties.id = 7",
            {"response_json": SHOWN},
            "writes another value of a property",
        ),
        (
            "image-update",
            "UPDATE image_properties SET value='0', updated_at='x' WHERE image_properties.id = 7",
            {"response_json": {**SHOWN, "min_ram": 0}},
            "writes another value of a property",
        ),
        (
            "image-update",
            f"INSERT INTO image_tags (image_id, value) VALUES ('{IMAGE}', 'z')",
            {"response_json": SHOWN},
            "writes a tag that the response lacks",
        ),
        (
            "image-update",
            f"UPDATE images SET name='other', status='active' WHERE images.id = '{IMAGE}'",
            {"response_json": SHOWN},
            "writes another name",
        ),
        (
            "image-create",
            f"INSERT INTO images (id, name, status) VALUES ('{IMAGE}', 'fedora', 'queued')",
            {"status": 500, "request_json": {"name": "cirros"}, "image_id": None},
            "creates another name",
        ),
        (
            "image-upload",
            f"UPDATE images SET name='cirros', size=10, status='active' WHERE images.id = '{IMAGE}'",
            {"status": 204, "upload_complete": True, "request_body_bytes": 11},
            "stores another size",
        ),
        (
            "member-create",
            f"INSERT INTO image_members (image_id, member) VALUES ('{IMAGE}', 'm')",
            {"request_json": {"member": "n"}},
            "adds another member",
        ),
    ],
)
def test_writes(operation: str, sql: str, fields: dict[str, Any], reason: str) -> None:
    assert contradiction(operation, sql, **fields) == reason


def test_rows_that_were_lost_contradict_nothing() -> None:
    assert contradiction("image-show", IMAGE_SQL, rows=None, response_json={**SHOWN, "status": "queued"}) is None


@pytest.mark.parametrize("change", ["value='x86_64'", "value=NULL", "deleted=1"])
def test_a_property_that_the_response_shows_or_lacks(change: str) -> None:
    sql = f"UPDATE image_properties SET {change}, updated_at='x' WHERE image_properties.id = 7"
    assert contradiction("image-update", sql, response_json=SHOWN) is None
