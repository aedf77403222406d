"""Calls of which only the response was seen: units that ran beside them may be theirs."""

from __future__ import annotations

import pytest

from glancetrace.correlate.affinity import Workers
from glancetrace.correlate.attribute import attribute
from glancetrace.correlate.facts import CallFacts, UnitFacts, UnitReader, call_facts
from glancetrace.correlate.hidden import Half, HiddenCalls
from glancetrace.correlate.link import CERTAIN, INFERRED, Link
from tests.support.scene import IMAGE, OTHER, Scene, ms, select


def half(begin: float, end: float, *images: str, connection_id: int = 900) -> Half:
    return Half("glance", ms(begin), ms(end), connection_id, frozenset(images))


def links(scene: Scene, *halves: Half) -> list[Link]:
    """Links of a scene in which these calls ran, too."""
    for number, call in enumerate(scene.calls, 1):
        call.id = number
    return attribute(scene.calls, {"glance": scene.units()[1]}, halves)


def one_call() -> Scene:
    scene = Scene()
    for number in range(10):
        begin = 100 * number
        scene.call("image-show", 200, begin, begin + 20, request_id=f"{number}")
        scene.session().texts(begin + 10, select(), "ROLLBACK")
    return scene


def classes(found: list[Link]) -> list[str]:
    return [link.link_class for link in found]


def test_only_the_call_that_was_seen_is_no_longer_certain() -> None:
    found = links(one_call(), half(-100, 30))
    assert classes(found) == [INFERRED] * 2 + [CERTAIN] * 18
    assert found[0].score < 1


@pytest.mark.parametrize(
    "other", [half(-100, 5), half(15, 60), half(-100, 30, OTHER)], ids=["before", "after", "of another image"]
)
def test_who_cannot_have_run_it_changes_nothing(other: Half) -> None:
    assert classes(links(one_call(), other)) == [CERTAIN] * 20


def test_work_beyond_what_a_call_does_goes_to_the_one_that_was_not_seen() -> None:
    scene = one_call()
    scene.session().texts(902, select(), "ROLLBACK")
    with_half = links(scene, half(850, 912, IMAGE))
    last = [link for link in with_half if link.call_id == 10]
    assert len(last) == 2
    assert scene.units()[0][-4].id < last[0].statement_id
    without = links(scene)
    assert len([link for link in without if link.call_id == 10]) == 4


def facts(scene: Scene) -> list[tuple[CallFacts, UnitFacts]]:
    reader = UnitReader({})
    return [(call_facts(call, {}), reader.read(unit)) for call, unit in zip(scene.calls, scene.units()[1], strict=True)]


def test_rate_follows_from_how_long_before_the_response() -> None:
    taught = facts(one_call())
    unit = taught[0][1]
    rates = []
    for end in (21, 60, 400, 5):
        hidden = HiddenCalls([half(-100, end)], [call for call, _ in taught])
        hidden.learn(taught)
        rates.append(hidden.log_rate(unit, Workers()))
    assert rates[0] > rates[1] > rates[2] > rates[3] == float("-inf")


def test_rate_is_that_of_all_of_them_in_the_same_process() -> None:
    taught = facts(one_call())
    unit = taught[0][1]

    def rate(workers: Workers, *halves: Half) -> float:
        hidden = HiddenCalls(halves, [call for call, _ in taught])
        hidden.learn(taught)
        return hidden.log_rate(unit, workers)

    one, other = half(-100, 21), half(-100, 21, connection_id=901)
    assert rate(Workers(), one, other) > rate(Workers(), one)
    same, apart = ({900: 1, unit.connection_id: group} for group in (1, 2))
    calls = Workers(calls=Workers().calls).calls
    calls.update({1: 20, 2: 20})
    assert rate(Workers(same, calls), one) == rate(Workers(), one) > rate(Workers(apart, calls), one)


def test_a_call_that_names_no_image_is_the_less_likely_one() -> None:
    scene = one_call()
    scene.call("unknown", None, 890, None, image_id=None, connection_id=300, target="/v2/images/../x")
    found = {link.call_id: link for link in links(scene)}
    assert found[10].link_class == INFERRED
    assert found[10].score > 0.5
