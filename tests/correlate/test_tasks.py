"""Tasks whose calls the capture lacks: their work is no other call's, and beside it nothing is certain."""

from __future__ import annotations

import pytest

from glancetrace.correlate.link import CERTAIN, EXACT, INFERRED, Link
from tests.support.scene import IMAGE, OTHER, Scene, Session, select

COLUMNS = ("tasks_id", "tasks_status", "tasks_image_id", "tasks_request_id")
READ = "SELECT tasks.id AS tasks_id FROM tasks WHERE tasks.id = 'task-1'"
WRITE = "UPDATE tasks SET status='success' WHERE tasks.id = 'task-1'"
UNLOCK = (
    f"DELETE FROM image_properties WHERE image_properties.image_id = '{IMAGE}' "
    "AND image_properties.name = 'os_glance_import_task'"
)


def read_task(session: Session, at: float, status: str = "processing") -> None:
    session.run(READ, at, rows=[("task-1", status, IMAGE, "req-7")], columns=COLUMNS)
    session.texts(at + 2, "ROLLBACK")


def scene_with_task() -> Scene:
    """A task works on from before the capture up to 400; its image is shown meanwhile, and others are imported."""
    scene = Scene()
    scene.call("image-import", 202, 0, 900, request_id="req-9", image_id=OTHER, path_ids={"image_id": OTHER})
    database = scene.session()
    for at in (10, 200):
        read_task(database, at)
    database.texts(300, WRITE, "COMMIT", "ROLLBACK")
    database.texts(400, UNLOCK, "COMMIT", "ROLLBACK")
    return scene


def show(scene: Scene, at: float) -> None:
    """The image is looked at."""
    scene.call("image-show", 200, at - 5, at + 20)
    scene.session().texts(at, select(), "ROLLBACK")


def link_at(scene: Scene, at: float) -> Link | None:
    """The link of the statement that began then."""
    played = scene.play()
    numbers = {round((s.command.ts - scene.calls[0].ts) / 1e6): s.id for s in played.statements}
    return next((link for link in played.links if link.statement_id == numbers[at]), None)


def test_a_task_of_a_call_that_was_not_seen_is_of_no_other_import() -> None:
    played = scene_with_task().play()
    assert played.links == []
    assert {s.kind for s in played.statements} == {"unattributed"}


def test_a_task_is_of_the_call_that_its_row_names_even_if_its_insert_was_lost() -> None:
    scene = scene_with_task()
    scene.calls[0].request_id = "req-7"
    link = scene.play().link(WRITE)
    assert link is not None
    assert (link.call_id, link.link_class, link.evidence) == (1, EXACT, ("request id of the task",))


def test_a_call_whose_request_id_was_not_seen_may_be_the_tasks() -> None:
    scene = scene_with_task()
    scene.call("image-import", None, 1, None)
    link = scene.play().link(WRITE)
    assert link is not None
    assert link.call_id == 2


@pytest.mark.parametrize(("at", "expected"), [(100, INFERRED), (350, INFERRED), (500, CERTAIN)])
def test_what_runs_beside_a_task_of_an_unseen_call_is_not_certain(at: float, expected: str) -> None:
    scene = scene_with_task()
    show(scene, at)
    link = link_at(scene, at)
    if expected == CERTAIN:
        assert link is not None
        assert link.link_class == CERTAIN
    else:
        assert link is None or (link.link_class == INFERRED and link.score < 1)


def test_who_looks_at_a_task_that_has_ended_finds_no_work_of_it() -> None:
    scene = Scene()
    scene.call("task-show", 200, 300, 330, image_id=None, path_ids={"task_id": "task-1"})
    read_task(scene.session(), 310, status="success")
    show(scene, 100)
    link = link_at(scene, 100 - 300)
    assert link is not None
    assert link.link_class == CERTAIN
