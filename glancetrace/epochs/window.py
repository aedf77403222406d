"""Statements in order of time become units of work, epoch by epoch, in memory that follows what is open.

An epoch ends at a time that depends on the commands alone, at the quietest moment of its last part. A unit of work is
finished, in the epoch in which it starts, once nothing that may come can be part of it: its transaction has ended, and
its connection has begun another unit, or is over, or was silent for a while. What only sets a connection up waits for
the unit that uses it. What is not finished stays for the next epoch, with the ids that it has; a transaction that is
open for so long that too much waits for it is cut where it stands.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter

from glancetrace.correlate.outcome import settle_connection
from glancetrace.correlate.proxy import Legs
from glancetrace.correlate.units import UnitOfWork, cut_units, is_ended, sets_up
from glancetrace.glance.statement import SqlStatement
from glancetrace.mysql.command import MysqlCommand
from glancetrace.net.run import Connection
from glancetrace.spill.commands import Owned
from glancetrace.sql.parser import StatementParser
from glancetrace.statements import ServiceVotes, StatementReader

__all__ = ["Window"]

_SILENCE = 5_000_000_000
"""ns after which a transaction that was ended goes on no more: a pool ends some of them twice, when it is asked for the
connection again, or cleans up."""

_CONNECT = 2_000_000_000
"""ns within which a connection that was set up is used by whoever opened it."""

_LEGS = 200_000_000
"""ns within which a statement's other legs through proxies are seen."""

_IDLE = 10_000_000_000
"""ns after which a connection is idle that was only set up, or pinged."""

_NEVER = 1 << 63


@dataclass(slots=True, eq=False)
class _Group:
    """Units of one connection that are finished together: one that works, the set-up before it, and what missing bytes
    cut off its end.

    `ended`: their transactions are; `closed`: nothing that may come is part of them.
    """

    units: list[UnitOfWork]
    ended: bool = False
    closed: bool = False

    @property
    def setup(self) -> bool:
        """No unit of it works."""
        return all(unit.setup for unit in self.units)

    @property
    def ts(self) -> int:
        """When its work begins, ns."""
        return next((unit.ts for unit in self.units if not unit.setup), self.units[0].ts)


class Window:
    """Statements that are not finished with.

    Args:
        votes: whose connections are. legs: which are legs of others. remaining: how many commands of each connection
            follow.

    Attributes:
        unparsed: frames of statements that could not be taken apart, of the last commands that were added.
        cut: frames of units that had to be finished before they were, by the last `finished`.
    """

    def __init__(self, votes: ServiceVotes, legs: Legs, remaining: dict[Connection, int]) -> None:
        self._votes = votes
        self._remaining = remaining
        self._parser = StatementParser()
        self._legs = legs
        self._open: dict[int, list[SqlStatement]] = {}
        self._connections: dict[int, Connection] = {}
        self._next_id = 1
        self._next_unit = 1
        self._until = 0
        self._groups: dict[int, list[_Group]] = {}
        self.unparsed: list[int] = []
        self.cut: list[int] = []

    def __len__(self) -> int:
        return sum(map(len, self._open.values()))

    @property
    def over(self) -> bool:
        """No command follows."""
        return not any(self._remaining.values())

    @property
    def next_id(self) -> int:
        """Id of the next statement that comes."""
        return self._next_id

    @property
    def first_open(self) -> int:
        """Id of the first statement that is not finished; of the next one that comes if all are."""
        # Of a connection it need not be the first: the clock of who captured may have gone back.
        left = (row.id for key, rows in self._open.items() if key not in self._legs.inner for row in rows)
        return min(left, default=self._next_id)

    def add(self, commands: Iterable[Owned]) -> None:
        """Take the next commands, in order of time."""
        reader = StatementReader(self._parser)
        grouped: dict[Connection, list[MysqlCommand]] = {}
        for command, connection in commands:
            grouped.setdefault(connection, []).append(command)
            self._until = max(self._until, command.ts)
        fresh: list[SqlStatement] = []
        for connection, own in sorted(grouped.items(), key=lambda item: item[0].id):
            self._remaining[connection] -= len(own)
            self._connections[connection.id] = connection
            own.sort(key=attrgetter("ordinal"))
            statements = reader.read(own, connection, self._votes.of(connection))
            self._open.setdefault(connection.id, []).extend(statements)
            fresh += statements
        self._until = _NEVER if self.over else self._until
        self._legs.fold(self._open, self._until)
        inner = self._legs.inner
        self._number([statement for statement in fresh if statement.connection.id not in inner])

    def _number(self, statements: list[SqlStatement]) -> None:
        statements.sort(key=attrgetter("command.first_frame"))
        statements.sort(key=attrgetter("command.ts"))  # stable, as for a capture that is read at once
        self.unparsed = []
        for statement in statements:
            statement.id = self._next_id
            self._next_id += 1
            if statement.parsed is not None and not statement.parsed.shape.parsed:
                self.unparsed.append(statement.command.first_frame)

    def units(self) -> list[UnitOfWork]:
        """All units, numbered, those that are not finished as far as they have come; in order."""
        self._groups = {key: self._group(key, rows) for key, rows in self._open.items() if rows}
        units = [unit for groups in self._groups.values() for group in groups for unit in group.units]
        units.sort(key=lambda unit: unit.statements[0].id)
        for unit in units:
            number = unit.statements[0].unit_id
            if number is None:
                number = self._next_unit
                self._next_unit += 1
            for statement in unit.statements:
                statement.unit_id = number
        return units

    def finished(self, before: int, oldest: int) -> list[UnitOfWork]:
        """Take out the units that are finished and start before that time (ns), in order.

        No statement with a lower id than `oldest` is left, finished or not. `units` comes first.
        """
        done: list[UnitOfWork] = []
        self.cut = []
        for key, groups in self._groups.items():
            statements = self._open[key]
            count = 0
            for group in groups:
                forced = group.units[0].statements[0].id < oldest
                if not forced and (group.ts >= before or not group.closed):
                    break
                if not (group.closed or group.ended):
                    self.cut.append(group.units[0].statements[0].command.first_frame)
                done += group.units
                count += sum(len(unit.statements) for unit in group.units)
            del statements[:count]
        self._groups = {}
        done.sort(key=lambda unit: unit.statements[0].id)
        return done

    def _group(self, key: int, statements: list[SqlStatement]) -> list[_Group]:
        """Units of one connection in groups that are finished together."""
        if key in self._legs.inner:
            return []
        connection = self._connections[key]
        over = not self._remaining[connection]
        clean = {0, *settle_connection(statements, closed=over and bool(connection.closed))}
        groups: list[_Group] = []
        count = 0
        for unit in cut_units(statements):
            if not groups or (count in clean and _is_apart(groups[-1], unit)):
                groups.append(_Group([]))
            groups[-1].units.append(unit)
            count += len(unit.statements)
        for group in groups:
            silent = self._until - group.units[-1].end_ts
            if over or group is not groups[-1]:
                group.ended = True
                group.closed = silent >= _LEGS
            else:
                group.ended = count in clean and (group.setup or is_ended(group.units[-1]))
                group.closed = group.ended and silent >= (_IDLE if group.setup else _SILENCE)
        return groups


def _is_apart(group: _Group, unit: UnitOfWork) -> bool:
    """The next unit of the connection has nothing to do with those of the group."""
    if unit.setup and not sets_up(unit):
        return False
    return not group.setup or unit.ts - group.units[-1].end_ts >= _CONNECT
