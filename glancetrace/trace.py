"""The one result object: `Trace` holds everything that was found in a capture.

Its tables hold plain rows (dataclasses of the parts that made them), in the order of their ids. `glancetrace.document`
turns them into the result document; `Result` gives the same tables as DataFrames.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING

from glancetrace.correlate.link import Link
from glancetrace.glance.call import ApiCall
from glancetrace.glance.statement import SqlStatement
from glancetrace.issues import Issue
from glancetrace.mysql.command import MysqlSession
from glancetrace.net.run import Connection
from glancetrace.redact import Redactor
from glancetrace.result import Result, Row
from glancetrace.schema import TABLES
from glancetrace.timeline.image import ImageStory

if TYPE_CHECKING:
    from glancetrace.explain import Explanation
    from glancetrace.tls.sealed import SealedExchange
    from glancetrace.tls.summary import TlsSummary

__all__ = [
    "Accounting",
    "ApiLogSummary",
    "CaptureSummary",
    "CapturedFile",
    "ConnectionRow",
    "Finding",
    "Tables",
    "Trace",
]


@dataclass(slots=True)
class CapturedFile:
    """One input file: its name, the frame number of its first packet (1-based, over the whole input), its packets."""

    name: str
    first_frame: int
    packets: int


@dataclass(slots=True)
class Accounting:
    """Where every packet and every byte of the TCP streams went; the sums balance.

    packets = packets_decoded + packets_ignored + packets_malformed;
    stream_bytes = stream_bytes_decoded + stream_bytes_skipped + stream_bytes_missing.
    """

    packets_decoded: int = 0
    packets_ignored: int = 0
    packets_malformed: int = 0
    stream_bytes: int = 0
    stream_bytes_decoded: int = 0
    stream_bytes_skipped: int = 0
    stream_bytes_missing: int = 0
    ignored_reasons: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class ApiLogSummary:
    """A log that was read beside the capture.

    `calls` are those in the log, `used` those of the capture's time. `offset` (ns) added to the log's clock, read as
    UTC, gives the capture's, give or take `uncertainty`; None where nothing tells.
    """

    name: str
    format: str
    calls: int
    used: int
    offset: int | None
    uncertainty: int | None


@dataclass(slots=True)
class CaptureSummary:
    """What was read: captured `bytes` of the packets, times in ns (None without packets), LINKTYPE_ values.

    `glance_eras`: address of a Glance host -> era of its release, by the way it uses the database
    (see `glancetrace.correlate.units`).
    """

    files: list[CapturedFile]
    packets: int
    bytes: int
    first_ts: int | None
    last_ts: int | None
    link_types: list[int]
    connections: int
    accounting: Accounting
    glance_eras: dict[str, int] = field(default_factory=dict)
    api_logs: list[ApiLogSummary] = field(default_factory=list)


@dataclass(slots=True)
class ConnectionRow:
    """A connection of interest: `protocol` is http, mysql, tls or unknown; `session` of MySQL connections.

    `protocol` is tls where nothing else is known, decrypted or not; `tls` is there for every connection with TLS.
    `sealed`: exchanges on an encrypted connection, by the records' heads alone.
    """

    connection: Connection
    protocol: str
    session: MysqlSession | None = None
    tls: TlsSummary | None = None
    sealed: list[SealedExchange] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Unseen:
    """An exchange on an encrypted connection that nothing explains; `service` is that of its port."""

    service: str
    row: ConnectionRow
    exchange: SealedExchange


@dataclass(slots=True)
class Finding:
    """Something a person should know: `rule` names it (see `glancetrace.check.rules`), `frames` prove it."""

    rule: str
    severity: str
    message: str
    ts: int
    image_id: str | None = None
    call_id: int | None = None
    statement_id: int | None = None
    frames: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Tables:
    """Plain rows, each table in the order of its ids (times, then frames); `unseen` is no table of the result."""

    connections: list[ConnectionRow] = field(default_factory=list)
    calls: list[ApiCall] = field(default_factory=list)
    statements: Sequence[SqlStatement] = field(default_factory=list)
    links: Sequence[Link] = field(default_factory=list)
    images: Sequence[ImageStory] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    unseen: list[Unseen] = field(default_factory=list)


class Trace(Result):
    """Everything that was found in a capture.

    Attributes:
        capture: what was read. tables: plain rows. redactor: hides secrets in whatever is shown of them.
    """

    def __init__(self, capture: CaptureSummary, tables: Tables, redactor: Redactor) -> None:
        self.capture = capture
        self.tables = tables
        self.redactor = redactor

    def capture_row(self, *, raw_times: bool = False) -> Row:
        """See `Result`."""
        from glancetrace.document import RowBuilder

        return RowBuilder(self, raw_times=raw_times).capture()

    def rows(self, table: str, *, raw_times: bool = False) -> Iterator[Row]:
        """See `Result`."""
        from glancetrace.document import BUILDERS, RowBuilder

        return BUILDERS[table](RowBuilder(self, raw_times=raw_times))

    def count(self, table: str) -> int:
        """See `Result`."""
        if table in ("transitions", "intervals", "events"):
            return sum(len(getattr(image, table)) for image in self.tables.images)
        if table not in TABLES:
            raise KeyError(table)
        return len(getattr(self.tables, "calls" if table == "api_calls" else table))

    def row(self, table: str, number: int) -> Row | None:
        """See `Result`."""
        from glancetrace.document import RowBuilder

        if not 0 < number <= self.count(table):
            return None
        builder = RowBuilder(self, raw_times=True)
        if table == "api_calls":
            return builder.call(self.tables.calls[number - 1])
        return builder.statement(self.tables.statements[number - 1])

    def statements_of(self, call_id: int) -> Iterator[SqlStatement]:
        """Statements attributed to a call, in order."""
        for position in self._statements_by_call.get(call_id, ()):
            yield self.tables.statements[position]

    @cached_property
    def _statements_by_call(self) -> Mapping[int, Sequence[int]]:
        """Call id -> places of its statements in their table, in order."""
        found: dict[int, list[int]] = {}
        for link in self.tables.links:
            found.setdefault(link.call_id, []).append(link.statement_id - 1)
        return found

    @property
    def counted(self) -> Mapping[tuple[str, str], Sequence[int]]:
        """(service, kind) of statements -> how many there are, and how many of them are linked."""
        statements = self.tables.statements
        kind_of = attrgetter("service", "kind")
        linked = Counter(kind_of(statements[number - 1]) for number in self.link_of)
        return {kind: [count, linked[kind]] for kind, count in Counter(map(kind_of, statements)).items()}

    @cached_property
    def link_of(self) -> Mapping[int, Link]:
        """Statement id -> its link."""
        return {link.statement_id: link for link in self.tables.links}

    def explain(
        self, *, statement: int | None = None, call: int | None = None, frame: int | None = None
    ) -> Explanation:
        """See `Result`."""
        from glancetrace.explain import explain

        return explain(self, statement=statement, call=call, frame=frame)
