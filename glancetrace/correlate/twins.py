"""Calls that nothing tells apart: same method, target, caller, status and answer, at the same time.

Which of two such calls ran a unit is decided by time alone; that one of them did is known far better. So a link to a
twin names the group, and its score is that of the group.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from glancetrace.correlate.facts import CallFacts

__all__ = ["find_twins"]


def find_twins(calls: Sequence[CallFacts]) -> list[tuple[int, ...]]:
    """For each call the indexes of its twins, itself among them; only itself where it has none."""
    alike: dict[object, list[int]] = defaultdict(list)
    for index, call in enumerate(calls):
        alike[_looks(call)].append(index)
    twins: list[tuple[int, ...]] = [(index,) for index in range(len(calls))]
    for group in alike.values():
        for index in group:
            one = calls[index]
            twins[index] = tuple(
                other for other in group if calls[other].start <= one.end and one.start <= calls[other].end
            )
    return twins


def _looks(facts: CallFacts) -> object:
    call = facts.call
    answer = call.exchange.response_body.content if call.exchange is not None else None
    caller = facts.project_id or call.token
    return call.method, call.target, caller, call.status_code, call.response_body_bytes, answer
