"""Columns of a table that is spilled: Python values as Arrow arrays of a type that says what they are, and back.

Times are timestamps in ns (UTC), counts of the server are unsigned numbers of 64 bits, texts are dictionaries: most
commands are a few texts over and over. What may be of several types, as parameters and cells of rows are, is a struct
of a text and, where it is none, its bytes with a letter before them that tells the type; neither is NULL. Lists are
lists, in which tuples come back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

__all__ = [
    "CELLS",
    "FLAG",
    "NUMBER",
    "ROWS",
    "TEXT",
    "TIME",
    "WIDE",
    "joined",
    "pack_column",
    "pack_table",
    "texts_of",
    "unpack_column",
    "unpack_table",
]

NUMBER = pa.int64()
WIDE = pa.uint64()
FLAG = pa.bool_()
TIME = pa.timestamp("ns", "UTC")
TEXT = pa.dictionary(pa.int32(), pa.string())
_CELL = pa.struct([("text", pa.string()), ("other", pa.binary())])
CELLS = pa.list_(_CELL)
"""Values of a statement's parameters."""
ROWS = pa.list_(CELLS)
"""Rows of a result set."""

_MANY = 2
"""Times as many texts as rows are too many to be built."""


def pack_column(type_: pa.DataType, values: Sequence[Any]) -> pa.Array:
    """Values as an array of a type of this module, or any other that Arrow makes of such values itself."""
    pack = _PACK.get(type_)
    return pa.array(values, type_) if pack is None else pack(values)


def unpack_column(type_: pa.DataType, array: pa.Array) -> Sequence[Any]:
    """The inverse of `pack_column`; pyarrow may have renamed what is in a list."""
    if array.null_count == len(array):
        return [None] * len(array)
    unpack = _UNPACK.get(type_)
    values: Sequence[Any] = array.to_pylist() if unpack is None else unpack(array)
    return values


def pack_table(schema: pa.Schema, columns: Iterable[Sequence[Any]]) -> pa.Table:
    """Columns of values as a table."""
    arrays = [pack_column(field.type, values) for field, values in zip(schema, columns, strict=True)]
    return pa.table(arrays, schema=schema)


def unpack_table(schema: pa.Schema, table: pa.Table) -> list[Sequence[Any]]:
    """The inverse of `pack_table`, of a table or some rows of it."""
    return [
        unpack_column(field.type, _one_chunk(column)) for field, column in zip(schema, table.itercolumns(), strict=True)
    ]


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    """The array of a column; where its texts were too many for one, these are put together."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def joined(tables: Sequence[pa.Table]) -> pa.Table:
    """Rows of several tables, perhaps parts of larger ones, with the texts that are in these rows and no others."""
    whole = pa.concat_tables(tables)
    columns = []
    for field, column in zip(whole.schema, whole.itercolumns(), strict=True):
        if field.type == TEXT:
            column = pa.concat_arrays([chunk.cast(pa.string()) for chunk in column.chunks]).dictionary_encode()
        columns.append(column)
    return pa.table(columns, schema=whole.schema)


def texts_of(table: pa.Schema) -> list[str]:
    """Names of the columns that are texts."""
    return [field.name for field in table if field.type == TEXT]


def _pack_times(values: Sequence[int | None]) -> pa.Array:
    return pa.array(values, NUMBER).view(TIME)


def _unpack_times(array: pa.Array) -> Sequence[int | None]:
    values: list[int | None] = array.view(NUMBER).to_pylist()
    return values


def _pack_texts(values: Sequence[str | None]) -> pa.Array:
    return pa.array(values, pa.string()).dictionary_encode()


def _unpack_texts(array: pa.DictionaryArray) -> Sequence[str | None]:
    """Equal texts are one object; of a dictionary that is much larger only those that are there are built."""
    numbers, texts = array.indices, array.dictionary
    if len(texts) > _MANY * len(array):
        used, places = np.unique(numbers.fill_null(-1).to_numpy(), return_inverse=True)
        absent = int(used[0] < 0)
        some = [None] * absent + texts.take(pa.array(used[absent:])).to_pylist()
        return list(map(some.__getitem__, places.tolist()))
    if numbers.null_count:
        numbers = numbers.fill_null(len(texts))
    return list(map([*texts.to_pylist(), None].__getitem__, numbers.to_pylist()))


def _pack_cells(values: Sequence[Any]) -> pa.Array:
    """Single values, without regard to the lists in which they are."""
    texts = pa.array([value if type(value) is str else None for value in values], pa.string())
    kinds = set(map(type, values)) - {str, type(None)}
    others = pa.array(map(_other, values), pa.binary()) if kinds else pa.nulls(len(values), pa.binary())
    return pa.StructArray.from_arrays([texts, others], fields=list(_CELL))


def _other(value: Any) -> bytes | None:
    if value is None or isinstance(value, str):
        return None
    if isinstance(value, bytes):
        return b"b" + value
    return b"i%d" % value if isinstance(value, int) else b"f" + value.hex().encode()


def _unpack_cells(array: pa.StructArray) -> list[Any]:
    texts, others = array.flatten()
    values: list[Any] = texts.to_pylist()
    if others.null_count < len(others):
        for place, other in enumerate(others.to_pylist()):
            if other is not None:
                values[place] = _READ[other[:1]](other[1:])
    return values


_READ: dict[bytes, Callable[[bytes], Any]] = {
    b"b": bytes,
    b"i": int,
    b"f": lambda data: float.fromhex(data.decode()),
}


def _listed(lists: Sequence[Sequence[Any] | None], pack: Callable[[Sequence[Any]], pa.Array]) -> pa.ListArray:
    """Lists, of which most are None."""
    present = [(at, one) for at, one in enumerate(lists) if one is not None]
    absent = np.ones(len(lists), bool)
    offsets = np.zeros(len(lists) + 1, np.int32)
    if present:
        places = np.array([at for at, _ in present])
        absent[places] = False
        offsets[places + 1] = [len(one) for _, one in present]
    values = pack([value for _, one in present for value in one])
    return pa.ListArray.from_arrays(pa.array(offsets.cumsum(dtype=np.int32)), values, mask=pa.array(absent))


def _unlisted(array: pa.ListArray, values: Sequence[Any], each: type[Any]) -> list[Any]:
    """Lists of the values that are in the array, as `each`."""
    offsets = array.offsets.to_pylist()
    first = offsets[0]
    present: Iterable[bool] = array.is_valid().to_pylist()
    return [
        each(values[start - first : stop - first]) if there else None
        for start, stop, there in zip(offsets, offsets[1:], present, strict=False)
    ]


def _pack_lists(values: Sequence[Any]) -> pa.Array:
    return _listed(values, _pack_cells)


def _unpack_lists(array: pa.ListArray) -> list[Any]:
    return _unlisted(array, _unpack_cells(array.flatten()), tuple)


def _pack_rows(values: Sequence[Any]) -> pa.Array:
    return _listed(values, _pack_lists)


def _unpack_rows(array: pa.ListArray) -> list[Any]:
    return _unlisted(array, _unpack_lists(array.flatten()), list)


_PACK: dict[pa.DataType, Callable[[Sequence[Any]], pa.Array]] = {
    TIME: _pack_times,
    TEXT: _pack_texts,
    CELLS: _pack_lists,
    ROWS: _pack_rows,
}
_UNPACK: dict[pa.DataType, Callable[[Any], Sequence[Any]]] = {
    TIME: _unpack_times,
    TEXT: _unpack_texts,
    CELLS: _unpack_lists,
    ROWS: _unpack_rows,
}
