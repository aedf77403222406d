"""Commands of stage A on disk, to be read again in order of time.

They come connection by connection as their responses do, so what comes together is sorted and written in blocks, and
reading merges the blocks: they are read in the order of their first rows, and what is earlier than the first row of the
next block is in its place. The order is that of (ts, frame, ordinal), whatever the pieces in which they came.
"""

from __future__ import annotations

import marshal
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from glancetrace.mysql.command import MysqlCommand, MysqlSession
from glancetrace.net.run import Connection
from glancetrace.packing import pack_commands, unpack_commands
from glancetrace.spill.rows import BLOCK_ROWS
from glancetrace.spill.spool import Place, Spool

__all__ = ["Owned", "Spill", "SpooledCommands", "order_of"]

WHOLE = 320_000
"""Commands from which on they do not stay in memory."""

_AT_ONCE = 40_000
"""Commands that are collected before they are written, then."""

Owned = tuple[MysqlCommand, Connection]

_Key = tuple[int, int, int]


def order_of(owned: Owned) -> _Key:
    """Where a command stands among all: time, frame, and place on its connection."""
    command = owned[0]
    return command.ts, command.first_frame, command.ordinal


@dataclass(frozen=True, slots=True)
class _Block:
    first: _Key
    count: int
    place: Place


class SpooledCommands:
    """The commands of a capture.

    Args:
        observe: sees them before they leave memory.
        block_rows: commands of a block.

    Attributes:
        of_connection: how many commands each connection has.
    """

    def __init__(self, observe: Callable[[list[Owned]], None], block_rows: int = BLOCK_ROWS) -> None:
        self._observe = observe
        self._block_rows = block_rows
        self._spool = Spool()
        self._blocks: list[_Block] = []
        self._numbers: dict[Connection, int] = {}
        self._owners: list[tuple[Connection, MysqlSession]] = []
        self._count = 0
        self.of_connection: Counter[Connection] = Counter()

    def __len__(self) -> int:
        return self._count

    def take(self, commands: list[Owned]) -> None:
        """Write commands; the list is empty then."""
        self._observe(commands)
        for command, connection in commands:
            self.of_connection[connection] += 1
            if connection not in self._numbers:
                self._numbers[connection] = len(self._owners)
                self._owners.append((connection, command.session))
        commands.sort(key=order_of)
        for start in range(0, len(commands), self._block_rows):
            block = commands[start : start + self._block_rows]
            owners = array("I", [self._numbers[connection] for _, connection in block])
            packed = (owners.tobytes(), pack_commands([command for command, _ in block]))
            place = self._spool.add(marshal.dumps(packed))
            self._blocks.append(_Block(order_of(block[0]), len(block), place))
        self._count += len(commands)
        commands.clear()

    def pieces(self) -> Iterator[list[Owned]]:
        """All of them in order, some at a time."""
        blocks = sorted(self._blocks, key=lambda block: block.first)
        held: list[Owned] = []
        for number, block in enumerate(blocks):
            held += self._read(block)
            held.sort(key=order_of)
            if number + 1 < len(blocks):
                following = blocks[number + 1].first
                ready = next((at for at, owned in enumerate(held) if order_of(owned) >= following), len(held))
            else:
                ready = len(held)
            if ready:
                yield held[:ready]
                del held[:ready]

    def _read(self, block: _Block) -> Iterator[Owned]:
        numbers, packed = marshal.loads(self._spool.read(block.place))
        owners = [self._owners[number] for number in memoryview(numbers).cast("I")]
        commands = unpack_commands(packed, block.count, (session for _, session in owners))
        return zip(commands, (connection for connection, _ in owners), strict=True)


class Spill:
    """Where commands go once there are too many of them for memory.

    Args:
        observe: see `SpooledCommands`.

    Attributes:
        spooled: those that went to disk, if there are too many.
    """

    def __init__(self, observe: Callable[[list[Owned]], None]) -> None:
        self._observe = observe
        self.spooled: SpooledCommands | None = None

    def look(self, commands: list[Owned], *, last: bool = False) -> None:
        """Commands that were collected, from time to time; `last`: no others follow. The list is empty if they go."""
        if self.spooled is None and len(commands) >= WHOLE:
            self.spooled = SpooledCommands(self._observe)
        if self.spooled is not None and (last or len(commands) >= _AT_ONCE):
            self.spooled.take(commands)
