"""Statements and links as tables on disk: what their columns are, and what finds rows again.

A statement is its command and what stage B found out about it: in the table of all statements the command is where it
stands in the table of commands. Its text is taken apart again when it is read. Of a link the joint solution that it
comes from is not kept.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from operator import attrgetter
from typing import Any

import pyarrow as pa

from glancetrace.correlate.link import Link
from glancetrace.glance.statement import SqlStatement, StatementHop
from glancetrace.mysql.command import MysqlSession
from glancetrace.net.run import Connection
from glancetrace.spill.columns import FLAG, NUMBER, TEXT, TIME
from glancetrace.spill.command_table import (
    COMMANDS,
    OWNED,
    PlacedCommand,
    pack_commands,
    unpack_commands,
)
from glancetrace.spill.commands import Owned, SpooledCommands
from glancetrace.spill.rows import RowType, SpooledRows
from glancetrace.statements import StatementReader, name_rows

__all__ = ["LinkIndex", "SpooledLinks", "StatementRows"]

_HOP = pa.struct(
    [
        ("client", pa.string()),
        ("client_port", NUMBER),
        ("server", pa.string()),
        ("server_port", NUMBER),
        ("connection_id", NUMBER),
        ("ts", NUMBER),
        ("dur", NUMBER),
        ("first_frame", NUMBER),
        ("last_frame", NUMBER),
        ("request_frame", NUMBER),
    ]
)

_FOUND = {
    "service": TEXT,
    "kind": TEXT,
    "operation": TEXT,
    "id": NUMBER,
    "unit_id": NUMBER,
    "outcome": TEXT,
    "commit_ts": TIME,
    "commit_frame": NUMBER,
}
"""What stage B found out about a statement."""

_FINDINGS = pa.schema([*_FOUND.items(), ("has_text", FLAG), ("hops", pa.list_(_HOP))])
_STATEMENTS = pa.schema([*OWNED, *_FINDINGS])
"""Statements with their commands."""
_SAID = pa.schema([("since", TIME), *_STATEMENTS])
"""The same with the first moment of their units of work."""
_PLACED = pa.schema([("place", NUMBER), *_FINDINGS])
"""Statements with the places of their commands in the table of commands."""

_LINKS = pa.schema(
    [
        ("statement_id", NUMBER),
        ("call_id", NUMBER),
        ("class", TEXT),
        ("relation", TEXT),
        ("score", pa.float64()),
        ("evidence", pa.list_(pa.string())),
        ("group_id", NUMBER),
        ("candidates", pa.list_(NUMBER)),
        ("rejected", pa.list_(pa.struct([("call_id", NUMBER), ("reason", pa.string())]))),
    ]
)
"""`rejected` is null where it is that of the row before: statements of a unit share it."""


class StatementRows:
    """The statements of a capture as rows and back; one for all its tables of statements.

    Args:
        commands: all commands.
    """

    def __init__(self, commands: SpooledCommands) -> None:
        self._commands = commands
        self._reader = StatementReader()
        self._numbers: dict[MysqlSession, int] = {}
        self._sessions: list[MysqlSession] = []
        self._connections: list[Connection] = []

    @property
    def placed(self) -> RowType[SqlStatement]:
        """For all statements in order: their commands stay where they are."""
        return RowType(_PLACED, _pack_placed, self._unpack_placed)

    @property
    def whole(self) -> RowType[SqlStatement]:
        """For some statements, with their commands."""
        return RowType(_STATEMENTS, self._pack, self._unpack)

    @property
    def said(self) -> RowType[tuple[SqlStatement, int]]:
        """The same with the first moment of the unit of work, ns."""
        return RowType(_SAID, self._pack_said, self._unpack_said)

    def _unpack_placed(self, columns: list[Sequence[Any]]) -> list[SqlStatement]:
        places, *found = columns
        return self._statements(self._commands.at(places), found)

    def _pack(self, statements: Sequence[SqlStatement]) -> Iterator[Sequence[Any]]:
        commands = [statement.command for statement in statements]
        for session, statement in {s.command.session: s for s in statements}.items():
            if session not in self._numbers:
                self._numbers[session] = len(self._sessions)
                self._sessions.append(session)
                self._connections.append(statement.connection)
        yield [self._numbers[command.session] for command in commands]
        yield from pack_commands(commands)
        yield from _pack_found(statements)

    def _unpack(self, columns: list[Sequence[Any]]) -> list[SqlStatement]:
        numbers, *columns = columns
        commands, found = columns[: len(COMMANDS)], columns[len(COMMANDS) :]
        unpacked = unpack_commands(commands, map(self._sessions.__getitem__, numbers), repeat(0))
        return self._statements(zip(unpacked, map(self._connections.__getitem__, numbers), strict=True), found)

    def _pack_said(self, rows: Sequence[tuple[SqlStatement, int]]) -> Iterator[Sequence[Any]]:
        yield [since for _, since in rows]
        yield from self._pack([statement for statement, _ in rows])

    def _unpack_said(self, columns: list[Sequence[Any]]) -> list[tuple[SqlStatement, int]]:
        since, *whole = columns
        return list(zip(self._unpack(whole), since, strict=True))

    def _statements(self, commands: Iterable[Owned], found: list[Sequence[Any]]) -> list[SqlStatement]:
        """Statements of commands, and what was found out about them."""
        statements = []
        for (command, connection), service, kind, operation, number, unit_id, outcome, ts, frame, has_text, hops in zip(
            commands, *found, strict=True
        ):
            statement = SqlStatement(
                command,
                self._reader.parse(command) if has_text else None,
                connection,
                service,
                kind,
                operation,
                command.schema,
                number,
                unit_id,
                outcome,
                ts,
                frame,
            )
            name_rows(statement)
            if hops:
                statement.hops = _unpack_hops(hops)
            statements.append(statement)
        return statements


def _pack_placed(statements: Sequence[SqlStatement]) -> Iterator[Sequence[Any]]:
    yield [statement.command.place for statement in statements if isinstance(statement.command, PlacedCommand)]
    yield from _pack_found(statements)


def _pack_found(statements: Sequence[SqlStatement]) -> Iterator[Sequence[Any]]:
    for name in _FOUND:
        yield list(map(attrgetter(name), statements))
    yield [statement.parsed is not None for statement in statements]
    yield [_pack_hops(statement.hops) if statement.hops else None for statement in statements]


def _pack_hops(hops: Sequence[StatementHop]) -> list[tuple[Any, ...]]:
    return [
        (
            *hop.client,
            *hop.server,
            hop.connection_id,
            hop.ts,
            hop.dur,
            hop.first_frame,
            hop.last_frame,
            hop.request_frame,
        )
        for hop in hops
    ]


def _unpack_hops(hops: list[dict[str, Any]]) -> list[StatementHop]:
    legs = (tuple(hop.values()) for hop in hops)
    return [StatementHop(leg[0:2], leg[2:4], *leg[4:]) for leg in legs]


class SpooledLinks(SpooledRows[Link]):
    """A table of links, in order of their statements."""

    def __init__(self) -> None:
        super().__init__(RowType(_LINKS, _pack_links, _unpack_links))
        self._statements = array("Q")
        self._calls = array("I")
        self._in_request = bytearray()

    def extend(self, rows: Iterable[Link]) -> None:
        """Add links at the end."""
        rows = list(rows)
        self._statements.extend(link.statement_id for link in rows)
        self._calls.extend(link.call_id for link in rows)
        self._in_request.extend(link.relation == "in_request" for link in rows)
        super().extend(rows)

    def at(self, statement_id: int) -> int | None:
        """Where the link of a statement stands."""
        place = bisect_left(self._statements, statement_id)
        found = place < len(self._statements) and self._statements[place] == statement_id
        return place if found else None

    def by_statement(self) -> Mapping[int, Link]:
        """Statement id -> its link."""
        return LinkIndex(self)

    def callers(self) -> Mapping[int, Link]:
        """Statement id -> a link that tells its call and nothing else, which takes no reading."""
        return _Callers(self)

    def call_at(self, place: int) -> int:
        """Id of the call of a link."""
        return self._calls[place]

    def statements_by_call(self, *, in_request: bool = False) -> dict[int, array[int]]:
        """Call id -> places of its statements in their table, ascending; only of those before its response."""
        found: dict[int, array[int]] = {}
        for statement_id, call_id, before in zip(self._statements, self._calls, self._in_request, strict=True):
            if in_request and not before:
                continue
            own = found.get(call_id)
            if own is None:
                own = found[call_id] = array("Q")
            own.append(statement_id - 1)
        return found


class LinkIndex(Mapping[int, Link]):
    """Statement id -> its link, read when it is asked for."""

    def __init__(self, links: SpooledLinks) -> None:
        self._links = links

    def __getitem__(self, statement_id: int) -> Link:
        place = self._links.at(statement_id)
        if place is None:
            raise KeyError(statement_id)
        return self._links[place]

    def __contains__(self, statement_id: object) -> bool:
        return isinstance(statement_id, int) and self._links.at(statement_id) is not None

    def __iter__(self) -> Iterator[int]:
        return (link.statement_id for link in self._links)

    def __len__(self) -> int:
        return len(self._links)


class _Callers(LinkIndex):
    def __getitem__(self, statement_id: int) -> Link:
        place = self._links.at(statement_id)
        if place is None:
            raise KeyError(statement_id)
        return Link(statement_id, self._links.call_at(place), "", "", 0.0)


def _pack_links(links: Sequence[Link]) -> list[Sequence[Any]]:
    before: list[tuple[int, str]] | None = None
    rejected: list[list[tuple[int, str]] | None] = []
    for link in links:
        rejected.append(None if link.rejected is before else link.rejected)
        before = link.rejected
    return [
        [link.statement_id for link in links],
        [link.call_id for link in links],
        [link.link_class for link in links],
        [link.relation for link in links],
        [link.score for link in links],
        [link.evidence for link in links],
        [link.group_id for link in links],
        [link.candidates for link in links],
        rejected,
    ]


def _unpack_links(columns: list[Sequence[Any]]) -> list[Link]:
    *plain, evidence, group_ids, candidates, rejected = columns
    shared: list[list[tuple[int, str]]] = []
    for own in rejected:
        shared.append(shared[-1] if own is None else [(one["call_id"], one["reason"]) for one in own])
    return list(map(Link, *plain, map(tuple, evidence), group_ids, map(tuple, candidates), shared))
