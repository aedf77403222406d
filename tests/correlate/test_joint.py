"""Units that several calls could have run: shared among them so that every call is whole."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glancetrace.correlate.attribute import _read_units
from glancetrace.correlate.facts import call_facts, tell_kinds
from glancetrace.correlate.joint import _learn_certain
from glancetrace.correlate.link import CERTAIN, INFERRED, TWIN
from tests.support.scene import IMAGE, OTHER, Played, Scene, Session, select, update

TAGS = f"SELECT image_tags.value AS image_tags_value FROM image_tags WHERE image_tags.image_id = '{IMAGE}'"
IMG_ROW = [(IMAGE, "queued", "overcloud-full", None)]


def image(database: Session, at: float) -> None:
    """A checkout that reads the image."""
    database.run(select(), at, 0.5, rows=IMG_ROW)
    database.run("ROLLBACK", at + 1, 0.2)
    database.run("ROLLBACK", at + 1.4, 0.2)


def tags(database: Session, at: float) -> None:
    """A checkout that reads its tags."""
    database.run(TAGS, at, 0.5)
    database.run("ROLLBACK", at + 1, 0.2)
    database.run("ROLLBACK", at + 1.4, 0.2)


def owners(played: Played, text: str) -> list[int | None]:
    """Calls of the statements that begin so, in order of time."""
    link_of = {link.statement_id: link.call_id for link in played.links}
    return [link_of.get(s.id) for s in played.statements if (s.command.sql or "").startswith(text)]


def test_each_call_gets_a_whole_sequence() -> None:
    """Two calls, two units each: one call cannot have both reads and the other none."""
    scene = Scene()
    scene.call("image-show", 200, 0, 30)
    scene.call("image-download", 200, 20, 60, connection_id=101, target=f"/v2/images/{IMAGE}/file")
    one = scene.session()
    image(one, 21)
    tags(one, 25)
    image(one, 51)
    tags(one, 55)
    played = scene.play()
    assert owners(played, "SELECT images") == [1, 2]
    assert owners(played, "SELECT image_tags") == [1, 2]


def test_what_is_certain_holds_until_its_own_processes_change() -> None:
    scene = Scene()
    facts = call_facts(scene.call("image-show", 200, 0, 30), {})
    one, other = scene.session(), scene.session()
    image(one, 5)
    tags(other, 10)
    units = _read_units(scene.units()[1])
    tell_kinds(units)
    first, second = (unit.connection_id for unit in units)
    basis = _learn_certain([(facts, units)], {first: first})
    assert basis.holds({first: first})
    assert basis.holds({first: first, 99: 99})
    assert not basis.holds({first: first, second: first})
    assert not basis.holds({first: 99})
    assert not basis.holds({})


def test_a_call_that_saves_has_read_before() -> None:
    scene = Scene()
    scene.call("image-update", 200, 0, 100, method="PATCH")
    scene.call("image-show", 200, 0, 100, connection_id=101, target=f"/v2/images/{IMAGE}")
    one, other = scene.session(), scene.session()
    image(one, 10)
    tags(one, 12)
    one.write(20, update(None, "queued"))
    image(one, 30)
    tags(one, 32)
    image(other, 94)
    tags(other, 97)
    played = scene.play()
    assert owners(played, "SELECT images") == [1, 1, 2]
    assert owners(played, "UPDATE images") == [1]
    links = {link.statement_id: link for link in played.links}
    assert links[played.statement("UPDATE images").id].link_class == CERTAIN
    assert links[played.statement("SELECT images").id].link_class == INFERRED


def test_connections_of_a_process_tell_calls_apart() -> None:
    scene = Scene()
    workers = [(scene.session(), scene.session()) for _ in range(2)]
    for number in range(6):
        for worker, (first, second) in enumerate(workers):
            at = 100 * number + 50 * worker
            scene.call("image-show", 200, at, at + 20, connection_id=200 + worker)
            image(first, at + 5)
            tags(second, at + 10)
    scene.call("image-show", 200, 1000, 1021, connection_id=200, target=f"/v2/images/{IMAGE}")
    scene.call("image-download", 200, 1000, 1021, connection_id=201, target=f"/v2/images/{IMAGE}/file")
    image(workers[1][0], 1005)
    image(workers[0][0], 1005.1)
    tags(workers[1][1], 1010)
    tags(workers[0][1], 1010.1)
    played = scene.play()
    assert owners(played, "SELECT images")[-2:] == [14, 13]
    assert owners(played, "SELECT image_tags")[-2:] == [14, 13]


def test_twins_are_linked_as_a_group() -> None:
    scene = Scene()
    for connection in (100, 101):
        scene.call("image-show", 200, 0, 100, connection_id=connection, target=f"/v2/images/{IMAGE}")
    one, other = scene.session(), scene.session()
    image(one, 50)
    image(other, 50.1)
    tags(one, 60)
    tags(other, 60.1)
    played = scene.play()
    assert {link.link_class for link in played.links} == {TWIN}
    assert {link.candidates for link in played.links} == {(1, 2)}
    assert all(link.score > 0.9 for link in played.links)
    assert sorted(owners(played, "SELECT images")) == [1, 2]


def test_refused_call_did_not_write() -> None:
    scene = Scene()
    scene.call("image-update", 403, 0, 100, method="PATCH")
    scene.call("image-update", 200, 0, 100, method="PATCH", connection_id=101)
    scene.session().write(20, update(None, "queued"))
    link = scene.play().link("UPDATE images")
    assert link is not None
    assert (link.call_id, link.link_class) == (2, CERTAIN)
    assert link.rejected == [(1, "image-update was refused, and this writes")]


@pytest.mark.parametrize("stray_at", [2.0, 45.0])
def test_later_work_competes_with_open_calls(stray_at: float) -> None:
    """An import goes on for long; what a client reads meanwhile is the client's."""
    scene = Scene()
    scene.call("image-import", 202, 0, 10, method="POST")
    database = scene.session()
    task = f"INSERT INTO tasks (id, type, status, image_id) VALUES ('task-1', 'api_image_import', 'pending', '{IMAGE}')"
    database.texts(3, task, "COMMIT", "ROLLBACK")
    scene.call("image-show", 200, 30 + stray_at, 50 + stray_at, connection_id=101, target=f"/v2/images/{IMAGE}")
    image(database, 42 + stray_at)
    tags(database, 47 + stray_at)
    database.texts(300, "UPDATE tasks SET status='success' WHERE tasks.id = 'task-1'", "COMMIT", "ROLLBACK")
    played = scene.play()
    assert owners(played, "SELECT images") == [2]
    assert played.link("UPDATE tasks") is not None
    link = played.link("SELECT images")
    assert link is not None
    assert link.link_class == INFERRED


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(5, 60), st.booleans()), min_size=1, max_size=5), st.randoms())
def test_result_does_not_depend_on_the_order_of_rows(calls: list[tuple[int, int, bool]], random: object) -> None:
    """Whatever is open at once: nothing is lost, nothing is given twice, and the input's order does not matter."""

    def play(order: list[int]) -> list[tuple[int, int, str, float]]:
        scene = Scene()
        sessions = [scene.session() for _ in calls]
        for number, (begin, lasts, is_own) in enumerate(calls):
            wanted = IMAGE if is_own else OTHER
            scene.call("image-show", 200, begin, begin + lasts, connection_id=100 + number, image_id=wanted)
        for number in order:
            begin, lasts, is_own = calls[number]
            text = select() if is_own else select(OTHER)
            sessions[number].run(text, begin + lasts / 2, 0.3, rows=[(IMAGE if is_own else OTHER, "queued", "n", None)])
            sessions[number].run("ROLLBACK", begin + lasts / 2 + 0.5, 0.3)
        played = scene.play()
        place = {s.id: (s.connection.client[1], s.command.ordinal) for s in played.statements}
        return sorted((*place[x.statement_id], x.call_id, x.link_class, x.score) for x in played.links)  # type: ignore[misc]

    forwards = list(range(len(calls)))
    first = play(forwards)
    assert first == play(forwards[::-1])
    assert len({row[:2] for row in first}) == len(first)


def test_a_deadlock_is_tried_again_by_the_same_call() -> None:
    """MySQL rolled a save back (1213) and oslo.db ran its unit once more; a reader of the image was there meanwhile."""
    scene = Scene()
    scene.call("image-update", 200, 0, 700, method="PATCH")
    scene.call("image-show", 200, 0, 720, connection_id=101)
    database = scene.session()
    save = update("active", "active")
    database.run(select(), 10, rows=IMG_ROW)
    database.run(save, 12, error=1213)
    database.run("ROLLBACK", 14)
    database.run(select(), 520, rows=IMG_ROW)
    database.run(save, 522)
    database.run("COMMIT", 524)
    database.run("ROLLBACK", 526)
    played = scene.play()
    assert {link.call_id for link in played.links} == {1}
    assert len(played.links) == 7
    assert {link.link_class for link in played.links} == {CERTAIN}
    assert [s.outcome for s in played.statements if s.operation == "UPDATE"] == ["rolled_back", "committed"]
