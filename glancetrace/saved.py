"""Results on disk: a directory with a Parquet file per table, `capture.parquet` for what was read.

For the columns see `glancetrace.parquet`. `transitions`, `intervals` and `events` of images are tables of their own and
are not repeated in `images.parquet`.

What is written is what the result document holds; the same result gives the same bytes. `capture.parquet` is written
last: a directory without it holds no result, or half of one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NoReturn

import pyarrow as pa

from glancetrace.document import capture_row
from glancetrace.errors import GlancetraceError, UsageError
from glancetrace.explain import Explanation
from glancetrace.parquet import read_table, refuse, rows_of, write_table
from glancetrace.result import Result, Row
from glancetrace.rfc3339 import rfc3339
from glancetrace.schema import OF_IMAGES, TABLES
from glancetrace.trace import Accounting, ApiLogSummary, CapturedFile, CaptureSummary, Tables

__all__ = ["SavedTrace", "load", "save"]


def save(result: Result, directory: str | os.PathLike[str]) -> None:
    """Write a result to a directory, which is made if need be.

    Raises:
        GlancetraceError: it cannot be written.
    """
    home = Path(directory)
    try:
        home.mkdir(parents=True, exist_ok=True)
        (home / "capture.parquet").unlink(missing_ok=True)
        for table in TABLES:
            write_table(home, table, partial(result.rows, table, raw_times=True))
        write_table(home, "capture", lambda: [result.capture_row(raw_times=True)])
    except OSError as error:
        what = f"cannot be written: {error.strerror or error}"
        raise GlancetraceError(what, where=os.fspath(directory), action="check the directory") from None


def load(directory: str | os.PathLike[str]) -> SavedTrace:
    """A result that `Trace.save` wrote.

    Raises:
        InputError: the directory holds no saved result, a damaged one, or one of another version.
    """
    home = Path(directory)
    if not (home / "capture.parquet").is_file():
        refuse(home, "holds no saved trace", "name a directory that Trace.save or export --to parquet wrote")
    tables = {name: read_table(home, name) for name in ("capture", *TABLES)}
    try:
        (capture,) = rows_of("capture", tables["capture"])
        return SavedTrace(home, _summary(capture), tables)
    except (ValueError, KeyError, TypeError):
        refuse(home / "capture.parquet", "is damaged", "analyse the capture again")


def _summary(row: Row) -> CaptureSummary:
    plain = ("packets", "bytes", "first_ts", "last_ts", "link_types", "connections")
    return CaptureSummary(
        files=[CapturedFile(**file) for file in row["files"]],
        accounting=Accounting(**row["accounting"]),
        glance_eras={one["host"]: one["era"] for one in row["glance_eras"]},
        api_logs=[ApiLogSummary(**log) for log in row["api_logs"]],
        **{name: row[name] for name in plain},
    )


class SavedTrace(Result):
    """A result that was read from disk: what `Trace` offers, except what only the decoded capture can tell.

    Attributes:
        capture: what was read. directory: where it is saved.
    """

    def __init__(self, directory: Path, capture: CaptureSummary, tables: dict[str, pa.Table]) -> None:
        self.directory = directory
        self.capture = capture
        self._tables = tables

    def capture_row(self, *, raw_times: bool = False) -> Row:
        """See `Result`."""
        return capture_row(self.capture, (lambda ts: ts) if raw_times else rfc3339)

    def rows(self, table: str, *, raw_times: bool = False) -> Iterator[Row]:
        """See `Result`."""
        if table not in TABLES:
            raise KeyError(table)
        rows = rows_of(table, self._tables[table])
        if table == "images":
            rows = self._with_stories(rows)
        times = [column.name for column in TABLES[table] if column.type == "ts"]
        return rows if raw_times else (_rendered(row, times) for row in rows)

    def count(self, table: str) -> int:
        """See `Result`."""
        if table not in TABLES:
            raise KeyError(table)
        return len(self._tables[table])

    def row(self, table: str, number: int) -> Row | None:
        """See `Result`."""
        if not 0 < number <= self.count(table):
            return None
        return next(rows_of(table, self._tables[table].slice(number - 1, 1)))

    def _with_stories(self, images: Iterator[Row]) -> Iterator[Row]:
        stories: dict[str, dict[str, list[Row]]] = {name: {} for name in OF_IMAGES}
        for name, found in stories.items():
            for row in rows_of(name, self._tables[name]):
                found.setdefault(row.pop("image_id"), []).append(row)
        for image in images:
            yield {**image, **{name: found.get(image["id"], []) for name, found in stories.items()}}

    def explain(
        self, *, statement: int | None = None, call: int | None = None, frame: int | None = None
    ) -> Explanation:
        """Only the decoded capture can tell.

        Raises:
            UsageError: always.
        """
        self._refuse("why a statement belongs to a call")

    @property
    def tables(self) -> Tables:
        """Decoded rows, which are not saved.

        Raises:
            UsageError: always.
        """
        self._refuse("the decoded rows")

    def _refuse(self, what: str) -> NoReturn:
        raise UsageError(
            f"a saved trace does not hold {what}",
            where=os.fspath(self.directory),
            action="analyse the capture again: glancetrace.analyze",
        )


def _rendered(row: Row, times: list[str]) -> Row:
    """The row with its times as RFC 3339, in place; those of nested rows, too."""
    for name in times:
        row[name] = rfc3339(row[name])
    for name in ("hops", *OF_IMAGES):
        for inner in row.get(name, ()):
            inner["ts"] = rfc3339(inner["ts"])
    return row
