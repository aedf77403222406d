"""Which call ran a unit of work: contradictions one by one, what is certain, what is inferred, what goes on later."""

from __future__ import annotations

from typing import Any

import pytest

from glancetrace.correlate.link import CERTAIN, EXACT, INFERRED, TWIN
from tests.support.scene import IMAGE, OTHER, Played, Scene, select, update

LIST = "SELECT images.id AS images_id, images.status AS images_status FROM images WHERE images.owner = 'o' LIMIT 20"
INSERT = f"INSERT INTO images (id, name, status) VALUES ('{IMAGE}', 'overcloud-full', 'queued')"
TAG = f"INSERT INTO image_tags (image_id, value) VALUES ('{IMAGE}', 'x')"
MEMBER = f"INSERT INTO image_members (image_id, member, status) VALUES ('{IMAGE}', 'm', 'pending')"
TASK = (
    "INSERT INTO tasks (id, type, status, image_id, request_id) "
    f"VALUES ('task-1', 'api_image_import', 'pending', '{IMAGE}', 'req-7')"
)
TASK_UPDATE = "UPDATE tasks SET status='processing' WHERE tasks.id = 'task-1'"


def one_call(operation: str, *texts: str, **fields: Any) -> Played:
    """One call is open while a checkout with these texts runs."""
    scene = Scene()
    scene.call(operation, 200, 0, 100, **fields)
    scene.session().texts(10, *texts, "ROLLBACK")
    return scene.play()


@pytest.mark.parametrize(
    ("operation", "text", "fields", "reason"),
    [
        ("image-show", select(OTHER), {}, "names another image"),
        ("image-show", LIST, {}, "image-show reads one image"),
        ("image-show", INSERT, {}, "image-show reads one image"),
        ("image-show", TAG, {}, "image-show does not write image_tags"),
        ("image-upload", MEMBER, {}, "image-upload does not write image_members"),
        ("image-upload", update("active", "deactivated"), {}, "image-upload does not set deactivated"),
        ("image-update", TASK, {}, "image-update has no task"),
        ("image-list", select(), {"image_id": None}, "names an image, and a list does not"),
        ("image-create", select(), {"image_id": None}, "is about an image that the call did not create"),
        ("image-create", LIST, {"image_id": None}, "is about an image that the call did not create"),
        ("schema-show", LIST, {"image_id": None}, "schema-show runs no SQL"),
    ],
)
def test_contradiction(operation: str, text: str, fields: dict[str, Any], reason: str) -> None:
    played = one_call(operation, text, **fields)
    assert played.links == []
    assert played.statement(text).kind == "unattributed"
    scene = Scene()
    scene.call(operation, 200, 0, 100, **fields)
    scene.call("other-operation", 200, 1, 100, connection_id=101, image_id=None)
    scene.session().texts(10, text, "ROLLBACK")
    link = scene.play().link(text)
    assert link is not None
    assert (link.call_id, link.link_class, link.rejected) == (2, CERTAIN, [(1, reason)])


@pytest.mark.parametrize(
    ("operation", "text", "fields"),
    [
        ("image-show", select(), {}),
        ("image-show", select("overcloud-full"), {"image_id": None, "path_ids": {"image_id": "overcloud-full"}}),
        ("image-list", LIST, {"image_id": None}),
        ("image-list", select(), {"image_id": None, "query": {"marker": IMAGE}}),
        ("image-create", INSERT, {}),
        ("image-upload", update("queued", "saving"), {}),
        ("image-deactivate", update("active", "deactivated"), {}),
        ("member-create", MEMBER, {}),
        ("image-import", TASK, {}),
    ],
)
def test_only_call_left_is_certain(operation: str, text: str, fields: dict[str, Any]) -> None:
    played = one_call(operation, text, **fields)
    assert [(link.call_id, link.link_class, link.score) for link in played.links] == [(1, CERTAIN, 1.0)] * 2
    assert {statement.kind for statement in played.statements} == {"request"}


def test_response_came_before_the_unit_ended() -> None:
    scene = Scene()
    scene.call("image-show", 200, 0, 12)
    scene.call("image-show", 200, 0.5, 100, connection_id=101)
    scene.session().texts(10, select(), "ROLLBACK", "ROLLBACK", "ROLLBACK")
    link = scene.play().link(select())
    assert link is not None
    assert (link.call_id, link.link_class) == (2, CERTAIN)
    assert link.rejected == [(1, "its response came first")]


def test_tie_is_a_link_to_both_twins() -> None:
    scene = Scene()
    scene.call("image-show", 200, 0, 100)
    scene.call("image-show", 200, 5, 100, connection_id=101)
    scene.session().texts(10, select(), "ROLLBACK")
    link = scene.play().link(select())
    assert link is not None
    assert (link.link_class, link.group_id, link.candidates) == (TWIN, 1, (1, 2))
    assert link.score > 0.9


def test_tie_of_calls_that_differ_is_inferred() -> None:
    scene = Scene()
    scene.call("image-show", 200, 0, 100)
    scene.call("image-download", 200, 5, 100, connection_id=101, target=f"/v2/images/{IMAGE}/file")
    scene.session().texts(10, select(), "ROLLBACK")
    link = scene.play().link(select())
    assert link is not None
    assert (link.link_class, link.group_id, link.candidates) == (INFERRED, None, ())
    assert 0.4 < link.score < 0.9


def test_window_is_that_of_the_innermost_hop() -> None:
    scene = Scene()
    call = scene.call("image-show", 200, 0, 100)
    call.hops[-1].window = (call.hops[-1].window[0], call.hops[-1].window[0] + 5_000_000)
    scene.session().texts(10, select(), "ROLLBACK")
    assert scene.play().links == []


def test_work_without_any_call_is_background() -> None:
    scene = Scene()
    scene.call("image-list", 200, 0, 5, image_id=None)
    scene.session().texts(100, select(), "ROLLBACK")
    played = scene.play()
    assert played.links == []
    assert {statement.kind for statement in played.statements} == {"background"}


def test_work_beside_a_call_that_cannot_have_done_it_is_unattributed() -> None:
    assert {statement.kind for statement in one_call("image-show", select(OTHER)).statements} == {"unattributed"}


def test_pings_and_health_checks_have_no_call() -> None:
    scene = Scene()
    scene.call("image-show", 200, 0, 100)
    database = scene.session()
    database.ping(9)
    database.texts(10, select(), "ROLLBACK")
    scene.session(user="haproxy", schema=None).run("SELECT 1", 20)
    played = scene.play()
    assert len(played.links) == 2
    assert [s.kind for s in played.statements] == ["ping", "request", "request", "health"]


def test_task_goes_on_after_the_answer() -> None:
    scene = Scene()
    scene.call("image-import", 202, 0, 50)
    database = scene.session()
    database.texts(10, TASK, "COMMIT", "ROLLBACK")
    database.texts(100, TASK_UPDATE, "COMMIT", "ROLLBACK")
    link = scene.play().link(TASK_UPDATE)
    assert link is not None
    assert (link.call_id, link.link_class, link.relation, link.evidence) == (1, EXACT, "async", ("task id",))


def test_request_id_of_a_task_is_an_exact_key() -> None:
    scene = Scene()
    scene.call("image-import", 202, 0, 5, request_id="req-7")
    scene.session().texts(100, TASK, "COMMIT", "ROLLBACK")
    link = scene.play().link(TASK)
    assert link is not None
    assert (link.link_class, link.relation) == (EXACT, "async")
    assert link.evidence == ("request id of the task",)


def test_import_goes_on_by_the_image_id() -> None:
    scene = Scene()
    scene.call("image-import", 202, 0, 50)
    scene.session().write(100, update("queued", "importing"))
    link = scene.play().link("UPDATE images")
    assert link is not None
    assert (link.link_class, link.relation) == (INFERRED, "async")


def test_import_does_not_adopt_work_on_another_image() -> None:
    scene = Scene()
    scene.call("image-import", 202, 0, 50)
    scene.session().write(100, update("queued", "importing", OTHER))
    assert scene.play().links == []


@pytest.mark.parametrize(("after", "linked"), [(300, True), (70_000, False)])
def test_cleaning_up_after_an_aborted_upload(after: float, linked: bool) -> None:
    scene = Scene()
    scene.call("image-upload", None, 0, 50, broken="reset")
    scene.session().write(after, update("saving", "queued"))
    link = scene.play().link("UPDATE images")
    assert (link is not None) == linked
    if link is not None:
        assert (link.link_class, link.relation) == (INFERRED, "in_request")


def test_opener_of_a_connection_gets_its_setup() -> None:
    scene = Scene()
    scene.call("image-show", 200, 0, 100)
    database = scene.session()
    database.texts(5, "SET NAMES utf8", "ROLLBACK")
    database.texts(10, select(), "ROLLBACK")
    played = scene.play()
    setup, rollback, *_ = played.statements
    assert setup.kind == "setup"
    link = next(link for link in played.links if link.statement_id == rollback.id)
    assert (link.link_class, link.score, link.evidence) == (INFERRED, 0.9, ("first to use the new connection",))
    assert setup.id not in {link.statement_id for link in played.links}


def test_setup_long_before_its_use_has_no_call() -> None:
    scene = Scene()
    scene.call("image-show", 200, 4_900, 5_100)
    database = scene.session()
    database.texts(0, "SET NAMES utf8", "ROLLBACK")
    database.texts(5_000, select(), "ROLLBACK")
    played = scene.play()
    assert len(played.links) == 2
    assert played.statements[1].kind == "unattributed"


def test_services_are_kept_apart() -> None:
    scene = Scene()
    scene.call("image-show", 200, 0, 100)
    scene.call("token-validate", 200, 0, 100, service="keystone", connection_id=101, image_id=None)
    scene.session(user="keystone", schema="keystone").texts(10, "SELECT project.id FROM project", "ROLLBACK")
    scene.session(user="nova", schema="nova").texts(10, f"SELECT * FROM instances WHERE image_ref = '{IMAGE}'")
    played = scene.play()
    assert {link.call_id for link in played.links} == {2}
    assert len(played.links) == 2


def test_registry_runs_the_sql_of_version_one() -> None:
    scene = Scene()
    scene.call("image-upload", 201, 0, 100, method="PUT")
    scene.call("image-update", 200, 5, 50, service="registry", method="PUT", connection_id=101)
    scene.session().write(10, update("queued", "saving"))
    link = scene.play().link("UPDATE images")
    assert link is not None
    assert link.call_id == 2


def test_a_call_whose_response_may_be_anothers_has_no_certain_links() -> None:
    scene = Scene()
    call = scene.call("image-show", 200, 0, 100)
    assert call.exchange is not None
    call.exchange.doubtful = True
    scene.session().texts(10, select(), "ROLLBACK")
    links = scene.play().links
    assert [(link.call_id, link.link_class, link.score) for link in links] == [(1, INFERRED, 0.9)] * 2
    assert "its response may be another call's" in links[0].evidence[-1]


def test_keystones_statements_are_of_a_call_whose_response_may_be_anothers_with_less_certainty() -> None:
    scene = Scene()
    call = scene.call("token-create", 201, 0, 100, service="keystone", image_id=None)
    scene.session(user="keystone", schema="keystone").texts(10, "SELECT id FROM user", "ROLLBACK")
    assert {link.link_class for link in scene.play().links} == {CERTAIN}
    assert call.exchange is not None
    call.exchange.doubtful = True
    assert [(link.call_id, link.link_class, link.score) for link in scene.play().links] == [(1, INFERRED, 0.9)] * 2
