"""Which image a call created that its log does not name: access logs have no bodies.

`POST /v2/images` that was answered with 201 wrote one row. Where one call only can have written an INSERT, and one
INSERT only can be of that call, they belong together.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from glancetrace.glance.call import ApiCall
from glancetrace.glance.statement import SqlStatement

__all__ = ["name_created"]

_SLACK = 2_000_000


def name_created(calls: Sequence[ApiCall], statements: Sequence[SqlStatement]) -> None:
    """Fill `image_id` and `image_name` of calls that a log tells of."""
    inserts = sorted(
        (statement.command.ts, change.image_id, change.values.get("name"))
        for statement in statements
        if statement.service == "glance" and statement.command.error is None
        for change in statement.changes
        if change.table == "images" and change.operation == "INSERT" and change.image_id is not None
    )
    times = [ts for ts, _, _ in inserts]
    made = {call.image_id for call in calls if call.operation == "image-create" and call.image_id}
    found: dict[int, list[int]] = {}
    writers: dict[int, int] = {}
    nameless = [call for call in calls if _is_nameless(call)]
    for number, call in enumerate(nameless):
        low, high = _window(call)
        found[number] = [
            index
            for index in range(bisect_left(times, low), bisect_right(times, high))
            if inserts[index][1] not in made
        ]
        for index in found[number]:
            writers[index] = writers.get(index, 0) + 1
    for number, indices in found.items():
        if len(indices) == 1 and writers[indices[0]] == 1:
            _, nameless[number].image_id, name = inserts[indices[0]]
            nameless[number].image_name = name if isinstance(name, str) else None


def _is_nameless(call: ApiCall) -> bool:
    return (
        call.source == "log" and call.operation == "image-create" and call.image_id is None and call.status_code == 201
    )


def _window(call: ApiCall) -> tuple[int, int]:
    """When the call can have run SQL, ns."""
    slack = call.uncertainty + _SLACK
    end = call.response_ts if call.response_ts is not None else call.ts
    return call.ts - slack, end + slack
