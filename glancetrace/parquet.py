"""A table of `glancetrace.schema` as a Parquet file, and back.

Columns are typed: times are timestamps in ns (UTC), durations are durations in ns, lists and hops are Arrow lists and
structs. Objects whose fields vary are JSON. What Arrow's usual type cannot hold (counts of 64 bits, file names that are
no UTF-8) makes its column one of another type. Documentation of a column stands in its metadata, the version and the
table's name in the file's. The same rows give the same bytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.parquet as pq

from glancetrace.errors import InputError
from glancetrace.result import Row
from glancetrace.schema import CAPTURE, OF_IMAGES, SCHEMA, TABLES, Column

__all__ = ["columns_of", "pack", "read_table", "refuse", "rows_of", "unpack", "write_table"]

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

_MARK = b"glancetrace"

_ROWS_AT_ONCE = 32_768
"""Rows that are packed at a time, and lie together in the file."""


def columns_of(table: str) -> list[Column]:
    """Columns that are written of a table, or of `capture`."""
    if table == "capture":
        return list(CAPTURE)
    return [c for c in TABLES[table] if not (table == "images" and c.name in OF_IMAGES)]


def _type(column: Column) -> pa.DataType:
    return _SIMPLE.get(column.type) or _NESTED.get(column.name) or pa.string()


def _is_json(column: Column) -> bool:
    return column.type in ("list", "object") and column.name not in _NESTED


def pack(column: Column, values: list[Any], *, wide: bool = False) -> pa.Array:
    """Values as an Arrow array; what no common type can hold gets one that can, and with `wide` whatever they are."""
    if not _is_json(column):
        try:
            if not wide:
                return pa.array(values, _type(column))
        except (OverflowError, UnicodeEncodeError):  # MySQL counts with 64 bits, unsigned; a file name that is no UTF-8
            pass
        if column.type == "int":
            return pa.array([None if v is None else Decimal(v) for v in values], pa.decimal128(38, 0))
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


def unpack(column: Column, array: pa.ChunkedArray) -> list[Any]:
    """Values of an array as they stand in a row with raw times."""
    if pa.types.is_decimal(array.type):
        return [None if v is None else int(v) for v in array.to_pylist()]
    if pa.types.is_binary(array.type):
        return [None if v is None else v.decode("utf-8", "surrogatepass") for v in array.to_pylist()]
    if column.type in ("list", "object") and pa.types.is_string(array.type):
        return [None if v is None else json.loads(v) for v in array.to_pylist()]
    values: list[Any] = array.cast(_numbers(_type(column))).to_pylist()
    return values


def write_table(home: Path, name: str, rows: Callable[[], Iterable[Row]]) -> None:
    """Write rows (with raw times) as `NAME.parquet`, some at a time.

    Args:
        home: the directory. name: of the table. rows: gives all rows each time it is asked; that is once, unless a
            value is met that needs another type of its column.

    Raises:
        OSError: it cannot be written.
    """
    columns = columns_of(name)
    wide: set[str] = set()
    while (wider := _write_rows(home / f"{name}.parquet", name, columns, rows(), frozenset(wide))) is not None:
        wide.add(wider)


def _write_rows(path: Path, name: str, columns: list[Column], rows: Iterable[Row], wide: frozenset[str]) -> str | None:
    """Write a table whose columns `wide` have their wide types; the name of another one that needs it, None if none."""
    stream = iter(rows)
    writer: pq.ParquetWriter | None = None
    try:
        while True:
            arrays = _pack_rows(columns, islice(stream, _ROWS_AT_ONCE), wide)
            if writer is None:
                fields = [
                    pa.field(c.name, a.type, metadata={"doc": c.doc}) for c, a in zip(columns, arrays, strict=True)
                ]
                schema = pa.schema(fields, metadata={_MARK: f"{SCHEMA} {name}".encode()})
                writer = pq.ParquetWriter(path, schema, compression="zstd")
            elif not len(arrays[0]):
                return None
            for column, array, field in zip(columns, arrays, schema, strict=True):
                if array.type != field.type and column.name not in wide:
                    return column.name
            writer.write_table(pa.table(arrays, schema=schema))
    finally:
        if writer is not None:
            writer.close()


def _pack_rows(columns: list[Column], rows: Iterable[Row], wide: frozenset[str]) -> list[pa.Array]:
    values: list[list[Any]] = [[] for _ in columns]
    for row in rows:
        for column, own in zip(columns, values, strict=True):
            own.append(row[column.name])
    return [pack(c, own, wide=c.name in wide) for c, own in zip(columns, values, strict=True)]


def refuse(path: Path, what: str, action: str) -> NoReturn:
    """What is on disk cannot be used.

    Raises:
        InputError: always.
    """
    raise InputError(what, where=os.fspath(path), action=action)


def read_table(home: Path, name: str) -> pa.Table:
    """A table that `write_table` wrote.

    Raises:
        InputError: it is not there, damaged, or another one.
    """
    path = home / f"{name}.parquet"
    try:
        table = pq.read_table(path, partitioning=None)
    except FileNotFoundError:
        refuse(path, "is missing", "analyse the capture again")
    except (pa.ArrowException, OSError):
        refuse(path, "is damaged, or no Parquet file", "analyse the capture again")
    mark = (table.schema.metadata or {}).get(_MARK, b"").decode("utf-8", "replace")
    if mark != f"{SCHEMA} {name}":
        refuse(path, "was not written by this version of Trace.save", "analyse the capture again")
    return table


def rows_of(name: str, table: pa.Table) -> Iterator[Row]:
    """Rows with raw times, built some at a time; a column that an older version did not write is unknown."""
    columns = columns_of(name)
    known = set(table.column_names)
    names = [column.name for column in columns]
    for start in range(0, len(table), _ROWS_AT_ONCE):
        some = table.slice(start, _ROWS_AT_ONCE)
        values = [unpack(c, some[c.name]) if c.name in known else [None] * len(some) for c in columns]
        for cells in zip(*values, strict=True):
            yield dict(zip(names, cells, strict=True))
