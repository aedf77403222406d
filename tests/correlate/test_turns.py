"""Calls of one process that wait for the same are served in the order in which they came if nothing else decides."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glancetrace.correlate import turns
from glancetrace.correlate.gaps import GapModel
from glancetrace.correlate.grammar import RouteGrammar
from glancetrace.correlate.turns import Patience, Turns, _fit, _Wait
from glancetrace.correlate.weighing import weigh
from tests.support.scene import IMAGE, Played, Scene, Session, select

TAGS = f"SELECT image_tags.value AS image_tags_value FROM image_tags WHERE image_tags.image_id = '{IMAGE}'"
ROW = [(IMAGE, "active", "overcloud-full", None)]
SHOW = ("image-show", 200)
OVERTAKEN = 2.0
PATIENCE = Patience(OVERTAKEN, OVERTAKEN)
FILE = f"/v2/images/{IMAGE}/file"


def read(database: Session, text: str, at: float) -> None:
    """A checkout with one SELECT."""
    database.run(text, at, 0.5, rows=ROW if "FROM images" in text else ())
    database.run("ROLLBACK", at + 1, 0.2)
    database.run("ROLLBACK", at + 1.4, 0.2)


def play(second_came: float) -> Played:
    """A process serves calls one by one, then two that wait for the same image: from 1000 and `second_came` on."""
    scene = Scene()
    first, second = scene.session(), scene.session()
    for number in range(8):
        at = 100 * number
        scene.call("image-show", 200, at, at + 20, connection_id=200)
        read(first, select(), at + 5)
        read(second, TAGS, at + 10)
    scene.call("image-show", 200, 1000, 1200, connection_id=200, target=f"/v2/images/{IMAGE}")
    scene.call("image-download", 200, second_came, 1200, connection_id=200, target=FILE)
    read(first, select(), 1040)
    read(second, select(), 1070)
    read(first, TAGS, 1100)
    read(second, TAGS, 1120)
    return scene.play()


def owners(played: Played, text: str) -> list[int | None]:
    link_of = {link.statement_id: link.call_id for link in played.links}
    return [link_of.get(s.id) for s in played.statements if (s.command.sql or "").startswith(text)]


def test_who_came_first_is_served_first() -> None:
    assert owners(play(1010), "SELECT images")[-2:] == [9, 10]


def test_waits_alone_would_serve_the_last_comer_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the order of arrival is needed for."""
    monkeypatch.setattr(turns, "_MOST", 0.0)
    assert owners(play(1010), "SELECT images")[-2:] == [10, 9]


def test_an_explanation_says_who_was_overtaken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_MOST", 0.0)
    played = play(1010)
    joint = next(link.joint for link in played.links if link.call_id == 10 and link.joint is not None)
    joint.model.patience = PATIENCE
    (turn,) = [weight for weight in weigh(joint) if weight.name == "turn"]
    assert turn.weight == -OVERTAKEN
    assert turn.text.startswith("call 9 ")


def queue(*rows: tuple[int, str, int | None, int]) -> tuple[Turns, list[int]]:
    """Turns of progress (start, kind, process, began), none of it surely the first of its call."""
    grammar = RouteGrammar()
    found = Turns(grammar, PATIENCE)
    for start, kind, worker, began in rows:
        found.add(grammar.state(SHOW), start, None if worker is None else (worker, kind, False), began)
    return found, list(range(len(rows)))


def test_only_later_ones_of_the_same_queue_are_overtaken() -> None:
    found, (one, *others) = queue((50, "img", 1, 0), (60, "img", 2, 0), (60, "tags", 1, 0), (40, "img", 1, 0))
    assert found.between(one, others) == 0
    found, (one, *others) = queue((50, "img", 1, 0), (60, "img", 1, 0), (70, "img", 1, 0))
    assert OVERTAKEN < found.between(one, others) <= 2 * OVERTAKEN


def test_first_units_wait_since_their_requests() -> None:
    """Of calls at their first unit, those count that came before and are served later, or the other way round."""
    grammar = RouteGrammar()
    found = Turns(grammar, PATIENCE)
    whole = grammar.before(grammar.before(grammar.state(SHOW), "tags"), "img")
    for start, began in ((50, 10), (60, 5), (60, 15), (40, 15)):
        found.add(whole, start, (1, "img", False), began)
    assert found.first(0, [1]) > 0.8 * OVERTAKEN
    assert found.first(0, [2]) == 0
    assert found.first(0, [3]) == found.first(3, [0]) == found.first(0, [1])
    assert found.between(0, [1]) < 0.2 * OVERTAKEN


def test_without_a_process_there_is_no_queue() -> None:
    found, (one, other) = queue((50, "img", None, 10), (60, "img", None, 5))
    assert found.first(one, [other]) == found.between(one, [other]) == 0


def patience(kept: int, overtaken: int) -> float:
    """How much it costs to be overtaken where so many pairs of waits kept their order, and so many did not."""
    place = ("img", "tags")
    pairs = [(_Wait(0, 20, place), _Wait(10, 40, place))] * kept + [
        (_Wait(0, 40, place), _Wait(10, 20, place))
    ] * overtaken
    return _fit(pairs, GapModel())


def test_patience_is_learnt() -> None:
    assert patience(0, 0) == pytest.approx(Patience().between)
    assert patience(90, 10) > 1.8
    assert patience(50, 50) < 0.3
    assert patience(0, 100) == 0


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 120), st.integers(0, 120))
def test_patience_follows_what_was_seen(kept: int, overtaken: int) -> None:
    assert 0 <= patience(kept, overtaken + 1) <= patience(kept, overtaken) <= patience(kept + 1, overtaken) <= 4
