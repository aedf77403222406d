"""The status changes of an image by its SQL: what is observed, what is inferred, and what did not happen."""

from __future__ import annotations

import itertools

import pytest

from tests.support.scene import IMAGE, START, Played, Scene, ms, select, update

INSERT = f"INSERT INTO images (id, name, status) VALUES ('{IMAGE}', 'overcloud-full', 'queued')"
SAVING, ACTIVE = update("queued", "saving"), update("saving", "active")
CREATED = (None, "queued", "observed")
UPLOADED = [CREATED, ("queued", "saving", "observed"), ("saving", "active", "observed")]


def steps(*texts: str, autocommit: bool = False) -> Scene:
    """Each text in a checkout of its own, 10 ms apart."""
    scene = Scene()
    database = scene.session(autocommit=autocommit)
    for number, text in enumerate(texts):
        database.write(10 * number, text, end="" if autocommit else "COMMIT")
    return scene


def intervals(played: Played) -> list[tuple[str, int | None]]:
    return [(interval.status, interval.dur) for interval in played.image.intervals]


def test_create_and_upload() -> None:
    played = steps(INSERT, SAVING, ACTIVE).play()
    assert played.changes() == UPLOADED
    assert [t.ts for t in played.image.transitions] == [ms(3), ms(13), ms(23)]
    assert all(t.legal and t.source == "sql" for t in played.image.transitions)
    assert intervals(played) == [("queued", 10_000_000), ("saving", 10_000_000), ("active", None)]
    first = played.image.transitions[0]
    insert, commit = played.statements[:2]
    assert (first.statement_id, first.frame) == (insert.id, insert.command.request_frame)
    assert first.commit_frame == commit.command.request_frame
    assert (played.image.status, played.image.existed_before) == ("active", False)
    assert played.image.first_status_certainty == "observed"


def test_under_autocommit_the_statement_itself_counts() -> None:
    played = steps(INSERT, SAVING, autocommit=True).play()
    assert played.changes() == UPLOADED[:2]
    assert [t.ts for t in played.image.transitions] == [ms(1), ms(11)]
    assert all(t.frame == t.commit_frame for t in played.image.transitions)


def test_unguarded_update_starts_from_the_status_known() -> None:
    assert steps(INSERT, update(None, "killed")).play().changes() == [CREATED, ("queued", "killed", "observed")]


def test_older_image_by_the_guard_of_its_first_update() -> None:
    played = steps(ACTIVE).play()
    assert played.changes() == [("saving", "active", "observed")]
    assert (played.image.existed_before, played.image.first_status_certainty) == (True, "observed")
    assert intervals(played) == [("saving", 3_000_000), ("active", None)]
    assert played.image.intervals[0].ts == START


def test_older_image_by_an_unguarded_update() -> None:
    played = steps(update(None, "active")).play()
    assert played.changes() == []
    assert (played.image.status, played.image.first_status_certainty) == ("active", "inferred")


def test_older_image_by_a_row() -> None:
    scene = Scene()
    database = scene.session()
    database.read(0, "active")
    database.write(10, update("active", "deactivated"))
    played = scene.play()
    assert played.changes() == [("active", "deactivated", "observed")]
    assert intervals(played) == [("active", 12_000_000), ("deactivated", None)]


def test_older_image_that_only_a_response_shows() -> None:
    scene = Scene()
    scene.call("image-show", 200, 0, 5, response_json={"id": IMAGE, "status": "active", "name": "x"})
    played = scene.play()
    assert played.changes() == []
    assert (played.image.status, played.image.name) == ("active", "x")
    assert intervals(played) == [("active", None)]


def test_first_row_that_races_with_the_first_write() -> None:
    scene = Scene()
    scene.session().write(0, SAVING)
    scene.session().read(2, "saving", 0.5)
    assert scene.play().changes() == [("queued", "saving", "observed")]


def test_rewriting_the_same_status_is_nothing() -> None:
    played = steps(INSERT, update("queued", "queued"), update(None, "queued")).play()
    assert played.changes() == [CREATED]
    assert played.image.events == []


def test_rolled_back_changes_nothing() -> None:
    scene = steps(INSERT)
    scene.sessions[0].write(20, SAVING, end="ROLLBACK")
    assert scene.play().changes() == [CREATED]


def test_creation_that_was_rolled_back_is_no_image() -> None:
    scene = Scene()
    scene.session().write(0, INSERT, end="ROLLBACK")
    assert scene.play().images == []


def test_deadlock_repeats_the_unit() -> None:
    scene = steps(INSERT)
    database = scene.sessions[0]
    database.run(SAVING, 20, error=1213)
    database.run("ROLLBACK", 22)
    database.write(520, SAVING)
    assert scene.play().changes() == UPLOADED[:2]


def test_lost_race_is_an_event() -> None:
    scene = steps(INSERT, SAVING)
    database = scene.sessions[0]
    database.write(20, update("saving", "deleted"))
    database.run(ACTIVE, 30, affected=0)
    database.run("COMMIT", 32)
    played = scene.play()
    assert played.image.status == "deleted"
    (event,) = played.image.events
    assert event.kind == "lost-race"
    assert event.summary == "status was no longer saving, so it did not become active"


def test_illegal_change_is_told_and_marked() -> None:
    played = steps(INSERT, update("queued", "deactivated")).play()
    assert [(t.to_status, t.legal) for t in played.image.transitions] == [("queued", True), ("deactivated", False)]


def test_delayed_delete_and_purge() -> None:
    played = steps(
        update("active", "pending_delete"), update("pending_delete", "deleted"),
        f"UPDATE images SET deleted=1 WHERE images.id = '{IMAGE}'", f"DELETE FROM images WHERE images.id = '{IMAGE}'",
    ).play()  # fmt: skip
    assert [to for _, to, _ in played.changes()] == ["pending_delete", "deleted"]
    assert [(event.kind, event.summary) for event in played.image.events] == [
        ("delete", "marked deleted"),
        ("delete", "row purged"),
    ]


def test_uncommitted_at_the_end_of_the_capture() -> None:
    scene = steps(INSERT)
    scene.sessions[0].run(SAVING, 20)
    assert scene.play().changes() == [CREATED]


def lost_commit() -> Scene:
    scene = steps(INSERT)
    database = scene.sessions[0]
    database.run(SAVING, 20)
    database.run("COMMIT", 22, lost=True)
    return scene


def test_commit_without_an_answer_never_confirmed() -> None:
    assert lost_commit().play().changes() == [CREATED]


def test_commit_without_an_answer_confirmed_by_a_row() -> None:
    scene = lost_commit()
    scene.session().read(50, "saving")
    assert scene.play().changes() == [CREATED, ("queued", "saving", "inferred")]


def test_commit_without_an_answer_denied_by_a_row() -> None:
    scene = lost_commit()
    scene.session().read(50, "queued")
    assert scene.play().changes() == [CREATED]


def test_commit_without_an_answer_confirmed_by_the_next_guard() -> None:
    scene = lost_commit()
    scene.session().write(50, ACTIVE)
    assert scene.play().changes() == [CREATED, ("queued", "saving", "inferred"), ("saving", "active", "observed")]


def test_commit_without_an_answer_confirmed_by_the_answer_of_its_call() -> None:
    scene = steps(INSERT, SAVING)
    scene.call("image-upload", 204, 40, 60, method="PUT")
    database = scene.session()
    database.run(ACTIVE, 50)
    database.run("COMMIT", 52, lost=True)
    played = scene.play()
    assert played.changes() == [*UPLOADED[:2], ("saving", "active", "inferred")]
    assert played.image.transitions[-1].source == "both"


def test_creation_without_an_answer_confirmed_by_any_row() -> None:
    scene = Scene()
    database = scene.session()
    database.run(INSERT, 0)
    database.run("COMMIT", 2, lost=True)
    scene.session().read(50, "saving")
    assert scene.play().changes() == [(None, "queued", "inferred"), ("queued", "saving", "inferred")]


def test_update_without_its_own_answer_is_inferred() -> None:
    scene = steps(INSERT)
    database = scene.sessions[0]
    database.run(SAVING, 20, lost=True)
    database.run("COMMIT", 22)
    assert scene.play().changes() == [CREATED, ("queued", "saving", "inferred")]


def test_retried_write_with_two_lost_commits_counts_once() -> None:
    scene = lost_commit()
    other = scene.session()
    other.run(SAVING, 30)
    other.run("COMMIT", 32, lost=True)
    scene.session().read(50, "saving")
    assert scene.play().changes() == [CREATED, ("queued", "saving", "inferred")]


def test_row_that_no_change_explains() -> None:
    scene = steps(INSERT)
    scene.session().read(50, "saving")
    scene.session().write(80, ACTIVE)
    played = scene.play()
    assert played.changes() == [CREATED, ("queued", "saving", "inferred"), ("saving", "active", "observed")]
    assert played.image.transitions[1].ts == ms(51)
    assert played.image.transitions[1].statement_id is None


def test_guard_that_no_change_explains() -> None:
    scene = steps(INSERT, ACTIVE)
    assert scene.play().changes() == [CREATED, ("queued", "saving", "inferred"), ("saving", "active", "observed")]


def test_several_missing_changes_are_not_called_illegal() -> None:
    scene = steps(INSERT)
    scene.session().read(50, "deactivated")
    played = scene.play()
    assert played.changes() == [CREATED, ("queued", "deactivated", "inferred")]
    assert played.image.transitions[1].legal


def test_a_status_that_glance_does_not_know_leads_to_nothing() -> None:
    scene = steps(INSERT, update("queued", "pueued"), ACTIVE)
    scene.session().read(50, "deactivated")
    played = scene.play()
    changes = [("queued", "pueued"), ("pueued", "saving"), ("saving", "active"), ("active", "deactivated")]
    assert [(t.from_status, t.to_status) for t in played.image.transitions[1:]] == changes
    assert [t.legal for t in played.image.transitions[1:]] == [False, False, True, True]


def test_row_seen_too_early_is_put_in_between() -> None:
    scene = steps(INSERT)
    scene.session().read(40, "saving")
    scene.session().write(80, SAVING)
    assert scene.play().changes() == [
        CREATED,
        ("queued", "saving", "inferred"),
        ("saving", "queued", "inferred"),
        ("queued", "saving", "observed"),
    ]


@pytest.mark.parametrize("status", ["queued", "saving"])
def test_row_read_while_the_commit_was_under_way(status: str) -> None:
    scene = steps(INSERT)
    scene.session().write(20, SAVING)
    scene.session().read(18, status, 6)
    assert scene.play().changes() == UPLOADED[:2]


def test_row_read_behind_its_own_uncommitted_write() -> None:
    scene = steps(INSERT)
    database = scene.sessions[0]
    database.run(SAVING, 20)
    database.read(22, "saving")
    assert scene.play().changes() == [CREATED]


def test_old_row_of_a_long_transaction() -> None:
    scene = steps(INSERT)
    reader = scene.session()
    reader.run("SELECT image_tags.value FROM image_tags WHERE image_tags.id = 1", 15)
    scene.session().write(20, SAVING)
    reader.read(40, "queued")
    assert scene.play().changes() == UPLOADED[:2]


def test_manual_change_by_another_client() -> None:
    scene = steps(INSERT, SAVING, ACTIVE)
    manual = scene.session(user=None, schema=None, client="192.0.2.99", autocommit=True)
    manual.run(f"update glance.images set status='queued' where id='{IMAGE}'", 100)
    played = scene.play()
    last = played.image.transitions[-1]
    assert (last.from_status, last.to_status, last.legal, last.call_id) == ("active", "queued", False, None)


def test_intervals_follow_each_other() -> None:
    played = steps(INSERT, SAVING, update("saving", "queued"), SAVING, ACTIVE, update("active", "deleted")).play()
    found = played.image.intervals
    assert [i.status for i in found] == ["queued", "saving", "queued", "saving", "active", "deleted"]
    for before, after in itertools.pairwise(found):
        assert before.dur is not None
        assert before.ts + before.dur == after.ts
    assert found[-1].dur is None


def test_two_changes_in_one_transaction() -> None:
    scene = Scene()
    scene.session().write(0, INSERT, SAVING)
    played = scene.play()
    assert played.changes() == UPLOADED[:2]
    assert intervals(played) == [("queued", 0), ("saving", None)]


def test_select_that_found_nothing_is_no_image() -> None:
    scene = Scene()
    scene.session().texts(0, select(), "ROLLBACK")
    assert scene.play().images == []
