"""Statements, links and stories as tables on disk: how their rows are packed, and what finds them again.

A statement is its command, packed column by column, and what stage B found out about it; its text is taken apart again
when it is read. Of a link the joint solution that it comes from is not kept.
"""

from __future__ import annotations

import pickle
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

from glancetrace.correlate.link import Link
from glancetrace.glance.statement import SqlStatement, StatementHop
from glancetrace.mysql.command import MysqlSession
from glancetrace.net.run import Connection
from glancetrace.packing import pack_column, pack_commands, unpack_column, unpack_commands
from glancetrace.spill.rows import SpooledRows
from glancetrace.spill.spool import Spool
from glancetrace.statements import StatementReader, name_rows
from glancetrace.timeline.image import ImageStory

__all__ = ["LinkIndex", "SpooledLinks", "StatementPacker", "StoryPacker"]

_COLUMNS = ("service", "kind", "operation", "schema", "id", "unit_id", "outcome", "commit_ts", "commit_frame")
_VALUES = attrgetter(*_COLUMNS)
_HOP = attrgetter(*StatementHop.__slots__)


class StatementPacker:
    """Packs the statements of a capture and builds them again; one for all its tables of statements."""

    def __init__(self) -> None:
        self._reader = StatementReader()
        self._numbers: dict[MysqlSession, int] = {}
        self._owners: list[tuple[Connection, MysqlSession]] = []

    def table(self, spool: Spool, block_rows: int) -> SpooledRows[SqlStatement]:
        """An empty table of statements."""
        return SpooledRows(spool, self.pack, self.unpack, block_rows)

    def pack(self, statements: list[SqlStatement]) -> Any:
        """Statements as plain values."""
        for statement in statements:
            session = statement.command.session
            if session not in self._numbers:
                self._numbers[session] = len(self._owners)
                self._owners.append((statement.connection, session))
        owners = array("I", [self._numbers[s.command.session] for s in statements])
        columns = zip(*map(_VALUES, statements), strict=True)
        return (
            owners.tobytes(),
            bytes(s.parsed is not None for s in statements),
            [(at, [_HOP(hop) for hop in s.hops]) for at, s in enumerate(statements) if s.hops],
            [pack_column(name, list(column)) for name, column in zip(_COLUMNS, columns, strict=True)],
            pack_commands([s.command for s in statements]),
        )

    def unpack(self, packed: Any) -> list[SqlStatement]:
        """The inverse of `pack`."""
        numbers, parsed, hops, columns, commands = packed
        owners = [self._owners[number] for number in memoryview(numbers).cast("I")]
        count = len(owners)
        values = [unpack_column(name, column, count) for name, column in zip(_COLUMNS, columns, strict=True)]
        statements = []
        for command, (connection, _), with_text, row in zip(
            unpack_commands(commands, count, (session for _, session in owners)),
            owners,
            parsed,
            zip(*values, strict=True),
            strict=True,
        ):
            service, kind, operation, schema, number, unit_id, outcome, commit_ts, commit_frame = row
            statement = SqlStatement(
                command,
                self._reader.parse(command) if with_text else None,
                connection,
                service,
                kind,
                operation,
                schema,
                number,
                unit_id,
                outcome,
                commit_ts,
                commit_frame,
            )
            name_rows(statement)
            statements.append(statement)
        for at, legs in hops:
            statements[at].hops = [StatementHop(*leg) for leg in legs]
        return statements


class SpooledLinks(SpooledRows[Link]):
    """A table of links, in order of their statements."""

    def __init__(self, spool: Spool, block_rows: int) -> None:
        super().__init__(spool, _pack_links, _unpack_links, block_rows)
        self._statements = array("Q")
        self._calls = array("I")
        self._in_request = bytearray()

    def append(self, row: Link) -> None:
        """Add a link at the end."""
        self._statements.append(row.statement_id)
        self._calls.append(row.call_id)
        self._in_request.append(row.relation == "in_request")
        super().append(row)

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


def _pack_links(links: list[Link]) -> Any:
    return [
        (
            link.statement_id,
            link.call_id,
            link.link_class,
            link.relation,
            link.score,
            link.evidence,
            link.group_id,
            link.candidates,
            link.rejected,  # statements of a unit share the list, and marshal keeps it so
        )
        for link in links
    ]


def _unpack_links(packed: Any) -> list[Link]:
    return [Link(*values) for values in packed]


class StoryPacker:
    """Packs the stories of images."""

    @staticmethod
    def table(spool: Spool, block_rows: int) -> SpooledRows[ImageStory]:
        """An empty table of stories."""
        return SpooledRows(spool, _pickled, pickle.loads, block_rows)


def _pickled(stories: Sequence[ImageStory]) -> bytes:
    return pickle.dumps(stories, protocol=5)
