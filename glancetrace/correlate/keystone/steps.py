"""What a unit of Keystone's work does and whom it names: the steps of logging in and of validating.

Keystone works through a call in small steps, each a unit of work of its own: read the project, the user, the
assignments, each implied role, each role, check for revocations, read the catalog (`keystone/token/provider.py`,
`keystone/models/token_model.py`; measured on Keystone 30). A step is told by the tables that it reads and the columns
that it compares; the order in which a process reads a row's tags and options does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from glancetrace.correlate.units import UnitOfWork
from glancetrace.glance.statement import SqlStatement
from glancetrace.sql.statement import Shape

__all__ = ["KeystoneUnit", "StepReader", "step_of"]

_ENDS = frozenset({"COMMIT", "ROLLBACK"})
_USERS = frozenset({"user_id", "actor_id", "trustor_user_id", "trustee_user_id"})
_PROJECTS = frozenset({"project_id", "target_id", "domain_id", "default_project_id"})
_AUDITS = frozenset({"audit_id", "audit_chain_id"})
_ROLES = frozenset({"role_id", "prior_role_id", "implied_role_id"})
_NAMED = frozenset({"user", "local_user", "project"})
_NOBODY = frozenset({"<<keystone.domain.root>>", "<<null>>"})
"""What Keystone writes where there is no id: the root of its domains, the absence of a value."""
_NONE: frozenset[str] = frozenset()


@dataclass(slots=True, eq=False)
class KeystoneUnit:
    """A unit of work as it is shared among Keystone's calls.

    `step`: what it does, a number; a step that repeats for each role is another one for each. `names`: whom its
    statements name, of these `roles` and `audits` (ids of tokens); `options`: indexes of calls that can have run it.
    """

    unit: UnitOfWork
    start: int
    end: int
    connection_id: int
    step: int
    names: frozenset[str]
    roles: frozenset[str]
    audits: frozenset[str]
    options: list[int] = field(default_factory=list)
    rejected: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a shape says: a word for it, and slots of literals that are names, by what they name."""

    word: str
    names: tuple[int, ...]
    roles: tuple[int, ...]
    audits: tuple[int, ...]


def _read_shape(shape: Shape) -> _Reading:
    columns = sorted({p.column for p in shape.predicates if p.slots})
    word = f"{shape.tables[0] if shape.tables else shape.operation}({','.join(columns)})"
    if shape.operation != "SELECT":
        word = f"{shape.operation} {word}"
    slots: tuple[list[int], list[int], list[int]] = ([], [], [])
    for p in shape.predicates:
        if p.operator not in ("=", "IN"):
            continue
        column = p.column
        role = column in _ROLES or (p.table == "role" and column == "id")
        named = p.table in _NAMED and column in ("id", "name")
        if role or named or column in _USERS or column in _PROJECTS or column in _AUDITS:
            slots[0].extend(p.slots)
        if role:
            slots[1].extend(p.slots)
        if column in _AUDITS:
            slots[2].extend(p.slots)
    return _Reading(word, *(tuple(dict.fromkeys(found)) for found in slots))


class StepReader:
    """Reads units; what the shape of a statement says is worked out once, and so is a step."""

    def __init__(self) -> None:
        self._readings: dict[int, _Reading] = {}
        self._steps: dict[object, int] = {}
        self._of_shapes: dict[tuple[object, ...], object] = {}

    def read(self, unit: UnitOfWork) -> KeystoneUnit | None:
        """The unit; None if it does nothing but to begin or end transactions."""
        names: list[str] = []
        roles: list[str] = []
        audits: list[str] = []
        shapes: list[object] = []
        for statement in unit.statements:
            parsed = statement.parsed
            if statement.kind != "request" or parsed is None:
                continue
            if statement.operation in _ENDS:
                if statement.operation == "COMMIT":
                    shapes.append("COMMIT")
                continue
            reading = self._reading(parsed.shape)
            shapes.append(reading.word)
            literals = parsed.literals
            for slots, found in ((reading.names, names), (reading.roles, roles), (reading.audits, audits)):
                found.extend([str(literals[slot]) for slot in slots])
        if not shapes:
            return None
        step = (self._step(tuple(shapes)), roles[0] if roles else "")
        return KeystoneUnit(
            unit=unit,
            start=unit.ts,
            end=unit.end_ts,
            connection_id=unit.statements[0].command.session.connection_id,
            step=self._steps.setdefault(step, len(self._steps)),
            names=frozenset(names) - _NOBODY if names else _NONE,
            roles=frozenset(roles) if roles else _NONE,
            audits=frozenset(audits) if audits else _NONE,
        )

    def _reading(self, shape: Shape) -> _Reading:
        # Shapes live as long as their statements, so their identity is a key.
        reading = self._readings.get(id(shape))
        if reading is None:
            reading = self._readings[id(shape)] = _read_shape(shape)
        return reading

    def _step(self, shapes: tuple[object, ...]) -> object:
        step = self._of_shapes.get(shapes)
        if step is None:
            step = self._of_shapes[shapes] = tuple(sorted(map(str, shapes)))
        return step


def step_of(statements: list[SqlStatement]) -> str:
    """What a unit does, in a word: the table that it begins with."""
    for statement in statements:
        if statement.parsed is not None and statement.operation not in _ENDS and statement.parsed.shape.tables:
            return statement.parsed.shape.tables[0]
    return "set-up"
