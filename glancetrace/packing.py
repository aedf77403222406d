"""Rows of stage A as bytes, for a process to send to another one of the same program.

Commands, of which there are most, are sent column by column, some thousands at a time while others are still being
decoded: numbers as arrays, texts that recur as indexes, the rest through `marshal`. Connections and whatever there is
one of per connection are pickled as they are, when all is decoded. Exchanges are not sent: all HTTP is decoded in one
process, where image data are hashed.
"""

from __future__ import annotations

import marshal
import pickle
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from itertools import repeat
from operator import itemgetter
from typing import Any, TypeVar

from glancetrace.http.exchange import HttpExchange
from glancetrace.issues import Issue
from glancetrace.mysql.command import MysqlCommand, MysqlError, MysqlSession, columns_of_commands
from glancetrace.net.accounting import TcpAccounting
from glancetrace.net.run import Connection
from glancetrace.trace import CaptureSummary, ConnectionRow

__all__ = [
    "CommandPacker",
    "CommandUnpacker",
    "Commands",
    "Rows",
    "pack_rows",
    "unpack_rows",
]

_Item = TypeVar("_Item")

Commands = list[tuple[MysqlCommand, Connection]]


@dataclass(slots=True)
class Rows:
    """What a worker has decoded of its connections, and read.

    Attributes:
        first_frames: first frame of each of its connections, by number.
        skipped: bytes of connections that were fed to a decoder and are part of no row.
        spooled: commands that are on disk, if there are too many: a `glancetrace.spill.commands.SpooledCommands`.
        capture: what was read, if this worker is the one that read it.
    """

    accounting: TcpAccounting
    first_frames: list[int]
    issues: list[Issue]
    exchanges: list[tuple[HttpExchange, Connection]]
    commands: Commands
    connections: list[ConnectionRow]
    skipped: int
    spooled: Any = None
    capture: CaptureSummary | None = None


def _names(row: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(row))


_FIELDS = _names(MysqlCommand)[1:]
_KIND = (
    "command",
    "schema",
    "status_flags",
    "status_before",
    "returned_rows",
    "affected_rows",
    "last_insert_id",
    "rows_complete",
    "complete",
    "cut",
    "after_gap",
)
_RARE = ("params", "error", "columns", "rows")
_NUMBERS = [name for name in _FIELDS if name not in {"sql", *_KIND, *_RARE}]
_NONE = -(1 << 63)
"""Stands for None among numbers."""
_NO_SESSION = MysqlSession(0)
"""Stands for a command's session until all sessions are there."""


class CommandPacker:
    """Packs the commands of a process, some at a time; its connections are numbered.

    Attributes:
        connections: connection -> its number.
        sessions: the session of each connection that has commands, by number.
    """

    __slots__ = ("connections", "sessions")

    def __init__(self) -> None:
        self.connections: dict[Connection, int] = {}
        self.sessions: list[MysqlSession] = []

    def pack(self, commands: Commands) -> bytes:
        """Commands as bytes."""
        return marshal.dumps((self._places(commands), _pack_commands(command for command, _ in commands)))

    def _places(self, commands: Commands) -> bytes:
        numbers = self.connections
        connections = list(map(itemgetter(1), commands))
        new = dict.fromkeys(connections).keys() - numbers.keys()
        if new:
            sessions = {connection: command.session for command, connection in commands}
            for connection in new:
                numbers[connection] = len(numbers)
                self.sessions.append(sessions[connection])
        return array("I", map(numbers.__getitem__, connections)).tobytes()


def pack_rows(rows: Rows, packer: CommandPacker) -> bytes:
    """All but the commands, which `packer` has packed, and exchanges, which there are not."""
    few = replace(rows, commands=[])
    return pickle.dumps((few, list(packer.connections), packer.sessions), protocol=5)


def _pack_commands(commands: Iterable[MysqlCommand]) -> list[Any]:
    """Columns: what few values stand for, as one; texts; numbers; what most rows have not."""
    columns = dict(zip(_FIELDS, columns_of_commands(commands), strict=True))
    return [
        _pack_recurring(list(zip(*map(columns.__getitem__, _KIND), strict=True))),
        _pack_recurring(columns["sql"]),
        [_pack_numbers(columns[name]) for name in _NUMBERS],
        [_pack_errors(columns[name]) if name == "error" else _pack_rare(columns[name]) for name in _RARE],
    ]


def _unpack_commands(packed: Sequence[Any], count: int, session: MysqlSession) -> Iterator[MysqlCommand]:
    """The inverse of `_pack_commands`, for so many commands; all of `session` as yet."""
    (kinds, places), sql, numbers, rare = packed
    columns: dict[str, Iterable[Any]] = {"sql": _unpack_recurring(sql, count)}
    for name, values in zip(_KIND, zip(*kinds, strict=True), strict=True):
        columns[name] = _unpack_recurring((values, places), count)
    columns.update(zip(_NUMBERS, map(_unpack_numbers, numbers), strict=True))
    for name, some in zip(_RARE, rare, strict=True):
        known = [(at, MysqlError(*error)) for at, error in some] if name == "error" else some
        columns[name] = _unpack_rare(known, count)
    return map(MysqlCommand, repeat(session), *map(columns.__getitem__, _FIELDS))


def _pack_recurring(column: Sequence[Any]) -> tuple[list[Any], bytes]:
    """Values that come again and again."""
    values = list(dict.fromkeys(column))
    numbers = dict(zip(values, range(len(values)), strict=True))
    return values, array("I", map(numbers.__getitem__, column)).tobytes()


def _unpack_recurring(packed: tuple[Sequence[Any], bytes], count: int) -> Iterable[Any]:
    values, places = packed
    if values.count(values[0]) == len(values):
        return repeat(values[0], count)
    return map(values.__getitem__, memoryview(places).cast("I"))


def _pack_numbers(column: Sequence[Any]) -> Any:
    """Numbers, some of which may be None."""
    with suppress(TypeError, OverflowError):
        return array("q", column).tobytes(), False
    try:
        return array("q", [_NONE if value is None else value for value in column]).tobytes(), True
    except OverflowError:  # an unsigned number of 64 bits
        return column, False


def _unpack_numbers(packed: Any) -> Sequence[Any]:
    values, more = packed
    if not isinstance(values, bytes):
        return tuple(values)
    column = memoryview(values).cast("q").tolist()
    return [None if value == _NONE else value for value in column] if more else column


def _pack_rare(column: Sequence[Any]) -> list[tuple[int, Any]]:
    """Values of which most are None, with their places."""
    if column.count(None) == len(column):
        return []
    return [(at, value) for at, value in enumerate(column) if value is not None]


def _pack_errors(column: Sequence[MysqlError | None]) -> list[tuple[int, tuple[int, str, str]]]:
    return [(at, (error.code, error.sqlstate, error.message)) for at, error in _pack_rare(column)]


def _unpack_rare(packed: list[tuple[int, Any]], count: int) -> Iterable[Any]:
    if not packed:
        return repeat(None, count)
    column: list[Any] = [None] * count
    for at, value in packed:
        column[at] = value
    return column


class CommandUnpacker:
    """Unpacks what a `CommandPacker` packed, in the same order."""

    __slots__ = ("_commands", "_places")

    def __init__(self) -> None:
        self._commands: list[MysqlCommand] = []
        self._places = array("I")

    def unpack(self, data: bytes) -> None:
        """Take packed commands."""
        places, packed = marshal.loads(data)
        self._places.frombytes(places)
        self._commands += _unpack_commands(packed, len(places) // self._places.itemsize, _NO_SESSION)

    def commands(self, sessions: Sequence[MysqlSession], connections: Sequence[Connection]) -> Commands:
        """All of them, with their sessions and connections."""
        for command, place in zip(self._commands, self._places, strict=True):
            command.session = sessions[place]
        return list(zip(self._commands, map(connections.__getitem__, self._places), strict=True))


def unpack_rows(data: bytes, unpacker: CommandUnpacker) -> Rows:
    """The inverse of `pack_rows`, when `unpacker` has unpacked the commands."""
    rows: Rows
    rows, connections, sessions = pickle.loads(data)
    rows.commands = unpacker.commands(sessions, connections)
    return rows
