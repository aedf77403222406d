"""Cuts a connection's statements into units of work: one checkout of the connection from its pool to its return.

A unit never holds statements of two requests. Its end is the pool's reset on return, a ROLLBACK; its start often a
ping. What lies between depends on the era of the service: one SELECT and a ROLLBACK (Glance up to 26), statements,
COMMIT and ROLLBACK (27 to 30), statements and two ROLLBACKs (from 31 on). Rules that hold for all three: a ping begins
a unit, the last of consecutive COMMITs and ROLLBACKs ends it. Under autocommit every statement is a unit. Where bytes
of the client are missing its ROLLBACK may be among them, so another unit begins there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from glancetrace.correlate.outcome import ends_transaction
from glancetrace.glance.statement import SqlStatement

__all__ = [
    "ERA_RELEASES",
    "Era",
    "EraVotes",
    "UnitOfWork",
    "cut_units",
    "detect_era",
    "detect_eras",
    "is_ended",
    "sets_up",
]

Era = int
"""1: Glance up to 26 (2023.1), 2: 27 to 30, 3: from 31 on; 0: not enough seen."""

ERA_RELEASES: dict[Era, str] = {1: "26 or older", 2: "27 to 30", 3: "31 or newer"}
"""Era -> releases of Glance."""

_ENDS = frozenset({"COMMIT", "ROLLBACK"})
_SET_UP = frozenset({"setup", "ping"})


@dataclass(slots=True, eq=False)
class UnitOfWork:
    """Consecutive statements of one connection.

    `setup`: it holds only connection set-up, and belongs to whoever uses the connection next (`next_unit`).
    """

    statements: list[SqlStatement] = field(default_factory=list)
    setup: bool = False
    next_unit: UnitOfWork | None = None

    @property
    def work(self) -> list[SqlStatement]:
        """Statements without pings and set-up."""
        return [s for s in self.statements if s.kind == "request"]

    @property
    def ts(self) -> int:
        """First byte of the first statement, ns; that of a ping, too, for who checks the connection out sends it."""
        return self.statements[0].command.ts

    @property
    def end_ts(self) -> int:
        """Last byte of the last statement, ns."""
        return self.statements[-1].end_ts


def cut_units(statements: Iterable[SqlStatement]) -> list[UnitOfWork]:
    """Units of one connection's statements, given in order."""
    units: list[UnitOfWork] = []
    unit = UnitOfWork(setup=True)
    ended = False
    own = unit.statements
    for statement in statements:
        operation, kind = statement.operation, statement.kind
        ends = operation in _ENDS and ends_transaction(statement)
        if ((ended and not ends) or kind == "ping" or statement.command.after_gap) and own:
            units.append(unit)
            unit = UnitOfWork(setup=True)
            own = unit.statements
        own.append(statement)
        if operation not in _ENDS and kind not in _SET_UP:
            unit.setup = False
        ended = (ends or statement.commit_frame is not None) and _ends_after(statement, ends, ended)
    if own:
        units.append(unit)
    following: UnitOfWork | None = None
    for unit in reversed(units):
        unit.next_unit = following
        following = unit
    return units


def is_ended(unit: UnitOfWork) -> bool:
    """Its transaction has ended, and what comes next but another COMMIT or ROLLBACK is another unit."""
    ended = False
    for statement in unit.statements:
        ended = _ends_after(statement, statement.operation in _ENDS and ends_transaction(statement), ended)
    return ended


def _ends_after(statement: SqlStatement, ends: bool, ended: bool) -> bool:
    """Whether a unit is over, which `ended` says of it before: a COMMIT may be followed by more work of the same
    checkout, so only a ROLLBACK closes it."""
    if ends:
        return ended or statement.operation == "ROLLBACK"
    return _autocommitted(statement)


def sets_up(unit: UnitOfWork) -> bool:
    """A unit of set-up is more than the end of a transaction whose beginning was lost."""
    return not unit.statements[0].command.after_gap or any(s.kind == "setup" for s in unit.statements)


def _autocommitted(statement: SqlStatement) -> bool:
    """It was a transaction of its own."""
    return (
        statement.commit_frame is not None
        and statement.kind == "request"
        and statement.commit_frame == statement.command.request_frame
        and statement.operation not in _ENDS
    )


def detect_eras(units: Iterable[UnitOfWork]) -> dict[str, Era]:
    """Address of each database client -> its era; without those of which not enough was seen."""
    votes = EraVotes()
    votes.add(units)
    return votes.eras()


class EraVotes:
    """What units tell of the era of their clients, as they come."""

    def __init__(self) -> None:
        self._by_host: dict[str, list[int]] = {}

    def add(self, units: Iterable[UnitOfWork]) -> None:
        """Further units."""
        by_host: dict[str, list[UnitOfWork]] = {}
        for unit in units:
            by_host.setdefault(unit.statements[0].connection.client[0], []).append(unit)
        for host, of_host in by_host.items():
            votes = self._by_host.setdefault(host, [0, 0, 0, 0])
            votes[:] = map(sum, zip(votes, _votes(of_host), strict=True))

    def eras(self) -> dict[str, Era]:
        """Address of each database client -> its era; without those of which not enough was seen."""
        eras = {host: _elected(votes) for host, votes in sorted(self._by_host.items())}
        return {host: era for host, era in eras.items() if era}


def detect_era(units: Iterable[UnitOfWork]) -> Era:
    """Era of the service that made these units, by the shape that most of its reads have."""
    return _elected(_votes(units))


def _votes(units: Iterable[UnitOfWork]) -> list[int]:
    votes = [0, 0, 0, 0]
    for unit in units:
        if unit.setup:
            continue
        operations = [s.operation for s in unit.work]
        reads = [o for o in operations if o not in _ENDS]
        if not reads or any(o != "SELECT" for o in reads):
            continue
        ending = operations[len(reads) :]
        if ending == ["ROLLBACK"]:
            votes[1] += 1
        elif ending == ["COMMIT", "ROLLBACK"]:
            votes[2] += 1
        elif ending == ["ROLLBACK", "ROLLBACK"]:
            votes[3] += 1
    return votes


def _elected(votes: list[int]) -> Era:
    best = max(votes)
    return votes.index(best) if best else 0
