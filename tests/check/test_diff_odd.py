"""Comparisons of odd results (nothing there, nothing known, no time passed) and of big ones.

Big ones are compared with a naive model on small data, and made once in a size that anything quadratic would not end.
"""

from __future__ import annotations

import copy
from collections import Counter
from itertools import product
from math import comb
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glancetrace.check.diff.compare import compare
from glancetrace.check.diff.load import relative_durations
from glancetrace.check.diff.noise import compare_ranks, fisher_greater, greater_rarely, is_too_few, median
from glancetrace.check.diff.paths import extended_calls
from glancetrace.check.diff.profile import Profile, build_profile
from glancetrace.check.diff.races import lost_races
from glancetrace.check.gate.facts import Facts
from glancetrace.rfc3339 import rfc3339
from glancetrace.verdict import CANNOT_JUDGE, FAILED, PASSED
from tests.support.results import document_of

Document = dict[str, Any]
Key = tuple[str, str]
MANY = 20_000
SHOW, LIST = ("glance", "image-show"), ("glance", "image-list")


def without(name: str, *tables: str) -> Profile:
    return build_profile({**document_of(name), **{table: [] for table in tables}})


def test_findings_that_are_gone_are_no_regression() -> None:
    comparison = compare(build_profile(document_of("article")), without("article", "findings"))
    assert comparison.verdict == PASSED
    assert {(change.part, change.kind) for change in comparison.changes} == {("findings", "gone")}


def test_an_empty_side_cannot_be_judged() -> None:
    whole, empty = build_profile(document_of("article")), without(
        "article", "api_calls", "statements", "links", "images", "findings"
    )  # fmt: skip
    for base, new in ((whole, empty), (empty, whole), (empty, empty)):
        assert compare(base, new).verdict == CANNOT_JUDGE


def test_what_is_not_known_is_no_regression_and_no_fault() -> None:
    rows = copy.deepcopy(document_of("article"))
    for call in rows["api_calls"]:
        call.update(dur=None, image_id=None, response_frame=None)
    for statement in rows["statements"]:
        statement.update(digest=None, sql=None)
    known, unknown = build_profile(document_of("article")), build_profile(rows)
    for base, new in ((known, unknown), (unknown, known), (unknown, unknown)):
        assert compare(base, new).verdict == PASSED


@pytest.mark.parametrize("name", ["article", "concurrent-16"])
def test_sql_that_the_base_does_not_show_is_not_new(name: str) -> None:
    comparison = compare(without(name, "statements", "links"), build_profile(document_of(name)))
    assert comparison.verdict == CANNOT_JUDGE
    assert not [change for change in comparison.changes if change.part == "statements"]


def test_calls_that_took_no_time_tell_nothing_of_the_load() -> None:
    calls = {LIST: [(at, 0) for at in range(6)] + [(10**12 + at, 5) for at in range(8)], SHOW: [(3, 5)]}
    assert relative_durations(calls)[SHOW] == [5]


Timed = list[tuple[int, int]]
timed = st.lists(st.tuples(st.integers(0, 40).map(lambda at: at * 200_000_000), st.integers(0, 9)), max_size=30)


def plainly(calls: dict[Key, Timed]) -> dict[Key, list[float]]:
    """`relative_durations` without any thought of cost."""
    usual = {key: median([dur for _, dur in timed]) for key, timed in calls.items()}
    everything = sorted((ts, key, dur / usual[key]) for key, one in calls.items() if usual[key] for ts, dur in one)
    found: dict[Key, list[float]] = {}
    for key, one in calls.items():
        found[key] = []
        for ts, dur in one:
            others = [(when, factor) for when, other, factor in everything if other != key]
            before = [factor for when, factor in others if ts - 2 * 10**9 <= when < ts]
            after = [factor for when, factor in others if ts <= when <= ts + 2 * 10**9]
            beside = before[-10:] + after[:10]
            found[key].append(dur / ((median(beside) if len(beside) >= 5 else 1.0) or 1.0))
    return found


@given(timed, timed, timed)
def test_load_is_that_of_a_naive_model(show: Timed, listing: Timed, update: Timed) -> None:
    calls = {SHOW: show, LIST: listing, ("glance", "image-update"): update}
    assert relative_durations(calls) == plainly(calls)


KINDS = {"a": "SELECT images", "b": "SELECT image_tags", "c": "UPDATE images", "d": "SELECT tasks"}
counted = st.lists(st.dictionaries(st.sampled_from("abcd"), st.integers(1, 3)).map(Counter), min_size=1, max_size=8)


def on_top(path: Counter[str], known: list[Counter[str]]) -> bool:
    """Naively: no known path, but one of them with up to 3 SELECTs more."""
    more = [path - other for other in known if other <= path]
    return path not in known and any(one.total() <= 3 and "c" not in one for one in more)


@given(counted, counted)
def test_paths_are_those_of_a_naive_model(base: list[Counter[str]], new: list[Counter[str]]) -> None:
    found = extended_calls([(base, new)], KINDS)
    hits_before = sum(on_top(path, [*base[:at], *base[at + 1 :]]) for at, path in enumerate(base))
    assert found.hits == sum(on_top(path, base) for path in new)
    assert found.chance == pytest.approx(fisher_greater(hits_before, len(base), found.hits, len(new)))
    again = extended_calls([(base[::-1], new[::-1])], KINDS)
    assert again == found


def exact(base_hits: int, base: int, new_hits: int, new: int) -> float:
    hits = base_hits + new_hits
    return sum(
        comb(new, k) * comb(base, hits - k) for k in range(new_hits, min(hits, new) + 1)
    ) / comb(base + new, hits)  # fmt: skip


def test_fisher_is_exact() -> None:
    for base, new in product(range(7), repeat=2):
        for base_hits, new_hits in product(range(base + 1), range(new + 1)):
            figures = base_hits, base, new_hits, new
            assert fisher_greater(*figures) == pytest.approx(exact(*figures), rel=1e-9)
    assert fisher_greater(150, 400, 190, 380) == pytest.approx(exact(150, 400, 190, 380), rel=1e-9)


def test_what_is_rare_is_tested_exactly() -> None:
    """One of five calls does what 1 % do: to ranks that are taken for normal, it is beyond chance."""
    base, new = [0] * 990 + [1] * 10, [0, 0, 0, 0, 1]
    ranks = compare_ranks(base, new)
    assert ranks is not None
    assert ranks[0] < 1e-4
    assert greater_rarely(base, new) == pytest.approx(exact(10, 1000, 1, 5)) == pytest.approx(0.053, rel=0.02)
    assert greater_rarely([0] * 500 + [1] * 500, [0, 1] * 25) == 0  # not rare: ranks will do
    assert greater_rarely([0] * 1000, [1] * 5) < 1e-10
    assert greater_rarely([0] * 990 + [1, 2] * 5, [0, 0, 0, 0, 2]) == pytest.approx(2 * exact(5, 1000, 1, 5))


def test_a_big_result_ends() -> None:
    rows = document_of("article")
    call = next(call for call in rows["api_calls"] if call["operation"] == "image-show")
    big = {
        **{table: [] for table in ("statements", "links", "findings", "images")},
        **{table: rows[table] for table in ("capture", "connections", "issues")},
        "api_calls": [{**call, "id": number, "dur": 5} for number in range(MANY)],
    }
    # One deadlock in ten, each of a call that nothing ran beside.
    numbered = [
        {**call, "id": number, "dur": 5, "ts": rfc3339(number * 1000), "method": "PUT",
         "status_code": 200 if number % 10 else 500}
        for number in range(MANY)
    ]  # fmt: skip
    statement = next(s for s in rows["statements"] if s["service"] == "glance")
    locked = {**statement, "id": 1, "error": {"code": 1213, "sqlstate": "40001", "message": "deadlock"}}
    links = [{**rows["links"][0], "relation": "in_request", "call_id": n, "statement_id": 1} for n in range(MANY)]
    assert lost_races(Facts({**big, "api_calls": numbered, "statements": [locked], "links": links})) == set()
    profile = build_profile(big)
    assert compare(profile, profile).changes == []
    assert fisher_greater(100_000, 200_000, 101_000, 200_000) == pytest.approx(0.00079, rel=0.01)
    assert fisher_greater(101_000, 200_000, 100_000, 200_000) == pytest.approx(1 - 0.00079, rel=0.01)
    assert not is_too_few(200_000, 200_000, 300)


def test_thousands_of_paths_end() -> None:
    shapes = {f"{number}": "SELECT images" for number in range(60)}
    base = [Counter({f"{number % 60}": 1 + number % 7, f"{number % 59}": 2 + number % 5}) for number in range(1000)]
    assert extended_calls([(base, base)], shapes).hits == 0
    assert extended_calls([(base, [call + Counter(z=1) for call in base])], {**shapes, "z": "SELECT x"}).hits == 1000


def images(name: str, missing: str) -> Profile:
    """The images of a capture that misses the first status of each of them, or the last one, or none."""
    rows = copy.deepcopy(document_of(name))
    rows["images"] = [image for image in rows["images"] if len(image["intervals"]) > 1]
    for image in rows["images"]:
        if missing == "start":
            image["transitions"] = [change for change in image["transitions"] if change["from"] is not None]
            del image["intervals"][0]
        elif missing == "end":
            row = {**rows["findings"][0], "rule": "upload-running", "severity": "info", "image_id": image["id"]}
            rows["findings"].append(row)
            del image["intervals"][-1]
    return build_profile(rows)


@pytest.mark.parametrize("missing", ["start", "end"])
@pytest.mark.parametrize("name", ["article", "concurrent-16"])
def test_images_that_a_capture_shows_in_part_go_no_new_way(name: str, missing: str) -> None:
    whole, part = images(name, "nothing"), images(name, missing)
    assert set(part.ways) != set(whole.ways)
    for base, new in ((whole, part), (part, whole), (part, part)):
        assert not [change for change in compare(base, new).changes if change.part == "images" and change.regression]


def test_images_that_were_there_before_may_go_a_new_way() -> None:
    base, new = Profile("x"), Profile("y")
    base.ways, new.ways = Counter({("active",): 9}), Counter({("active", "deactivated"): 9})
    base.begun, new.begun = base.ways, new.ways
    for before, after in ((base, new), (new, base)):
        assert [change.kind for change in compare(before, after).changes if change.regression] == ["new"]


def with_update(rows: Document, operations: set[str], digest: str | None) -> Document:
    """One UPDATE more in every call of these operations: of a new shape, or of one that is there."""
    rows = {**rows, "statements": list(rows["statements"]), "links": list(rows["links"])}
    model = next(s for s in rows["statements"] if s["operation"] == "UPDATE" and s["service"] == "glance")
    for call in rows["api_calls"]:
        if call["operation"] in operations:
            number = len(rows["statements"]) + 1
            rows["statements"].append({**model, "id": number, "digest": digest or model["digest"]})
            link = {**rows["links"][0], "relation": "in_request", "class": "certain"}
            rows["links"].append({**link, "statement_id": number, "call_id": call["id"]})
    return rows


@pytest.mark.parametrize("digest", ["feedfeedfeedfeed", None])
@pytest.mark.parametrize("operations", [{"image-update"}, {"image-create", "image-update", "image-upload"}])
def test_an_update_more_in_all_that_writes_is_found_in_a_script(operations: set[str], digest: str | None) -> None:
    base, new = document_of("article-tls12"), with_update(document_of("article"), operations, digest)
    changes = compare(build_profile(base), build_profile(new)).changes
    assert {change.subject.split()[0] for change in changes if change.regression} == operations


@pytest.mark.parametrize("ended", [True, False])
def test_calls_that_the_end_of_a_capture_cuts_off_are_not_without_a_response(ended: bool) -> None:
    rows = copy.deepcopy(document_of("concurrent-16"))
    shows = [call for call in rows["api_calls"] if call["operation"] == "image-show"]
    for call in shows[::2]:
        call.update(status_code=None, response_ts=None, dur=None, complete=False)
        if ended:
            row = {**rows["findings"][0], "rule": "response-missing", "severity": "warning", "call_id": call["id"]}
            rows["findings"].append(row)
    changes = compare(build_profile(document_of("concurrent-16")), build_profile(rows)).changes
    assert ("answers", "none") in {(change.part, change.kind) for change in changes}
    assert [change.kind for change in changes if change.regression] == (["none"] if ended else [])


def test_what_losses_leave_uncertain_in_the_base_is_no_news() -> None:
    base, new = (build_profile(document_of("article")) for _ in range(2))
    new.findings["image-stuck", "error"] = 1
    assert compare(base, new).verdict == FAILED
    base.findings["claim-uncertain", "warning"] = 1
    assert compare(base, new).verdict == PASSED
    new.findings["image-stuck", "error"] = 2
    assert compare(base, new).verdict == FAILED
