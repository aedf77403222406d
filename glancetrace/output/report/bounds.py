"""What of a big capture is put into the page: a page must open at once, and fit into a mail.

Calls: those that failed, that changed an image, and that were made in their course come first, then the rest by time.
Statements: those of the calls shown, and those that name an image shown; of every call equally many where they are too
many. Pings, set-up of connections and statements of no call are counted, not shown. The page says what it leaves out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["DEFAULT_BOUNDS", "Bounds", "choose_calls", "choose_statements"]

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Bounds:
    """At most so many rows in a page; `events` of one image, `sql_chars` of one statement."""

    images: int = 5_000
    calls: int = 20_000
    statements: int = 60_000
    events: int = 1_000
    sql_chars: int = 20_000


DEFAULT_BOUNDS = Bounds()


def choose_calls(calls: list[Row], images: Iterable[Row], most: int) -> list[Row]:
    """At most `most` of the calls, in their order."""
    if len(calls) <= most:
        return calls
    telling = {change["call_id"] for image in images for change in (*image["transitions"], *image["events"])}
    telling.discard(None)

    def rank(call: Row) -> int:
        failed = call["status_code"] is None or call["status_code"] >= 400
        return 0 if failed or call["id"] in telling or call["parent_id"] in telling else 1

    kept = {call["id"] for call in sorted(calls, key=rank)[:most]}
    return [call for call in calls if call["id"] in kept]


def choose_statements(statements: list[Row], links: Mapping[int, Row], calls: set[int], images: set[str],
                      most: int) -> list[Row]:  # fmt: skip
    """At most `most` of the statements, in their order; `links` by statement, `calls` and `images` shown.

    Returns:
        Those linked to a call shown, or naming an image shown, except what belongs to no call and names none.
    """

    def wanted(statement: Row) -> bool:
        link = links.get(statement["id"])
        if link is not None:
            return link["call_id"] in calls
        return any(image in images for image in statement["image_ids"])

    chosen = [statement for statement in statements if wanted(statement)]
    if len(chosen) <= most:
        return chosen
    owners = [links[s["id"]]["call_id"] if s["id"] in links else 0 for s in chosen]
    each = _share(Counter(owners), most)
    seen: Counter[int] = Counter()
    kept = []
    for statement, owner in zip(chosen, owners, strict=True):
        seen[owner] += 1
        if seen[owner] <= each:
            kept.append(statement)
    return kept[:most]


def _share(counts: Counter[int], most: int) -> int:
    """The largest n >= 1 with sum(min(count, n)) <= most."""
    low, high = 1, max(counts.values())
    while low < high:
        middle = (low + high + 1) // 2
        if sum(min(count, middle) for count in counts.values()) <= most:
            low = middle
        else:
            high = middle - 1
    return low
