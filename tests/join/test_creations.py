"""Which image a call created whose log has no bodies: by elimination, never by choice."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from glancetrace.join.creations import _only_ways


def test_one_call_and_one_insert() -> None:
    assert list(_only_ways({0: {5}})) == [(0, 5)]


def test_what_is_taken_is_no_choice_any_more() -> None:
    assert sorted(_only_ways({0: {1, 2}, 1: {1}, 2: {2, 3}})) == [(0, 2), (1, 1), (2, 3)]


def test_an_insert_that_one_call_alone_can_have_written() -> None:
    assert sorted(_only_ways({0: {1, 2}, 1: {1, 2, 3}})) == [(1, 3)]


def test_two_that_could_change_places_are_left_alone() -> None:
    assert list(_only_ways({0: {1, 2}, 1: {1, 2}})) == []


@given(st.lists(st.sets(st.integers(0, 8), max_size=4), max_size=9))
@settings(max_examples=200, deadline=None)
def test_nothing_is_given_twice_or_against_the_possible(sets: list[set[int]]) -> None:
    possible = dict(enumerate(sets))
    pairs = list(_only_ways({number: set(indices) for number, indices in possible.items()}))
    assert len({number for number, _ in pairs}) == len({index for _, index in pairs}) == len(pairs)
    assert all(index in possible[number] for number, index in pairs)
