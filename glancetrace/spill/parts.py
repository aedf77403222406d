"""Rows on disk that belong to parts, to be read one part at a time.

They come a few at a time for each part. So what came is kept as columns, for all parts together, until there is enough
of it to be written as a row group for each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from glancetrace.spill.rows import Groups, RowType

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["SpooledParts"]

_BYTES_KEPT = 16 << 20

Row = TypeVar("Row")


class SpooledParts(Generic[Row]):
    """Rows of some parts.

    Args:
        row_type: what they are. parts: how many parts there are.
    """

    def __init__(self, row_type: RowType[Row], parts: int) -> None:
        self._groups = Groups(row_type)
        self._numbers: list[list[int]] = [[] for _ in range(parts)]
        self._kept: list[list[pa.Table]] = [[] for _ in range(parts)]
        self._bytes = 0

    def extend(self, rows: Mapping[int, Sequence[Row]]) -> None:
        """Add rows to parts."""
        together = [row for own in rows.values() for row in own]
        if not together:
            return
        table = self._groups.pack(together)
        start = 0
        for part, own in rows.items():
            self._kept[part].append(table.slice(start, len(own)))
            start += len(own)
        self._bytes += table.nbytes
        if self._bytes >= _BYTES_KEPT:
            self._flush()

    def _flush(self) -> None:
        from glancetrace.spill.columns import joined

        for tables, numbers in zip(self._kept, self._numbers, strict=True):
            if tables:
                numbers.append(self._groups.append_table(joined(tables)))
            tables.clear()
        self._bytes = 0

    def read(self, part: int) -> Iterator[Row]:
        """The rows of a part, in the order in which they came."""
        for number in self._numbers[part]:
            yield from self._groups.read(number)
        for table in self._kept[part]:
            yield from self._groups.unpack(table)
