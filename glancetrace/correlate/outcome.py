"""What became of each statement's transaction.

Services connect with autocommit off, so a write counts only from the server's OK to the COMMIT on. The session's state
is read from the commands themselves and from the status flags of OK and EOF packets (SERVER_STATUS_IN_TRANS 0x0001,
SERVER_STATUS_AUTOCOMMIT 0x0002, MySQL docs: "Status Flags"), which is all there is for a session that began before the
capture. Implicit commits are those of MySQL docs, "Statements That Cause an Implicit Commit". Where bytes of the client
are missing, its COMMIT or ROLLBACK may have been among them: what was open then stays unknown.
"""

from __future__ import annotations

from collections.abc import Sequence

from glancetrace.glance.statement import SqlStatement

__all__ = ["COMMITTED", "ROLLED_BACK", "UNKNOWN", "ends_transaction", "settle_connection"]

COMMITTED = "committed"
ROLLED_BACK = "rolled_back"
UNKNOWN = "unknown"

_IN_TRANS = 0x0001
_AUTOCOMMIT = 0x0002
_ER_LOCK_DEADLOCK = 1213
_PLAIN_LEN = len("ROLLBACK;")
_WRITES = frozenset({"INSERT", "UPDATE", "DELETE", "REPLACE", "LOAD"})
_ENDS_SESSION = frozenset({"CHANGE_USER", "RESET_CONNECTION", "QUIT"})
_BEGINS = frozenset({"BEGIN", "START", "LOCK"})
_DEFINES = frozenset({"CREATE", "ALTER", "DROP", "TRUNCATE", "RENAME", "GRANT", "REVOKE"})
_SPECIAL = _BEGINS | _DEFINES | {"SAVEPOINT", "SET"}
_UNUSUAL = _SPECIAL | _ENDS_SESSION | {"COMMIT", "ROLLBACK"}


class _Transaction:
    """Statements of a connection whose fate is open."""

    __slots__ = ("savepoints", "statements", "wrote")

    def __init__(self) -> None:
        self.statements: list[SqlStatement] = []
        self.savepoints: dict[str, int] = {}
        self.wrote = False

    def settle(self, outcome: str, ts: int | None = None, frame: int | None = None, start: int = 0) -> None:
        """Decide all statements from index `start` on."""
        if outcome != UNKNOWN:
            for statement in self.statements[start:] if start else self.statements:
                if statement.outcome == UNKNOWN:
                    statement.outcome = outcome
                    if outcome == COMMITTED:
                        statement.commit_ts, statement.commit_frame = ts, frame
        del self.statements[start:]
        if start == 0:
            self.savepoints.clear()
            self.wrote = False


def settle_connection(statements: Sequence[SqlStatement], closed: bool) -> list[int]:
    """Fill `outcome`, `commit_ts` and `commit_frame` of one connection's statements, given in order.

    Args:
        statements: all statements of the connection, or those from a moment on when no transaction was open.
        closed: the end of the connection is in the capture, so what was open then was rolled back by the server.

    Returns:
        After how many statements no transaction was open, ascending.
    """
    transaction = _Transaction()
    clean = []
    for count, statement in enumerate(statements, 1):
        command, operation = statement.command, statement.operation
        unusual = operation in _UNUSUAL or command.error is not None or command.after_gap
        if not (unusual and _run_unusual(statement, transaction)):
            flags = command.status_flags
            if flags is not None and flags & _AUTOCOMMIT and not flags & _IN_TRANS:
                transaction.settle(UNKNOWN)
                statement.outcome = COMMITTED
                statement.commit_ts, statement.commit_frame = command.response_end_ts, command.request_frame
            else:
                if transaction.wrote and flags is not None and not flags & _IN_TRANS and operation not in _WRITES:
                    # The transaction ended and the capture does not show how: its COMMIT or ROLLBACK was lost.
                    transaction.settle(UNKNOWN)
                transaction.statements.append(statement)
                transaction.wrote = transaction.wrote or operation in _WRITES
        if not transaction.statements:
            clean.append(count)
    if transaction.statements:
        whole = not transaction.statements[-1].connection.bytes_missing[0]
        transaction.settle(ROLLED_BACK if closed and whole else UNKNOWN)
    return clean


def ends_transaction(statement: SqlStatement) -> bool:
    """It is a COMMIT or ROLLBACK of the whole transaction."""
    operation = statement.operation
    if operation != "ROLLBACK":
        return operation == "COMMIT"
    text = statement.command.sql or ""
    return len(text) <= _PLAIN_LEN or not _savepoint(text)


def _run_unusual(statement: SqlStatement, transaction: _Transaction) -> bool:
    """What a command does that ends or begins a transaction, fails, or follows missing bytes; whether that is all."""
    command = statement.command
    operation = statement.operation
    if command.after_gap:
        transaction.settle(UNKNOWN)
    if operation == "COMMIT":
        _commit(statement, transaction)
    elif operation == "ROLLBACK":
        _roll_back(statement, transaction)
    elif operation in _ENDS_SESSION:
        transaction.statements.append(statement)
        transaction.settle(ROLLED_BACK)
    elif command.error is not None:
        transaction.statements.append(statement)
        # A deadlock rolls the whole transaction back; any other error only its own statement.
        rolled_back_from = 0 if command.error.code == _ER_LOCK_DEADLOCK else len(transaction.statements) - 1
        transaction.settle(ROLLED_BACK, start=rolled_back_from)
    else:
        return operation in _SPECIAL and _run_special(statement, transaction)
    return True


def _commit(statement: SqlStatement, transaction: _Transaction) -> None:
    command = statement.command
    transaction.statements.append(statement)
    if command.error is not None:
        transaction.settle(ROLLED_BACK)
    elif command.response_end_ts is None:
        transaction.settle(UNKNOWN)
    else:
        transaction.settle(COMMITTED, command.response_end_ts, command.request_frame)


def _roll_back(statement: SqlStatement, transaction: _Transaction) -> None:
    """ROLLBACK, also one without a response: the connection's end rolls back, too."""
    text = statement.command.sql or ""
    savepoint = _savepoint(text) if len(text) > _PLAIN_LEN else ""
    if not savepoint:
        transaction.statements.append(statement)
        transaction.settle(ROLLED_BACK)
        return
    if statement.command.error is None:
        start = transaction.savepoints.get(savepoint)
        transaction.settle(UNKNOWN if start is None else ROLLED_BACK, start=start or 0)
    transaction.statements.append(statement)


def _run_special(statement: SqlStatement, transaction: _Transaction) -> bool:
    """What a command does to the transaction before it runs; whether there is nothing else to it."""
    command = statement.command
    operation = statement.operation
    text = command.sql or ""
    defines = operation in _DEFINES
    if operation == "SAVEPOINT":
        transaction.savepoints[_savepoint(text)] = len(transaction.statements)
    elif defines or operation in _BEGINS or _turns_autocommit_on(text):
        if defines:
            transaction.statements.append(statement)
        if command.response_end_ts is None:
            transaction.settle(UNKNOWN)
        else:
            transaction.settle(COMMITTED, command.response_end_ts, command.request_frame)
    return defines


def _savepoint(text: str) -> str:
    """Name of the savepoint in `SAVEPOINT x` or `ROLLBACK TO [SAVEPOINT] x`, "" without one."""
    if len(text) <= _PLAIN_LEN:
        return ""
    words = text.replace("`", "").rstrip("; \n").upper().split()
    if "TO" in words or words[:1] == ["SAVEPOINT"]:
        return words[-1]
    return ""


def _turns_autocommit_on(text: str) -> bool:
    words = text.lower().replace("@@", " ").replace("session.", " ").replace("=", " = ").rstrip("; ").split()
    return [word for word in words if word != "session"] in (
        ["set", "autocommit", "=", on] for on in ("1", "on", "true")
    )
