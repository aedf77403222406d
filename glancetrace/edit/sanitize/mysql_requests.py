"""Requests of MySQL: where secrets stand in statements and in parameters (MySQL Server documentation, "Command Phase").

Which parameters of a prepared statement are secrets is known from its text; a parameter of a statement that was
prepared before the capture is judged by what it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from glancetrace.edit.sanitize.known import KnownSecrets
from glancetrace.edit.sanitize.loose import find_loosely, find_loosely_in_sql
from glancetrace.edit.sanitize.mysql_login import change_user_secrets
from glancetrace.edit.sanitize.mysql_values import Statement, execute_values, secret_parameters
from glancetrace.edit.sanitize.plan import StreamPlan
from glancetrace.edit.sanitize.spans import Span, find_at_end, find_in_sql, find_in_text
from glancetrace.mysql.constants import Command

__all__ = ["RequestSpans"]

_SQL_TEXT = frozenset((Command.COM_QUERY, Command.COM_STMT_PREPARE, Command.COM_CREATE_DB, Command.COM_FIELD_LIST))
_PLAIN = frozenset(
    (
        Command.COM_QUIT, Command.COM_INIT_DB, Command.COM_DROP_DB, Command.COM_REFRESH, Command.COM_SHUTDOWN,
        Command.COM_STATISTICS, Command.COM_PROCESS_INFO, Command.COM_PROCESS_KILL, Command.COM_DEBUG, Command.COM_PING,
        Command.COM_STMT_CLOSE, Command.COM_STMT_RESET, Command.COM_SET_OPTION, Command.COM_STMT_FETCH,
        Command.COM_RESET_CONNECTION,
    )
)  # fmt: skip
_LAST_PREPARED = 0xFFFFFFFF
"""MariaDB: the statement that was prepared last."""


def _find_in_sql(sql: str) -> Iterator[Span]:
    yield from find_in_sql(sql)
    yield from find_loosely_in_sql(sql)


class RequestSpans:
    """Plans the requests of one session.

    Attributes:
        statements: prepared ones, by id. preparing: those whose id is not known yet. executing: those whose response is
            awaited.
    """

    def __init__(self, known: KnownSecrets) -> None:
        self._known = known
        self.statements: dict[int, Statement] = {}
        self.preparing: deque[Statement] = deque()
        self.executing: deque[Statement | None] = deque()

    def read(self, code: int, payload: bytes, at: int, stream: StreamPlan, *, cut: bool = False) -> bool:
        """Plan the payload of a request with the command `code`; True when it was understood."""
        if code in _SQL_TEXT:
            self.read_sql(code, payload, at, stream, cut=cut)
            return True
        if cut:
            return False
        if code in _PLAIN:
            if code == Command.COM_STMT_CLOSE:
                self.statements.pop(int.from_bytes(payload[1:5], "little"), None)
            return True
        if code == Command.COM_CHANGE_USER:
            self._known.conceal_ranges(stream, at, payload, change_user_secrets(payload))
            return True
        if code == Command.COM_STMT_EXECUTE:
            return self._read_execute(payload, at, stream)
        if code == Command.COM_STMT_SEND_LONG_DATA:
            self._read_long_data(payload, at, stream)
            return True
        stream.keep(at, at + 1)
        return False

    def read_sql(self, code: int, payload: bytes, at: int, stream: StreamPlan, *, cut: bool = False) -> None:
        """Plan a request with a statement."""
        hinted = self._known.is_hinted(payload)
        text = payload.decode("latin-1") if hinted or code == Command.COM_STMT_PREPARE else ""
        if hinted:
            found = [
                *self._known.found(_find_in_sql, text[1:]),
                *(find_at_end(text[1:]) if cut else ()),
                *self._known.beyond(text[1:]),
            ]
            spans = [Span(span.begin + 1, span.end + 1, span.kind, span.spelling) for span in found]
            self._known.replace(stream, at, text, spans)
        if code == Command.COM_STMT_PREPARE:
            self.preparing.append(Statement(*secret_parameters(text[1:])))

    def _statement(self, payload: bytes) -> Statement | None:
        number = int.from_bytes(payload[1:5], "little")
        if number == _LAST_PREPARED and self.statements:
            return next(reversed(self.statements.values()))
        return self.statements.get(number)

    def _read_execute(self, payload: bytes, at: int, stream: StreamPlan) -> bool:
        stream.keep(at, at + min(10, len(payload)))
        statement = self._statement(payload)
        self.executing.append(statement)
        places = execute_values(payload, statement or Statement(frozenset()))
        if places is None:
            return len(payload) <= 10
        text = payload.decode("latin-1")
        spans: list[Span] = []
        for place in places:
            if statement is not None and place.number in statement.secret:
                spans.append(Span(place.begin, place.end, "parameter", "plain"))
            else:
                value = text[place.begin : place.end]
                found = [*find_in_text(value), *find_loosely(value), *self._known.beyond(value)]
                spans += [Span(one.begin + place.begin, one.end + place.begin, one.kind, one.spelling) for one in found]
        self._known.replace(stream, at, text, spans)
        return True

    def _read_long_data(self, payload: bytes, at: int, stream: StreamPlan) -> None:
        statement = self._statement(payload)
        text = payload.decode("latin-1")
        if statement is None or int.from_bytes(payload[5:7], "little") in statement.secret:
            spans = [Span(7, len(text), "parameter", "plain")]
        else:
            spans = [
                Span(one.begin + 7, one.end + 7, one.kind, one.spelling)
                for one in (*find_in_text(text[7:]), *find_loosely(text[7:]), *self._known.beyond(text[7:]))
            ]
        self._known.replace(stream, at, text, [span for span in spans if span.begin < span.end])
