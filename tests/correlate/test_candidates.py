"""Calls that are open at a moment."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from glancetrace.correlate.candidates import OpenCalls
from glancetrace.correlate.facts import CallFacts, call_facts
from tests.support.scene import Scene


def facts_of(times: list[tuple[int, int]]) -> list[CallFacts]:
    """Calls by when they begin and how long they last, ms, in order of when they can have begun."""
    scene = Scene()
    calls = [call_facts(scene.call("image-show", 200, begin, begin + lasts), {}) for begin, lasts in times]
    return sorted(calls, key=lambda call: (call.earliest, call.call.id))


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 30)), max_size=12),
    st.lists(st.integers(0, 100), max_size=12),
)
def test_open_are_those_that_began_and_have_not_ended(times: list[tuple[int, int]], moments: list[int]) -> None:
    calls = facts_of(times)
    active = OpenCalls(calls)
    base = calls[0].earliest if calls else 0
    for ts in (base + moment * 1_000_000 for moment in sorted(moments)):
        assert active.at(ts) == [call for call in calls if call.earliest <= ts <= call.latest]
