"""Rows of stage A as bytes, for a process to send to another one of the same program.

Commands, of which there are most, are sent column by column, some thousands at a time while others are still being
decoded: numbers as arrays, texts that recur as indexes, the rest through `marshal`. Exchanges become tuples of plain
values; connections and whatever there is one of per connection are pickled as they are, when all is decoded. Hashes of
bodies are left out: a process that hashes sends the digests when they are made, and until then `SentHasher` stands in
the rows.
"""

from __future__ import annotations

import marshal
import pickle
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from itertools import repeat
from operator import attrgetter
from typing import Any, TypeVar

from glancetrace.http.exchange import Body, BodyHasher, Head, HttpExchange
from glancetrace.issues import Issue
from glancetrace.mysql.command import MysqlCommand, MysqlError, MysqlSession
from glancetrace.net.accounting import TcpAccounting
from glancetrace.net.run import Connection
from glancetrace.trace import ConnectionRow

__all__ = [
    "CommandPacker",
    "CommandUnpacker",
    "Commands",
    "Rows",
    "SentHasher",
    "pack_column",
    "pack_commands",
    "pack_rows",
    "unpack_column",
    "unpack_commands",
    "unpack_rows",
]

_Item = TypeVar("_Item")

Digests = list[dict[str, str]]
Commands = list[tuple[MysqlCommand, Connection]]


@dataclass(slots=True)
class Rows:
    """What a worker has decoded of its connections.

    Attributes:
        packets: of the whole capture, as this worker read it.
        first_frames: first frame of each of its connections, by number.
        skipped: bytes of connections that were fed to a decoder and are part of no row.
        spooled: commands that are on disk, if there are too many: a `glancetrace.spill.commands.SpooledCommands`.
    """

    packets: int
    accounting: TcpAccounting
    first_frames: list[int]
    issues: list[Issue]
    exchanges: list[tuple[HttpExchange, Connection]]
    commands: Commands
    connections: list[ConnectionRow]
    skipped: int
    spooled: Any = None


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


_COMMAND_FIELDS = {name: attrgetter(name) for name in _names(MysqlCommand)[1:]}
_SESSION = attrgetter("session")
_RECURRING = frozenset(
    {"command", "sql", "schema", "rows_complete", "complete", "cut", "after_gap"}
    | {"service", "kind", "operation", "outcome"}
)
_RARE = frozenset({"params", "error", "columns", "rows"})
_NONE = -(1 << 63)
"""Stands for None among numbers."""
_NO_SESSION = MysqlSession(0)
"""Stands for a command's session until all sessions are there."""
_EXCHANGE = attrgetter(*_names(HttpExchange))
_EXCHANGE_PARTS = tuple(_names(HttpExchange).index(n) for n in ("request", "request_body", "response", "response_body"))
_HEAD = attrgetter(*_names(Head))
_BODY = attrgetter(*_names(Body))
_BODY_HASHER = _names(Body).index("hasher")


class CommandPacker:
    """Packs the commands of a process, some at a time."""

    __slots__ = ("connections", "sessions")

    def __init__(self) -> None:
        self.sessions: dict[MysqlSession, int] = {}
        self.connections: dict[Connection, int] = {}

    def pack(self, commands: Commands) -> bytes:
        """Commands as bytes; their sessions and connections are numbered."""
        rows, own = zip(*commands, strict=True)
        owners = _numbered(list(map(_SESSION, rows)), self.sessions)
        places = _numbered(own, self.connections)
        return marshal.dumps((owners, places, pack_commands(rows)))


def _numbered(column: Sequence[_Item], numbers: dict[_Item, int]) -> bytes:
    """The number of each item; those that have none yet get one."""
    for item in dict.fromkeys(column):
        numbers.setdefault(item, len(numbers))
    return array("I", map(numbers.__getitem__, column)).tobytes()


def pack_rows(rows: Rows, packer: CommandPacker) -> tuple[bytes, list[BodyHasher]]:
    """All but the commands, which `packer` has packed, and the hashers whose digests are to be sent after them."""
    connections = packer.connections
    for _, connection in rows.exchanges:
        connections.setdefault(connection, len(connections))
    hashers: list[BodyHasher] = []
    exchanges = [(connections[connection], _pack_exchange(row, hashers)) for row, connection in rows.exchanges]
    few = (
        rows.packets, rows.accounting, rows.first_frames, rows.issues, rows.connections, rows.skipped, rows.spooled
    )  # fmt: skip
    shared = pickle.dumps((few, list(connections), list(packer.sessions)), protocol=5)
    return marshal.dumps((shared, exchanges)), hashers


def pack_commands(commands: Sequence[MysqlCommand]) -> list[Any]:
    """A packed column per field, without the sessions."""
    return [pack_column(name, list(map(field, commands))) for name, field in _COMMAND_FIELDS.items()]


def unpack_commands(packed: Sequence[Any], count: int, sessions: Iterable[MysqlSession]) -> Iterator[MysqlCommand]:
    """The inverse of `pack_commands`, for so many commands, with the session of each."""
    columns = [unpack_column(name, column, count) for name, column in zip(_COMMAND_FIELDS, packed, strict=True)]
    return map(MysqlCommand, sessions, *columns)


def pack_column(name: str, column: Sequence[Any]) -> Any:
    """Values of a column, packed as its name says: texts that recur, values that are rare, else numbers."""
    if name in _RECURRING:
        if column.count(column[0]) == len(column):
            return [column[0]], b""
        values = {value: number for number, value in enumerate(dict.fromkeys(column))}
        return list(values), array("I", map(values.__getitem__, column)).tobytes()
    if name in _RARE:
        if column.count(None) == len(column):
            return []
        return [(at, _plain_error(value)) for at, value in enumerate(column) if value is not None]
    with suppress(TypeError, OverflowError):
        return array("q", column).tobytes(), False
    try:
        return array("q", [_NONE if value is None else value for value in column]).tobytes(), True
    except OverflowError:  # an unsigned number of 64 bits
        return column, False


def _plain_error(value: Any) -> Any:
    return (value.code, value.sqlstate, value.message) if isinstance(value, MysqlError) else value


def unpack_column(name: str, packed: Any, count: int) -> Iterable[Any]:
    """The inverse of `pack_column`, for so many values."""
    if name in _RARE:
        if not packed:
            return repeat(None, count)
        column: list[Any] = [None] * count
        for at, value in packed:
            column[at] = MysqlError(*value) if name == "error" else value
        return column
    values, more = packed
    if name in _RECURRING:
        return map(values.__getitem__, memoryview(more).cast("I")) if more else repeat(values[0], count)
    if not isinstance(values, bytes):
        return tuple(values)
    column = memoryview(values).cast("q").tolist()
    return [None if value == _NONE else value for value in column] if more else column


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


class CommandUnpacker:
    """Unpacks what a `CommandPacker` packed, in the same order."""

    __slots__ = ("_commands", "_owners", "_places")

    def __init__(self) -> None:
        self._commands: list[MysqlCommand] = []
        self._owners = array("I")
        self._places = array("I")

    def unpack(self, data: bytes) -> None:
        """Take packed commands."""
        owners, places, packed = marshal.loads(data)
        self._owners.frombytes(owners)
        self._places.frombytes(places)
        count = len(owners) // self._owners.itemsize
        self._commands += unpack_commands(packed, count, repeat(_NO_SESSION, count))

    def commands(self, sessions: Sequence[MysqlSession], connections: Sequence[Connection]) -> Commands:
        """All of them, with their sessions and connections."""
        for command, owner in zip(self._commands, self._owners, strict=True):
            command.session = sessions[owner]
        return list(zip(self._commands, map(connections.__getitem__, self._places), strict=True))


def unpack_rows(data: bytes, unpacker: CommandUnpacker, digests: Callable[[], Digests]) -> Rows:
    """The inverse of `pack_rows`, when `unpacker` has unpacked the commands; `digests` is asked for the digests when
    somebody needs one."""
    shared, packed_exchanges = marshal.loads(data)
    few, connections, sessions = pickle.loads(shared)
    exchanges = [(_unpack_exchange(values, digests), connections[place]) for place, values in packed_exchanges]
    packets, accounting, first_frames, issues, rows, skipped, spooled = few
    commands = unpacker.commands(sessions, connections)
    return Rows(packets, accounting, first_frames, issues, exchanges, commands, rows, skipped, spooled)


def _unpack_exchange(values: list[Any], digests: Callable[[], Digests]) -> HttpExchange:
    request, request_body, response, response_body = _EXCHANGE_PARTS
    values[request] = Head(*values[request])
    values[response] = None if values[response] is None else Head(*values[response])
    values[request_body] = _unpack_body(values[request_body], digests)
    values[response_body] = _unpack_body(values[response_body], digests)
    return HttpExchange(*values)


def _unpack_body(values: list[Any], digests: Callable[[], Digests]) -> Body:
    hasher = values[_BODY_HASHER]
    if hasher is not None:
        values[_BODY_HASHER] = SentHasher(digests, *hasher)
    return Body(*values)
