"""The validation of its token comes before a call's own work."""

from __future__ import annotations

from glancetrace.correlate.facts import call_facts
from glancetrace.correlate.link import CERTAIN
from glancetrace.correlate.validation import validated_at, validations_within
from tests.support.scene import Scene, ms, select


def test_work_before_the_validation_is_of_another_call() -> None:
    scene = Scene()
    scene.call("image-show", 200, 0, 100, token="one")
    scene.call("image-show", 200, 0, 100, token="two", connection_id=101)
    scene.call("token-validate", 200, 5, 50, service="keystone", subject_token="one", connection_id=3, image_id=None)
    scene.session().texts(20, select(), "ROLLBACK")
    link = scene.play().link(select())
    assert link is not None
    assert (link.call_id, link.link_class) == (2, CERTAIN)


def test_a_token_of_two_open_calls_tells_nothing() -> None:
    scene = Scene()
    scene.call("image-show", 200, 0, 100, token="one")
    scene.call("image-show", 200, 0, 100, token="one", connection_id=101)
    scene.call("token-validate", 200, 5, 50, service="keystone", subject_token="one", connection_id=3)
    assert validated_at(scene.play().calls) == {}


def test_work_follows_one_of_the_answers_about_its_token() -> None:
    """Two calls with one token, one of which asked; a third call with another token waits as long."""
    scene = Scene()
    for number, token in enumerate(("one", "one", "two")):
        scene.call("image-show", 200, 0, 4000 + 40 * number, token=token, connection_id=100 + number)
    scene.call("token-validate", 200, 5, 1900, service="keystone", subject_token="one", connection_id=3, image_id=None)
    calls = scene.play().calls
    within = validations_within(calls)
    assert within == {1: [ms(1900)], 2: [ms(1900)]}
    facts = call_facts(calls[0], {}, validations=within[1])
    assert [facts.began(ms(at)) for at in (10, 1899, 1900, 3000)] == [ms(0), ms(0), ms(1900), ms(1900)]
    assert call_facts(calls[2], {}).began(ms(3000)) == ms(0)


def test_the_first_validation_counts() -> None:
    scene = Scene()
    scene.call("image-show", 200, 0, 100, token="one")
    for begin in (5, 60):
        scene.call("token-validate", 200, begin, begin + 5, service="keystone", subject_token="one", connection_id=3)
    assert validated_at(scene.play().calls) == {1: ms(10)}
