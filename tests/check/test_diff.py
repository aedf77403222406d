"""Comparisons: repetitions of one scenario are alike, and what was added to one of them is found.

Repetitions are random halves of a recorded capture's calls with durations drawn anew: order, ids and times differ,
the scenario does not.
"""

from __future__ import annotations

import copy
import json
import random
from collections import Counter
from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from glancetrace.check.diff.compare import compare
from glancetrace.check.diff.noise import compare_ranks, fisher_greater, median
from glancetrace.check.diff.profile import Profile, build_profile
from glancetrace.check.diff.scripted import added_selects, agree
from glancetrace.check.diff.thresholds import Thresholds
from glancetrace.cli import cli
from glancetrace.output.diff import render_markdown, render_text
from glancetrace.output.paint import Painter
from glancetrace.verdict import CANNOT_JUDGE, FAILED, PASSED, Change, Comparison
from tests.support.doctor import Doctored, ok_packet, query
from tests.support.results import document_of
from tests.support.samples import capture_path

Document = dict[str, Any]
REPETITIONS = range(20)


def halves(seed: int) -> tuple[Document, Document]:
    """The calls and images of a busy capture, dealt out at random; each with somebody else's duration."""
    generator = random.Random(seed)
    whole = document_of("concurrent-16")
    durations: dict[str, list[int]] = {}
    for call in whole["api_calls"]:
        durations.setdefault(call["operation"], []).append(call["dur"])
    sides = []
    chosen = {call["id"] for call in whole["api_calls"] if generator.random() < 0.5}
    images = {image["id"] for image in whole["images"] if generator.random() < 0.5}
    for side in (True, False):
        calls = [{**c, "dur": generator.choice(durations[c["operation"]])}
                 for c in whole["api_calls"] if (c["id"] in chosen) == side]  # fmt: skip
        generator.shuffle(calls)
        ids = {call["id"] for call in calls}
        sides.append({
            **whole,
            "api_calls": calls,
            "links": [link for link in whole["links"] if link["call_id"] in ids],
            "images": [image for image in whole["images"] if (image["id"] in images) == side],
        })  # fmt: skip
    return sides[0], sides[1]


def with_select(rows: Document, operation: str) -> Document:
    """One SELECT more in every call of an operation."""
    rows = {**rows, "statements": list(rows["statements"]), "links": list(rows["links"])}
    model = next(s for s in rows["statements"] if s["operation"] == "SELECT" and s["service"] == "glance")
    link = rows["links"][0]
    for call in rows["api_calls"]:
        if call["operation"] == operation:
            number = len(rows["statements"]) + 1
            sql = "SELECT image_members.id FROM image_members WHERE image_members.member = 'x'"
            rows["statements"].append({**model, "id": number, "digest": "feedfeedfeedfeed", "sql": sql,
                                       "tables": ["image_members"]})  # fmt: skip
            rows["links"].append({**link, "statement_id": number, "call_id": call["id"], "class": "certain"})
    return rows


@pytest.mark.parametrize("seed", REPETITIONS)
def test_repetitions_are_no_regression_and_an_added_select_is_found(seed: int) -> None:
    base, new = halves(seed)
    before, after = build_profile(base), build_profile(new)
    for one, other in ((before, after), (after, before)):
        assert [change for change in compare(one, other).changes if change.regression] == []
    comparison = compare(before, build_profile(with_select(new, "image-show")))
    found = [change for change in comparison.changes if change.regression]
    assert "image-show (glance) 200" in {change.subject for change in found}
    for change in found:  # those that were answered with 404 have it, too
        assert (change.part, change.kind) == ("statements", "new")
        assert change.subject.startswith("image-show (glance)")
        assert "feedfeedfeedfeed" in change.what
    assert comparison.exit_code == 1


RECORDINGS = ("article", "article-tls12", "article-tls13", "article-proxied-foreign")
"""Of one script, over plain connections or TLS, alone or among other schemas."""


@pytest.mark.parametrize(("base", "new"), list(permutations(RECORDINGS, 2)))
def test_recordings_of_one_script_are_alike_and_a_select_added_to_any_operation_is_found(base: str, new: str) -> None:
    before = build_profile(document_of(base))
    assert regressions(compare(before, build_profile(document_of(new)))) == []
    for operation in ("image-create", "image-list", "image-show", "image-update", "image-upload", "schema-show"):
        comparison = compare(before, build_profile(with_select(document_of(new), operation)))
        found = {change.subject.split()[0] for change in comparison.changes if change.regression}
        assert found == {operation}, comparison.changes


def only(rows: Document, operations: dict[str, int]) -> Document:
    """The first so many calls of these operations, and no others."""
    calls = []
    for operation, count in operations.items():
        calls += [call for call in rows["api_calls"] if call["operation"] == operation][:count]
    return {**rows, "api_calls": calls}


def test_one_call_a_side_is_enough_in_a_script() -> None:
    once = {"image-create": 1, "image-list": 1, "image-update": 1, "image-upload": 1}
    base, new = (only(document_of("article"), once), only(with_select(document_of("article"), "image-update"), once))
    comparison = compare(build_profile(base), build_profile(new))
    assert [(c.subject, c.kind) for c in comparison.changes if c.regression] == [("image-update (glance) 200", "new")]
    assert "feedfeedfeedfeed" in comparison.changes[0].what
    backwards = compare(build_profile(new), build_profile(base))
    assert [(c.kind, c.regression) for c in backwards.changes] == [("unclear", False)]


def test_what_too_few_calls_do_differently_is_told_as_unclear() -> None:
    """Two different clients: no script, so one call more or less proves nothing."""
    base, new = build_profile(document_of("article")), build_profile(document_of("openstack-cli"))
    comparison = compare(base, new)
    unclear = [c for c in comparison.changes if c.kind == "unclear"]
    assert "image-upload (glance) 204" in {c.subject for c in unclear if c.part == "statements"}
    assert all("too few calls to judge" in c.what or "not sure" in c.what for c in unclear)
    assert not any(c.regression for c in unclear)
    text = "\n".join(render_text(comparison, Painter(color=False)))
    assert "too few calls to judge (3 and 1)" in text

    def slow(rows: Document) -> None:
        next(c for c in rows["api_calls"] if c["operation"] == "version-list")["dur"] += 3_000_000_000

    assert [(c.part, c.kind) for c in scripted(slow).changes] == [("time", "unclear")]


def test_a_base_with_holes_adds_nothing() -> None:
    once = {"image-create": 1, "image-list": 1, "image-update": 1, "image-upload": 1}
    base = build_profile(only(document_of("article"), once))
    new = build_profile(only(with_select(document_of("article"), "image-update"), once))
    base.whole = False
    assert regressions(compare(base, new)) == []


def scripted(change: Callable[[Document], object]) -> Comparison:
    """The article capture against itself with a change."""
    new = copy.deepcopy(document_of("article"))
    change(new)
    return compare(build_profile(document_of("article")), build_profile(new))


def regressions(comparison: Comparison) -> list[tuple[str, str]]:
    return [(change.part, change.kind) for change in comparison.changes if change.regression]


def slow_down(operation: str, factor: float, more: int = 0) -> Callable[[Document], None]:
    def change(rows: Document) -> None:
        for call in rows["api_calls"]:
            if call["operation"] == operation or operation == "*":
                call["dur"] = int(call["dur"] * factor) + more

    return change


def test_a_capture_is_like_itself() -> None:
    comparison = scripted(lambda rows: None)
    assert (comparison.verdict, list(comparison.changes)) == (PASSED, [])


def test_times_count_beyond_what_all_have_in_common() -> None:
    slower = scripted(slow_down("image-show", 3, 50_000_000))
    assert ("time", "slower") in regressions(slower)
    assert regressions(scripted(slow_down("*", 1.8))) == []
    assert regressions(scripted(slow_down("image-show", 1.1))) == []
    assert regressions(scripted(slow_down("image-show", 0.1))) == []
    everything = scripted(slow_down("*", 9))
    assert regressions(everything) == []
    assert [change.subject for change in everything.changes] == ["all operations"]
    new = copy.deepcopy(document_of("article"))
    slow_down("*", 9)(new)
    strict = compare(build_profile(document_of("article")), build_profile(new), Thresholds(overall=1))
    assert regressions(strict) == [("time", "slower")]


def test_a_server_error_where_there_was_none() -> None:
    def fail(rows: Document) -> None:
        next(c for c in rows["api_calls"] if c["operation"] == "image-update")["status_code"] = 500

    assert ("answers", "500") in regressions(scripted(fail))


def test_another_way_of_all_images_and_a_step_back() -> None:
    def skip(rows: Document) -> None:
        for image in rows["images"]:
            image["intervals"] = [i for i in image["intervals"] if i["status"] != "saving"]

    def fall_back(rows: Document) -> None:
        rows["images"][0]["transitions"][-1]["to"] = "queued"

    assert regressions(scripted(skip)) == [("images", "new")]
    assert regressions(scripted(fall_back)) == [("images", "new")]


def test_findings_of_severity_error() -> None:
    def add(rows: Document, severity: str) -> None:
        rows["findings"].append(dict(rows["findings"][0], rule="image-stuck", severity=severity))

    assert regressions(scripted(lambda rows: add(rows, "error"))) == [("findings", "new")]
    assert regressions(scripted(lambda rows: add(rows, "warning"))) == []


def test_one_finding_more_of_a_kind_may_be_chance() -> None:
    base, new = (build_profile(document_of("article")) for _ in range(2))
    base.findings["server-error", "error"], new.findings["server-error", "error"] = 1, 2
    assert regressions(compare(base, new)) == []
    new.findings["server-error", "error"] = 15
    assert regressions(compare(base, new)) == [("findings", "more")]


def test_what_is_not_visible_is_not_alike() -> None:
    encrypted = build_profile(document_of("article-tls13", keys=False))
    base = build_profile(document_of("article"))
    for one, other in ((base, encrypted), (encrypted, base)):
        comparison = compare(one, other)
        assert comparison.verdict == CANNOT_JUDGE
        assert comparison.exit_code == 3
        assert comparison.unsure
    assert compare(Profile("x"), Profile("y")).exit_code == 3


def test_thresholds_let_pass() -> None:
    base, new = build_profile(document_of("article")), build_profile(with_select(document_of("article"), "image-show"))
    assert compare(base, new).verdict == FAILED
    assert compare(base, new, Thresholds(statements=1.5)).verdict == PASSED


def test_the_command_over_doctored_packets(tmp_path: Any) -> None:
    capture = Doctored(capture_path("article"))
    for show in [p for p in capture.packets if p.payload.startswith(b"GET /v2/images/")]:
        rest = capture.packets[capture.packets.index(show) :]
        done = next(p for p in rest if p.flow[2] == 3306 and p.payload.startswith(ok_packet()[:4]))
        capture.exchange(done, query("SELECT image_tags.id FROM image_tags WHERE image_tags.id = 5"), ok_packet())
    new = str(capture.write(tmp_path / "new.pcap"))
    base = str(capture_path("article"))
    for form in ("text", "markdown", "json"):
        done = CliRunner().invoke(cli, ["diff", base, new, "--format", form, "--no-progress"], standalone_mode=False)
        assert done.return_value == 1, done.output
        assert "image-show (glance) 200" in done.stdout
    found = json.loads(done.stdout)["diff"]
    assert {"part": "statements", "kind": "new", "regression": True}.items() <= found["changes"][0].items()
    same = CliRunner().invoke(cli, ["diff", base, base, "--no-progress"], standalone_mode=False)
    assert same.return_value == 0


def test_a_comment_takes_no_markup_from_a_capture() -> None:
    hostile = Change("images", "a|b`<img src=x>\n# c", "new", "1", "2", "x\x1b[31m", True, [3])
    text = "\n".join(render_markdown(Comparison("a", "b", FAILED, [hostile])))
    assert "<img" not in text
    assert "\x1b" not in text
    assert "a\\|b'&lt;img src=x> # c" in text
    assert "\x1b" not in "\n".join(render_text(Comparison("a\x1b", "b", FAILED, [hostile]), Painter(color=False)))


SHAPES = {"a": "SELECT images", "b": "SELECT image_tags", "c": "UPDATE images", "d": "SELECT tasks"}
calls = st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(1, 4)).map(Counter), min_size=1, max_size=5)


@given(calls, st.dictionaries(st.sampled_from("abd"), st.integers(1, 3), min_size=1), st.randoms())
def test_selects_added_to_every_call_are_found_whatever_the_order(
    base: list[Counter[str]], added: dict[str, int], order: random.Random
) -> None:
    new = [call + Counter(added) for call in base]
    order.shuffle(new)
    assert added_selects(base, new, SHAPES) == added
    assert added_selects(new, base, SHAPES) == {}
    assert added_selects(base, [*new, Counter(a=99)], SHAPES) == {}
    assert agree(base, new) is False
    assert added_selects(base, [call + Counter(c=1) for call in new], SHAPES) == {}


values = st.lists(st.integers(0, 50), min_size=4, max_size=30)


@given(values, values)
def test_ranks_are_a_fair_judge(base: list[int], new: list[int]) -> None:
    shift, back = compare_ranks(base, new), compare_ranks(new, base)
    assert shift is not None
    assert back is not None
    assert 0 <= shift[0] <= 1
    assert shift[1] == pytest.approx(-back[1])
    assert shift[1] == pytest.approx(
        (sum(n > b for n in new for b in base) - sum(n < b for n in new for b in base)) / len(base) / len(new)
    )
    same = compare_ranks(base, base)
    assert same is not None
    assert same[0] >= 0.49


def test_known_figures() -> None:
    shift = compare_ranks([1, 2, 3, 4, 5], [6, 7, 8, 9, 10])
    assert shift is not None
    assert shift[0] == pytest.approx(0.00609, abs=1e-5)  # R: wilcox.test(exact=FALSE, alternative="less")
    assert shift[1] == 1
    assert fisher_greater(0, 3, 3, 3) == pytest.approx(0.05)
    assert fisher_greater(2, 10, 2, 10) > 0.5
    assert (median([3, 1, 2]), median([4, 1]), median([])) == (2, 2.5, 0)
    assert compare_ranks([1, 2, 3], [4, 5, 6]) is None
