"""Commands become statements: text taken apart, whose it is, what it is for, what it names and writes.

Most commands are a few dozen texts over and over (ROLLBACK, COMMIT, pings), and most others come some times in a row:
what follows from the text alone is worked out once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import TypeVar

from glancetrace.glance.database import RowChange, image_ids, kind_of_statement, row_changes, service_of
from glancetrace.glance.statement import SqlStatement
from glancetrace.mysql.command import MysqlCommand
from glancetrace.net.run import Connection
from glancetrace.sql.parser import StatementParser
from glancetrace.sql.statement import Statement

_Key = TypeVar("_Key")
_Item = TypeVar("_Item")

__all__ = ["ServiceVotes", "StatementReader", "name_rows"]

_TEXT_COMMANDS = frozenset({"COM_QUERY", "COM_STMT_EXECUTE", "COM_STMT_PREPARE", "COM_STMT_BULK_EXECUTE"})
_LONGEST_KNOWN = 4096
_KNOWN_COUNT = 1 << 12
"""Texts up to that length, and so many of them, whose reading is kept."""
_SERVICE = attrgetter("service")
_ENOUGH_VOTES = 64
"""Statements that say whose they are, of a connection that is read in parts."""
_NOTHING: tuple[tuple[str, ...], tuple[RowChange, ...]] = ((), ())


class _Reading:
    """What follows from a command's text, its user and its schema: the fields of its statement.

    `service` is None where they do not say it; `image_ids` and `changes` are those it has if it is Glance's.
    """

    __slots__ = ("changes", "image_ids", "kind", "operation", "parsed", "service")

    def __init__(
        self,
        parsed: Statement | None,
        service: str | None,
        kind: str,
        operation: str,
        named: tuple[tuple[str, ...], tuple[RowChange, ...]],
    ) -> None:
        self.parsed = parsed
        self.service = service
        self.kind = kind
        self.operation = operation
        self.image_ids, self.changes = named


class StatementReader:
    """Reads the commands of one capture, or of a part of it, connection by connection.

    Args:
        parser: one to share with readers of other parts.

    Attributes:
        understands_all: there was no text of which only the first word is known.
    """

    def __init__(self, parser: StatementParser | None = None) -> None:
        self.understands_all = True
        self._parser = parser or StatementParser()
        self._parsed: dict[str, Statement] = {}
        self._readings: dict[tuple[str | None, str, str | None, str | None], _Reading] = {}

    def read(
        self, commands: Sequence[MysqlCommand], connection: Connection, default: str | None = None
    ) -> list[SqlStatement]:
        """Statements of one connection's commands, in the same order.

        `default` is whose they are where they do not say it themselves; None: whose most of the others are.
        """
        statements: list[SqlStatement] = []
        silent: list[tuple[SqlStatement, _Reading]] = []
        add = statements.append
        readings = self._readings
        for command in commands:
            schema = command.schema
            key = (command.sql, command.command, command.session.user, schema)
            reading = readings.get(key)
            if reading is None or command.params is not None:
                reading = self._reading(command)
                if command.params is None:
                    _keep(readings, key, reading, command.sql)
            service = reading.service
            statement = SqlStatement(
                command, reading.parsed, connection, service or "other", reading.kind, reading.operation, schema
            )
            add(statement)
            if service is None:
                silent.append((statement, reading))
            elif reading.image_ids or reading.changes:
                statement.image_ids, statement.changes = reading.image_ids, reading.changes
        if silent:
            votes = Counter(map(_SERVICE, statements))  # silent ones count as others' so far
            votes["other"] -= len(silent)
            _settle_silent(silent, default or _most(votes))
        return statements

    def vote(self, command: MysqlCommand) -> str | None:
        """Whose statement a command says it is; None if it does not say."""
        parsed = self.parse(command) if command.sql is not None and command.command in _TEXT_COMMANDS else None
        return service_of(parsed.shape if parsed is not None else None, command.session.user, command.schema)

    def parse(self, command: MysqlCommand) -> Statement:
        """The text of a command taken apart; texts that come again are taken apart once."""
        sql = command.sql or ""
        if command.params is not None:
            return self._parser.parse(sql, command.params)
        parsed = self._parsed.get(sql)
        if parsed is None:
            parsed = self._parser.parse(sql)
            _keep(self._parsed, sql, parsed, sql)
        return parsed

    def _reading(self, command: MysqlCommand) -> _Reading:
        name, user = command.command, command.session.user
        parsed = self.parse(command) if command.sql is not None and name in _TEXT_COMMANDS else None
        shape = parsed.shape if parsed is not None else None
        if shape is not None and not shape.parsed:
            self.understands_all = False
        kind = kind_of_statement(name, parsed, user)
        service = service_of(shape, user, command.schema)
        operation = shape.operation if shape is not None else name.removeprefix("COM_")
        named = _named(parsed, operation, name) if service in ("glance", None) else _NOTHING
        return _Reading(parsed, service, "request" if kind == "transaction" else kind, operation, named)


def _keep(cache: dict[_Key, _Item], key: _Key, item: _Item, sql: str | None) -> None:
    """Keep what a text gave. Texts come again soon or never, so a full cache begins anew."""
    if sql is None or len(sql) <= _LONGEST_KNOWN:
        if len(cache) >= _KNOWN_COUNT:
            cache.clear()
        cache[key] = item


def _most(votes: Mapping[str, int]) -> str:
    """Who has the most votes."""
    return max(sorted(votes), key=lambda service: votes[service]) if votes else "other"


class ServiceVotes:
    """Whose the connections are that are read in parts: by the first of their statements that say it."""

    def __init__(self) -> None:
        self._reader = StatementReader()
        self._votes: dict[Connection, Counter[str]] = {}
        self._settled: set[Connection] = set()

    def __getstate__(self) -> dict[Connection, Counter[str]]:
        return self._votes

    def __setstate__(self, state: dict[Connection, Counter[str]]) -> None:
        ServiceVotes.__init__(self)
        self._votes = state

    def join(self, others: ServiceVotes) -> None:
        """Take what another process has seen of other connections."""
        for connection, votes in others._votes.items():
            self._votes.setdefault(connection, Counter()).update(votes)

    def observe(self, commands: Sequence[tuple[MysqlCommand, Connection]]) -> None:
        """Further commands, of each connection in order."""
        for command, connection in commands:
            if connection in self._settled:
                continue
            service = self._reader.vote(command)
            if service is not None:
                votes = self._votes.setdefault(connection, Counter())
                votes[service] += 1
                if votes.total() >= _ENOUGH_VOTES:
                    self._settled.add(connection)

    def of(self, connection: Connection) -> str:
        """Whose statements a connection's are where they do not say it."""
        return _most(self._votes.get(connection, Counter()))


def _settle_silent(silent: Sequence[tuple[SqlStatement, _Reading]], default: str) -> None:
    """What says nothing itself belongs to whom most of its connection belongs to."""
    for statement, reading in silent:
        statement.service = default
        if default == "glance":
            statement.image_ids, statement.changes = reading.image_ids, reading.changes


def name_rows(statement: SqlStatement) -> None:
    """What a statement of Glance names and writes, by its text."""
    if statement.service == "glance":
        named = _named(statement.parsed, statement.operation, statement.command.command)
        statement.image_ids, statement.changes = named


def _named(parsed: Statement | None, operation: str, command: str) -> tuple[tuple[str, ...], tuple[RowChange, ...]]:
    if parsed is None or not parsed.shape.tables:
        return _NOTHING
    writes = operation != "SELECT" and command != "COM_STMT_PREPARE"
    return image_ids(parsed), row_changes(parsed) if writes else ()
