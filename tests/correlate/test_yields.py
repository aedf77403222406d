"""Calls that gave their database connection back go on in the order in which they did, as strictly as was seen."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glancetrace.correlate import turns
from glancetrace.correlate.weighing import weigh
from glancetrace.correlate.yields import Wait, Yields
from tests.support.scene import IMAGE, Played, Scene, Session, select

TAGS = f"SELECT image_tags.value AS image_tags_value FROM image_tags WHERE image_tags.image_id = '{IMAGE}'"
ROW = [(IMAGE, "active", "overcloud-full", None)]
SHOW = ("image-show", "img", "tags")
UPLOAD = ("image-upload", "tags", "save")
AT_ONCE, LATE = 20_000, 2_000_000


def wait(since: int, until: int, answer: int = AT_ONCE, place: tuple[str, str, str] = SHOW, process: int = 1) -> Wait:
    return Wait(process, since, until, place, answer)


def pairs(count: int, answer: int, *, passed: bool, place: tuple[str, str, str] = SHOW) -> list[Wait]:
    """Twice `count` calls, two at a time; the second of each two passes the first, or does not."""
    found = []
    for at in range(0, 100 * count, 100):
        found += [wait(at, at + (60 if passed else 20), answer, place), wait(at + 10, at + 40, answer, place)]
    return found


def learnt(*waits: list[Wait]) -> Yields:
    yields = Yields()
    yields.learn([one for some in waits for one in some])
    return yields


def test_a_queue_that_was_always_kept_is_strict() -> None:
    yields = learnt(pairs(100, AT_ONCE, passed=False), pairs(100, LATE, passed=True))
    assert yields.strict
    assert yields.if_passed(SHOW, AT_ONCE) > 3
    assert yields.if_passed(SHOW, LATE) == 0


def test_threads_that_pass_one_another_cost_nothing() -> None:
    yields = learnt(pairs(40, AT_ONCE, passed=False), pairs(20, AT_ONCE, passed=True))
    assert not yields.strict
    assert yields.if_passed(SHOW, AT_ONCE) == 0


def test_nothing_seen_nothing_charged() -> None:
    assert not learnt().strict
    assert learnt().cost(wait(0, 100), passed=True) == 0
    assert not learnt(pairs(1, AT_ONCE, passed=False)).strict


def test_who_waits_for_its_client_too_may_be_passed_and_says_nothing_of_others() -> None:
    yields = learnt(pairs(50, AT_ONCE, passed=False), pairs(50, AT_ONCE, passed=True, place=UPLOAD))
    assert yields.if_passed(UPLOAD, AT_ONCE) == 0
    assert yields.if_passed(SHOW, AT_ONCE) > 3


def test_bystanders_pass_and_are_passed() -> None:
    yields = learnt(pairs(100, AT_ONCE, passed=False))
    yields.watch([wait(1000, 1040)])
    price = yields.if_passed(SHOW, AT_ONCE)
    assert yields.cost(wait(1010, 1050), passed=False) == 0
    assert yields.cost(wait(990, 1030), passed=False) == 0
    assert yields.cost(wait(990, 1050), passed=False) == price  # is passed
    assert yields.cost(wait(990, 1050, LATE), passed=False) == 0  # and may be
    assert yields.cost(wait(1010, 1030), passed=False) == price  # passes
    assert yields.cost(wait(990, 1050, process=2), passed=False) == 0
    assert yields.cost(wait(990, 1030), passed=True) == price


times = st.tuples(st.integers(0, 200), st.integers(0, 60))


@settings(max_examples=60, deadline=None)
@given(st.lists(times, max_size=12), times)
def test_bystanders_are_found_as_by_looking_at_each(known: list[tuple[int, int]], own: tuple[int, int]) -> None:
    yields = learnt(pairs(100, AT_ONCE, passed=False))
    others = [wait(since, since + lasts) for since, lasts in known]
    yields.watch(others)
    one = wait(own[0], own[0] + own[1])
    price = yields.if_passed(SHOW, AT_ONCE)
    passed = any(other.since > one.since and other.until < one.until for other in others)
    passes = any(other.since < one.since and other.until > one.until for other in others)
    assert yields.cost(one, passed=False) == pytest.approx(price * (passed + passes))


def read(database: Session, text: str, at: float, lasts: float = 0.5, answer: float = 0.02) -> None:
    """A checkout with one SELECT, as of Glance up to 26; `answer`: how long its last answer takes, ms."""
    database.run(text, at, lasts, rows=ROW if "FROM images" in text else ())
    database.run("ROLLBACK", at + lasts + 0.5, answer)


def play(*, answer: float = 0.02) -> Played:
    """Calls of one process, two at a time about two images; the last two are about one, and answered 70, 75 ms later.

    Of these two the one that began its first unit later ended it earlier.
    """
    scene = Scene()
    first, second, third = scene.session(), scene.session(), scene.session()
    for number in range(60):
        at = 100.0 * number
        # The pool of the process hands out what was given back first.
        for call, (one, other) in enumerate(((first, third), (second, first))):
            image = f"{number:08x}-0000-4000-8000-00000000000{call}"
            scene.call(
                "image-show", 200, at + call, at + 60 + call, target=f"/v2/images/{image}", image_id=image,
                connection_id=200,
            )  # fmt: skip
            read(one, select(image), at + 5 + 2 * call, answer=answer)
            read(other, TAGS.replace(IMAGE, image), at + 20 + 10 * call, answer=answer)
        first, second, third = second, third, first
    scene.call("image-show", 200, 7000, 7070, target=f"/v2/images/{IMAGE}", connection_id=200)
    scene.call("image-download", 200, 7001, 7075, target=f"/v2/images/{IMAGE}/file", connection_id=200)
    read(first, select(), 7005, 10, answer)
    read(second, select(), 7008, 2, answer)
    read(third, TAGS, 7030, answer=answer)
    read(second, TAGS, 7040, answer=answer)
    return scene.play()


def owners(played: Played) -> list[int | None]:
    """Calls of the last four reads, in order of time."""
    link_of = {link.statement_id: link.call_id for link in played.links}
    return [link_of.get(s.id) for s in played.statements if IMAGE in (s.command.sql or "")]


def test_the_unit_that_ended_first_goes_on_first() -> None:
    long, short, earlier, later = owners(play())
    assert (earlier, later) == (short, long)
    assert (earlier, later) == (121, 122)  # and so are the responses


def test_waits_alone_would_have_it_otherwise_and_an_explanation_says_what_that_costs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Yields, "if_passed", lambda *_: 0.0)
    monkeypatch.setattr(turns, "_MOST", 0.0)
    played = play()
    long, short, earlier, later = owners(played)
    assert (earlier, later) == (long, short)
    monkeypatch.undo()
    statement = [s.id for s in played.statements if IMAGE in (s.command.sql or "")][-1]
    joint = next(link.joint for link in played.links if link.statement_id == statement)
    assert joint is not None
    (queue,) = [weight for weight in weigh(joint) if weight.name == "queue"]
    assert queue.weight is not None
    assert queue.weight < -3
    assert queue.text.startswith(f"call {long} of its process yielded later")
