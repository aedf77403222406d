"""Which image a call created that its log does not name: access logs have no bodies.

`POST /v2/images` that was answered with 201 wrote one row while it ran. Where one call only can have written an INSERT,
or one INSERT only can be of a call, they belong together, and neither is a choice for the others any more.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from operator import itemgetter

from glancetrace.glance.call import ApiCall
from glancetrace.glance.statement import SqlStatement

__all__ = ["name_created"]

_SLACK = 2_000_000


def name_created(calls: Sequence[ApiCall], statements: Sequence[SqlStatement]) -> None:
    """Fill `image_id` and `image_name` of calls that a log tells of."""
    inserts = [
        (statement.command.ts, change.image_id, change.values.get("name"))
        for statement in statements
        if statement.service == "glance" and statement.command.error is None
        for change in statement.changes
        if change.table == "images" and change.operation == "INSERT" and change.image_id is not None
    ]
    inserts.sort(key=itemgetter(0, 1))
    times = [ts for ts, _, _ in inserts]
    made = {call.image_id for call in calls if call.operation == "image-create" and call.image_id}
    nameless = [call for call in calls if _is_nameless(call)]
    possible: dict[int, set[int]] = {}
    for number, call in enumerate(nameless):
        low, high = _window(call)
        within = range(bisect_left(times, low), bisect_right(times, high))
        possible[number] = {index for index in within if inserts[index][1] not in made}
    for number, index in _only_ways(possible):
        _, nameless[number].image_id, name = inserts[index]
        nameless[number].image_name = name if isinstance(name, str) else None


def _only_ways(possible: dict[int, set[int]]) -> Iterator[tuple[int, int]]:
    """(call, INSERT) that only fit each other, then those of which only this is left, and so on."""
    while True:
        writers: dict[int, list[int]] = {}
        for number, indices in possible.items():
            for index in indices:
                writers.setdefault(index, []).append(number)
        pairs = [(number, min(indices)) for number, indices in possible.items() if len(indices) == 1]
        alone = [(numbers[0], index) for index, numbers in sorted(writers.items()) if len(numbers) == 1]
        often = Counter(number for number, _ in alone)
        pair = next(iter(pairs + [pair for pair in alone if often[pair[0]] == 1]), None)
        if pair is None:
            return
        yield pair
        del possible[pair[0]]
        for indices in possible.values():
            indices.discard(pair[1])


def _is_nameless(call: ApiCall) -> bool:
    return (
        call.source == "log" and call.operation == "image-create" and call.image_id is None and call.status_code == 201
    )


def _window(call: ApiCall) -> tuple[int, int]:
    """When the call can have run SQL, ns."""
    slack = call.uncertainty + _SLACK
    end = call.response_ts if call.response_ts is not None else call.ts
    return call.ts - slack, end + slack
