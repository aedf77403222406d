"""What chance does in a comparison: bursts of load, races, and the paths that calls take."""

from __future__ import annotations

import copy
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glancetrace.check.diff.compare import compare
from glancetrace.check.diff.load import relative_durations
from glancetrace.check.diff.noise import ALPHA
from glancetrace.check.diff.paths import extended_calls
from glancetrace.check.diff.profile import Operation, Profile, build_profile
from glancetrace.verdict import Comparison
from tests.support.results import document_of

SECOND = 1_000_000_000
SHOW, LIST, PATCH = ("glance", "image-show"), ("glance", "image-list"), ("glance", "image-update")


def regressions(comparison: Comparison) -> list[tuple[str, str, str]]:
    return [(change.part, change.subject, change.kind) for change in comparison.changes if change.regression]


def test_a_burst_of_load_is_divided_out() -> None:
    calls = {key: [(at * SECOND // 10, 10_000) for at in range(40)] for key in (SHOW, LIST, PATCH)}
    for timed in calls.values():
        timed[20:30] = [(ts, 7 * dur) for ts, dur in timed[20:30]]
    calls[SHOW][35] = (calls[SHOW][35][0], 50_000)
    relative = relative_durations(calls)
    assert relative[SHOW][2] == relative[SHOW][38] == 10_000
    assert relative[SHOW][25] == 10_000
    assert relative[SHOW][35] == 50_000


def test_calls_without_company_stay_as_they_are() -> None:
    far = [(at * 100 * SECOND, 1000 + at) for at in range(10)]
    assert relative_durations({SHOW: far, LIST: [(5, 10**9)]})[SHOW] == [dur for _, dur in far]
    assert relative_durations({SHOW: []}) == {SHOW: []}


def timed(show: list[int], rest: dict[str, list[int]]) -> Profile:
    profile = Profile("x")
    for name, durations in {"image-show": show, **rest}.items():
        counts = Counter({"200": len(durations)})
        relative = [float(dur) for dur in durations]
        profile.operations["glance", name] = Operation(len(durations), durations, relative, counts)
    return profile


def test_an_operation_is_slow_beside_the_others_only() -> None:
    generator = random.Random(3)
    usual = [generator.randint(40, 60) * 1_000_000 for _ in range(20)]
    others = [f"operation-{number}" for number in range(6)]
    base = timed(usual, dict.fromkeys(others, usual))
    slower = [3 * dur for dur in usual]
    assert regressions(compare(base, timed(slower, dict.fromkeys(others, usual)))) == [
        ("time", "image-show (glance)", "slower")
    ]
    # Under another load each is slower by a factor of its own, from 1 to 6, and 3 is nothing special.
    loaded = {name: [dur * (1 + number) for dur in usual] for number, name in enumerate(others)}
    assert regressions(compare(base, timed(slower, loaded))) == []


def test_what_grew_but_not_surely_is_told_as_unclear() -> None:
    """Twelve calls of two kinds, fast and slow: three times as slow is not beyond chance, but no secret."""
    usual = [10_000_000 + call for call in range(7)] + [60_000_000 + call for call in range(5)]
    rest = {f"operation-{number}": usual for number in range(6)}
    comparison = compare(timed(usual, rest), timed([3 * dur for dur in usual], rest))
    assert regressions(comparison) == []
    assert [(change.subject, change.kind) for change in comparison.changes] == [("image-show (glance)", "unclear")]
    assert "not sure (12 and 12)" in comparison.changes[0].what


def raced(
    error: int | None, *, beside: bool = True, rule: str = "", method: str = "PATCH", nested: bool = False
) -> Comparison:
    """The article's script with one of its updates answered with 500 in the second recording."""
    document = document_of("article")
    new: dict[str, Any] = {**document, "api_calls": [dict(call) for call in document["api_calls"]]}
    new["statements"] = [dict(statement) for statement in document["statements"]]
    new["findings"] = list(document["findings"])
    links = {link["call_id"]: link["statement_id"] for link in document["links"]}
    call = next(c for c in new["api_calls"] if c["operation"] == "image-update" and c["status_code"] == 200)
    other = next(c for c in new["api_calls"] if c["operation"] == "image-show" and c["id"] != call["id"])
    call["status_code"] = 500
    others = [c for c in new["api_calls"] if c["image_id"] == call["image_id"] and c is not call]
    for one in others:
        one["image_id"] = "11111111-2222-4333-8444-555555555555"
    other.update(image_id=call["image_id"] if beside else None, ts=call["ts"], method=method)
    other["parent_id"] = call["id"] if nested else None
    if error is not None:
        statement = next(s for s in new["statements"] if s["id"] == links[call["id"]])
        statement["error"] = {"code": error, "sqlstate": "23000", "message": "no"}
    found = {**document["findings"][0], "severity": "error", "rule": "server-error", "call_id": call["id"]}
    new["findings"].append(found)
    if rule:
        new["findings"].append({**found, "severity": "warning", "rule": rule})
    return compare(build_profile(document), build_profile(new))


def test_a_failure_by_a_lost_race_is_no_news() -> None:
    assert ("answers", "image-update (glance)", "500") in regressions(raced(None))
    assert ("findings", "server-error", "new") in regressions(raced(None))
    for comparison in (raced(1062), raced(1213), raced(None, rule="lost-race")):
        assert regressions(comparison) == []
        assert {c.kind for c in comparison.changes if c.part == "answers"} == {"500"}
    assert ("answers", "image-update (glance)", "500") in regressions(raced(1146))
    for alone in (raced(1062, beside=False), raced(1062, method="GET"), raced(1062, nested=True)):
        assert ("answers", "image-update (glance)", "500") in regressions(alone)
    # A deadlock may be with a call about another image, and is none without one that writes.
    assert regressions(raced(1213, beside=False)) == []
    assert ("answers", "image-update (glance)", "500") in regressions(raced(1213, method="GET"))


def test_a_step_back_of_a_contested_image_is_no_news() -> None:
    def stepped_back(rule: str | None) -> Comparison:
        new = copy.deepcopy(document_of("article"))
        image = new["images"][0]
        image["transitions"][-1].update({"from": "saving", "to": "queued"})
        if rule is not None:
            new["findings"].append({**new["findings"][0], "rule": rule, "severity": "warning", "image_id": image["id"]})
        return compare(build_profile(document_of("article")), build_profile(new))

    assert regressions(stepped_back(None)) == [("images", "saving > queued", "new")]
    assert regressions(stepped_back("lost-race")) == []


@pytest.mark.parametrize("rule", ["status-illegal", "image-stuck"])
@pytest.mark.parametrize("late", [True, False])
def test_a_status_written_back_by_a_call_that_had_read_it_before_is_no_news(late: bool, rule: str) -> None:
    new = copy.deepcopy(document_of("article"))
    image = new["images"][0]
    calls = {call["id"]: call for call in new["api_calls"]}
    *_, before, last = image["transitions"]
    other = next(c for c in new["api_calls"] if c["operation"] == "image-update" and c["id"] != before["call_id"])
    other["ts"] = calls[before["call_id"]]["ts"] if late else last["ts"]
    last.update({"from": before["to"], "to": "deactivated", "legal": False, "call_id": other["id"]})
    finding = {**new["findings"][0], "rule": rule, "severity": "error"}
    new["findings"].append({**finding, "image_id": image["id"], "call_id": other["id"]})
    comparison = compare(build_profile(document_of("article")), build_profile(new))
    told = {(change.part, change.kind, change.regression) for change in comparison.changes}
    assert {("images", "new", not late), ("findings", "new", not late)} <= told


KINDS = {"a": "SELECT images", "b": "SELECT image_tags", "c": "UPDATE images", "z": "SELECT tasks"}


def paths(generator: random.Random, count: int) -> list[Counter[str]]:
    """Calls that take one of four paths."""
    ways = [Counter(a=1), Counter(a=2, b=1), Counter(a=1, c=1), Counter(a=2, b=3, c=1)]
    return [Counter(generator.choice(ways)) for _ in range(count)]


@given(st.randoms(use_true_random=False), st.integers(8, 30), st.integers(8, 30), st.sampled_from("abz"))
def test_a_select_on_top_of_every_path_is_sure(generator: random.Random, before: int, after: int, added: str) -> None:
    base, new = paths(generator, before), paths(generator, after)
    known = {frozenset(call.items()) for call in base}
    plain = extended_calls([(base, new)], KINDS)
    assert plain.hits <= sum(frozenset(call.items()) not in known for call in new)
    more = extended_calls([(base, [call + Counter([added]) for call in new])], KINDS)
    assert more.calls == after
    if {frozenset(call.items()) for call in new} <= known:
        assert plain.hits == 0
        assert plain.chance == 1
        if added == "z":
            assert (more.hits, more.added["z"]) == (after, after)
            assert "z" in more.always
    written = extended_calls([(base, [call + Counter("c" * 5) for call in new])], KINDS)
    assert written.hits == 0


def test_few_calls_are_enough_for_a_shape_that_is_nowhere_in_the_base() -> None:
    base, new = Profile("x"), Profile("y")
    for profile, call in ((base, Counter({"a": 1, "": 1})), (new, Counter({"a": 1, "z": 1, "": 2}))):
        profile.kinds, profile.texts, profile.shapes = KINDS, dict(KINDS), set(call) - {""}
        for number in range(8):  # others differ by chance: no script
            name = f"operation-{number}"
            odd = [Counter({"c": 2 + number + one * (1 + 3 * (profile is new)), "": 1}) for one in range(3)]
            profile.operations["glance", name] = Operation(3, [1] * 3, [1.0] * 3, Counter({"200": 3}))
            profile.operations["glance", name].statements = {"200": odd}
        profile.operations[SHOW] = Operation(3, [1] * 3, [1.0] * 3, Counter({"200": 3}))
        profile.operations[SHOW].statements = {"200": [call] * 3}
    assert ALPHA < 1 / 20  # of 3 calls against 3, no test is sure
    assert regressions(compare(base, new)) == [("statements", "image-show (glance)", "new")]
    base.shapes.add("z")
    assert regressions(compare(base, new)) == []
    base.shapes.remove("z")
    base.whole = False
    assert regressions(compare(base, new)) == []


@pytest.mark.parametrize("score", [0.5, 0.99])
def test_an_inferred_link_counts_if_it_is_nearly_sure(score: float) -> None:
    rows = copy.deepcopy(document_of("article"))
    for link in rows["links"]:
        link.update({"class": "inferred", "score": score})
    profile = build_profile(rows)
    known = any(profile.operations[SHOW].statements.values())
    assert known is (score > 0.9)
