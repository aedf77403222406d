"""Results on disk: a directory with a Parquet file per table, `capture.parquet` for what was read.

Columns are those of `glancetrace.schema`, typed: times are timestamps in ns (UTC), durations are durations in ns, lists
and hops are Arrow lists and structs. Objects whose fields vary are JSON. `transitions`, `intervals` and `events` of
images are tables of their own and are not repeated in `images.parquet`.

What is written is what the result document holds; the same result gives the same bytes. `capture.parquet` is written
last: a directory without it holds no result, or half of one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.parquet as pq

from glancetrace.document import capture_row, rfc3339
from glancetrace.errors import GlancetraceError, InputError, UsageError
from glancetrace.explain import Explanation
from glancetrace.result import Result, Row
from glancetrace.schema import CAPTURE, SCHEMA, TABLES, Column
from glancetrace.trace import Accounting, ApiLogSummary, CapturedFile, CaptureSummary, Tables

__all__ = ["SavedTrace", "load", "save"]

_TIME = pa.timestamp("ns", "UTC")
_DURATION = pa.duration("ns")
_HOPS = pa.list_(
    pa.struct(
        [
            ("client", pa.string()),
            ("server", pa.string()),
            ("ts", _TIME),
            ("dur", _DURATION),
            ("first_frame", pa.int64()),
            ("last_frame", pa.int64()),
        ]
    )
)
_SIMPLE = {
    "int": pa.int64(),
    "str": pa.string(),
    "endpoint": pa.string(),
    "bool": pa.bool_(),
    "float": pa.float64(),
    "ts": _TIME,
    "dur": _DURATION,
}
_NESTED = {
    "hops": _HOPS,
    "tables": pa.list_(pa.string()),
    "image_ids": pa.list_(pa.string()),
    "evidence": pa.list_(pa.string()),
    "candidates": pa.list_(pa.int64()),
    "rejected": pa.list_(pa.struct([("call_id", pa.int64()), ("reason", pa.string())])),
    "frames": pa.list_(pa.int64()),
    "error": pa.struct([("code", pa.int64()), ("sqlstate", pa.string()), ("message", pa.string())]),
    "tls": pa.struct(
        [
            ("version", pa.string()),
            ("suite", pa.string()),
            ("sni", pa.string()),
            ("alpn", pa.string()),
            ("decrypted", pa.bool_()),
            ("reason", pa.string()),
        ]
    ),
}
"""Columns of type list and object whose fields are always the same; others are JSON."""

_OF_IMAGES = ("transitions", "intervals", "events")
_MARK = b"glancetrace"


def _columns(table: str) -> list[Column]:
    if table == "capture":
        return list(CAPTURE)
    return [c for c in TABLES[table] if not (table == "images" and c.name in _OF_IMAGES)]


def _type(column: Column) -> pa.DataType:
    return _SIMPLE.get(column.type) or _NESTED.get(column.name) or pa.string()


def _is_json(column: Column) -> bool:
    return column.type in ("list", "object") and column.name not in _NESTED


def _pack(column: Column, values: list[Any]) -> pa.Array:
    """Values as an Arrow array; what no common type can hold gets one that can."""
    if not _is_json(column):
        try:
            return pa.array(values, _type(column))
        except OverflowError:  # MySQL counts with 64 bits, unsigned
            if column.type == "int":
                return pa.array([None if v is None else Decimal(v) for v in values], pa.decimal128(38, 0))
        except UnicodeEncodeError:  # a file name that is no UTF-8
            if column.type in ("str", "endpoint"):
                return _pack_bytes(values)
    return pa.array([None if v is None else json.dumps(v) for v in values], pa.string())


def _pack_bytes(values: list[str | None]) -> pa.Array:
    return pa.array([None if v is None else v.encode("utf-8", "surrogatepass") for v in values], pa.binary())


def _numbers(type_: pa.DataType) -> pa.DataType:
    """The type with integers for times and durations."""
    if pa.types.is_list(type_):
        return pa.list_(_numbers(type_.value_type))
    if pa.types.is_struct(type_):
        return pa.struct([(field.name, _numbers(field.type)) for field in type_])
    return pa.int64() if type_ in (_TIME, _DURATION) else type_


def _unpack(column: Column, array: pa.ChunkedArray) -> list[Any]:
    """Values of an array as they stand in a row with raw times."""
    if pa.types.is_decimal(array.type):
        return [None if v is None else int(v) for v in array.to_pylist()]
    if pa.types.is_binary(array.type):
        return [None if v is None else v.decode("utf-8", "surrogatepass") for v in array.to_pylist()]
    if column.type in ("list", "object") and pa.types.is_string(array.type):
        return [None if v is None else json.loads(v) for v in array.to_pylist()]
    values: list[Any] = array.cast(_numbers(_type(column))).to_pylist()
    return values


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
            _write(home, table, result.rows(table, raw_times=True))
        _write(home, "capture", [result.capture_row(raw_times=True)])
    except OSError as error:
        what = f"cannot be written: {error.strerror or error}"
        raise GlancetraceError(what, where=os.fspath(directory), action="check the directory") from None


def _write(home: Path, name: str, rows: Iterable[Row]) -> None:
    columns = _columns(name)
    values: list[list[Any]] = [[] for _ in columns]
    for row in rows:
        for column, own in zip(columns, values, strict=True):
            own.append(row[column.name])
    arrays = [_pack(column, own) for column, own in zip(columns, values, strict=True)]
    fields = [pa.field(c.name, a.type, metadata={"doc": c.doc}) for c, a in zip(columns, arrays, strict=True)]
    schema = pa.schema(fields, metadata={_MARK: f"{SCHEMA} {name}".encode()})
    pq.write_table(pa.table(arrays, schema=schema), home / f"{name}.parquet", compression="zstd")


def load(directory: str | os.PathLike[str]) -> SavedTrace:
    """A result that `Trace.save` wrote.

    Raises:
        InputError: the directory holds no saved result, a damaged one, or one of another version.
    """
    home = Path(directory)
    if not (home / "capture.parquet").is_file():
        _refuse(home, "holds no saved trace", "name a directory that Trace.save wrote")
    tables = {name: _read(home, name) for name in ("capture", *TABLES)}
    try:
        (capture,) = _rows_of("capture", tables["capture"])
        return SavedTrace(home, _summary(capture), tables)
    except (ValueError, KeyError, TypeError):
        _refuse(home / "capture.parquet", "is damaged", "analyse the capture again")


def _refuse(path: Path, what: str, action: str) -> NoReturn:
    raise InputError(what, where=os.fspath(path), action=action)


def _read(home: Path, name: str) -> pa.Table:
    path = home / f"{name}.parquet"
    try:
        table = pq.read_table(path, partitioning=None)
    except FileNotFoundError:
        _refuse(path, "is missing", "analyse the capture again")
    except (pa.ArrowException, OSError):
        _refuse(path, "is damaged, or no Parquet file", "analyse the capture again")
    mark = (table.schema.metadata or {}).get(_MARK, b"").decode("utf-8", "replace")
    if mark != f"{SCHEMA} {name}":
        _refuse(path, "was not written by this version of Trace.save", "analyse the capture again")
    return table


def _rows_of(name: str, table: pa.Table) -> Iterator[Row]:
    """Rows with raw times; a column that an older version did not write is unknown."""
    columns = _columns(name)
    known = set(table.column_names)
    values = [
        _unpack(column, table[column.name]) if column.name in known else [None] * len(table) for column in columns
    ]
    names = [column.name for column in columns]
    for cells in zip(*values, strict=True):
        yield dict(zip(names, cells, strict=True))


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
        rows = _rows_of(table, self._tables[table])
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
        return next(_rows_of(table, self._tables[table].slice(number - 1, 1)))

    def _with_stories(self, images: Iterator[Row]) -> Iterator[Row]:
        stories: dict[str, dict[str, list[Row]]] = {name: {} for name in _OF_IMAGES}
        for name, found in stories.items():
            for row in _rows_of(name, self._tables[name]):
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
    for name in ("hops", *_OF_IMAGES):
        for inner in row.get(name, ()):
            inner["ts"] = rfc3339(inner["ts"])
    return row
