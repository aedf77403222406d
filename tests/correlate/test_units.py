"""Cutting a connection's statements into checkouts, and the era they tell of."""

from __future__ import annotations

import pytest

from glancetrace.correlate.units import UnitOfWork, cut_units, detect_era, detect_eras
from tests.support.scene import IMAGE, Scene, select, update

READ = select()
TAGS = f"SELECT image_tags.value FROM image_tags WHERE image_tags.image_id = '{IMAGE}'"
ERAS = {
    1: ["SELECT 1", READ, "ROLLBACK", "SELECT 1", TAGS, "ROLLBACK"],
    2: ["ping", READ, "COMMIT", "ROLLBACK", "ping", TAGS, "COMMIT", "ROLLBACK"],
    3: ["ping", READ, "ROLLBACK", "ROLLBACK", "ping", TAGS, "ROLLBACK", "ROLLBACK"],
}


def cut(*texts: str, autocommit: bool = False) -> list[UnitOfWork]:
    scene = Scene()
    database = scene.session(autocommit=autocommit)
    for number, text in enumerate(texts):
        if text == "ping":
            database.ping(2 * number)
        elif text == "gap":
            database.gap()
        else:
            database.run(text, 2 * number)
    return scene.units()[1]


def texts(unit: UnitOfWork) -> list[str | None]:
    return [statement.command.sql for statement in unit.statements]


@pytest.mark.parametrize("era", ERAS)
def test_each_era(era: int) -> None:
    units = cut(*ERAS[era])
    assert [len(unit.statements) for unit in units] == [len(ERAS[era]) // 2] * 2
    assert [len(unit.work) for unit in units] == [len(ERAS[era]) // 2 - 1] * 2
    assert detect_era(units) == era
    assert detect_eras(units) == {"192.0.2.20": era}


def test_nothing_read_tells_no_era() -> None:
    units = cut("ping", update("queued", "saving"), "COMMIT", "ROLLBACK")
    assert len(units) == 1
    assert detect_era(units) == 0
    assert detect_eras(units) == {}


def test_without_pings_a_rollback_ends_the_checkout() -> None:
    assert [len(unit.statements) for unit in cut(READ, "ROLLBACK", TAGS, "ROLLBACK", "ROLLBACK", READ)] == [2, 3, 1]


def test_commit_does_not_end_it() -> None:
    (unit,) = cut(update("queued", "saving"), "COMMIT", READ, "ROLLBACK")
    assert len(unit.statements) == 4


def test_under_autocommit_every_statement_is_a_unit() -> None:
    units = cut(update("queued", "saving"), update("saving", "active"), READ, autocommit=True)
    assert [len(unit.statements) for unit in units] == [1, 1, 1]


def test_missing_client_bytes_begin_a_unit() -> None:
    assert [len(unit.statements) for unit in cut(READ, "gap", TAGS, "ROLLBACK")] == [1, 2]


def test_setup_then_use() -> None:
    setup = ["SET NAMES utf8", "SHOW VARIABLES LIKE 'sql_mode'", "ROLLBACK"]
    first, second = cut(*setup, READ, "ROLLBACK")
    assert (first.setup, second.setup) == (True, False)
    assert first.next_unit is second
    assert second.next_unit is None


def test_a_unit_begins_with_its_ping() -> None:
    unit = cut("ping", READ, "ROLLBACK")[0]
    assert unit.statements[0].kind == "ping"
    assert unit.ts == unit.statements[0].command.ts
    assert unit.end_ts == unit.statements[-1].command.response_end_ts


def test_no_statements_no_units() -> None:
    assert cut_units([]) == []
