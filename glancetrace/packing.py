"""Rows of stage A as bytes, for a process to send to another one of the same program.

Commands and exchanges, of which there are many, become tuples of plain values that `marshal` writes; connections and
whatever there is one of per connection are pickled as they are. Hashes of bodies are left out: a process that hashes
sends the digests when they are made, and until then `SentHasher` stands in the rows.
"""

from __future__ import annotations

import marshal
import pickle
from collections.abc import Callable
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

from glancetrace.http.exchange import Body, BodyHasher, Head, HttpExchange
from glancetrace.issues import Issue
from glancetrace.mysql.command import MysqlCommand, MysqlError, MysqlSession
from glancetrace.net.accounting import TcpAccounting
from glancetrace.net.run import Connection
from glancetrace.trace import ConnectionRow

__all__ = ["Rows", "SentHasher", "pack_rows", "unpack_rows"]

Digests = list[dict[str, str]]


@dataclass(slots=True)
class Rows:
    """What a worker has decoded of its connections.

    Attributes:
        packets: of the whole capture, as this worker read it.
        first_frames: first frame of each of its connections, by number.
        skipped: bytes of connections that were fed to a decoder and are part of no row.
    """

    packets: int
    accounting: TcpAccounting
    first_frames: list[int]
    issues: list[Issue]
    exchanges: list[tuple[HttpExchange, Connection]]
    commands: list[tuple[MysqlCommand, Connection]]
    connections: list[ConnectionRow]
    skipped: int


class SentHasher:
    """The hashes of a body that another process makes."""

    __slots__ = ("_digests", "_number", "unbroken")

    def __init__(self, digests: Callable[[], Digests], number: int, unbroken: bool) -> None:
        self._digests = digests
        self._number = number
        self.unbroken = unbroken

    def update(self, data: bytes) -> None:
        """No bytes follow: the other process has them all."""
        raise NotImplementedError

    def flush(self) -> None:
        """The other process hashes without being asked."""

    def hexdigests(self) -> dict[str, str]:
        """Waits for the other process."""
        return self._digests()[self._number]


def _names(row: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(row))


_COMMAND = attrgetter(*_names(MysqlCommand)[1:])
_COMMAND_ERROR = _names(MysqlCommand).index("error")
_EXCHANGE = attrgetter(*_names(HttpExchange))
_EXCHANGE_PARTS = tuple(_names(HttpExchange).index(n) for n in ("request", "request_body", "response", "response_body"))
_HEAD = attrgetter(*_names(Head))
_BODY = attrgetter(*_names(Body))
_BODY_HASHER = _names(Body).index("hasher")


def pack_rows(rows: Rows) -> tuple[bytes, list[BodyHasher]]:
    """Rows as bytes, and the hashers whose digests are to be sent after them, in this order."""
    sessions: dict[int, int] = {}
    connections: dict[Connection, int] = {}
    kept: list[MysqlSession] = []
    commands = []
    for command, connection in rows.commands:
        session = command.session
        number = sessions.get(id(session))
        if number is None:
            number = sessions[id(session)] = len(kept)
            kept.append(session)
        error = command.error
        told = None if error is None else (error.code, error.sqlstate, error.message)
        place = connections.setdefault(connection, len(connections))
        values = _COMMAND(command)
        if told is not None:
            values = (*values[: _COMMAND_ERROR - 1], told, *values[_COMMAND_ERROR:])
        commands.append((number, place, values))
    hashers: list[BodyHasher] = []
    exchanges = []
    for exchange, connection in rows.exchanges:
        place = connections.setdefault(connection, len(connections))
        exchanges.append((place, _pack_exchange(exchange, hashers)))
    few = (rows.packets, rows.accounting, rows.first_frames, rows.issues, rows.connections, rows.skipped)
    shared = pickle.dumps((few, list(connections), kept), protocol=5)
    return marshal.dumps((shared, commands, exchanges)), hashers


def _pack_exchange(exchange: HttpExchange, hashers: list[BodyHasher]) -> list[Any]:
    values = list(_EXCHANGE(exchange))
    request, request_body, response, response_body = _EXCHANGE_PARTS
    values[request] = _HEAD(exchange.request)
    values[response] = None if exchange.response is None else _HEAD(exchange.response)
    values[request_body] = _pack_body(exchange.request_body, hashers)
    values[response_body] = _pack_body(exchange.response_body, hashers)
    return values


def _pack_body(body: Body, hashers: list[BodyHasher]) -> list[Any]:
    values = list(_BODY(body))
    if body.hasher is not None:
        values[_BODY_HASHER] = (len(hashers), body.hasher.unbroken)
        hashers.append(body.hasher)
    return values


def unpack_rows(data: bytes, digests: Callable[[], Digests]) -> Rows:
    """The inverse of `pack_rows`; `digests` is asked for the digests when somebody needs one."""
    shared, packed_commands, packed_exchanges = marshal.loads(data)
    few, connections, sessions = pickle.loads(shared)
    commands = []
    for number, place, values in packed_commands:
        command = MysqlCommand(sessions[number], *values)
        if command.error is not None:
            command.error = MysqlError(*values[_COMMAND_ERROR - 1])
        commands.append((command, connections[place]))
    exchanges = []
    request, request_body, response, response_body = _EXCHANGE_PARTS
    for place, values in packed_exchanges:
        values[request] = Head(*values[request])
        values[response] = None if values[response] is None else Head(*values[response])
        values[request_body] = _unpack_body(values[request_body], digests)
        values[response_body] = _unpack_body(values[response_body], digests)
        exchanges.append((HttpExchange(*values), connections[place]))
    packets, accounting, first_frames, issues, rows, skipped = few
    return Rows(packets, accounting, first_frames, issues, exchanges, commands, rows, skipped)


def _unpack_body(values: list[Any], digests: Callable[[], Digests]) -> Body:
    hasher = values[_BODY_HASHER]
    if hasher is not None:
        values[_BODY_HASHER] = SentHasher(digests, *hasher)
    return Body(*values)
