"""Rows that the MySQL decoder writes: one `MysqlCommand` per command, with its response if there is one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any

__all__ = ["ColumnPolicy", "MysqlCommand", "MysqlError", "MysqlSession", "columns_of_commands"]

Value = str | bytes | int | float | None


@dataclass(slots=True, eq=False)
class MysqlSession:
    """What is known of a connection's session; shared by its commands and filled in as it becomes known.

    `user`, `schema`, `thread_id`, `server_version` are None for a session that began before the capture. `schema` is
    the current one (a command keeps its own). `tls`: the client upgraded to TLS. `compressed`: "", "zlib" or "zstd".
    `scramble` is the server's nonce (equal on both legs of a TCP proxy).
    """

    connection_id: int
    user: str | None = None
    schema: str | None = None
    thread_id: int | None = None
    server_version: str | None = None
    scramble: bytes | None = None
    capabilities: int | None = None
    tls: bool = False
    compressed: str = ""


@dataclass(frozen=True, slots=True)
class MysqlError:
    """ERR_Packet: code, sqlstate ("" where the server sent none), message."""

    code: int
    sqlstate: str
    message: str


ColumnPolicy = Callable[[str, str | None], frozenset[str] | None]
"""(statement text, schema or None) -> names of result columns whose values are wanted, None for no rows at all.

A result column is wanted when its name, or its name after the last table prefix that SQLAlchemy puts before it, is in
the set: the policy is given the text and returns the names exactly as they stand in the column definitions.
"""


@dataclass(slots=True)
class MysqlCommand:
    """A command and its response.

    Attributes:
        ordinal: position among the commands of its connection, from 1, as seen.
        command: "COM_QUERY", "COM_PING", ...
        sql: text of COM_QUERY, of the prepared statement for COM_STMT_PREPARE and COM_STMT_EXECUTE (None if the text
            is not in the capture), schema for COM_INIT_DB, else None.
        params: bound values of COM_STMT_EXECUTE, in order; None otherwise. Binary dates come as ISO text, as
            'YYYY-MM-DD HH:MM:SS[.ffffff]'.
        schema: default schema when the command was sent, None if unknown.
        ts, first_frame: first byte of the request; request_end_ts, request_frame: its last byte.
        response_ts, response_end_ts, response_frame: first and last byte of the response; None if not seen.
        returned_rows: rows of all result sets; None when no result set came.
        affected_rows, last_insert_id: of the last OK packet (of a command that returns no rows); None without one.
        status_flags: SERVER_STATUS_ flags of the last OK or EOF packet; None if not seen.
        status_before: the same, as they stood when the command was sent; None if not known.
        columns, rows: wanted columns (names) and their values; None when not wanted or not seen. Text of utf-8,
            undecodable bytes replaced; numbers as text in the text protocol.
        rows_complete: all rows of the result set are in `rows`.
        complete: request and response seen to their last byte.
        cut: the request itself lost bytes; `sql` is only its start.
        after_gap: bytes of the client are missing before it, so there may have been other commands.
    """

    session: MysqlSession
    ordinal: int
    command: str
    sql: str | None
    schema: str | None
    ts: int
    first_frame: int
    request_end_ts: int
    request_frame: int
    params: tuple[Value, ...] | None = None
    response_ts: int | None = None
    response_end_ts: int | None = None
    response_frame: int | None = None
    returned_rows: int | None = None
    affected_rows: int | None = None
    last_insert_id: int | None = None
    status_flags: int | None = None
    status_before: int | None = None
    error: MysqlError | None = None
    columns: tuple[str, ...] | None = None
    rows: list[tuple[Value, ...]] | None = None
    rows_complete: bool = False
    complete: bool = False
    cut: bool = False
    after_gap: bool = False


def columns_of_commands(commands: Iterable[MysqlCommand]) -> list[tuple[Any, ...]]:
    """The fields of commands after their session, in their order, each for all commands.

    They are named here one by one, since that is several times faster than asking for each by its name.
    """
    rows = [
        (
            command.ordinal,
            command.command,
            command.sql,
            command.schema,
            command.ts,
            command.first_frame,
            command.request_end_ts,
            command.request_frame,
            command.params,
            command.response_ts,
            command.response_end_ts,
            command.response_frame,
            command.returned_rows,
            command.affected_rows,
            command.last_insert_id,
            command.status_flags,
            command.status_before,
            command.error,
            command.columns,
            command.rows,
            command.rows_complete,
            command.complete,
            command.cut,
            command.after_gap,
        )
        for command in commands
    ]
    return list(zip(*rows, strict=True)) if rows else [()] * (len(fields(MysqlCommand)) - 1)
