"""Calls that failed because another call got there first.

Two calls that work on one image at the same time may collide in the database: a row is there already, a deadlock, an
image that is no longer in the status it was read in. Which of them loses, and whether they meet at all, is chance. Such
a failure is counted, but a first one is no news of the scenario.

MariaDB error codes: https://mariadb.com/kb/en/mariadb-error-code-reference/
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from glancetrace.check.gate.facts import Facts
from glancetrace.rfc3339 import nanoseconds

__all__ = ["lost_races"]

_COLLISIONS = frozenset({1020, 1062, 1205, 1213})
"""Record changed since it was read, duplicate entry, lock wait timeout, deadlock."""

Row = dict[str, Any]


def lost_races(facts: Facts) -> set[int]:
    """Ids of failed calls (5xx) that collided with another call about their image."""
    raced = {finding["call_id"] for finding in facts.findings if finding["rule"] == "lost-race"}
    of_image: dict[str, list[Row]] = defaultdict(list)
    for call in facts.calls:
        if call["image_id"] is not None:
            of_image[call["image_id"]].append(call)
    return {
        call["id"]
        for calls in of_image.values()
        for call in calls
        if (call["status_code"] or 0) >= 500
        and (call["id"] in raced or _collided(call, facts))
        and any(other is not call and _overlap(call, other) for other in calls)
    }


def _collided(call: Row, facts: Facts) -> bool:
    """One of its statements failed as two writers of one row do."""
    errors = (facts.statement_of[link["statement_id"]]["error"] for link in facts.links_of_call.get(call["id"], ()))
    return any(error is not None and error["code"] in _COLLISIONS for error in errors)


def _overlap(one: Row, other: Row) -> bool:
    """Both were open at the same moment; a call without an end stays open."""
    return _ends_after(one, other) and _ends_after(other, one)


def _ends_after(one: Row, other: Row) -> bool:
    start, begun = nanoseconds(one["ts"]) or 0, nanoseconds(other["ts"]) or 0
    return one["dur"] is None or start + one["dur"] > begun
