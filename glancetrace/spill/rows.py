"""A table on disk that is read as if it were a list: blocks of rows, packed, of which a few are in memory at a time.

Rows are appended in order. Reading them in order, or near each other, reads every block once; what is read is built
anew each time, so nothing that is done to a row stays.
"""

from __future__ import annotations

import marshal
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar, overload

from glancetrace.spill.spool import Place, Spool

__all__ = ["BLOCK_ROWS", "SpooledRows"]

BLOCK_ROWS = 2048
_BLOCKS_IN_MEMORY = 4

Row = TypeVar("Row")


class SpooledRows(Sequence[Row]):
    """Rows in a spool.

    Args:
        spool: where they go. pack: rows -> plain values that `marshal` takes. unpack: the inverse.
        block_rows: rows of a block.
    """

    def __init__(
        self,
        spool: Spool,
        pack: Callable[[list[Row]], Any],
        unpack: Callable[[Any], Sequence[Row]],
        block_rows: int = BLOCK_ROWS,
    ) -> None:
        self._spool = spool
        self._pack = pack
        self._unpack = unpack
        self._block_rows = block_rows
        self._places: list[Place] = []
        self._starts: list[int] = []
        self._written = 0
        self._last: list[Row] = []
        self._recent: OrderedDict[int, Sequence[Row]] = OrderedDict()

    def append(self, row: Row) -> None:
        """Add a row at the end."""
        self._last.append(row)
        if len(self._last) >= self._block_rows:
            self.flush()

    def extend(self, rows: Iterable[Row]) -> None:
        """Add rows at the end."""
        for row in rows:
            self.append(row)

    def flush(self) -> None:
        """Let go of the rows that are still in memory."""
        if self._last:
            self._places.append(self._spool.add(marshal.dumps(self._pack(self._last))))
            self._starts.append(self._written)
            self._written += len(self._last)
            self._last = []

    def __len__(self) -> int:
        return self._written + len(self._last)

    def __iter__(self) -> Iterator[Row]:
        for place in self._places:
            yield from self._read(place)
        yield from self._last

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...

    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(index)
        if index >= self._written:
            return self._last[index - self._written]
        number = bisect_right(self._starts, index) - 1
        return self._block(number)[index - self._starts[number]]

    def _block(self, number: int) -> Sequence[Row]:
        block = self._recent.pop(number, None)
        if block is None:
            block = self._read(self._places[number])
            if len(self._recent) >= _BLOCKS_IN_MEMORY:
                self._recent.popitem(last=False)
        self._recent[number] = block
        return block

    def _read(self, place: Place) -> Sequence[Row]:
        return self._unpack(marshal.loads(self._spool.read(place)))
