"""A table on disk that is read as if it were a list: row groups of Parquet files, of which few are in memory at a time.

Rows are appended in order. Reading them in order, or near each other, reads every row group once; what is read is built
anew each time, so nothing that is done to a row stays. The footer of a file, which is in memory while the file is in
use, grows with its row groups: so where there are many, there are several files, of which one is read at a time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from glancetrace.spill.file import TableFile
from glancetrace.spill.recent import Recent

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["GROUP_ROWS", "Groups", "RowType", "SpooledRows"]

GROUP_ROWS = 4_096
_GROUPS_OF_FILE = 256
_IN_MEMORY = 2

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class RowType(Generic[Row]):
    """How rows are columns: `pack` gives a list of values for each column of the schema, `unpack` is the inverse."""

    schema: pa.Schema
    pack: Callable[[Sequence[Row]], Iterable[Sequence[Any]]]
    unpack: Callable[[list[Sequence[Any]]], list[Row]]


class Groups(Generic[Row]):
    """Row groups, by their numbers from 0."""

    def __init__(self, row_type: RowType[Row]) -> None:
        self._type = row_type
        self._files: list[TableFile] = []
        self._firsts: list[int] = []
        self._open = 0

    def __len__(self) -> int:
        return self._firsts[-1] + self._files[-1].groups if self._files else 0

    def append(self, rows: Sequence[Row]) -> int:
        """Write rows as a row group; returns its number."""
        return self.append_table(self.pack(rows))

    def append_table(self, table: pa.Table) -> int:
        """The same of rows that are columns already."""
        number = len(self)
        if not self._files or self._files[-1].finished or self._files[-1].groups >= _GROUPS_OF_FILE:
            self.flush()
            self._files.append(TableFile())
            self._firsts.append(number)
        self._files[-1].write(table)
        return number

    def pack(self, rows: Sequence[Row]) -> pa.Table:
        """Rows as columns."""
        from glancetrace.spill.columns import pack_table

        return pack_table(self._type.schema, self._type.pack(rows))

    def unpack(self, table: pa.Table) -> list[Row]:
        """The inverse of `pack`."""
        from glancetrace.spill.columns import unpack_table

        return self._type.unpack(unpack_table(self._type.schema, table))

    def flush(self) -> None:
        """Let go of what is in memory."""
        if self._files:
            self._files[-1].finish()

    def read(self, number: int) -> list[Row]:
        """The rows of a row group."""
        place = bisect_right(self._firsts, number) - 1
        if place != self._open:
            self._files[self._open].close()
            self._open = place
        return self.unpack(self._files[place].read(number - self._firsts[place]))


class SpooledRows(Sequence[Row]):
    """Rows on disk.

    Args:
        row_type: what they are. group_rows: rows of a row group.
    """

    def __init__(self, row_type: RowType[Row], group_rows: int = GROUP_ROWS) -> None:
        self._groups = Groups(row_type)
        self._group_rows = group_rows
        self._starts: list[int] = []
        self._written = 0
        self._last: list[Row] = []
        self._recent: Recent[int, list[Row]] = Recent(_IN_MEMORY)

    def append(self, row: Row) -> None:
        """Add a row at the end."""
        self.extend((row,))

    def extend(self, rows: Iterable[Row]) -> None:
        """Add rows at the end."""
        self._last += rows
        whole = len(self._last) - len(self._last) % self._group_rows
        for start in range(0, whole, self._group_rows):
            self._write(self._last[start : start + self._group_rows])
        del self._last[:whole]

    def flush(self) -> None:
        """Let go of the rows that are still in memory."""
        if self._last:
            self._write(self._last)
            self._last = []
        self._groups.flush()

    def _write(self, rows: list[Row]) -> None:
        self._groups.append(rows)
        self._starts.append(self._written)
        self._written += len(rows)

    def __len__(self) -> int:
        return self._written + len(self._last)

    def __iter__(self) -> Iterator[Row]:
        for number in range(len(self._starts)):
            yield from self._groups.read(number)
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
        return self._recent.get(number, self._groups.read)[index - self._starts[number]]
