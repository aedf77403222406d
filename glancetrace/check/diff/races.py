"""Calls that failed, and changes of images that went wrong, because another call got there first.

Two calls that write at the same time may collide in the database: a row is there already, a deadlock, an image that is
no longer in the status it was read in. Which of them loses, and whether they meet at all, is chance. Such a failure is
counted, but a first one is no news of the scenario. Rows are those of one image; a deadlock may be with a call about
another one, since InnoDB locks the gaps between rows, too. What only reads takes nothing from anybody, and a call that
another one makes (to the registry) is no other. An image takes a step that nobody meant where a call writes the status
that it read before another call changed it.

Deadlocks: https://mariadb.com/kb/en/innodb-lock-modes/

MariaDB error codes: https://mariadb.com/kb/en/mariadb-error-code-reference/
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf
from typing import Any

from glancetrace.check.gate.facts import Facts
from glancetrace.rfc3339 import nanoseconds

__all__ = ["lost_races", "overtaken_changes"]

_TAKEN = frozenset({1020, 1062})
"""Record changed since it was read, duplicate entry."""
_LOCKED = frozenset({1205, 1213})
"""Lock wait timeout, deadlock."""
_READS = frozenset({"GET", "HEAD", "OPTIONS"})

Row = dict[str, Any]


def lost_races(facts: Facts) -> set[int]:
    """Ids of failed calls (5xx) that collided with another call."""
    raced = {finding["call_id"] for finding in facts.findings if finding["rule"] == "lost-race"}
    failed = [(call, _errors(call, facts)) for call in facts.calls if (call["status_code"] or 0) >= 500]
    suspects = [(call, errors) for call, errors in failed if call["id"] in raced or errors & (_TAKEN | _LOCKED)]
    if not suspects:
        return set()
    writers = [call for call in facts.calls if call["method"] not in _READS]
    of_image: dict[str, list[Row]] = defaultdict(list)
    for call in writers:
        if call["image_id"] is not None:
            of_image[call["image_id"]].append(call)
    everybody = _in_order(writers)
    lines = {image_id: _in_order(of_image[image_id]) for image_id in {call["image_id"] for call, _ in suspects}}
    return {
        call["id"]
        for call, errors in suspects
        if any(
            _origin(other, facts) != _origin(call, facts)
            for other in _beside(call, everybody if errors & _LOCKED else lines[call["image_id"]])
        )
    }


def overtaken_changes(image: Row, facts: Facts) -> list[bool]:
    """Of each change of an image: another call had changed it since the call began that made this change."""
    found: list[bool] = []
    before: Row | None = None
    for change in image["transitions"]:
        call = facts.call_of.get(change["call_id"] or 0)
        other = None if before is None else facts.call_of.get(before["call_id"] or 0)
        found.append(
            before is not None
            and call is not None
            and other is not None
            and _origin(call, facts) != _origin(other, facts)
            and (nanoseconds(before["ts"]) or 0) > _span(call)[0]
        )
        before = change
    return found


def _errors(call: Row, facts: Facts) -> set[int]:
    """Codes of the errors that its statements ended with."""
    errors = (facts.statement_of[link["statement_id"]]["error"] for link in facts.links_of_call.get(call["id"], ()))
    return {error["code"] for error in errors if error is not None}


def _origin(call: Row, facts: Facts) -> int:
    """Id of the call that a client made, whoever made this one for it."""
    seen = {call["id"]}
    while (parent := facts.call_of.get(call["parent_id"] or 0)) is not None and parent["id"] not in seen:
        call = parent
        seen.add(call["id"])
    return int(call["id"])


@dataclass(frozen=True, slots=True)
class _Line:
    """Calls in order of their start; `latest`: the end of the last of them so far. Times are ns."""

    calls: Sequence[Row]
    starts: Sequence[int]
    latest: Sequence[float]


def _in_order(calls: Iterable[Row]) -> _Line:
    ordered = sorted(calls, key=lambda call: nanoseconds(call["ts"]) or 0)
    spans = [_span(call) for call in ordered]
    return _Line(ordered, [start for start, _ in spans], list(accumulate((end for _, end in spans), max)))


def _span(call: Row) -> tuple[int, float]:
    """Start and end; a call without an end stays open."""
    start = nanoseconds(call["ts"]) or 0
    return start, inf if call["dur"] is None else start + call["dur"]


def _beside(call: Row, line: _Line) -> Iterator[Row]:
    """Calls of the line that were open at the same moment as this one."""
    start, end = _span(call)
    for index in reversed(range(bisect_left(line.starts, end))):
        if line.latest[index] <= start:
            break
        if _span(line.calls[index])[1] > start:
            yield line.calls[index]
