"""Commands of stage A on disk, to be read again in order of time.

They come connection by connection as their responses do, so what comes together is sorted and written as row groups of
a Parquet file. Reading merges blocks of their rows: they are read in the order of their first rows, and what is earlier
than the first row of the next block is in its place. The order is that of (ts, frame, ordinal), whatever the pieces in
which they came.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Protocol

from glancetrace.mysql.command import MysqlCommand, MysqlSession
from glancetrace.net.run import Connection
from glancetrace.spill.file import TableFile
from glancetrace.spill.merging import merge_blocks
from glancetrace.spill.recent import Recent

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Owned", "Spill", "SpooledCommands", "order_of"]

WHOLE = 320_000
"""Commands from which on they do not stay in memory."""

_UNEVEN = 1.1
"""How much more than its part of them a process may have."""

_AT_ONCE = 32_768
"""Commands that are collected before they are written, then."""

_GROUP_ROWS = 16_384
"""Rows of a row group at most."""

_BLOCK_ROWS = 2_048
"""Rows that are built at a time."""

_FIRST = 64
"""Commands of a connection without a greeting that are kept at hand, to be compared with others'."""

Owned = tuple[MysqlCommand, Connection]

_Key = tuple[int, int, int]

_ROW_BITS = 20
_GROUP_BITS = 28
"""The place of a command is a number: its part, its row group in that, and its row, which have so many bits."""
_ROWS = (1 << _ROW_BITS) - 1


def order_of(owned: Owned) -> _Key:
    """Where a command stands among all: time, frame, and place on its connection."""
    command = owned[0]
    return command.ts, command.first_frame, command.ordinal


class Votes(Protocol):
    """What looks at commands before they leave memory, and is sent from process to process with them."""

    def observe(self, commands: Sequence[Owned]) -> None:
        """Commands, of each connection in order."""

    def join(self, others: Any) -> None:
        """Take what another process has seen of other connections."""


@dataclass(frozen=True, slots=True)
class _Block:
    """Some rows of a row group of a part: from `start` on, `first` being the key of the first."""

    first: _Key
    count: int
    group: int
    start: int
    part: int = 0


@dataclass(slots=True)
class _Part:
    """What one process wrote: where, and whose commands they are, by the numbers in its blocks."""

    file: TableFile | None
    connections: list[Connection] = field(default_factory=list)
    sessions: list[MysqlSession] = field(default_factory=list)


class SpooledCommands:
    """The commands of a capture.

    What another process has of it is sent without the file: it has it before it is forked.

    Args:
        votes: see there. file: where they go.

    Attributes:
        of_connection: how many commands each connection has.
        firsts: the first commands of each connection: one where the greeting was seen, else some.
    """

    def __init__(self, votes: Votes, file: TableFile) -> None:
        self.votes = votes
        self._parts = [_Part(file)]
        self._blocks: list[_Block] = []
        self._numbers: dict[MysqlSession, int] = {}
        self._recent: Recent[int, pa.Table] = Recent()
        self.of_connection: Counter[Connection] = Counter()
        self.firsts: dict[Connection, list[MysqlCommand]] = {}

    def __getstate__(self) -> tuple[Any, ...]:
        part = self._parts[0]
        assert part.file is not None
        part.file.finish()  # the other process reads it
        return self.votes, self._blocks, part.connections, part.sessions, self.of_connection, self.firsts

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.votes, self._blocks, connections, sessions, self.of_connection, self.firsts = state
        self._parts = [_Part(None, connections, sessions)]
        self._numbers, self._recent = {}, Recent()

    def __len__(self) -> int:
        return self.of_connection.total()

    def take(self, commands: list[Owned]) -> None:
        """Write commands; the list is empty then."""
        self.votes.observe(commands)
        self._count(commands)
        part = self._parts[0]
        for session, connection in {command.session: connection for command, connection in commands}.items():
            if session not in self._numbers:
                self._numbers[session] = len(part.sessions)
                part.connections.append(connection)
                part.sessions.append(session)
        commands.sort(key=order_of)
        for start in range(0, len(commands), _GROUP_ROWS):
            self._write(commands[start : start + _GROUP_ROWS])
        commands.clear()

    def _count(self, commands: list[Owned]) -> None:
        """Count them by connection, and keep the first ones at hand."""
        counts = Counter(map(itemgetter(1), commands))
        few = {connection for connection in counts if self.of_connection[connection] < _FIRST}
        if few:
            seen = Counter({connection: self.of_connection[connection] for connection in few})
            for command, connection in commands:
                if connection in few:
                    seen[connection] += 1
                    if seen[connection] <= (1 if command.session.scramble is not None else _FIRST):
                        self.firsts.setdefault(connection, []).append(command)
        self.of_connection.update(counts)

    def _write(self, group: list[Owned]) -> None:
        """Write a row group."""
        from glancetrace.spill.columns import pack_table
        from glancetrace.spill.command_table import OWNED, pack_commands

        file = self._parts[0].file
        assert file is not None
        commands = [command for command, _ in group]
        owners = [self._numbers[command.session] for command in commands]
        number = file.write(pack_table(OWNED, [owners, *pack_commands(commands)]))
        for start in range(0, len(group), _BLOCK_ROWS):
            count = min(_BLOCK_ROWS, len(group) - start)
            self._blocks.append(_Block(order_of(group[start]), count, number, start))

    def join(self, others: SpooledCommands, file: TableFile) -> None:
        """Take what another process has written to that file, of other connections."""
        self.votes.join(others.votes)
        self._blocks += (replace(block, part=len(self._parts)) for block in others._blocks)
        self._parts.append(replace(others._parts[0], file=file))
        self.of_connection.update(others.of_connection)
        for connection, commands in others.firsts.items():  # of some, this process has the ones before
            own = self.firsts.setdefault(connection, [])
            own += commands[: (1 if commands[0].session.scramble is not None else _FIRST) - len(own)]

    def pieces(self) -> Iterator[list[Owned]]:
        """All of them in order, some at a time."""
        blocks = [(block.first, partial(self._read, block)) for block in self._blocks]
        return merge_blocks(blocks, order_of)

    def at(self, places: Sequence[int]) -> list[Owned]:
        """The commands at these places, as `pieces` gave them."""
        found: dict[int, Owned] = {}
        rows_of: dict[int, list[int]] = {}
        for place in places:
            rows_of.setdefault(place >> _ROW_BITS, []).append(place & _ROWS)
        for group, rows in rows_of.items():
            table = self._group(group)
            together = rows == list(range(rows[0], rows[0] + len(rows)))
            table = table.slice(rows[0], len(rows)) if together else table.take(rows)
            own = [group << _ROW_BITS | row for row in rows]
            found.update(zip(own, self._unpack(table, own), strict=True))
        return [found[place] for place in places]

    def _read(self, block: _Block) -> Iterator[Owned]:
        group = block.part << _GROUP_BITS | block.group
        places = [group << _ROW_BITS | row for row in range(block.start, block.start + block.count)]
        return self._unpack(self._group(group).slice(block.start, block.count), places)

    def _unpack(self, table: pa.Table, places: Sequence[int]) -> Iterator[Owned]:
        """Rows of one row group, and their places."""
        from glancetrace.spill.columns import unpack_table
        from glancetrace.spill.command_table import OWNED, unpack_commands

        part = self._parts[places[0] >> _GROUP_BITS + _ROW_BITS]
        numbers, *columns = unpack_table(OWNED, table)
        commands = unpack_commands(columns, map(part.sessions.__getitem__, numbers), places)
        return zip(commands, map(part.connections.__getitem__, numbers), strict=True)

    def _group(self, group: int) -> pa.Table:
        """A row group of a part; the last few stay in memory."""
        self._recent.size = 2 * len(self._parts)
        return self._recent.get(group, self._read_group)

    def _read_group(self, group: int) -> pa.Table:
        file = self._parts[group >> _GROUP_BITS].file
        assert file is not None
        return file.read(group & (1 << _GROUP_BITS) - 1)


class Spill:
    """Where the commands that one process decodes go once there are too many of them for memory.

    Args:
        votes: see `Votes`. part: how much of all commands this process decodes, about; None: all. file: where they
            go; None: it is made when it is needed, which is too late for another process.

    Attributes:
        spooled: those that went to disk, if there are too many.
    """

    def __init__(self, votes: Votes, part: float | None = None, file: TableFile | None = None) -> None:
        self._votes = votes
        self._part = part
        self._file = file
        self.spooled: SpooledCommands | None = None

    def share_out(self, parts: Sequence[float]) -> list[Spill]:
        """One for each process, of which these are the parts, this one being the first; made before the processes."""
        self._part = parts[0]
        return [self, *(Spill(self._votes, part, TableFile()) for part in parts[1:])]

    def anew(self) -> Spill:
        """One for another try, in one process."""
        return Spill(self._votes)

    def look(self, commands: list[Owned], *, last: bool = False) -> None:
        """Commands that were collected, from time to time; `last`: no others follow. The list is empty if they go."""
        if self._are_many(len(commands)):
            self._begin()
        if self.spooled is not None and (last or len(commands) >= _AT_ONCE):
            self.spooled.take(commands)

    def behind(self, give: Callable[[list[Owned]], None]) -> Callable[[list[Owned]], None]:
        """What takes commands in place of `give`, which sends them to another process, once it has sent many."""
        sent = 0

        def take(commands: list[Owned]) -> None:
            nonlocal sent
            if self._are_many(sent):
                self._begin()
                self.look(commands)
            else:
                sent += len(commands)
                give(commands)
                sent -= len(commands)

        return take

    def join(self, commands: list[Owned], others: Sequence[tuple[Spill, SpooledCommands | None]]) -> None:
        """All commands of all processes in one place: on disk, or in `commands` if they are few.

        Args:
            commands: those that are in memory. others: the others' own, and what they have sent.
        """
        written = [(spill, spooled) for spill, spooled in others if spooled is not None]
        if not written and self.spooled is None and len(commands) < WHOLE:
            return
        whole = self._begin()
        whole.take(commands)
        for spill, spooled in written:
            whole.join(spooled, spill._opened())
        if len(whole) < WHOLE:
            commands += chain.from_iterable(whole.pieces())
            commands.sort(key=lambda owned: owned[0].ordinal)
            self.spooled = None

    def _are_many(self, count: int) -> bool:
        """Whether all processes have too many if this one has `count`; its part is not known for sure."""
        return count >= (WHOLE if self._part is None else _UNEVEN * self._part * WHOLE)

    def _begin(self) -> SpooledCommands:
        if self.spooled is None:
            self.spooled = SpooledCommands(self._votes, self._opened())
        return self.spooled

    def _opened(self) -> TableFile:
        if self._file is None:
            self._file = TableFile()
        return self._file
