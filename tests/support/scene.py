"""A scene: calls and database sessions with what they say, played through attribution and timeline without any bytes.

Times are milliseconds after the start. A session answers as a server does: it keeps the state of the transaction and
sets the status flags.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from glancetrace.correlate.attribute import attribute
from glancetrace.correlate.hidden import Half
from glancetrace.correlate.hops import fold_hops
from glancetrace.correlate.link import Link
from glancetrace.correlate.nesting import nest_calls
from glancetrace.correlate.outcome import settle_connection
from glancetrace.correlate.proxy import fold_proxied
from glancetrace.correlate.units import UnitOfWork, cut_units
from glancetrace.glance.call import ApiCall, Hop
from glancetrace.glance.statement import SqlStatement
from glancetrace.http.exchange import Body, Head, HttpExchange
from glancetrace.mysql.command import MysqlCommand, MysqlError, MysqlSession
from glancetrace.net.run import Connection, Endpoint
from glancetrace.statements import StatementReader
from glancetrace.timeline.image import ImageStory
from glancetrace.timeline.story import tell_stories

__all__ = ["DATABASE", "IMAGE", "OTHER", "START", "Played", "Scene", "Session", "ms", "select", "update"]

START = 1_582_001_395_000_000_000
IMAGE = "5fe95869-1c0b-4d60-9411-7ab6fec37ea8"
OTHER = "7b1a2c3d-0000-4000-8000-000000000002"
GLANCE_HOST = "192.0.2.20"
DATABASE: Endpoint = ("192.0.2.30", 3306)

_IN_TRANS, _AUTOCOMMIT = 1, 2
_BEGINS = ("SELECT", "INSERT", "UPDATE", "DELETE", "BEGIN", "START")
_COLUMNS = ("images_id", "images_status", "images_name", "images_size")


def ms(time: float) -> int:
    """Milliseconds after the start, as ns."""
    return START + round(time * 1_000_000)


def update(before: str | None, after: str, image: str = IMAGE, more: str = "") -> str:
    """The UPDATE of a save; `before` is its guard."""
    guard = f" AND images.status = '{before}'" if before else ""
    return f"UPDATE images SET name='overcloud-full', status='{after}'{more} WHERE images.id = '{image}'{guard}"


def select(image: str = IMAGE) -> str:
    """The SELECT of one image."""
    return f"SELECT images.id AS images_id, images.status AS images_status FROM images WHERE images.id = '{image}'"


class Session:
    """One connection to the database."""

    def __init__(self, scene: Scene, connection: Connection, session: MysqlSession, *, autocommit: bool) -> None:
        self.scene = scene
        self.connection = connection
        self.session = session
        self.autocommit = autocommit
        self.commands: list[MysqlCommand] = []
        self._in_transaction = False
        self._gap = False

    def gap(self) -> None:
        """Bytes of the client are missing here."""
        self._gap = True
        self.connection.bytes_missing[0] += 10

    def run(
        self,
        sql: str | None,
        at: float,
        lasts: float = 1,
        *,
        command: str = "COM_QUERY",
        affected: int | None = None,
        error: int | None = None,
        lost: bool = False,
        rows: list[tuple[Any, ...]] | None = None,
        columns: tuple[str, ...] = _COLUMNS,
    ) -> MysqlCommand:
        """A command and its response; `lost`: the response is not in the capture."""
        frame = self.scene.frame()
        word = (sql or "").split(" ", 1)[0].upper()
        row = MysqlCommand(
            self.session, len(self.commands) + 1, command, sql, self.session.schema, ms(at), frame, ms(at), frame
        )
        row.after_gap, self._gap = self._gap, False
        self.commands.append(row)
        if (word in ("COMMIT", "ROLLBACK") and " TO" not in (sql or "")) or error == 1213:
            self._in_transaction = False
        elif word in _BEGINS:
            self._in_transaction = not self.autocommit or self._in_transaction or word in ("BEGIN", "START")
        if lost:
            return row
        row.response_ts = row.response_end_ts = ms(at + lasts)
        row.response_frame = self.scene.frame()
        row.complete = True
        if error is not None:
            row.error = MysqlError(error, "HY000", "no")
            return row
        row.status_flags = _IN_TRANS * self._in_transaction | _AUTOCOMMIT * self.autocommit
        if rows is not None:
            row.columns, row.rows, row.returned_rows, row.rows_complete = columns, rows, len(rows), True
        elif word == "SELECT":
            row.returned_rows = 0
        elif word in ("INSERT", "UPDATE", "DELETE"):
            row.affected_rows = 1 if affected is None else affected
        else:
            row.affected_rows = 0
        return row

    def ping(self, at: float) -> None:
        """COM_PING."""
        self.run(None, at, command="COM_PING")

    def texts(self, at: float, *texts: str) -> None:
        """Commands one after another, 2 ms apart."""
        for number, text in enumerate(texts):
            self.run(text, at + 2 * number)

    def read(self, at: float, status: str, lasts: float = 1, image: str = IMAGE, size: int | None = None) -> None:
        """A checkout that reads an image row."""
        size_text = None if size is None else str(size)
        self.run(select(image), at, lasts, rows=[(image, status, "overcloud-full", size_text)])
        self.run("ROLLBACK", at + lasts + 0.5, 0.5)

    def write(self, at: float, *texts: str, end: str = "COMMIT") -> None:
        """A checkout that writes, 2 ms a statement."""
        self.texts(at, *texts, *([end, "ROLLBACK"] if end else []))


@dataclass
class Played:
    """What came of a scene."""

    calls: list[ApiCall]
    statements: list[SqlStatement]
    units: list[UnitOfWork]
    links: list[Link]
    images: list[ImageStory]

    @property
    def image(self) -> ImageStory:
        """The only image."""
        (image,) = self.images
        return image

    def link(self, sql: str) -> Link | None:
        """Link of the first statement whose text begins so."""
        statement = self.statement(sql)
        return next((link for link in self.links if link.statement_id == statement.id), None)

    def statement(self, sql: str) -> SqlStatement:
        """The first statement whose text begins so."""
        return next(s for s in self.statements if (s.command.sql or "").startswith(sql))

    def changes(self) -> list[tuple[str | None, str, str]]:
        """(from, to, certainty) of the only image."""
        return [(t.from_status, t.to_status, t.certainty) for t in self.image.transitions]


class Scene:
    """Calls and sessions."""

    def __init__(self) -> None:
        self.calls: list[ApiCall] = []
        self.sessions: list[Session] = []
        self._frame = 0
        self._port = 40_000

    def frame(self) -> int:
        """The next frame number."""
        self._frame += 1
        return self._frame

    def session(
        self,
        *,
        user: str | None = "glance",
        schema: str | None = "glance",
        client: str = GLANCE_HOST,
        server: Endpoint = DATABASE,
        scramble: bytes | None = None,
        closed: str = "",
        autocommit: bool = False,
    ) -> Session:
        """A connection to the database."""
        self._port += 1
        number = len(self.sessions) + 1
        connection = Connection(number, (client, self._port), server, False, START, 1, closed=closed)
        row = MysqlSession(number, user, schema, thread_id=7 if scramble else None, scramble=scramble)
        session = Session(self, connection, row, autocommit=autocommit)
        self.sessions.append(session)
        return session

    def call(
        self,
        operation: str,
        status: int | None,
        begin: float,
        end: float | None,
        *,
        client: Endpoint = ("192.0.2.10", 50_000),
        server: Endpoint = (GLANCE_HOST, 9292),
        method: str = "GET",
        target: str = "/v2/images",
        connection_id: int = 100,
        broken: str = "",
        headers: tuple[tuple[str, str], ...] = (),
        **fields: Any,
    ) -> ApiCall:
        """A call with one hop; without a status it has no response, and ends at `end` if it is `broken` off."""
        first, last = self.frame(), self.frame()
        ended = None if end is None else ms(end)
        exchange = HttpExchange(
            connection_id, 1, Head(method, target), ms(begin), first, Body(complete=True), end=broken
        )
        call = ApiCall(
            fields.pop("service", "glance"), method, target, None, fields.pop("route_prefix", ""), operation, status,
            fields.pop("request_id", None), ms(begin), first, last, client, server, connection_id, exchange=exchange,
            image_id=fields.pop("image_id", IMAGE), request_end_ts=ms(begin), request_frame=first,
        )  # fmt: skip
        if status is not None and ended is not None:
            exchange.response = Head(status_code=status, headers=headers)
            call.response_ts, call.response_frame, call.dur, call.complete = ended, last, ended - call.ts, True
        else:
            exchange.end_ts = ended
        for name, value in fields.items():
            setattr(call, name, value)
        call.hops = [Hop(client, server, connection_id, call.ts, call.dur, first, last, window=(call.ts, ended))]
        self.calls.append(call)
        return call

    def units(self) -> tuple[list[SqlStatement], list[UnitOfWork]]:
        """Statements in order, and units of work, before attribution."""
        reader = StatementReader()
        by_connection: dict[int, list[SqlStatement]] = {}
        for session in self.sessions:
            rows = by_connection[session.connection.id] = reader.read(session.commands, session.connection)
            settle_connection(rows, closed=bool(session.connection.closed))
        by_connection = fold_proxied(by_connection)
        statements = sorted((s for rows in by_connection.values() for s in rows), key=lambda s: s.command.ts)
        for number, statement in enumerate(statements, 1):
            statement.id = number
        return statements, [unit for rows in by_connection.values() for unit in cut_units(rows)]

    def play(self, halves: Sequence[Half] = ()) -> Played:
        """Everything that the pipeline does with these rows."""
        calls = fold_hops(self.calls)
        for number, call in enumerate(calls, 1):
            call.id = number
        nest_calls(calls)
        statements, units = self.units()
        by_service: dict[str, list[UnitOfWork]] = {}
        for number, unit in enumerate(units, 1):
            by_service.setdefault(unit.statements[0].service, []).append(unit)
            for statement in unit.statements:
                statement.unit_id = number
        links = attribute(calls, {key: rows for key, rows in by_service.items() if key != "other"}, halves)
        own = [s for s in statements if s.service == "glance"]
        images = tell_stories(own, calls, {link.statement_id: link for link in links})
        return Played(calls, statements, units, links, images)
