"""Stage B over commands that lie on disk: epoch by epoch, with results that lie on disk.

What there is one of per connection or call is in memory, and known from the first epoch on: which calls are open at a
moment is never a guess. What there is one of per statement is in memory only while something may still change it:
statements and links go to tables on disk in the order of their ids, what says something about an image to the parts
that its story is told from. What attribution learns, it learns in each epoch anew, and units that an open call may have
run are attributed when it has ended.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import overload

from glancetrace.check.evidence import Writer, is_error, is_vain, is_write, may_be_loose, writer_of
from glancetrace.check.findings import look_through
from glancetrace.correlate.attribute import attribute
from glancetrace.correlate.link import Link
from glancetrace.correlate.proxy import Legs
from glancetrace.correlate.units import EraVotes, UnitOfWork
from glancetrace.epochs.evidence import SpilledEvidence
from glancetrace.epochs.near import NearCalls
from glancetrace.epochs.stories import StoryTeller
from glancetrace.epochs.tables import SpooledLinks, StatementRows
from glancetrace.epochs.window import Window
from glancetrace.glance.call import ApiCall
from glancetrace.glance.statement import SqlStatement
from glancetrace.issues import IssueLog
from glancetrace.join.halves import Half, doubt_beside
from glancetrace.join.unseen import doubt
from glancetrace.net.run import Connection
from glancetrace.spill.commands import SpooledCommands
from glancetrace.spill.rows import GROUP_ROWS, SpooledRows
from glancetrace.statements import ServiceVotes
from glancetrace.trace import CaptureSummary, Finding, Tables

__all__ = ["EPOCH", "Attributed", "attribute_in_epochs"]

EPOCH = 60_000
"""Commands of an epoch."""

HELD = 60_000
"""Commands for which a transaction may stay open before it is cut."""

_LAST_PART = 4
"""The end of an epoch is looked for in the last of so many parts of it..."""
_AHEAD = 8
"""... and the last of so many parts only shows how what is open then goes on."""

_TASK_UNITS = 2_000
"""Units of earlier epochs that name tasks: they tell whose work goes on."""

_RECENT_UNITS = 2_000
"""The last units of earlier epochs: calls that go on over the end of an epoch have begun with some of them."""

_MOST_WAITING = 2_000
"""Units that wait for the next epoch at most, because calls may have run them that go on over the end of this one."""

_FEW_ROWS = 1_024
"""Rows of a row group of what is rare."""

_TASK_TABLES = frozenset({"tasks", "task_info"})
_NEVER = 1 << 63


@dataclass(slots=True)
class Attributed:
    """What the epochs leave behind.

    Attributes:
        statements, links, errors, vain_writes, loose_writes: tables. teller: tells the stories. eras: what units tell
            of their clients. writers: see `glancetrace.check.evidence`. connections: those that ran statements of
            Glance. signs: image id -> end of the last statement that names it, ns. counted: (service, kind) ->
            statements, and how many of them are linked.
    """

    statements: Sequence[SqlStatement]
    links: SpooledLinks
    errors: Sequence[SqlStatement]
    vain_writes: Sequence[SqlStatement]
    loose_writes: Sequence[SqlStatement]
    teller: StoryTeller
    eras: EraVotes = field(default_factory=EraVotes)
    writers: Counter[Writer] = field(default_factory=Counter)
    connections: dict[Connection, None] = field(default_factory=dict)
    signs: dict[str, int] = field(default_factory=dict)
    counted: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    def fill(self, tables: Tables) -> None:
        """Give a result its tables of statements, links and stories."""
        tables.statements, tables.links = self.statements, self.links
        tables.images = self.teller.tell(self.links, self.connections, tables.unseen)

    def findings(self, tables: Tables, capture: CaptureSummary) -> list[Finding]:
        """What a person should know, of a result with these tables."""
        evidence = SpilledEvidence(
            tables,
            capture,
            self.links,
            self.errors,
            self.vain_writes,
            self.loose_writes,
            self.writers,
            self.connections,
            self.signs,
        )
        return look_through(evidence)


def attribute_in_epochs(
    commands: SpooledCommands, votes: ServiceVotes, tables: Tables, halves: Sequence[Half], issues: IssueLog
) -> Attributed:
    """Statements with their outcomes, units and links, from all commands.

    Args:
        commands: all commands. votes: whose their connections are. tables: calls with ids, connections, `unseen`.
        halves: see `find_halves`. issues: where statements are counted that cannot be taken apart.
    """
    near = NearCalls(tables.calls)
    window = Window(votes, Legs(_firsts(commands)), Counter(commands.of_connection))
    output = _Output(commands, tables, halves)
    stream = chain.from_iterable(commands.pieces())
    while epoch := list(islice(stream, EPOCH)):
        since, until = (epoch[-(len(epoch) // part or 1)][0].ts for part in (_LAST_PART, _AHEAD))
        window.add(epoch)
        del epoch
        units = window.units()
        end = _NEVER if window.over else near.quietest(units, since, until)
        units = window.finished(end, window.next_id - HELD)
        for frame in window.unparsed:
            issues.count("sql-unparsed", frame=frame)
        for frame in window.cut:
            issues.count("sql-unit-cut", frame=frame)
        output.take(units, near, window.first_open, end, window.next_id - HELD)
    output.flush()
    return output.attributed


def _firsts(commands: SpooledCommands) -> dict[int, list[SqlStatement]]:
    """The first statements of every connection, with what is needed to compare them."""
    return {
        connection.id: [SqlStatement(command, None, connection, "other", "request", "") for command in own]
        for connection, own in sorted(commands.firsts.items(), key=lambda item: item[0].id)
    }


class _Output:
    """Takes the units of each epoch, and writes statements and links once all before them are there."""

    def __init__(self, commands: SpooledCommands, tables: Tables, halves: Sequence[Half]) -> None:
        self._tables = tables
        self._halves = halves
        self._pending: dict[int, tuple[SqlStatement, Link | None]] = {}
        self._next = 1
        self._tasks: deque[UnitOfWork] = deque(maxlen=_TASK_UNITS)
        self._recent: dict[UnitOfWork, None] = {}
        self._waiting: list[UnitOfWork] = []
        rows = StatementRows(commands)
        self._errors, self._vain, self._loose = (SpooledRows(rows.whole, _FEW_ROWS) for _ in range(3))
        self._statements = SpooledRows(rows.placed, GROUP_ROWS)
        self._links = SpooledLinks()
        teller = StoryTeller(tables.calls, rows)
        self.attributed = Attributed(self._statements, self._links, self._errors, self._vain, self._loose, teller)

    def take(self, units: list[UnitOfWork], near: NearCalls, first_open: int, end: int, oldest: int) -> None:
        """Attribute units to calls near them; those that wait are attributed again, with what follows.

        Args:
            units: those that are finished. first_open: id of the first statement that follows later. end: when the
                epoch ends, ns. oldest: statements with lower ids do not wait.
        """
        units = [*self._waiting, *units]
        requests = [s for unit in units for s in unit.statements if s.kind == "request"]
        earlier = [*(unit for unit in self._tasks if unit not in self._recent), *self._recent]
        links = _attribute(near.of(units), earlier, units, self._halves)
        since = _NEVER if end == _NEVER else near.open_since(end)
        self._waiting = [u for u in units[-_MOST_WAITING:] if u.ts >= since and u.statements[0].id >= oldest]
        waiting = dict.fromkeys(s for unit in self._waiting for s in unit.statements)
        for statement in requests:
            if statement in waiting:
                statement.kind = "request"
        units = [unit for unit in units if unit.statements[0] not in waiting]
        glance = [unit for unit in units if unit.statements[0].service == "glance"]
        self._tasks += filter(_is_of_task, glance)
        self._recent = dict.fromkeys([*earlier, *glance][-_RECENT_UNITS:])
        self._settle(units, links)
        self.attributed.eras.add(glance)
        self._write(min(first_open, *(statement.id for statement in waiting), first_open))

    def _settle(self, units: list[UnitOfWork], links: list[Link]) -> None:
        """Take what is known of units for good; of the links, theirs."""
        for unit in units:
            for statement in unit.statements if unit.statements[0].service == "other" else ():
                if statement.kind == "request":
                    statement.kind = "background"
        statements = _ById(statement for unit in units for statement in unit.statements)
        links = [link for link in links if link.statement_id in statements.ids]
        doubt(links, statements, self._tables.calls, self._tables.unseen)
        doubt_beside(links, statements, self._halves)
        link_of = {link.statement_id: link for link in links}
        self.attributed.teller.add(units, link_of)
        for statement in statements:
            self._count(statement, statement.id in link_of)
            self._pending[statement.id] = statement, link_of.get(statement.id)

    def _count(self, statement: SqlStatement, linked: bool) -> None:
        attributed = self.attributed
        counts = attributed.counted.setdefault((statement.service, statement.kind), [0, 0])
        counts[0] += 1
        counts[1] += linked
        if statement.service == "glance":
            attributed.connections[statement.connection] = None
        for image_id in statement.image_ids:
            attributed.signs[image_id] = max(statement.end_ts, attributed.signs.get(image_id, 0))

    def _write(self, first_open: int) -> None:
        done = [self._pending.pop(number) for number in range(self._next, first_open)]
        self._next = max(self._next, first_open)
        statements = [statement for statement, _ in done]
        self._statements.extend(statements)
        self._links.extend(link for _, link in done if link is not None)
        self._errors.extend(filter(is_error, statements))
        writes = [(statement, link) for statement, link in done if is_write(statement)]
        self._vain.extend(statement for statement, _ in writes if is_vain(statement))
        self._loose.extend(statement for statement, link in writes if link is None and may_be_loose(statement))
        self.attributed.writers.update(
            writer_of(statement, linked=link is not None) for statement, link in writes if statement.service == "glance"
        )

    def flush(self) -> None:
        """Nothing follows."""
        for table in (self._statements, self._links, self._errors, self._vain, self._loose):
            table.flush()


def _attribute(
    calls: list[ApiCall], earlier: list[UnitOfWork], units: list[UnitOfWork], halves: Sequence[Half]
) -> list[Link]:
    """Links of units, and of earlier ones of Glance, which are known already."""
    by_service: dict[str, list[UnitOfWork]] = {"glance": list(earlier)}
    for unit in units:
        by_service.setdefault(unit.statements[0].service, []).append(unit)
    by_service.pop("other", None)
    return attribute(calls, by_service, halves)


def _is_of_task(unit: UnitOfWork) -> bool:
    """It names tasks of Glance."""
    return any(s.parsed is not None and not _TASK_TABLES.isdisjoint(s.parsed.shape.tables) for s in unit.statements)


class _ById(Sequence[SqlStatement]):
    """Some statements, found by their ids as in the table of all: the first stands at 0."""

    def __init__(self, statements: Iterable[SqlStatement]) -> None:
        self._rows = {statement.id: statement for statement in statements}

    @property
    def ids(self) -> Container[int]:
        """Their ids."""
        return self._rows.keys()

    @overload
    def __getitem__(self, index: int) -> SqlStatement: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[SqlStatement]: ...

    def __getitem__(self, index: int | slice) -> SqlStatement | Sequence[SqlStatement]:
        if isinstance(index, slice):
            raise TypeError("some statements have no slices")
        return self._rows[index + 1]

    def __iter__(self) -> Iterator[SqlStatement]:
        return iter(self._rows.values())

    def __len__(self) -> int:
        return len(self._rows)
