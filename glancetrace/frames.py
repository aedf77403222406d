"""Tables of a trace as DataFrames.

Columns, their order and their types follow `glancetrace.schema`: times are UTC with nanoseconds, durations timedeltas,
columns with few possible values categoricals, everything that may be unknown has a nullable type. The index is `id`
where a table has one. An empty table has the same columns and types as a full one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from glancetrace.result import Row
from glancetrace.schema import TABLES, Column

__all__ = ["build_frame", "typed"]

_NOT_A_TIME = np.iinfo(np.int64).min


def _integers(values: list[Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array([_NOT_A_TIME if value is None else value for value in values], dtype=np.int64)


def _times(values: list[Any]) -> pd.Series[Any]:
    return pd.Series(pd.DatetimeIndex(_integers(values).view("M8[ns]"), tz="UTC"))


def _durations(values: list[Any]) -> pd.Series[Any]:
    return pd.Series(pd.TimedeltaIndex(_integers(values).view("m8[ns]")))


def _texts(values: list[Any]) -> pd.Series[Any]:
    return pd.Series(values, dtype=pd.StringDtype("python"))  # Arrow's cannot hold a file name that is no UTF-8


def _lists(values: list[Any]) -> pd.Series[Any]:
    return pd.Series([list(value) for value in values], dtype="object")


def _objects(values: list[Any]) -> pd.Series[Any]:
    return pd.Series(values, dtype="object")


def _counts(values: list[Any]) -> pd.Series[Any]:
    try:
        return pd.Series(values, dtype="Int64")
    except (OverflowError, TypeError):  # MySQL counts with 64 bits, unsigned
        return pd.Series(values, dtype="object")


_SERIES: dict[str, Callable[[list[Any]], pd.Series[Any]]] = {
    "int": _counts,
    "str": _texts,
    "endpoint": _texts,
    "bool": lambda values: pd.Series(values, dtype="boolean"),
    "float": lambda values: pd.Series(values, dtype="Float64"),
    "ts": _times,
    "dur": _durations,
    "list": _lists,
    "object": _objects,
}


def typed(kind: str, values: list[Any]) -> pd.Series[Any]:
    """Values of one of the types of `glancetrace.schema` (times and durations in ns) as a series of its pandas type."""
    return _SERIES[kind](values)


def _series(column: Column, values: list[Any]) -> pd.Series[Any]:
    if column.values:
        # A value that the schema does not list is kept, as a further category.
        others = sorted({value for value in values if value is not None}.difference(column.values))
        return pd.Series(pd.Categorical(values, categories=[*column.values, *others]))
    return typed(column.type, values)


def build_frame(table: str, rows: Iterable[Row]) -> pd.DataFrame:
    """A table of `glancetrace.schema.TABLES` as a DataFrame.

    Args:
        table: name of the table. rows: its rows, with times in ns (see `Result.rows`).

    Returns:
        One row per row of the table, in its order.

    Raises:
        KeyError: there is no such table.
    """
    columns = TABLES[table]
    rows = list(rows)
    frame = pd.DataFrame({c.name: _series(c, [row[c.name] for row in rows]) for c in columns})
    return frame.set_index("id") if columns[0].name == "id" else frame
