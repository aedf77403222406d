"""What became of each statement's transaction.

Services connect with autocommit off, so a write counts only from the server's OK to the COMMIT on. The session's state
is read from the commands themselves and from the status flags of OK and EOF packets (SERVER_STATUS_IN_TRANS 0x0001,
SERVER_STATUS_AUTOCOMMIT 0x0002, MySQL docs: "Status Flags"), which is all there is for a session that began before the
capture.
"""

from __future__ import annotations

from collections.abc import Iterable

from glancetrace.glance.statement import SqlStatement

__all__ = ["COMMITTED", "ROLLED_BACK", "UNKNOWN", "settle_connection"]

COMMITTED = "committed"
ROLLED_BACK = "rolled_back"
UNKNOWN = "unknown"

_IN_TRANS = 0x0001
_AUTOCOMMIT = 0x0002
_ER_LOCK_DEADLOCK = 1213
_WRITES = frozenset({"INSERT", "UPDATE", "DELETE", "REPLACE", "LOAD"})
_IMPLICIT_COMMIT = frozenset(
    {"BEGIN", "START", "CREATE", "ALTER", "DROP", "TRUNCATE", "RENAME", "GRANT", "REVOKE", "LOCK"}
)


class _Transaction:
    """Statements of a connection whose fate is open."""

    __slots__ = ("savepoints", "statements", "wrote")

    def __init__(self) -> None:
        self.statements: list[SqlStatement] = []
        self.savepoints: dict[str, int] = {}
        self.wrote = False

    def settle(self, outcome: str, ts: int | None = None, frame: int | None = None, start: int = 0) -> None:
        """Decide all statements from index `start` on."""
        for statement in self.statements[start:]:
            if statement.outcome == UNKNOWN:
                statement.outcome = outcome
                if outcome == COMMITTED:
                    statement.commit_ts, statement.commit_frame = ts, frame
        del self.statements[start:]
        if start == 0:
            self.savepoints.clear()
            self.wrote = False


def settle_connection(statements: Iterable[SqlStatement], closed: bool) -> None:
    """Fill `outcome`, `commit_ts` and `commit_frame` of one connection's statements, given in order.

    Args:
        statements: all statements of the connection.
        closed: the end of the connection is in the capture, so what was open then was rolled back by the server.
    """
    transaction = _Transaction()
    for statement in statements:
        _settle_statement(statement, transaction)
    transaction.settle(ROLLED_BACK if closed else UNKNOWN)


def _settle_statement(statement: SqlStatement, transaction: _Transaction) -> None:
    command = statement.command
    operation = statement.operation
    text = command.sql or ""
    if operation == "COMMIT":
        transaction.statements.append(statement)
        if command.error is not None:
            transaction.settle(ROLLED_BACK)
        elif command.response_end_ts is None:
            transaction.settle(UNKNOWN)
        else:
            transaction.settle(COMMITTED, command.response_end_ts, command.request_frame)
        return
    if operation == "ROLLBACK":
        transaction.statements.append(statement)
        savepoint = _savepoint(text)
        transaction.settle(ROLLED_BACK, start=transaction.savepoints.get(savepoint, 0) if savepoint else 0)
        return
    if operation == "SAVEPOINT":
        transaction.savepoints[_savepoint(text)] = len(transaction.statements)
    if command.error is not None:
        transaction.statements.append(statement)
        # A deadlock rolls the whole transaction back; any other error only its own statement.
        rolled_back_from = 0 if command.error.code == _ER_LOCK_DEADLOCK else len(transaction.statements) - 1
        transaction.settle(ROLLED_BACK, start=rolled_back_from)
        return
    if operation in _IMPLICIT_COMMIT or (operation == "SET" and _turns_autocommit_on(text)):
        transaction.settle(COMMITTED, command.ts, command.request_frame)
    flags = command.status_flags
    if flags is not None and flags & _AUTOCOMMIT and not flags & _IN_TRANS:
        transaction.settle(UNKNOWN)
        statement.outcome = COMMITTED
        statement.commit_ts, statement.commit_frame = command.response_end_ts, command.request_frame
        return
    if transaction.wrote and flags is not None and not flags & _IN_TRANS and operation not in _WRITES:
        # The transaction ended and the capture does not show how: its COMMIT or ROLLBACK was lost.
        transaction.settle(UNKNOWN)
    transaction.statements.append(statement)
    transaction.wrote = transaction.wrote or operation in _WRITES


def _savepoint(text: str) -> str:
    """Name of the savepoint in `SAVEPOINT x` or `ROLLBACK TO [SAVEPOINT] x`, "" without one."""
    words = text.replace("`", "").rstrip("; \n").upper().split()
    if "TO" in words or words[:1] == ["SAVEPOINT"]:
        return words[-1]
    return ""


def _turns_autocommit_on(text: str) -> bool:
    return text.replace(" ", "").rstrip(";").lower().removeprefix("setsession").removeprefix("set@@").removeprefix(
        "set"
    ) in {"autocommit=1", "autocommit=on", "autocommit=true"}
