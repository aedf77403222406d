"""What happens to an image besides its status, its fields, and the hash of its data."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.scene import IMAGE, Played, Scene, update

INSERT = f"INSERT INTO images (id, name, status) VALUES ('{IMAGE}', 'overcloud-full', 'queued')"


class Hashes:
    """Digests of the data that passed."""

    unbroken = True

    def __init__(self, name: str) -> None:
        self.name = name

    def update(self, data: bytes) -> None:
        """Nothing passes here."""

    def hexdigests(self) -> dict[str, str]:
        """As a hasher gives them."""
        return {"md5": self.name}


def existing(*texts: str, end: str = "COMMIT", operation: str = "image-update") -> Played:
    """An image is created; then a call runs these texts in one transaction."""
    scene = Scene()
    scene.session().write(0, INSERT)
    scene.call(operation, 200, 40, 100, method="PATCH")
    scene.session().write(50, *texts, end=end)
    return scene.play()


def told(played: Played) -> list[tuple[str, str]]:
    return [(event.kind, event.summary) for event in played.image.events]


@pytest.mark.parametrize(
    ("operation", "text", "kind", "summary"),
    [
        ("image-update", f"INSERT INTO image_properties (image_id, name, value) VALUES ('{IMAGE}', 'hw', 'x86')",
         "property", "added hw = x86"),
        ("image-update", "UPDATE image_properties SET value='arm' WHERE image_properties.id = 7", "property",
         "changed arm"),
        ("image-update", "UPDATE image_properties SET deleted=1 WHERE image_properties.id = 7", "property", "removed"),
        ("image-tag-add", f"INSERT INTO image_tags (image_id, value) VALUES ('{IMAGE}', 't')", "tag", "added t"),
        ("image-tag-delete", "UPDATE image_tags SET deleted=1 WHERE image_tags.id = 3", "tag", "removed"),
        ("member-create", f"INSERT INTO image_members (image_id, member, status) VALUES ('{IMAGE}', 'm', 'pending')",
         "member", "added m = pending"),
        ("member-update", "UPDATE image_members SET status='accepted' WHERE image_members.id = 3", "member",
         "changed accepted"),
        ("image-upload", f"INSERT INTO image_locations (image_id, value) VALUES ('{IMAGE}', 'file:///x')", "location",
         "added file:///x"),
    ],
)  # fmt: skip
def test_rows_that_hang_on_the_image(operation: str, text: str, kind: str, summary: str) -> None:
    played = existing(text, operation=operation)
    assert told(played)[:1] == [(kind, summary)] or told(played)[1:] == [(kind, summary)]
    event = next(event for event in played.image.events if event.kind == kind)
    statement = played.statement(text)
    assert (event.statement_id, event.call_id) == (statement.id, 1)
    assert (event.ts, event.frame) == (statement.commit_ts, statement.command.request_frame)


def test_rolled_back_rows_are_no_events() -> None:
    assert told(existing(f"INSERT INTO image_tags (image_id, value) VALUES ('{IMAGE}', 't')", end="ROLLBACK")) == []


def test_row_that_is_saved_as_it_was_is_no_event() -> None:
    assert (
        told(existing("UPDATE image_locations SET updated_at='2020-02-18 04:49:55' WHERE image_locations.id = 1")) == []
    )


def test_delete_then_marked_deleted() -> None:
    played = existing(
        update("queued", "deleted"),
        f"UPDATE images SET deleted_at='2020-02-18 04:49:55', deleted=1 WHERE images.id = '{IMAGE}'",
        operation="image-delete",
    )
    assert [t.to_status for t in played.image.transitions] == ["queued", "deleted"]
    assert told(played) == [("delete", "marked deleted")]


def test_task_of_an_import() -> None:
    scene = Scene()
    scene.session().write(0, INSERT)
    scene.call("image-import", 202, 40, 60, method="POST")
    database = scene.session()
    database.write(50, f"INSERT INTO tasks (id, type, status, image_id) VALUES ('t1', 'import', 'pending', '{IMAGE}')")
    database.write(100, "UPDATE tasks SET status='processing' WHERE tasks.id = 't1'")
    database.write(200, "UPDATE tasks SET status='success' WHERE tasks.id = 't1'")
    assert told(scene.play()) == [
        ("task", "added import = pending"),
        ("task", "changed processing"),
        ("task", "changed success"),
    ]


def test_task_of_an_older_release_belongs_to_the_image_of_its_call() -> None:
    scene = Scene()
    scene.session().write(0, INSERT)
    scene.call("image-import", 202, 40, 60, method="POST")
    scene.session().write(50, "INSERT INTO tasks (id, type, status) VALUES ('t1', 'import', 'pending')")
    scene.session().write(100, "UPDATE tasks SET status='success' WHERE tasks.id = 't1'")
    assert told(scene.play()) == [("task", "added import = pending"), ("task", "changed success")]


def test_lookup_by_name_belongs_to_the_image_created_next() -> None:
    scene = Scene()
    lookup = scene.call("image-show", 404, 0, 5, image_id=None, path_ids={"image_id": "overcloud-full"})
    scene.session().write(10, INSERT)
    played = scene.play()
    (event,) = played.image.events
    assert (event.kind, event.ts, event.call_id) == ("lookup", lookup.ts, lookup.id)
    assert event.summary == "looked up by name overcloud-full: not found"


def test_lookup_by_name_of_which_only_the_statement_is_seen() -> None:
    scene = Scene()
    sql = "SELECT images.id AS images_id FROM images WHERE images.id = 'overcloud-full'"
    scene.session().texts(0, sql, "ROLLBACK")
    scene.session().write(10, INSERT)
    played = scene.play()
    (event,) = played.image.events
    assert (event.kind, event.statement_id, event.call_id) == ("lookup", played.statement(sql).id, None)


def test_lookup_after_the_creation_is_not_tied() -> None:
    scene = Scene()
    scene.session().write(0, INSERT)
    scene.call("image-show", 404, 50, 55, image_id=None, path_ids={"image_id": "overcloud-full"})
    assert told(scene.play()) == []


def uploads(scene: Scene, **fields: Any) -> None:
    scene.call("image-upload", 204, 20, 60, method="PUT", request_body_bytes=9, upload_complete=True, **fields)


def test_hash_of_the_upload() -> None:
    scene = Scene()
    database = scene.session()
    database.write(0, INSERT)
    uploads(scene, upload_hasher=Hashes("aa"))
    database.write(25, update("queued", "saving"))
    database.write(50, update("saving", "active", more=", size=9, checksum='aa'"))
    image = scene.play().image
    assert (image.wire_checksum, image.wire_bytes, image.wire_complete) == ({"md5": "aa"}, 9, True)
    assert (image.size, image.checksum) == (9, "aa")
    assert [event.kind for event in image.events] == ["upload"]


def test_hash_of_stage_and_import() -> None:
    scene = Scene()
    database = scene.session()
    database.write(0, INSERT)
    scene.call("image-stage", 204, 10, 30, method="PUT", upload_hasher=Hashes("bb"), upload_complete=True)
    database.write(12, update("queued", "uploading"))
    scene.call("image-import", 202, 40, 50, method="POST")
    database.write(60, update("uploading", "importing"))
    database.write(80, update("importing", "active"))
    played = scene.play()
    assert played.image.wire_checksum == {"md5": "bb"}
    assert [t.to_status for t in played.image.transitions] == ["queued", "uploading", "importing", "active"]


def test_hash_of_the_upload_that_succeeded() -> None:
    scene = Scene()
    database = scene.session()
    database.write(0, INSERT)
    scene.call("image-upload", 409, 5, 8, method="PUT", upload_hasher=Hashes("no"), upload_complete=True)
    uploads(scene, upload_hasher=Hashes("aa"))
    database.write(25, update("queued", "saving"))
    database.write(50, update("saving", "active"))
    assert scene.play().image.wire_checksum == {"md5": "aa"}


def test_no_hash_of_data_that_did_not_become_the_image() -> None:
    scene = Scene()
    scene.session().write(0, INSERT)
    uploads(scene, upload_hasher=Hashes("aa"))
    assert scene.play().image.wire_checksum is None


def test_size_is_cleared_by_a_failed_upload() -> None:
    scene = Scene()
    database = scene.session()
    database.write(0, INSERT)
    database.write(20, update("queued", "saving", more=", size=12"))
    database.write(40, update("saving", "queued", more=", size=NULL"))
    database.read(60, "queued")
    assert scene.play().image.size is None


def test_images_in_the_order_of_their_appearance() -> None:
    scene = Scene()
    first, second = "0" * 8 + IMAGE[8:], "f" * 8 + IMAGE[8:]
    scene.session().write(20, INSERT.replace(IMAGE, first))
    scene.session().write(0, INSERT.replace(IMAGE, second))
    assert [image.id for image in scene.play().images] == [second, first]
