"""Rows of a result, made by hand: calls, statements, links and images with the fields that a test is about."""

from __future__ import annotations

from typing import Any

from glancetrace.correlate.link import CERTAIN, Link
from glancetrace.glance.call import ApiCall
from glancetrace.glance.database import image_ids
from glancetrace.glance.statement import SqlStatement
from glancetrace.http.exchange import Body, Head, HttpExchange
from glancetrace.mysql.command import MysqlCommand, MysqlError, MysqlSession
from glancetrace.net.run import Connection
from glancetrace.sql.parser import StatementParser
from glancetrace.timeline.image import ImageStory, StatusInterval, Transition
from glancetrace.trace import Accounting, CapturedFile, CaptureSummary, Tables

__all__ = ["IMAGE_ID", "SECOND", "START", "Rows", "story"]

START = 1_582_001_395_000_000_000
SECOND = 1_000_000_000
IMAGE_ID = "5fe95869-1c0b-4d60-9411-7ab6fec37ea8"

_CLIENT, _API, _DATABASE = ("192.0.2.10", 40_000), ("192.0.2.20", 9292), ("192.0.2.30", 3306)


def at(seconds: float) -> int:
    """Seconds after the start, as ns."""
    return START + round(seconds * SECOND)


def story(*path: tuple[str | None, str, float], **fields: Any) -> ImageStory:
    """An image with a status history: (from, to, seconds after the start) for each change."""
    image = ImageStory(fields.pop("id", IMAGE_ID), name=fields.pop("name", "overcloud-full"))
    certainty = fields.pop("certainty", "observed")
    source = fields.pop("source", "sql")
    for number, (before, after, seconds) in enumerate(path, 1):
        frame = 100 * number
        change = Transition(before, after, at(seconds), source, certainty, True, None, None, frame, frame + 1)
        image.transitions.append(change)
        if image.intervals:
            image.intervals[-1].dur = at(seconds) - image.intervals[-1].ts
        image.intervals.append(StatusInterval(after, at(seconds), None))
        image.status = after
    for name, value in fields.items():
        setattr(image, name, value)
    return image


class Rows:
    """Tables that grow by one row per call, with ids in order."""

    def __init__(self) -> None:
        self.tables = Tables()
        self._parser = StatementParser()
        self._frame = 1000

    def frame(self) -> int:
        """A frame number of its own."""
        self._frame += 1
        return self._frame

    def capture(self, lasts: float = 60, missing: int = 0) -> CaptureSummary:
        """What was read: so many seconds, so many stream bytes missing."""
        accounting = Accounting(packets_decoded=10, stream_bytes=100 + missing, stream_bytes_decoded=100)
        accounting.stream_bytes_missing = missing
        return CaptureSummary([CapturedFile("x.pcap", 1, 10)], 10, 1000, START, at(lasts), [1], 2, accounting)

    def call(self, operation: str, status: int | None, seconds: float, lasts: float = 0.01, **fields: Any) -> ApiCall:
        """A call to Glance; `end` says how its exchange ended, further fields are set as they are."""
        first, last = self.frame(), self.frame()
        request = Head("GET", "/v2/images", headers=tuple(fields.pop("headers", ())))
        exchange = HttpExchange(1, 1, request, at(seconds), first, end=fields.pop("end", ""))
        exchange.request_body = fields.pop("request_body", Body(complete=True))
        exchange.response_body = fields.pop("response_body", Body(complete=True))
        if status is not None:
            exchange.response = Head(status_code=status)
        call = ApiCall(
            service=fields.pop("service", "glance"),
            method="GET",
            target="/v2/images",
            route=None,
            route_prefix="",
            operation=operation,
            status_code=status,
            request_id=None,
            ts=at(seconds),
            first_frame=first,
            last_frame=last,
            client=_CLIENT,
            server=_API,
            connection_id=1,
            exchange=exchange,
            id=len(self.tables.calls) + 1,
            image_id=fields.pop("image_id", IMAGE_ID),
        )
        call.request_frame = first
        if status is not None:
            call.response_ts = at(seconds + lasts)
            call.dur = round(lasts * SECOND)
            call.response_frame = last
        for name, value in fields.items():
            setattr(call, name, value)
        self.tables.calls.append(call)
        return call

    def statement(
        self, sql: str, seconds: float, lasts: float = 0.001, *, call: ApiCall | None = None, **fields: Any
    ) -> SqlStatement:
        """A statement, of Glance if nothing else is said, linked to `call` if there is one."""
        session = MysqlSession(2, fields.pop("user", "glance"), fields.get("schema", "glance"))
        first, last = self.frame(), self.frame()
        command = MysqlCommand(session, 1, "COM_QUERY", sql, session.schema, at(seconds), first, at(seconds), first)
        command.response_ts = command.response_end_ts = at(seconds + lasts)
        command.response_frame = last
        error = fields.pop("error", None)
        command.error = MysqlError(error, "HY000", "no") if error is not None else None
        command.affected_rows = fields.pop("affected", None)
        connection = Connection(2, _CLIENT, _DATABASE, False, START, 1)
        parsed = self._parser.parse(sql)
        statement = SqlStatement(
            command, parsed, connection, fields.pop("service", "glance"), "request", parsed.shape.operation
        )
        statement.id = len(self.tables.statements) + 1
        statement.schema = fields.pop("schema", "glance")
        statement.outcome = fields.pop("outcome", "committed")
        statement.image_ids = image_ids(parsed)
        self.tables.statements.append(statement)
        if call is not None:
            relation = fields.pop("relation", "in_request")
            self.tables.links.append(Link(statement.id, call.id, CERTAIN, relation, 1.0))
        return statement
