"""Commands become statements: text taken apart, whose it is, what it is for, what it names and writes.

Most commands are a few dozen texts over and over (ROLLBACK, COMMIT, pings) or a few dozen shapes with other literals:
what follows from the text or the shape alone is worked out once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from glancetrace.glance.database import image_ids, kind_of_statement, row_changes, service_of
from glancetrace.glance.statement import SqlStatement
from glancetrace.mysql.command import MysqlCommand
from glancetrace.net.run import Connection
from glancetrace.sql.parser import StatementParser
from glancetrace.sql.statement import Statement

__all__ = ["ServiceVotes", "StatementReader", "name_rows"]

_TEXT_COMMANDS = frozenset({"COM_QUERY", "COM_STMT_EXECUTE", "COM_STMT_PREPARE", "COM_STMT_BULK_EXECUTE"})
_SHORT = 32
"""Texts up to this length are kept whole: they have no literals, or always the same."""
_SHORT_COUNT = 1024
_ENOUGH_VOTES = 64
"""Statements that say whose they are, of a connection that is read in parts."""


class StatementReader:
    """Reads the commands of one capture, or of a part of it, connection by connection.

    Args:
        parser: one to share with readers of other parts. What a reader itself remembers it knows of statements that
            are in memory as long as it is.
    """

    def __init__(self, parser: StatementParser | None = None) -> None:
        self._parser = parser or StatementParser()
        self._short: dict[str, Statement] = {}
        self._kinds: dict[tuple[int, str, str | None], str] = {}
        self._services: dict[tuple[int, str | None, str | None], str | None] = {}

    def read(
        self, commands: Sequence[MysqlCommand], connection: Connection, default: str | None = None
    ) -> list[SqlStatement]:
        """Statements of one connection's commands, in the same order.

        `default` is whose they are where they do not say it themselves; None: whose most of the others are.
        """
        statements: list[SqlStatement] = []
        services: list[str | None] = []
        kinds, known_services = self._kinds, self._services
        for command in commands:
            user = command.session.user
            schema = command.schema
            name = command.command
            parsed = self.parse(command) if command.sql is not None and name in _TEXT_COMMANDS else None
            # Shapes live as long as the parser, so their identity is a key; hashing them would cost more than all this.
            shape = parsed.shape if parsed is not None else None
            shape_key = id(shape) if shape is not None else 0
            kind = kinds.get((shape_key, name, user))
            if kind is None:
                kind = kind_of_statement(name, parsed, user)
                if shape is None or shape.operation != "SHOW":  # there the literals count
                    kinds[shape_key, name, user] = kind
            service_key = (shape_key, user, schema)
            if service_key in known_services:
                service = known_services[service_key]
            else:
                service = known_services[service_key] = service_of(shape, user, schema)
            services.append(service)
            statements.append(
                SqlStatement(
                    command,
                    parsed,
                    connection,
                    "other",
                    "request" if kind == "transaction" else kind,
                    shape.operation if shape is not None else name.removeprefix("COM_"),
                    schema,
                )
            )
        _settle_services(statements, services, default or _most(Counter(filter(None, services))))
        return statements

    def vote(self, command: MysqlCommand) -> str | None:
        """Whose statement a command says it is; None if it does not say."""
        parsed = self.parse(command) if command.sql is not None and command.command in _TEXT_COMMANDS else None
        return service_of(parsed.shape if parsed is not None else None, command.session.user, command.schema)

    def parse(self, command: MysqlCommand) -> Statement:
        """The text of a command taken apart; short texts are taken apart once."""
        sql = command.sql or ""
        if len(sql) > _SHORT or command.params is not None:
            return self._parser.parse(sql, command.params)
        parsed = self._short.get(sql)
        if parsed is None:
            parsed = self._parser.parse(sql)
            if len(self._short) < _SHORT_COUNT:
                self._short[sql] = parsed
        return parsed


def _most(votes: Counter[str]) -> str:
    """Who has the most votes."""
    return max(sorted(votes), key=votes.__getitem__) if votes else "other"


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


def _settle_services(statements: list[SqlStatement], services: list[str | None], default: str) -> None:
    """Whose statements they are; what says nothing itself belongs to whom most of its connection belongs to."""
    for statement, service in zip(statements, services, strict=True):
        statement.service = service or default
        name_rows(statement)


def name_rows(statement: SqlStatement) -> None:
    """What a statement of Glance names and writes, by its text."""
    if statement.service == "glance" and statement.parsed is not None and statement.parsed.shape.tables:
        statement.image_ids = image_ids(statement.parsed)
        if statement.operation != "SELECT" and statement.command.command != "COM_STMT_PREPARE":
            statement.changes = row_changes(statement.parsed)
