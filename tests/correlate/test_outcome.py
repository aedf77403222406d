"""What became of a transaction, told by its commands, flags, errors and by what is missing."""

from __future__ import annotations

import pytest

from tests.support.scene import Played, Scene, ms, update

SAVING = update("queued", "saving")


def outcomes(played: Played) -> list[str]:
    return [statement.outcome for statement in played.statements]


def test_commit() -> None:
    scene = Scene()
    database = scene.session()
    database.texts(0, SAVING, "COMMIT")
    played = scene.play()
    assert outcomes(played) == ["committed", "committed"]
    assert played.statements[0].commit_ts == ms(3)
    assert played.statements[0].commit_frame == played.statements[1].command.request_frame


@pytest.mark.parametrize("text", ["ROLLBACK", "rollback", "ROLLBACK;", "ROLLBACK WORK"])
def test_rollback(text: str) -> None:
    scene = Scene()
    scene.session().texts(0, SAVING, text, "COMMIT")
    assert outcomes(scene.play()) == ["rolled_back", "rolled_back", "committed"]


def test_error_on_commit_undoes_all() -> None:
    scene = Scene()
    database = scene.session()
    database.run(SAVING, 0)
    database.run("COMMIT", 2, error=1213)
    assert outcomes(scene.play()) == ["rolled_back", "rolled_back"]


def test_commit_without_an_answer_stays_unknown() -> None:
    scene = Scene()
    database = scene.session()
    database.run(SAVING, 0)
    database.run("COMMIT", 2, lost=True)
    database.run("ROLLBACK", 4)
    assert outcomes(scene.play()) == ["unknown", "unknown", "rolled_back"]


@pytest.mark.parametrize(("code", "first"), [(1213, "rolled_back"), (1062, "committed"), (1205, "committed")])
def test_error_undoes_its_statement_and_a_deadlock_the_transaction(code: int, first: str) -> None:
    scene = Scene()
    database = scene.session()
    database.run(SAVING, 0)
    database.run("INSERT INTO image_tags (image_id, value) VALUES ('x', 'y')", 2, error=code)
    database.run("COMMIT", 4)
    assert outcomes(scene.play()) == [first, "rolled_back", "committed"]


def test_savepoint_is_undone_from_there_on() -> None:
    scene = Scene()
    database = scene.session()
    later = update("saving", "active")
    database.texts(0, SAVING, "SAVEPOINT sa_1", later, "ROLLBACK TO SAVEPOINT sa_1", "COMMIT")
    played = scene.play()
    assert outcomes(played) == ["committed", "rolled_back", "rolled_back", "committed", "committed"]
    assert len(played.units) == 1


def test_savepoint_that_was_not_seen_leaves_all_unknown() -> None:
    scene = Scene()
    scene.session().texts(0, SAVING, "ROLLBACK TO SAVEPOINT sa_1", "COMMIT")
    assert outcomes(scene.play()) == ["unknown", "committed", "committed"]


@pytest.mark.parametrize("text", ["BEGIN", "START TRANSACTION", "SET autocommit=1", "SET SESSION AUTOCOMMIT = ON"])
def test_implicit_commit(text: str) -> None:
    scene = Scene()
    database = scene.session()
    database.texts(0, SAVING, text)
    played = scene.play()
    assert (played.statements[0].outcome, played.statements[0].commit_ts) == ("committed", ms(3))


def test_ddl_commits_what_was_open_and_itself() -> None:
    scene = Scene()
    scene.session().texts(0, SAVING, "CREATE TABLE t (a int)", "ROLLBACK")
    assert outcomes(scene.play()) == ["committed", "committed", "rolled_back"]


def test_setting_autocommit_off_commits_nothing() -> None:
    scene = Scene()
    scene.session().texts(0, SAVING, "SET AUTOCOMMIT = 0", "ROLLBACK")
    assert outcomes(scene.play()) == ["rolled_back"] * 3


def test_autocommit_by_the_flags_of_the_answer() -> None:
    scene = Scene()
    database = scene.session(autocommit=True)
    database.run(SAVING, 0)
    played = scene.play()
    (statement,) = played.statements
    assert (statement.outcome, statement.commit_ts) == ("committed", ms(1))
    assert statement.commit_frame == statement.command.request_frame


def test_begin_under_autocommit_waits_for_its_commit() -> None:
    scene = Scene()
    scene.session(autocommit=True).texts(0, "BEGIN", SAVING, "ROLLBACK")
    assert outcomes(scene.play())[1] == "rolled_back"


@pytest.mark.parametrize(("closed", "outcome"), [("fin", "rolled_back"), ("rst", "rolled_back"), ("", "unknown")])
def test_connection_or_capture_ends_with_an_open_transaction(closed: str, outcome: str) -> None:
    scene = Scene()
    scene.session(closed=closed).run(SAVING, 0)
    assert outcomes(scene.play()) == [outcome]


def test_connection_that_lost_bytes_may_have_lost_its_commit() -> None:
    scene = Scene()
    database = scene.session(closed="fin")
    database.run(SAVING, 0)
    database.gap()
    assert outcomes(scene.play()) == ["unknown"]


@pytest.mark.parametrize("command", ["COM_RESET_CONNECTION", "COM_CHANGE_USER", "COM_QUIT"])
def test_session_that_begins_anew_rolls_back(command: str) -> None:
    scene = Scene()
    database = scene.session()
    database.run(SAVING, 0)
    database.run(None, 2, command=command)
    assert outcomes(scene.play())[0] == "rolled_back"


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_behind_missing_client_bytes_nothing_is_said_of_what_was_open(end: str) -> None:
    scene = Scene()
    database = scene.session()
    database.run(SAVING, 0)
    database.gap()
    database.run(end, 2)
    assert outcomes(scene.play())[0] == "unknown"


def test_flags_show_that_the_transaction_ended_unseen() -> None:
    scene = Scene()
    database = scene.session()
    database.run(SAVING, 0)
    command = database.run("SELECT 1", 2)
    command.status_flags = 0
    database.run("ROLLBACK", 4)
    assert outcomes(scene.play())[0] == "unknown"
