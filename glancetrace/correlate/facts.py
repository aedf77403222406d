"""What attribution compares: facts of a call and facts of a unit of work, in the same terms.

Everything here is read once per call and once per unit; comparing is set work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from glancetrace.correlate.units import UnitOfWork
from glancetrace.glance.call import ApiCall
from glancetrace.glance.grammar import ANY, CREATE, IMAGE, LIST, OperationSql, sql_of

__all__ = ["CallFacts", "UnitFacts", "call_facts", "contradiction", "unit_facts"]

_NEVER = 1 << 63
_TASK_KEYS = (("tasks", "id"), ("task_info", "task_id"))
_TASK_TABLES = frozenset(table for table, _column in _TASK_KEYS)
_TRANSACTION = frozenset({"COMMIT", "ROLLBACK", "BEGIN", "START", "SAVEPOINT", "RELEASE"})


@dataclass(slots=True, eq=False)
class CallFacts:
    """A call as attribution sees it.

    `start`, `end` (ns) bound its SQL; `images` are ids that its statements can name; `goes_on`: more may follow after
    `end`: tasks of an import, or the service's cleaning up after a client that went away.
    """

    call: ApiCall
    start: int
    end: int
    images: frozenset[str]
    created: bool
    sql: OperationSql
    project_id: str | None
    goes_on: bool


@dataclass(slots=True, eq=False)
class UnitFacts:
    """A unit of work as attribution sees it.

    `images`: ids named by its statements; `reads_list`: it reads image rows without naming one; `inserts_image`: it
    creates one; `writes`: tables written; `guarded_to`: statuses given under a guard; `tasks`,
    `request_ids`: ids of tasks named, and of the calls that made them; `blank`: nothing but ends of transactions;
    `alone`: no call was open while it ran.
    """

    unit: UnitOfWork
    start: int
    end: int
    images: frozenset[str]
    reads_list: bool
    inserts_image: bool
    writes: frozenset[str]
    guarded_to: frozenset[str]
    tasks: frozenset[str]
    request_ids: frozenset[str]
    blank: bool
    alone: bool = False


def call_facts(call: ApiCall, project_of: dict[str, str]) -> CallFacts:
    """Facts of a call.

    Args:
        call: the call, hops folded.
        project_of: token -> project id, from Keystone's answers.
    """
    start, end = call.hops[-1].window if call.hops else (call.ts, call.response_ts)
    images = {call.image_id, call.path_ids.get("image_id")} | _json_ids(call.request_json)
    if call.operation != "image-list":
        images |= _json_ids(call.response_json)
    elif call.query.get("marker"):
        images.add(call.query["marker"])
    sql = sql_of(call.operation, call.service)
    return CallFacts(
        call=call,
        start=start,
        end=_NEVER if end is None else end,
        images=frozenset(i for i in images if i),
        created=call.operation == "image-create",
        sql=sql,
        project_id=call.project_id or project_of.get(call.token or ""),
        goes_on=call.status_code is None or (sql.goes_on and call.status_code < 400),
    )


def _json_ids(body: Any) -> set[str | None]:
    """The id that a JSON object gives itself."""
    value = body.get("id") if isinstance(body, dict) else None
    return {value} if isinstance(value, str) else set()


def unit_facts(unit: UnitOfWork) -> UnitFacts:
    """Facts of a unit of work."""
    images: set[str] = set()
    writes: set[str] = set()
    guarded: set[str] = set()
    tasks: set[str] = set()
    request_ids: set[str] = set()
    reads_list = inserts_image = False
    blank = True
    for statement in unit.work:
        operation = statement.operation
        if operation in _TRANSACTION:
            continue
        blank = False
        images.update(statement.image_ids)
        for change in statement.changes:
            writes.add(change.table)
            if change.table == "images" and change.operation == "INSERT":
                inserts_image = True
            if change.status_from is not None and change.status_to is not None:
                guarded.add(change.status_to)
            if change.table in _TASK_TABLES and change.row_id:
                tasks.add(change.row_id)
            request_id = change.values.get("request_id") if change.table == "tasks" else None
            if isinstance(request_id, str):
                request_ids.add(request_id)
        if operation == "SELECT" and not statement.image_ids and statement.parsed is not None:
            # A client that looks an image up by name asks for it as if the name were its id.
            named = [str(value) for value in statement.parsed.equal_to("images", "id")]
            images.update(named)
            for table, column in _TASK_KEYS:
                tasks.update(str(value) for value in statement.parsed.equal_to(table, column))
            reads_list = reads_list or (not named and "images" in statement.parsed.shape.tables)
    return UnitFacts(
        unit=unit,
        start=unit.ts,
        end=unit.end_ts,
        images=frozenset(images),
        reads_list=reads_list,
        inserts_image=inserts_image,
        writes=frozenset(writes),
        guarded_to=frozenset(guarded),
        tasks=frozenset(tasks),
        request_ids=frozenset(request_ids),
        blank=blank,
    )


def contradiction(call: CallFacts, unit: UnitFacts) -> str | None:
    """Why `call` cannot have run `unit`, or None when nothing speaks against it."""
    sql = call.sql
    if sql.scope not in (IMAGE, LIST, CREATE, ANY):
        return f"{call.call.operation} runs no SQL"
    if unit.blank or sql.scope == ANY:
        return None
    if unit.tasks and not sql.goes_on:
        return f"{call.call.operation} has no task"
    if unit.images and call.images and not unit.images & call.images:
        return "names another image"
    if sql.scope == IMAGE and (unit.reads_list or unit.inserts_image):
        return f"{call.call.operation} reads one image"
    if sql.scope == LIST and (unit.images - call.images):
        return "names an image, and a list does not"
    if sql.scope == CREATE and (unit.reads_list or (unit.images and not call.images and not unit.inserts_image)):
        return "is about an image that the call did not create"
    if unit.writes - sql.writes:
        return f"{call.call.operation} does not write {', '.join(sorted(unit.writes - sql.writes))}"
    if unit.guarded_to - sql.status_to:
        return f"{call.call.operation} does not set {', '.join(sorted(unit.guarded_to - sql.status_to))}"
    return None
