"""Commands become statements, transaction by transaction, as soon as it is known how each ended.

A connection's commands are held until one ends the transaction: COMMIT, ROLLBACK, the end of the session or of the
connection, or a response that says that autocommit is on and nothing is open (SERVER_STATUS_AUTOCOMMIT 0x0002,
SERVER_STATUS_IN_TRANS 0x0001, MySQL docs: "Status Flags"). What is held is bounded: a transaction that is longer is
read in parts, and what became of a part is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable

from glancetrace.correlate.outcome import settle_connection
from glancetrace.glance.statement import SqlStatement
from glancetrace.mysql.command import MysqlCommand
from glancetrace.net.run import Connection
from glancetrace.statements import StatementReader

__all__ = ["Transactions"]

_LONGEST = 2048
"""Commands of an open transaction that are held."""
_READER_LASTS = 1 << 16
"""Statements after which the reader is made anew: what it remembers of shapes grows with them."""
_ENDS = frozenset({"COMMIT", "ROLLBACK", "COMMIT WORK", "ROLLBACK WORK"})
_ENDS_SESSION = frozenset({"COM_QUIT", "COM_RESET_CONNECTION", "COM_CHANGE_USER"})
_IN_TRANS, _AUTOCOMMIT = 1, 2


class Transactions:
    """Open transactions of all connections."""

    def __init__(self) -> None:
        self._open: dict[Connection, list[MysqlCommand]] = {}
        self._reader = StatementReader()
        self._read = 0

    @property
    def held(self) -> int:
        """Connections with an open transaction."""
        return len(self._open)

    def take(
        self, commands: Iterable[tuple[MysqlCommand, Connection]], ended: Iterable[Connection]
    ) -> list[list[SqlStatement]]:
        """Transactions that ended with these commands and connections, in order of their ends."""
        whole: list[list[SqlStatement]] = []
        for command, connection in commands:
            held = self._open.setdefault(connection, [])
            held.append(command)
            if _ends_transaction(command) or len(held) >= _LONGEST:
                del self._open[connection]
                whole.append(self._settle(held, connection, closed=False))
        for connection in ended:
            left = self._open.pop(connection, None)
            if left is not None:
                whole.append(self._settle(left, connection, closed=bool(connection.closed)))
        whole.sort(key=lambda statements: (statements[-1].end_ts, statements[-1].command.request_frame))
        return whole

    def _settle(self, commands: list[MysqlCommand], connection: Connection, *, closed: bool) -> list[SqlStatement]:
        self._read += len(commands)
        if self._read > _READER_LASTS:
            self._reader, self._read = StatementReader(), 0
        statements = self._reader.read(commands, connection)
        settle_connection(statements, closed=closed)
        return statements


def _ends_transaction(command: MysqlCommand) -> bool:
    if command.command in _ENDS_SESSION:
        return True
    text = command.sql
    if text is not None and len(text) < 16 and text.strip(" ;\n").upper() in _ENDS:
        return True
    flags = command.status_flags
    return flags is not None and bool(flags & _AUTOCOMMIT) and not flags & _IN_TRANS
