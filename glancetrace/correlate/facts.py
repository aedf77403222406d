"""What attribution compares: facts of a call and facts of a unit of work, in the same terms.

Everything here is read once per call and once per unit; comparing is set work.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from glancetrace.correlate.hops import CLOCK_SLACK
from glancetrace.correlate.rowids import RowImages
from glancetrace.correlate.rows import UnitRows, read_rows
from glancetrace.correlate.units import UnitOfWork
from glancetrace.glance.call import ApiCall
from glancetrace.glance.database import RowChange
from glancetrace.glance.grammar import ANY, CREATE, IMAGE, LIST, NOTHING, OperationSql, sql_of
from glancetrace.glance.sequences import base_of, kind_of_unit
from glancetrace.net.run import Endpoint
from glancetrace.sql.statement import Shape

__all__ = ["ANOTHER_IMAGE", "CallFacts", "UnitFacts", "UnitReader", "call_facts", "contradiction", "tell_kinds"]

ANOTHER_IMAGE = "names another image"
"""The contradiction that most calls are in."""

_NEVER = 1 << 63
_NONE: frozenset[str] = frozenset()
_UNKNOWN: Mapping[int, int] = {}
_TASK_KEYS = (("tasks", "id"), ("task_info", "task_id"))
_TASK_TABLES = frozenset(table for table, _column in _TASK_KEYS)
_REFUSED = frozenset({403, 404})
_READING = frozenset({"GET", "HEAD"})
_TRANSACTION = frozenset({"COMMIT", "ROLLBACK", "BEGIN", "START", "SAVEPOINT", "RELEASE"})


@dataclass(slots=True, eq=False)
class CallFacts:
    """A call as attribution sees it.

    `start`, `end` (ns) bound its SQL, `earliest` and `latest` do so with the slack of the capture's clock and the
    uncertainty of the call's own times; `images` are ids that
    its statements can name; `runs_anything`: nothing contradicts it; `goes_on`: more may follow after `end`: tasks of
    an import, or the service's cleaning up after a client that went away. `connection_id` and `server` are those of the
    innermost leg, the service's own. `validations`: when validations of its token were answered, its own perhaps.
    `doubtful`: packets are missing, and its response may be another call's.
    `bound_to`: the same ids where a unit that names others is of another call; empty where it need not be.
    """

    call: ApiCall
    start: int
    end: int
    earliest: int
    latest: int
    images: frozenset[str]
    created: bool
    sql: OperationSql
    runs_anything: bool
    project_id: str | None
    goes_on: bool
    connection_id: int
    server: Endpoint
    validations: Sequence[int] = ()
    doubtful: bool = False
    bound_to: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        """What other images contradict at once."""
        self.bound_to = _NONE if self.runs_anything or self.sql.scope == NOTHING else self.images

    def began(self, ts: int) -> int:
        """The last moment up to `ts` at which the call can have begun its work, ns."""
        place = bisect_right(self.validations, ts)
        return max(self.start, self.validations[place - 1]) if place else self.start


@dataclass(slots=True, eq=False)
class UnitFacts:
    """A unit of work as attribution sees it.

    `images`: ids named by its statements; `reads_list`: it reads image rows without naming one; `inserts_image`: it
    creates one; `writes`: tables written; `guarded_to`: statuses given under a guard; `tasks`,
    `request_ids`: ids of tasks named, and of the calls that made them; `blank`: nothing but ends of transactions;
    `telling`: something of it can speak for a call; `expires_tasks`: it deletes expired tasks; `prepared`: tables that
    it was about to write (see `intent`); `of_unseen`: it names a task of a call that was not seen (see `tasks`);
    `served`: the first packet for it, a ping's or that of a new connection, ns; `returned`: when its connection,
    `connection_id`, was given back, ns (see `pool`); `answer`: how long the answer to its last statement took, ns.
    `kind`: what it does, as `glance.sequences` says it, and `base`, the same without marks, are told when there is
    something to learn (see `tell_kinds`); `rows` are read when more than one call could have run it.
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
    telling: bool
    expires_tasks: bool = False
    prepared: frozenset[str] = _NONE
    of_unseen: bool = False
    served: int = 0
    returned: int = 0
    connection_id: int = 0
    answer: int = 0
    kind: str = ""
    base: str = ""
    known_rows: UnitRows | None = None

    @property
    def rows(self) -> UnitRows:
        """What its rows and literals show."""
        if self.known_rows is None:
            self.known_rows = read_rows(self.unit.statements, self.reads_list)
        return self.known_rows

    def waits_since(self, until: int) -> int:
        """Since when its call had waited for what began at `until`, ns."""
        return max(self.end, min(self.returned, until))

    @property
    def client(self) -> str:
        """Address from which that connection was opened."""
        return self.unit.statements[0].connection.client[0]


def call_facts(
    call: ApiCall,
    project_of: dict[str, str],
    validated: Mapping[int, int] = _UNKNOWN,
    validations: Sequence[int] = (),
) -> CallFacts:
    """Facts of a call.

    Args:
        call: the call, hops folded.
        project_of: token -> project id, from Keystone's answers.
        validated: call id -> when its token had been validated, ns.
        validations: when validations of its token were answered, in order, ns.
    """
    start, end = call.hops[-1].window if call.hops else (call.ts, call.response_ts)
    start = max(start, validated.get(call.id, start))
    images = {call.image_id, call.path_ids.get("image_id")} | _json_ids(call.request_json)
    if call.operation != "image-list":
        images |= _json_ids(call.response_json)
    elif call.query.get("marker"):
        images.add(call.query["marker"])
    sql = sql_of(call.operation, call.service)
    slack = CLOCK_SLACK + call.uncertainty
    return CallFacts(
        call=call,
        start=start,
        end=_NEVER if end is None else end,
        earliest=start - slack,
        latest=_NEVER if end is None else end + slack,
        images=frozenset(i for i in images if i),
        created=call.operation == "image-create",
        sql=sql,
        runs_anything=sql.scope == ANY and not call.path_ids.get("image_id"),
        project_id=call.project_id or project_of.get(call.token or ""),
        goes_on=_goes_on(call, sql),
        connection_id=call.hops[-1].connection_id if call.hops else call.connection_id,
        server=call.hops[-1].server if call.hops else call.server,
        validations=validations,
        doubtful=call.exchange is not None and call.exchange.doubtful,
    )


def _goes_on(call: ApiCall, sql: OperationSql) -> bool:
    """Work of a call may go on after its response, or, without one, after its connection broke."""
    if call.service == "registry" or (sql.scope == ANY and call.method in _READING):
        return False  # a registry only stores
    if call.status_code is None:
        return bool(sql.writes) or sql.scope == ANY
    return sql.goes_on and call.status_code < 400


def _json_ids(body: Any) -> set[str | None]:
    """The id that a JSON object gives itself."""
    value = body.get("id") if isinstance(body, dict) else None
    return {value} if isinstance(value, str) else set()


_Reading = tuple[tuple[int, ...], tuple[int, ...], bool]
"""What a SELECT's shape says: slots of its literals that are image ids, that are task ids; it reads any image."""


def _read_shape(shape: Shape) -> _Reading:
    columns = {("images", "id"): 0, **dict.fromkeys(_TASK_KEYS, 1)}
    slots: tuple[list[int], list[int]] = ([], [])
    for p in shape.predicates:
        which = columns.get((p.table, p.column))
        if which is not None and p.conjunct and p.operator in ("=", "IN"):
            slots[which].extend(p.slots)
    return tuple(slots[0]), tuple(slots[1]), "images" in shape.tables and not slots[0]


class UnitReader:
    """Reads the facts of units of work; what the shape of a statement says is worked out once."""

    def __init__(self, image_of_row: RowImages) -> None:
        self._readings: dict[int, _Reading] = {}
        self._image_of_row = image_of_row

    def read(self, unit: UnitOfWork) -> UnitFacts:
        """Facts of a unit of work."""
        images: set[str] = set()
        tasks: set[str] = set()
        written: list[RowChange] = []
        reads_list = False
        blank = True
        for statement in unit.statements:
            operation = statement.operation
            if statement.kind != "request" or operation in _TRANSACTION:
                continue
            blank = False
            if statement.image_ids:
                images.update(statement.image_ids)
            elif operation == "SELECT" and statement.parsed is not None:
                # Shapes live as long as their statements, so their identity is a key.
                shape, literals = statement.parsed.shape, statement.parsed.literals
                reading = self._readings.get(id(shape))
                if reading is None:
                    reading = self._readings[id(shape)] = _read_shape(shape)
                image_slots, task_slots, of_any_image = reading
                # A client that looks an image up by name asks for it as if the name were its id.
                for slot in image_slots:
                    images.add(str(literals[slot]))
                for slot in task_slots:
                    tasks.add(str(literals[slot]))
                reads_list = reads_list or of_any_image
            if not statement.changes:
                continue
            written += statement.changes
            if self._image_of_row and not statement.image_ids:
                keys = ((statement.schema, change.table, change.row_id or "") for change in statement.changes)
                images.update(self._image_of_row[key] for key in keys if key in self._image_of_row)
        return _facts(unit, frozenset(images), tasks, written, reads_list, blank)


def _facts(
    unit: UnitOfWork, images: frozenset[str], tasks: set[str], written: list[RowChange], reads_list: bool, blank: bool
) -> UnitFacts:
    start, end = unit.ts, unit.end_ts
    connection_id = unit.statements[0].command.session.connection_id
    answer = end - unit.statements[-1].command.ts
    if not written:
        telling = reads_list or bool(images)
        return UnitFacts(
            unit,
            start,
            end,
            images,
            reads_list,
            False,
            _NONE,
            _NONE,
            frozenset(tasks),
            _NONE,
            blank,
            telling,
            returned=end,
            connection_id=connection_id,
            answer=answer,
        )
    of_tasks = [change for change in written if change.table in _TASK_TABLES]
    request_ids = {change.values.get("request_id") for change in of_tasks if change.table == "tasks"}
    tasks.update(change.row_id for change in of_tasks if change.row_id)
    return UnitFacts(
        unit=unit,
        start=start,
        end=end,
        images=images,
        reads_list=reads_list,
        inserts_image=any(change.table == "images" and change.operation == "INSERT" for change in written),
        writes=frozenset(change.table for change in written),
        guarded_to=frozenset(c.status_to for c in written if c.status_from is not None and c.status_to is not None),
        tasks=frozenset(tasks),
        request_ids=frozenset(value for value in request_ids if isinstance(value, str)),
        blank=blank,
        telling=True,
        returned=end,
        connection_id=connection_id,
        answer=answer,
        expires_tasks=any(change.table == "tasks" and change.row_id is None for change in of_tasks),
    )


def tell_kinds(units: Iterable[UnitFacts]) -> None:
    """Fill `kind` and `base` of units."""
    for unit in units:
        unit.kind = kind_of_unit(unit.unit.statements, unit.reads_list)
        unit.base = base_of(unit.kind)


def contradiction(call: CallFacts, unit: UnitFacts) -> str | None:
    """Why `call` cannot have run `unit`, or None when nothing speaks against it."""
    sql = call.sql
    if call.runs_anything:
        return None
    if sql.scope == NOTHING:
        return f"{call.call.operation} runs no SQL"
    if unit.blank:
        return None
    if unit.images and call.images and not unit.images & call.images:
        return ANOTHER_IMAGE
    if unit.of_unseen and sql.goes_on:
        return "the task is of a call that was not seen"
    if sql.scope == ANY:
        return None
    if unit.tasks and not sql.goes_on:
        return f"{call.call.operation} has no task"
    if sql.scope == IMAGE and (unit.reads_list or unit.inserts_image):
        return f"{call.call.operation} reads one image"
    if sql.scope == LIST and (unit.images - call.images):
        return "names an image, and a list does not"
    if sql.scope == CREATE and (unit.reads_list or (unit.images and not call.images and not unit.inserts_image)):
        return "is about an image that the call did not create"
    if unit.writes - sql.writes:
        return f"{call.call.operation} does not write {', '.join(sorted(unit.writes - sql.writes))}"
    if unit.prepared and not unit.prepared & sql.writes:
        return f"{call.call.operation} does not commit what it reads of {', '.join(sorted(unit.prepared))}"
    if unit.writes and sql.checks_first and call.call.status_code in _REFUSED:
        return f"{call.call.operation} was refused, and this writes"
    if unit.expires_tasks and not sql.expires_tasks:
        return f"{call.call.operation} does not delete expired tasks"
    if unit.guarded_to - sql.status_to:
        return f"{call.call.operation} does not set {', '.join(sorted(unit.guarded_to - sql.status_to))}"
    return None
