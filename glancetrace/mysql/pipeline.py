"""Commands that wait for their responses, in the order in which they were sent, and what they do to the session.

The head of the queue is the command that the server works on. A command takes effect on the session when it becomes the
head (values are bound, statements closed) or when its response is complete (schema, user, statements prepared).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from glancetrace.issues import IssueLog
from glancetrace.mysql.command import MysqlCommand, MysqlSession, Value
from glancetrace.mysql.commands import ResponseForm, response_form
from glancetrace.mysql.constants import Command
from glancetrace.mysql.handshake import parse_change_user
from glancetrace.mysql.prepared import Prepared, Statements, bind_bulk, bind_execute

__all__ = ["Pipeline", "forget_response"]

_MAX_WAITING = 256
_BINDERS: dict[int, Callable[[Prepared, bytes], tuple[Value, ...] | None]] = {
    Command.COM_STMT_EXECUTE: bind_execute,
    Command.COM_STMT_BULK_EXECUTE: bind_bulk,
}


class Pipeline:
    """The queue of one connection.

    Attributes:
        head, code, payload: the command that is answered next, its first byte, its payload (empty where only the text
            matters); head is None when nothing waits.
        sequence: id of the first packet of the head's response, -1 when any will do.
        prepared: statement that the head is about.
        status_flags: as the server sent them last, None if not known.
        confirmed: a response has shown that the bytes taken for commands are commands.
        ordinal: of the last command.
    """

    __slots__ = (
        "_issues",
        "_statements",
        "_waiting",
        "code",
        "confirmed",
        "emit",
        "head",
        "ordinal",
        "payload",
        "prepared",
        "sequence",
        "session",
        "status_flags",
    )

    def __init__(self, session: MysqlSession, emit: Callable[[MysqlCommand], None], issues: IssueLog) -> None:
        self.session = session
        self.emit = emit
        self._issues = issues
        self._statements = Statements()
        self._waiting: deque[tuple[MysqlCommand, int, bytes, int]] = deque()
        self.head: MysqlCommand | None = None
        self.code = 0
        self.payload = b""
        self.sequence = 1
        self.prepared: Prepared | None = None
        self.status_flags: int | None = None
        self.confirmed = False
        self.ordinal = 0

    @property
    def waiting(self) -> int:
        """Commands behind the head."""
        return len(self._waiting)

    def add(self, command: MysqlCommand, code: int, payload: bytes, sequence: int) -> None:
        """A request is complete; its response begins with the id `sequence` (-1: any)."""
        self._waiting.append((command, code, payload, sequence))
        if self.head is None:
            self.advance()
        elif len(self._waiting) > _MAX_WAITING:
            self.abandon()

    def advance(self) -> None:
        """The head is finished: go on to the next command; those without a response are finished at once."""
        self.head = None
        self.prepared = None
        while self._waiting:
            command, code, payload, sequence = self._waiting.popleft()
            command.schema = self.session.schema
            command.status_before = self.status_flags
            self._begin(command, code, payload)
            if response_form(code) is not ResponseForm.NONE:
                self.head, self.code, self.payload, self.sequence = command, code, payload, sequence
                return
            command.complete = not command.cut
            self.emit(command)

    def finish(self, prepared: Prepared | None, schema: str | None, *, damaged: bool) -> None:
        """The head's response is complete, but for bytes missing within rows (`damaged`).

        `prepared`, `schema`: what the response says of them.
        """
        head = self.head
        if head is None:
            return
        self.confirmed = True
        head.complete = not head.cut and not damaged
        self.settle(head, prepared, schema)
        self.emit(head)
        self.advance()

    def settle(self, head: MysqlCommand, prepared: Prepared | None, schema: str | None) -> None:
        """What a response leaves behind in the session."""
        session = self.session
        if head.status_flags is not None:
            self.status_flags = head.status_flags
        code = self.code
        if head.error is None:
            if code == Command.COM_STMT_PREPARE and prepared is not None:
                self._statements.add(prepared)
            elif code == Command.COM_INIT_DB:
                session.schema = head.sql
            elif code == Command.COM_QUERY and head.returned_rows is None and head.sql:
                session.schema = used_schema(head.sql) or session.schema
            elif code == Command.COM_CHANGE_USER:
                login = parse_change_user(self.payload)
                self._statements.clear()
                session.user = login.user if login else None
                session.schema = login.schema if login else None
            elif code == Command.COM_RESET_CONNECTION:
                self._statements.clear()
        elif code == Command.COM_STMT_PREPARE:
            self._statements.forget_last()
        if schema is not None:
            session.schema = schema

    def abandon(self) -> None:
        """The head's response is lost: what is known of it is a row."""
        head = self.head
        if head is None:
            return
        if self.code == Command.COM_STMT_PREPARE:
            self._statements.forget_last()
        self.status_flags = None
        head.complete = False
        self._issues.count("mysql-response-missing", frame=head.first_frame, connection_id=self.session.connection_id)
        self.emit(head)
        self.advance()

    def retract(self) -> None:
        """What was taken for a command was none: no row."""
        self._waiting.clear()
        self.head = None
        self.ordinal = 0

    def _begin(self, command: MysqlCommand, code: int, payload: bytes) -> None:
        """The server turns to `command`."""
        if code in (Command.COM_QUERY, Command.COM_PING):
            return
        statements = self._statements
        if code == Command.COM_STMT_CLOSE:
            statements.close(payload)
        elif code == Command.COM_STMT_SEND_LONG_DATA:
            statements.add_long_data(payload)
        elif code == Command.COM_STMT_RESET:
            statements.reset(payload)
        elif code == Command.COM_STMT_FETCH:
            self.prepared = statements.of(payload)
        elif code in _BINDERS:
            self.prepared = prepared = statements.of(payload)
            if prepared is None:
                self._issues.count(
                    "mysql-statement-unknown", frame=command.first_frame, connection_id=self.session.connection_id
                )
                return
            command.sql = prepared.sql
            if not command.cut:
                command.params = _BINDERS[code](prepared, payload)


def forget_response(command: MysqlCommand) -> None:
    """What was taken for the response of `command` may be another's."""
    command.response_ts = command.response_end_ts = command.response_frame = None
    command.returned_rows = command.affected_rows = command.last_insert_id = command.status_flags = None
    command.error = None
    command.columns = command.rows = None
    command.rows_complete = False


def used_schema(sql: str) -> str | None:
    """Schema of a USE statement, None when it is no such statement."""
    if sql[:3].lower() != "use" or not sql[3:4].isspace():
        return None
    return sql[4:].strip().rstrip(";").strip().strip("`") or None
