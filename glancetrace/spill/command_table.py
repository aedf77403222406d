"""Commands of stage A as rows of a typed table: `glancetrace.mysql.command.MysqlCommand`, column by column.

Sessions, of which there is one per connection, are numbered by whoever has them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from glancetrace.mysql.command import MysqlCommand, MysqlError, MysqlSession, columns_of_commands
from glancetrace.spill.columns import CELLS, FLAG, NUMBER, ROWS, TEXT, TIME, WIDE

__all__ = ["COMMANDS", "OWNED", "PlacedCommand", "pack_commands", "unpack_commands"]


@dataclass(slots=True)
class PlacedCommand(MysqlCommand):
    """A command that was read from a table; `place` says where it is found again."""

    place: int = 0


_ERROR = pa.struct([("code", pa.int32()), ("sqlstate", pa.string()), ("message", pa.string())])

COMMANDS = pa.schema(
    [
        ("ordinal", NUMBER),
        ("command", TEXT),
        ("sql", TEXT),
        ("schema", TEXT),
        ("ts", TIME),
        ("first_frame", NUMBER),
        ("request_end_ts", TIME),
        ("request_frame", NUMBER),
        ("params", CELLS),
        ("response_ts", TIME),
        ("response_end_ts", TIME),
        ("response_frame", NUMBER),
        ("returned_rows", NUMBER),
        ("affected_rows", WIDE),
        ("last_insert_id", WIDE),
        ("status_flags", pa.uint16()),
        ("status_before", pa.uint16()),
        ("error", _ERROR),
        ("columns", TEXT),
        ("rows", ROWS),
        ("rows_complete", FLAG),
        ("complete", FLAG),
        ("cut", FLAG),
        ("after_gap", FLAG),
    ]
)
"""Columns of commands: the fields of `MysqlCommand` after its session, in their order.

`columns` are JSON: there are few different ones, and many commands that share them.
"""

OWNED = pa.schema([("session", pa.uint32()), *COMMANDS])
"""The same after the number of the session."""

_ERROR_PLACE = COMMANDS.names.index("error")
_COLUMNS_PLACE = COMMANDS.names.index("columns")


def pack_commands(commands: Sequence[MysqlCommand]) -> list[Sequence[Any]]:
    """The values of each column of `COMMANDS`."""
    columns: list[Sequence[Any]] = [*columns_of_commands(commands)]
    errors, names = columns[_ERROR_PLACE], columns[_COLUMNS_PLACE]
    columns[_ERROR_PLACE] = [error and (error.code, error.sqlstate, error.message) for error in errors]
    texts = {some: None if some is None else json.dumps(some) for some in set(names)}
    columns[_COLUMNS_PLACE] = list(map(texts.__getitem__, names))
    return columns


def unpack_commands(
    columns: list[Sequence[Any]], sessions: Iterable[MysqlSession], places: Iterable[int]
) -> Iterator[PlacedCommand]:
    """The inverse, with the session and the place of each command."""
    errors, texts = columns[_ERROR_PLACE], columns[_COLUMNS_PLACE]
    columns[_ERROR_PLACE] = [error and MysqlError(**error) for error in errors]
    names = {text: None if text is None else tuple(json.loads(text)) for text in set(texts)}
    columns[_COLUMNS_PLACE] = list(map(names.__getitem__, texts))
    return map(PlacedCommand, sessions, *columns, places)
