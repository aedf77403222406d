"""Tasks of calls that the capture does not show: their work goes on beside calls that it does show.

An import's task works for seconds after its call was answered. A capture that begins meanwhile, or has lost packets,
may lack the call, but the task's row, which is written by the call and read by the task again and again, tells the
request id of the call and the image that it is about (`tasks.request_id`, `tasks.image_id`, since Wallaby). Where no
call of that id was seen, units that name the task are of no import that was; and what names its image while it is at
work may be of the task, even if only one call that was seen can have run it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from glancetrace.correlate.facts import CallFacts, UnitFacts
from glancetrace.correlate.hidden import Half
from glancetrace.glance.statement import SqlStatement

__all__ = ["tell_unseen_tasks"]

_COLUMNS = ("id", "request_id", "image_id", "status")
_AT_WORK = frozenset({"pending", "processing"})
_TABLES = frozenset({"tasks", "task_info"})
_LOCK = frozenset({"image_properties"})
"""What a task writes last: it takes back the property by which others see that it is at work."""

_UNLOCKS = 5_000_000_000
"""ns within which it does so after it was last looked at."""


class _Row(NamedTuple):
    """What a task's row says; `written`: it was seen as it was inserted."""

    task: str
    request_id: str
    image_id: str | None
    at_work: bool
    written: bool


def tell_unseen_tasks(units: Sequence[UnitFacts], calls: Sequence[CallFacts]) -> list[Half]:
    """Fill `request_ids` and `of_unseen` of units that name tasks which were not inserted before one's eyes.

    Args:
        units: all units, in order of time. calls: all calls.

    Returns:
        The tasks whose calls were not seen: from their INSERT, or before the capture, up to the last sign of work.
    """
    named = [unit for unit in units if unit.tasks]
    rows: dict[str, _Row] = {}
    begun: dict[str, UnitFacts] = {}
    ends: dict[str, UnitFacts] = {}
    for unit in named:
        for row in (row for statement in unit.unit.statements for row in _rows(statement)):
            rows[row.task] = row
            if row.at_work:
                ends[row.task] = unit
            if row.written:
                begun[row.task] = unit
        if unit.writes & _TABLES:
            ends.update(dict.fromkeys(unit.tasks, unit))
    going_on = [call for call in calls if call.goes_on]
    seen = {call.call.request_id for call in going_on}
    nameless = {image for call in going_on if call.call.request_id is None for image in call.images}
    unseen: dict[str, Half] = {}
    for unit in named:
        for row in [rows[task] for task in sorted(unit.tasks) if task in rows]:
            if row.request_id in seen:
                unit.request_ids |= frozenset() if row.task in begun else {row.request_id}
            elif row.image_id not in nameless:
                unit.of_unseen = True
                if row.task in ends and row.image_id is not None and row.task not in unseen:
                    start = begun[row.task].start if row.task in begun else 0
                    last = _last(ends[row.task], row.image_id, units)
                    unseen[row.task] = Half("glance", start, last.end, last.connection_id, frozenset([row.image_id]))
    return list(unseen.values())


def _last(sign: UnitFacts, image_id: str, units: Sequence[UnitFacts]) -> UnitFacts:
    """The last unit of a task, as far as it was seen; `sign` is the last one that shows it at work."""
    for unit in units[bisect_left(units, sign.start, key=_start) :]:
        if unit.start > sign.end + _UNLOCKS:
            break
        if unit.writes == _LOCK and image_id in unit.images:
            return unit
    return sign


def _start(unit: UnitFacts) -> int:
    return unit.start


def _rows(statement: SqlStatement) -> Iterator[_Row]:
    """Rows of tasks that a statement wrote or read."""
    for change in statement.changes:
        if change.table == "tasks" and change.operation == "INSERT":
            yield from _row([change.values.get(column) for column in _COLUMNS], written=True)
    columns, rows = statement.command.columns, statement.command.rows
    if statement.operation == "SELECT" and rows and columns is not None:
        labels = [f"tasks_{column}" for column in _COLUMNS]
        if set(labels).issubset(columns):
            places = [columns.index(label) for label in labels]
            for row in rows:
                yield from _row([row[place] for place in places], written=False)


def _row(values: Sequence[object], *, written: bool) -> Iterator[_Row]:
    task, request_id, image_id, status = values
    if isinstance(task, str) and isinstance(request_id, str):
        image = image_id if isinstance(image_id, str) else None
        yield _Row(task, request_id, image, status in _AT_WORK, written)
