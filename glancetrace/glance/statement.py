"""A database statement as the rest of the program sees it: the command on the wire, what its text says, and what
became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from glancetrace.glance.database import RowChange
from glancetrace.mysql.command import MysqlCommand
from glancetrace.net.run import Connection, Endpoint
from glancetrace.sql.statement import Statement

__all__ = ["SqlStatement", "StatementHop"]


@dataclass(slots=True)
class StatementHop:
    """One leg of a statement that was seen on both sides of a MySQL proxy; `ts`, `dur` in ns.

    `request_frame` is that of the command's last byte.
    """

    client: Endpoint
    server: Endpoint
    connection_id: int
    ts: int
    dur: int | None
    first_frame: int
    last_frame: int
    request_frame: int = 0


@dataclass(slots=True, eq=False)
class SqlStatement:
    """One command on a MySQL connection.

    Attributes:
        command: the decoded command; parsed: its text taken apart, None for commands without text.
        connection: where it ran (the outermost leg behind a proxy).
        service: "glance", "keystone" or "other". schema: default schema when it ran, None if unknown.
        kind: "request", "ping", "setup", "health", "background" or "unattributed"; final after attribution.
        unit_id: unit of work (one checkout of the connection), numbered over the whole capture from 1.
        operation: SELECT, UPDATE, COMMIT ...; the command's name for commands without text.
        outcome: "committed", "rolled_back" or "unknown"; commit_ts (ns, the server's OK), commit_frame (the COMMIT's
            frame, or the statement's own under autocommit).
        image_ids: images that the text names. changes: rows that it writes, as its text says.
    """

    command: MysqlCommand
    parsed: Statement | None
    connection: Connection
    service: str
    kind: str
    operation: str
    schema: str | None = None
    id: int = 0
    unit_id: int | None = None
    outcome: str = "unknown"
    commit_ts: int | None = None
    commit_frame: int | None = None
    image_ids: tuple[str, ...] = ()
    changes: tuple[RowChange, ...] = ()
    hops: Sequence[StatementHop] = ()

    @property
    def end_ts(self) -> int:
        """Last byte seen of the statement, ns."""
        return self.command.response_end_ts or self.command.request_end_ts
