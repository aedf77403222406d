"""Commands of stage A on disk, to be read again in order of time.

They come connection by connection as their responses do, so what comes together is sorted and written in blocks, and
reading merges the blocks: they are read in the order of their first rows, and what is earlier than the first row of the
next block is in its place. The order is that of (ts, frame, ordinal), whatever the pieces in which they came.
"""

from __future__ import annotations

import marshal
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Protocol

from glancetrace.mysql.command import MysqlCommand, MysqlSession
from glancetrace.net.run import Connection
from glancetrace.packing import pack_commands, unpack_commands
from glancetrace.spill.rows import BLOCK_ROWS
from glancetrace.spill.spool import Place, Spool

__all__ = ["Owned", "Spill", "SpooledCommands", "order_of"]

WHOLE = 320_000
"""Commands from which on they do not stay in memory."""

_UNEVEN = 1.1
"""How much more than its part of them a process may have."""

_AT_ONCE = 40_000
"""Commands that are collected before they are written, then."""

_FIRST = 64
"""Commands of a connection without a greeting that are kept at hand, to be compared with others'."""

Owned = tuple[MysqlCommand, Connection]

_Key = tuple[int, int, int]


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
    first: _Key
    count: int
    place: Place
    part: int


@dataclass(slots=True)
class _Part:
    """What one process wrote: where, and whose commands they are, by the numbers in its blocks."""

    spool: Spool | None
    owners: list[tuple[Connection, MysqlSession]] = field(default_factory=list)


class SpooledCommands:
    """The commands of a capture.

    What another process has of it is sent without the file: it has it before it is forked.

    Args:
        votes: see there. spool: where they go.

    Attributes:
        of_connection: how many commands each connection has.
        firsts: the first commands of each connection: one where the greeting was seen, else some.
    """

    def __init__(self, votes: Votes, spool: Spool) -> None:
        self.votes = votes
        self._parts = [_Part(spool)]
        self._blocks: list[_Block] = []
        self._numbers: dict[MysqlSession, int] = {}
        self.of_connection: Counter[Connection] = Counter()
        self.firsts: dict[Connection, list[MysqlCommand]] = {}

    def __getstate__(self) -> tuple[Any, ...]:
        return self.votes, self._blocks, self._parts[0].owners, self.of_connection, self.firsts

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.votes, self._blocks, owners, self.of_connection, self.firsts = state
        self._parts = [_Part(None, owners)]
        self._numbers = {}

    def __len__(self) -> int:
        return self.of_connection.total()

    def take(self, commands: list[Owned]) -> None:
        """Write commands; the list is empty then."""
        self.votes.observe(commands)
        part = self._parts[0]
        assert part.spool is not None
        for command, connection in commands:
            self.of_connection[connection] += 1
            if self.of_connection[connection] <= (1 if command.session.scramble is not None else _FIRST):
                self.firsts.setdefault(connection, []).append(command)
            if command.session not in self._numbers:
                self._numbers[command.session] = len(part.owners)
                part.owners.append((connection, command.session))
        commands.sort(key=order_of)
        for start in range(0, len(commands), BLOCK_ROWS):
            block = commands[start : start + BLOCK_ROWS]
            owners = array("I", [self._numbers[command.session] for command, _ in block])
            packed = (owners.tobytes(), pack_commands([command for command, _ in block]))
            self._blocks.append(_Block(order_of(block[0]), len(block), part.spool.add(marshal.dumps(packed)), 0))
        commands.clear()

    def join(self, others: SpooledCommands, spool: Spool) -> None:
        """Take what another process has written to that spool, of other connections."""
        self.votes.join(others.votes)
        self._blocks += (replace(block, part=len(self._parts)) for block in others._blocks)
        self._parts.append(_Part(spool, others._parts[0].owners))
        self.of_connection.update(others.of_connection)
        for connection, commands in others.firsts.items():  # of some, this process has the ones before
            own = self.firsts.setdefault(connection, [])
            own += commands[: (1 if commands[0].session.scramble is not None else _FIRST) - len(own)]

    def pieces(self) -> Iterator[list[Owned]]:
        """All of them in order, some at a time."""
        blocks = sorted(self._blocks, key=lambda block: block.first)
        held: list[Owned] = []
        for number, block in enumerate(blocks):
            held += self._read(block)
            held.sort(key=order_of)
            ready = len(held)
            if number + 1 < len(blocks):
                ready = bisect_left(held, blocks[number + 1].first, key=order_of)
            if ready:
                yield held[:ready]
                del held[:ready]

    def _read(self, block: _Block) -> Iterator[Owned]:
        part = self._parts[block.part]
        assert part.spool is not None
        numbers, packed = marshal.loads(part.spool.read(block.place))
        owners = [part.owners[number] for number in memoryview(numbers).cast("I")]
        commands = unpack_commands(packed, block.count, (session for _, session in owners))
        return zip(commands, (connection for connection, _ in owners), strict=True)


class Spill:
    """Where the commands that one process decodes go once there are too many of them for memory.

    Args:
        votes: see `Votes`. processes: how many decode at the same time. spool: where they go; None: it is made when it
            is needed, which is too late for another process.

    Attributes:
        spooled: those that went to disk, if there are too many.
    """

    def __init__(self, votes: Votes, processes: int = 1, spool: Spool | None = None) -> None:
        self._votes = votes
        self._processes = processes
        self._spool = spool
        self.spooled: SpooledCommands | None = None

    def share_out(self, processes: int) -> list[Spill]:
        """One for each process, this one being the first; they are made before the processes are."""
        self._processes = processes
        return [self, *(Spill(self._votes, processes, Spool()) for _ in range(processes - 1))]

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
        """Whether all processes have too many if this one has `count`; their shares are not quite equal."""
        return count * self._processes >= (WHOLE if self._processes == 1 else _UNEVEN * WHOLE)

    def _begin(self) -> SpooledCommands:
        if self.spooled is None:
            self.spooled = SpooledCommands(self._votes, self._opened())
        return self.spooled

    def _opened(self) -> Spool:
        if self._spool is None:
            self._spool = Spool()
        return self._spool
