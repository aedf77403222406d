"""Orders and waits that were seen often are likely, and nothing is impossible."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from glancetrace.correlate.gaps import FIRST, LAST, GapModel
from glancetrace.correlate.grammar import RouteGrammar
from glancetrace.glance.sequences import END, KINDS, START, base_of, preceders

SHOW = ("image-show", 200)


def test_prior_knows_the_routes() -> None:
    grammar = RouteGrammar()
    end = grammar.state(SHOW)
    assert grammar.log_probability(end, "tags") > grammar.log_probability(end, "save") + 3
    assert grammar.log_probability(end, START) < math.log(0.05)
    whole = grammar.before(grammar.before(end, "tags"), "img")
    assert grammar.log_probability(whole, START) > math.log(0.8)


def test_what_was_seen_outweighs_the_prior() -> None:
    grammar = RouteGrammar()
    for _ in range(20):
        grammar.learn(SHOW, ["img", "tags", "other"])
    end = grammar.state(SHOW)
    assert grammar.log_probability(end, "other") > math.log(0.8)
    assert grammar.log_probability(end, "tags") < math.log(0.1)


def test_a_route_leans_on_others_of_its_operation() -> None:
    grammar = RouteGrammar()
    plain = grammar.log_probability(grammar.state(("new-operation", 200)), "tags*")
    for _ in range(20):
        grammar.learn(("new-operation", 201), ["img", "tags*"])
    assert grammar.log_probability(grammar.state(("new-operation", 200)), "tags*") > plain + 1


@given(st.lists(st.sampled_from(KINDS), max_size=4), st.integers(1, 5))
def test_calls_that_are_alike_can_be_learnt_at_once(story: list[str], times: int) -> None:
    one_by_one, at_once = RouteGrammar(), RouteGrammar()
    for _ in range(times):
        one_by_one.learn(SHOW, story)
    at_once.learn(SHOW, story, times)
    for kind in (*KINDS, START):
        state = one_by_one.state(SHOW, tuple(reversed(story)))
        expected = one_by_one.log_probability(state, kind)
        assert at_once.log_probability(at_once.state(SHOW, tuple(reversed(story))), kind) == expected


@given(st.lists(st.lists(st.sampled_from(KINDS), max_size=4), max_size=8), st.lists(st.sampled_from(KINDS), max_size=3))
def test_probabilities_are_probabilities(stories: list[list[str]], later: list[str]) -> None:
    grammar = RouteGrammar()
    for story in stories:
        grammar.learn(SHOW, story)
    state = grammar.state(SHOW, tuple(later))
    total = sum(math.exp(grammar.log_probability(state, kind)) for kind in (*KINDS, START))
    assert 0 < total < 1 + 1e-9


def test_preceders_turn_the_table_around() -> None:
    assert preceders("image-upload", "save:queued>saving", failed=False) == ("tags",)
    assert set(preceders("image-update", END, failed=True)) == {"img", "tags", "save", "members"}
    assert START in preceders("unknown-operation", "img", failed=False)
    assert base_of("img+m0") == "img"


def test_waits_like_those_seen_are_likelier() -> None:
    gaps = GapModel()
    for gap in (900_000, 1_000_000, 1_200_000) * 10:
        gaps.learn(("img", "tags"), gap)
        gaps.learn((FIRST, "img"), 100 * gap)
    seen = gaps.log_density(("img", "tags"), 1_100_000)
    assert seen > gaps.log_density(("img", "tags"), 30_000_000) + 3
    assert seen > gaps.log_density(("img", "tags"), -1_000_000) + 3
    # A pair never seen leans on all pairs, the first and last wait on those of their kind.
    assert gaps.log_density(("tags", "save"), 1_100_000) > gaps.log_density((FIRST, "save"), 1_100_000)


@given(st.integers(-(10**6), 10**12))
def test_densities_are_finite(gap: int) -> None:
    assert math.isfinite(GapModel().log_density(("tags", LAST), gap))


def test_runs_of_work_that_goes_on_teach_what_follows_what() -> None:
    grammar = RouteGrammar()
    importing = ("image-import", 202)
    for _ in range(20):
        grammar.learn_run(importing, ["img", "tags", "tasks*"])
    state = grammar.state(importing, ("tasks*",))
    assert grammar.log_probability(state, "tags") > math.log(0.7)
    # Where a run begins and ends is not known.
    plain = RouteGrammar()
    assert grammar.log_probability(grammar.state(importing), "tasks*") == plain.log_probability(
        plain.state(importing), "tasks*"
    )
    assert grammar.log_probability(state, START) < plain.log_probability(plain.state(importing, ("tasks*",)), START)


def test_of_work_that_goes_on_only_the_next_units_are_remembered() -> None:
    grammar = RouteGrammar()
    ends = [grammar.state(SHOW, ("other",)), grammar.state(SHOW, ("members",))]
    whole, short = set(ends), set(ends)
    for kind in ("tags", "img"):
        whole = {grammar.before(state, kind) for state in whole}
    assert len(whole) == 2
    grammar = RouteGrammar()
    short = {grammar.state(SHOW, ("other",)), grammar.state(SHOW, ("members",))}
    for kind in ("tags", "img"):
        short = {grammar.before(state, kind, forgets=True) for state in short}
    assert len(short) == 1
