"""The one result object: `Trace` holds everything that was found in a capture.

Its tables hold plain rows (dataclasses of the parts that made them), in the order of their ids. `glancetrace.document`
turns them into the result document; the properties of `Trace` give the same tables as DataFrames, made when asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from glancetrace.correlate.link import Link
from glancetrace.glance.call import ApiCall
from glancetrace.glance.statement import SqlStatement
from glancetrace.issues import Issue
from glancetrace.mysql.command import MysqlSession
from glancetrace.net.run import Connection
from glancetrace.redact import Redactor
from glancetrace.timeline.image import ImageStory

if TYPE_CHECKING:
    import pandas as pd

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
    statements: list[SqlStatement] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    images: list[ImageStory] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    unseen: list[Unseen] = field(default_factory=list)


class Trace:
    """Everything that was found in a capture.

    Attributes:
        capture: what was read. tables: plain rows. redactor: hides secrets in whatever is shown of them.
    """

    def __init__(self, capture: CaptureSummary, tables: Tables, redactor: Redactor) -> None:
        self.capture = capture
        self.tables = tables
        self.redactor = redactor

    def statements_of(self, call_id: int) -> Iterator[SqlStatement]:
        """Statements attributed to a call, in order."""
        for position in self._statements_by_call.get(call_id, ()):
            yield self.tables.statements[position]

    @cached_property
    def _statements_by_call(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for link in self.tables.links:
            found.setdefault(link.call_id, []).append(link.statement_id - 1)
        return found

    @cached_property
    def link_of(self) -> dict[int, Link]:
        """Statement id -> its link."""
        return {link.statement_id: link for link in self.tables.links}

    def explain(
        self, *, statement: int | None = None, call: int | None = None, frame: int | None = None
    ) -> Explanation:
        """Why statements were linked as they were: those of one unit of work, of a call, or in a frame.

        Raises:
            UsageError: not exactly one of the three is given, or there is no such row.
        """
        from glancetrace.explain import explain

        return explain(self, statement=statement, call=call, frame=frame)

    def frame(self, table: str) -> pd.DataFrame:
        """A table of `glancetrace.schema.TABLES` as a DataFrame (UTC datetimes, timedeltas, categoricals).

        Raises:
            KeyError: there is no such table.
        """
        from glancetrace.frames import build_frame

        return build_frame(self, table)

    @cached_property
    def calls(self) -> pd.DataFrame:
        """API calls."""
        return self.frame("api_calls")

    @cached_property
    def statements(self) -> pd.DataFrame:
        """SQL statements."""
        return self.frame("statements")

    @cached_property
    def links(self) -> pd.DataFrame:
        """Statement -> call."""
        return self.frame("links")

    @cached_property
    def images(self) -> pd.DataFrame:
        """Images."""
        return self.frame("images")

    @cached_property
    def transitions(self) -> pd.DataFrame:
        """Status changes of all images."""
        return self.frame("transitions")

    @cached_property
    def intervals(self) -> pd.DataFrame:
        """Time of each image in each status."""
        return self.frame("intervals")

    @cached_property
    def events(self) -> pd.DataFrame:
        """What else happened to images."""
        return self.frame("events")

    @cached_property
    def connections(self) -> pd.DataFrame:
        """Connections of interest."""
        return self.frame("connections")

    @cached_property
    def findings(self) -> pd.DataFrame:
        """Findings."""
        return self.frame("findings")

    @cached_property
    def issues(self) -> pd.DataFrame:
        """What is wrong with the capture."""
        return self.frame("issues")
