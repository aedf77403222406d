"""Status changes by the API alone, and how the API confirms those of the database."""

from __future__ import annotations

import pytest

from tests.support.scene import IMAGE, Scene, ms, update

INSERT = f"INSERT INTO images (id, name, status) VALUES ('{IMAGE}', 'overcloud-full', 'queued')"


def shown(status: str) -> dict[str, object]:
    return {"id": IMAGE, "status": status, "name": "overcloud-full", "size": None}


def created(scene: Scene) -> None:
    scene.call("image-create", 201, 0, 10, method="POST", response_json=shown("queued"))


def test_version_two() -> None:
    scene = Scene()
    created(scene)
    scene.call("image-upload", 204, 20, 50, method="PUT")
    scene.call("image-show", 200, 60, 65, response_json=shown("active"))
    scene.call("image-deactivate", 204, 70, 75, method="POST")
    scene.call("image-delete", 204, 80, 85, method="DELETE")
    played = scene.play()
    assert played.changes() == [
        (None, "queued", "inferred"),
        ("queued", "saving", "assumed"),
        ("saving", "active", "inferred"),
        ("active", "deactivated", "inferred"),
        ("deactivated", "deleted", "inferred"),
    ]
    assert all(t.source == "api" and t.legal and t.statement_id is None for t in played.image.transitions)
    assert [t.ts for t in played.image.transitions] == [ms(10), ms(20), ms(50), ms(75), ms(85)]
    assert [t.call_id for t in played.image.transitions] == [1, 2, 2, 4, 5]


def test_version_one_creates_and_uploads_in_one_call() -> None:
    scene = Scene()
    scene.call("image-create", 201, 0, 50, method="POST", response_json={"image": shown("active")})
    played = scene.play()
    assert played.changes() == [(None, "queued", "inferred"), ("queued", "active", "inferred")]


def test_version_one_shows_an_image_in_headers() -> None:
    scene = Scene()
    headers = (("x-image-meta-id", IMAGE), ("x-image-meta-status", "active"), ("x-image-meta-size", "12"))
    scene.call("image-show", 200, 0, 5, method="HEAD", headers=headers)
    image = scene.play().image
    assert (image.status, image.size, image.first_status_certainty) == ("active", 12, "observed")


@pytest.mark.parametrize(
    ("status", "changes"),
    [
        (409, []),
        (404, []),
        (403, []),
        (413, [("queued", "saving", "assumed"), ("saving", "queued", "assumed")]),
        (503, [("queued", "saving", "assumed"), ("saving", "queued", "assumed")]),
        (410, [("queued", "saving", "assumed"), ("saving", "deleted", "assumed")]),
        (None, [("queued", "saving", "assumed")]),
    ],
)
def test_upload_that_failed(status: int | None, changes: list[tuple[str, str, str]]) -> None:
    scene = Scene()
    created(scene)
    scene.call("image-upload", status, 20, 50, method="PUT", broken="" if status else "reset", request_body_bytes=9)
    assert scene.play().changes() == [(None, "queued", "inferred"), *changes]


def test_upload_of_an_image_never_seen_before() -> None:
    scene = Scene()
    scene.call("image-upload", 204, 20, 50, method="PUT")
    played = scene.play()
    assert played.changes() == [("saving", "active", "inferred")]
    assert (played.image.existed_before, played.image.first_status_certainty) == (True, "assumed")


def test_failed_calls_make_no_image() -> None:
    scene = Scene()
    scene.call("image-show", 404, 0, 5)
    scene.call("image-upload", 404, 10, 15, method="PUT")
    scene.call("image-delete", 403, 20, 25, method="DELETE")
    assert scene.play().images == []


def test_slow_list_that_shows_what_was_true_before() -> None:
    scene = Scene()
    created(scene)
    scene.call("image-list", 200, 15, 60, image_id=None, response_json={"images": [shown("queued")]}, connection_id=101)
    scene.call("image-show", 200, 40, 45, response_json=shown("saving"))
    assert scene.play().changes() == [(None, "queued", "inferred"), ("queued", "saving", "inferred")]


def uploaded() -> Scene:
    scene = Scene()
    database = scene.session()
    database.write(1, INSERT)
    database.write(25, update("queued", "saving"))
    database.write(45, update("saving", "active"))
    return scene


def test_success_of_its_own_call_confirms_a_change() -> None:
    scene = uploaded()
    created(scene)
    scene.call("image-upload", 204, 20, 60, method="PUT")
    assert [t.source for t in scene.play().image.transitions] == ["both", "sql", "both"]


def test_response_that_shows_the_status_confirms_a_change() -> None:
    scene = uploaded()
    scene.call("image-show", 200, 30, 35, response_json=shown("saving"), connection_id=101)
    assert [t.source for t in scene.play().image.transitions] == ["sql", "both", "sql"]


def test_late_list_does_not_confirm_what_came_after_it() -> None:
    scene = uploaded()
    scene.call("image-list", 200, 5, 8, image_id=None, response_json={"images": [shown("active")]}, connection_id=101)
    assert [t.source for t in scene.play().image.transitions] == ["sql", "sql", "sql"]


def test_list_that_races_with_a_commit_changes_nothing() -> None:
    scene = uploaded()
    scene.call("image-list", 200, 40, 50, image_id=None, response_json={"images": [shown("saving")]}, connection_id=101)
    played = scene.play()
    assert [t.to_status for t in played.image.transitions] == ["queued", "saving", "active"]
    assert played.image.transitions[1].source == "both"


def test_task_document_is_no_image() -> None:
    scene = Scene()
    document = {"id": IMAGE, "status": "processing", "type": "import", "expires_at": None}
    scene.call("task-show", 200, 0, 5, image_id=None, response_json=document)
    assert scene.play().images == []
