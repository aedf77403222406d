"""The rows that exports are made from: those of a trace, or of one that was saved.

They have the columns of `glancetrace.schema`; times are integers (ns since the epoch, UTC), as durations are. They are
made when they are asked for, so that a large result need not be in memory as dictionaries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from glancetrace.result import Result, Row
from glancetrace.schema import TABLES

__all__ = ["Row", "Rows", "rows_of_result"]


@dataclass(frozen=True, slots=True)
class Rows:
    """What was read (`capture`), and the rows of each table, as often as they are asked for."""

    capture: Row
    tables: Mapping[str, Callable[[], Iterable[Row]]]

    def rows(self, table: str) -> Iterator[Row]:
        """Rows of a table, in its order."""
        return iter(self.tables[table]())


def rows_of_result(result: Result) -> Rows:
    """The rows of a result."""

    def rows_of(table: str) -> Callable[[], Iterable[Row]]:
        return lambda: result.rows(table, raw_times=True)

    return Rows(result.capture_row(raw_times=True), {table: rows_of(table) for table in TABLES})
