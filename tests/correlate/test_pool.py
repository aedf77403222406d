"""A connection was given back no sooner than those that were taken again before it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glancetrace.correlate import pool
from glancetrace.correlate.attribute import _read_units
from glancetrace.correlate.candidates import Candidates
from glancetrace.correlate.facts import CallFacts, UnitFacts, call_facts
from glancetrace.correlate.pool import tell_returns
from tests.support.scene import IMAGE, Scene, Session, select

TAGS = f"SELECT image_tags.value AS image_tags_value FROM image_tags WHERE image_tags.image_id = '{IMAGE}'"
ROW = [(IMAGE, "active", "overcloud-full", None)]

Uses = list[tuple[int, int, int]]
"""(connection, begin, end) of units, ms."""


def units_of(uses: Uses) -> list[UnitFacts]:
    """Units of one process."""
    scene = Scene()
    sessions: dict[int, Session] = {}
    for connection, begin, end in uses:
        session = sessions.setdefault(connection, scene.session())
        session.run(select(), begin, 0.01, rows=ROW)
        session.run("ROLLBACK", end - 0.01, 0.01)
    return _read_units(scene.units()[1])


def call() -> CallFacts:
    scene = Scene()
    return call_facts(scene.call("image-show", 200, 0, 10_000), {})


def told(units: list[UnitFacts], calls: list[CallFacts]) -> list[float]:
    """How many ms after their ends units gave their connections back; `calls`: whose they are."""
    tell_returns(list(zip(calls, units, strict=True)), [], {unit.connection_id: 1 for unit in units})
    return [round((unit.returned - unit.end) / 1e6, 3) for unit in units]


def test_who_is_taken_later_was_given_back_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_ENOUGH", 0)
    units = units_of([(1, 0, 10), (2, 5, 30), (2, 40, 50), (1, 60, 70), (2, 80, 90)])
    assert told(units, [call() for _ in units]) == [20, 0, 0, 0, 0]
    assert units[0].returned > units[1].returned


def test_it_is_told_whether_anything_is_another_than_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_ENOUGH", 0)
    units = units_of([(1, 0, 10), (2, 5, 30), (2, 40, 50), (1, 60, 70)])
    owned = [(call(), unit) for unit in units]
    one_process = {unit.connection_id: 1 for unit in units}
    assert not tell_returns(owned, [], {})
    assert tell_returns(owned, [], one_process)
    assert not tell_returns(owned, [], {**one_process, 99: 2})
    assert tell_returns(owned, [], {unit.connection_id: unit.connection_id for unit in units})


def test_where_nothing_is_known_a_connection_was_given_back_at_once() -> None:
    units = units_of([(1, 0, 25), (2, 5, 30), (2, 40, 45), (1, 70, 80)])
    assert told(units, [call() for _ in units]) == [0, 0, 0, 0]


def test_calls_that_are_interrupted_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first unit's call begins its next one 2 ms after it, before it can have given its connection back."""
    monkeypatch.setattr(pool, "_ENOUGH", 0)
    units = units_of([(1, 0, 25), (3, 27, 29), (2, 5, 30), (2, 40, 45), (1, 70, 80)])
    one, *others = [call() for _ in units]
    owners = {unit.start: one if unit.start in (units[0].start, units[2].start) else others.pop() for unit in units}
    assert told(units, [owners[unit.start] for unit in units]) == [0, 0, 0, 0, 0]


def test_a_closed_connection_and_one_of_an_unknown_process_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_ENOUGH", 0)
    units = units_of([(1, 0, 10), (2, 5, 30), (2, 40, 50), (1, 60, 70)])
    tell_returns([(call(), unit) for unit in units], [], {})
    assert all(unit.returned == unit.end for unit in units)
    scene = Scene()
    one, other = scene.session(), scene.session()
    one.run(select(), 0, 1, rows=ROW)
    one.run("ROLLBACK", 9, 1)
    other.run(select(), 5, 1, rows=ROW)
    other.run("ROLLBACK", 29, 1)
    other.run(select(), 40, 1, rows=ROW)
    one.run(None, 60, command="COM_QUIT", lost=True)
    closed = _read_units(scene.units()[1])
    assert told(closed, [call() for _ in closed])[0] == 0


uses = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 20), st.integers(1, 20)), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(uses, st.booleans(), st.integers(1, 2))
def test_returns_stand_between_an_end_and_the_next_use(
    gaps: list[tuple[int, int, int]], enough: bool, processes: int
) -> None:
    """Never before the last answer; never after the connection is used again; in the order of use where all wait."""
    now: dict[int, int] = {}
    laid: Uses = []
    for connection, gap, lasts in gaps:
        begin = now.get(connection, 0) + gap
        laid.append((connection, begin, begin + lasts))
        now[connection] = begin + lasts
    units = units_of(laid)
    process_of = {unit.connection_id: unit.connection_id % processes for unit in units}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "_ENOUGH", 0 if enough else 10**6)
        tell_returns([], [Candidates(unit, [call()], [], alone=False) for unit in units], process_of)
    again = {id(unit.unit): unit.unit.next_unit for unit in units}
    for unit in units:
        following = again[id(unit.unit)]
        assert unit.returned >= unit.end
        assert following is None or unit.returned <= following.ts or unit.returned == unit.end
    for process in range(processes if enough else 0):
        queue = [u for u in units if process_of[u.connection_id] == process and u.unit.next_unit is not None]
        queue.sort(key=lambda u: (u.unit.next_unit.ts if u.unit.next_unit else 0, u.end))
        assert all(one.returned < other.returned for one, other in pairwise(queue))


@pytest.mark.parametrize("first_taken_first", [True, False])
def test_who_gave_back_first_goes_on_first(first_taken_first: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two calls about one image in one process: which of their connections is taken again first tells who went on."""
    monkeypatch.setattr(pool, "_ENOUGH", 0)
    scene = Scene()
    sessions = [scene.session() for _ in range(4)]

    def read(database: Session, text: str, begin: float, end: float) -> None:
        database.run(text, begin, 1, rows=() if "image_tags" in text else ROW)  # type: ignore[arg-type]
        database.run("ROLLBACK", end - 0.2, 0.2)

    def show(begin: float, one: Session, other: Session) -> None:
        image = f"{int(begin):08x}-0000-4000-8000-000000000000"
        target = f"/v2/images/{image}"
        scene.call("image-show", 200, begin, begin + 60, connection_id=200, target=target, image_id=image)
        read(one, select(image), begin + 5, begin + 8)
        read(other, TAGS.replace(IMAGE, image), begin + 20, begin + 23)

    for number in range(40):
        show(100 * number, sessions[2 * number % 4], sessions[(2 * number + 1) % 4])
    scene.call("image-show", 200, 5000, 5050, connection_id=200, target=f"/v2/images/{IMAGE}")
    scene.call("image-download", 200, 5001, 5050, connection_id=200, target=f"/v2/images/{IMAGE}/file")
    first, second, third, fourth = sessions
    read(first, select(), 5005, 5013)
    read(second, select(), 5008, 5016)
    read(third, TAGS, 5030, 5033)
    read(fourth, TAGS, 5036, 5039)
    show(5200, *((first, second) if first_taken_first else (second, first)))
    show(5300, third, fourth)
    played = scene.play()
    link_of = {link.statement_id: link.call_id for link in played.links}
    of_first, of_second, earlier, later = [link_of[s.id] for s in played.statements if IMAGE in (s.command.sql or "")]
    assert (earlier, later) == ((of_first, of_second) if first_taken_first else (of_second, of_first))
