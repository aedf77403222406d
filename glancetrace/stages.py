"""Stage B: from decoded rows to a `Trace`, in stages.

Every entry of `STAGES` takes the draft of the result one step further and uses only what stages before it have filled
in. Rows that are too many for memory go through `glancetrace.epochs` instead, which does the same in parts.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING

from glancetrace.check.findings import find
from glancetrace.correlate.attribute import attribute
from glancetrace.correlate.hops import fold_hops
from glancetrace.correlate.link import Link
from glancetrace.correlate.nesting import nest_calls
from glancetrace.correlate.outcome import settle_connection
from glancetrace.correlate.proxy import fold_proxied
from glancetrace.correlate.units import UnitOfWork, cut_units, detect_eras
from glancetrace.decode import Decoded
from glancetrace.glance.calls import call_from_exchange
from glancetrace.glance.statement import SqlStatement
from glancetrace.join.halves import Half, doubt_beside, find_halves
from glancetrace.join.unseen import add_uploads, doubt, find_unseen
from glancetrace.mysql.command import MysqlCommand
from glancetrace.net.run import Connection
from glancetrace.options import Options
from glancetrace.redact import Redactor
from glancetrace.statements import ServiceVotes, StatementReader
from glancetrace.timeline.story import UPLOADS, tell_stories
from glancetrace.trace import CaptureSummary, Tables, Trace

if TYPE_CHECKING:
    from glancetrace.logs.call import ApiLog
    from glancetrace.spill.commands import SpooledCommands

__all__ = ["STAGES", "make_trace"]


@dataclass(slots=True)
class _Draft:
    """The result in the making."""

    decoded: Decoded
    options: Options
    logs: list[ApiLog] = field(default_factory=list)
    tables: Tables = field(default_factory=Tables)
    by_connection: dict[int, list[SqlStatement]] = field(default_factory=dict)
    units: dict[str, list[UnitOfWork]] = field(default_factory=dict)
    halves: list[Half] = field(default_factory=list)

    @property
    def capture(self) -> CaptureSummary:
        """What was read."""
        return self.decoded.capture


def make_trace(decoded: Decoded, options: Options, logs: list[ApiLog], votes: ServiceVotes) -> Trace:
    """What decoded rows and logs mean; `votes` say whose the connections are where the rows lie on disk."""
    draft = _Draft(decoded, options, logs)
    if decoded.spooled is not None:
        return _spilled(draft, decoded.spooled, votes)
    for stage in STAGES:
        stage(draft)
    return Trace(draft.capture, draft.tables, _redactor(draft))


def _spilled(draft: _Draft, commands: SpooledCommands, votes: ServiceVotes) -> Trace:
    """The same where there are too many commands for memory: what there is one of per statement goes to disk."""
    from glancetrace.epochs.run import attribute_in_epochs
    from glancetrace.epochs.trace import SpilledTrace

    tables, issues = draft.tables, draft.decoded.issues
    for stage in (_take_connections, _take_calls, _number_calls):
        stage(draft)
    tables.unseen = find_unseen(tables.connections, tables.calls, draft.options.ports)
    attributed = attribute_in_epochs(commands, votes, tables, _halves(draft), issues)
    draft.capture.glance_eras = attributed.eras.eras()
    attributed.fill(tables)
    _settle_encrypted(draft)
    tables.findings = attributed.findings(tables, draft.capture)
    tables.issues = issues.rows()
    return SpilledTrace(draft.capture, tables, _redactor(draft), attributed)


def _redactor(draft: _Draft) -> Redactor:
    return Redactor(_key(draft), reveal=draft.options.reveal)


def _key(draft: _Draft) -> bytes:
    """Key of the redaction: the same for a capture and for its pieces together."""
    capture = draft.capture
    parts = [capture.packets, capture.first_ts, capture.last_ts]
    parts += [c.connection.first_ts for c in draft.decoded.connections[:64]]
    return hashlib.blake2b(repr(parts).encode(), digest_size=32).digest()


def _take_connections(draft: _Draft) -> None:
    """Connections of interest, in the order of their first packets."""
    draft.tables.connections = sorted(draft.decoded.connections, key=lambda row: row.connection.id)


def _take_calls(draft: _Draft) -> None:
    """Exchanges become calls; the hops of a call become one."""
    ports = draft.options.ports
    issues = draft.decoded.issues
    calls = []
    encrypted = {row.connection.id for row in draft.tables.connections if row.tls is not None}
    for exchange, connection in draft.decoded.exchanges:
        call = call_from_exchange(exchange, connection, ports, issues, tls=connection.id in encrypted)
        if call is not None:
            calls.append(call)
    calls.sort(key=lambda call: (call.ts, call.first_frame, call.connection_id))
    draft.tables.calls = fold_hops(calls)


def _join_logs(draft: _Draft) -> None:
    """What logs tell of calls is joined with what the capture shows."""
    if not draft.logs:
        return
    from glancetrace.join.creations import name_created
    from glancetrace.join.logs import join_logs

    tables, capture = draft.tables, draft.capture
    tables.calls, capture.api_logs = join_logs(
        draft.logs,
        tables.calls,
        tables.connections,
        tables.statements,
        draft.options.ports,
        (capture.first_ts, capture.last_ts),
        draft.decoded.issues,
    )
    name_created(tables.calls, tables.statements)
    tables.calls.sort(key=lambda call: (call.ts, call.first_frame, call.connection_id, call.method, call.target))


def _number_calls(draft: _Draft) -> None:
    """Ids follow the order of first bytes; calls made in the course of others are tied to them."""
    for number, call in enumerate(draft.tables.calls, 1):
        call.id = number
        if call.upload_hasher is not None and call.operation in UPLOADS:
            call.upload_hasher.flush()  # the threads have time until the timeline asks
    nest_calls(draft.tables.calls)


def _take_statements(draft: _Draft) -> None:
    """Commands become statements: text taken apart, service and kind told; legs of a proxy become one."""
    reader = StatementReader()
    grouped: dict[Connection, list[MysqlCommand]] = defaultdict(list)
    for command, connection in draft.decoded.commands:
        grouped[connection].append(command)
    by_connection: dict[int, list[SqlStatement]] = {}
    for connection, commands in sorted(grouped.items(), key=lambda item: item[0].id):
        statements = by_connection[connection.id] = reader.read(commands, connection)
        settle_connection(statements, closed=bool(connection.closed))
    draft.by_connection = fold_proxied(by_connection)
    statements = [s for rows in draft.by_connection.values() for s in rows]
    statements.sort(key=attrgetter("command.first_frame"))
    statements.sort(key=attrgetter("command.ts"))  # stable: what has the same time stays in order of frames
    for number, statement in enumerate(statements, 1):
        statement.id = number
    draft.tables.statements = statements
    if reader.understands_all:
        return
    for statement in statements:
        if statement.parsed is not None and not statement.parsed.shape.parsed:
            draft.decoded.issues.count("sql-unparsed", frame=statement.command.first_frame)


def _cut_units(draft: _Draft) -> None:
    """Units of work, numbered over the whole capture in order of time."""
    units: list[tuple[str, UnitOfWork]] = []
    for statements in draft.by_connection.values():
        for unit in cut_units(statements):
            units.append((unit.statements[0].service, unit))
    units.sort(key=lambda item: item[1].statements[0].id)
    grouped: dict[str, list[UnitOfWork]] = defaultdict(list)
    for number, (service, unit) in enumerate(units, 1):
        grouped[service].append(unit)
        for statement in unit.statements:
            statement.unit_id = number
    draft.units = dict(grouped)
    draft.capture.glance_eras = detect_eras(grouped["glance"])


def _attribute(draft: _Draft) -> None:
    """Which call ran which statement; services other than Glance and Keystone are left alone."""
    own = {service: units for service, units in draft.units.items() if service != "other"}
    draft.halves = _halves(draft)
    draft.tables.links = attribute(draft.tables.calls, own, draft.halves)
    for unit in draft.units.get("other", ()):
        for statement in unit.statements:
            if statement.kind == "request":
                statement.kind = "background"


def _doubt(draft: _Draft) -> None:
    """What requests that nobody can read, or that are missing, may have done."""
    tables = draft.tables
    tables.unseen = find_unseen(tables.connections, tables.calls, draft.options.ports)
    doubt(tables.links, tables.statements, tables.calls, tables.unseen)
    doubt_beside(tables.links, tables.statements, draft.halves)


def _halves(draft: _Draft) -> list[Half]:
    """Calls of which only the response was seen."""
    return find_halves(draft.decoded.exchanges, draft.tables.calls, draft.options.ports, draft.capture.first_ts)


def _tell(draft: _Draft) -> None:
    """The story of every image."""
    link_of: dict[int, Link] = {link.statement_id: link for link in draft.tables.links}
    statements = [s for s in draft.tables.statements if s.service == "glance"]
    draft.tables.images = tell_stories(statements, draft.tables.calls, link_of)
    add_uploads(draft.tables.images, draft.tables.unseen)


def _check(draft: _Draft) -> None:
    """What a person should know, and what is wrong with the capture."""
    _settle_encrypted(draft)
    draft.tables.findings = find(draft.tables, draft.capture)
    draft.tables.issues = draft.decoded.issues.rows()


def _settle_encrypted(draft: _Draft) -> None:
    """Connections whose every exchange a log tells need no log any more."""
    if draft.capture.api_logs:
        tables = draft.tables
        told = {hop.connection_id for call in tables.calls if call.source == "log" for hop in call.hops}
        unread = {one.row.connection.id for one in tables.unseen}
        draft.decoded.issues.settle("tls-not-decrypted", "tls-told-by-log", told - unread)


STAGES: tuple[Callable[[_Draft], None], ...] = (
    _take_connections,
    _take_calls,
    _take_statements,
    _join_logs,
    _number_calls,
    _cut_units,
    _attribute,
    _doubt,
    _tell,
    _check,
)
"""Stage B, in order."""
