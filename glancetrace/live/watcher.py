"""The watch itself: packets in, notices out as things happen.

What is told comes from stage A and from evidence that needs no future; there is no attribution and no story here. Every
block of packets, however small, goes all the way through. Within a block, transactions and calls are taken in the order
in which they ended.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from glancetrace.capture.blocks import PacketBlock
from glancetrace.capture.formats import FormatReader
from glancetrace.glance.call import ApiCall
from glancetrace.glance.calls import call_from_exchange
from glancetrace.glance.ports import DEFAULT_PORTS
from glancetrace.glance.statement import SqlStatement
from glancetrace.issues import KINDS
from glancetrace.live.calls import end_of, notice_of
from glancetrace.live.database import find_in_transaction
from glancetrace.live.images import Images
from glancetrace.live.notice import Notice
from glancetrace.live.recent import Recent
from glancetrace.live.streams import Harvest, LiveIssues, LiveSecrets, Streams
from glancetrace.live.transactions import Transactions
from glancetrace.redact import Redactor
from glancetrace.tls.rsa import Passphrase, RsaKeys, read_rsa_key

__all__ = ["WatchOptions", "Watcher"]

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What to watch for.

    Attributes:
        ports: server port -> service. reveal: show secrets.
        keylogs, rsa_keys, passphrase: what TLS is decrypted with, see `glancetrace.options.Options`.
        slower_than: ns that a service may take to answer. stuck_after: ns that an image may be half-way in silence.
    """

    ports: Mapping[int, str] = field(default_factory=lambda: dict(DEFAULT_PORTS))
    reveal: bool = False
    slower_than: int = 1_000_000_000
    stuck_after: int = 60_000_000_000
    keylogs: tuple[str, ...] = ()
    rsa_keys: tuple[str, ...] = ()
    passphrase: Passphrase | None = field(default=None, repr=False)


class Watcher:
    """Takes captures as they come.

    Args:
        options: see `WatchOptions`.
        tell: gets each row as soon as it is known, with times in ns.

    Attributes:
        packets: how many came. first_ts, last_ts: of them, ns.
    """

    def __init__(self, options: WatchOptions, tell: Callable[[Row], None]) -> None:
        self.packets = 0
        self.bytes = 0
        self.first_ts: int | None = None
        self.last_ts = 0
        self.issues = LiveIssues()
        keys = [read_rsa_key(path, options.passphrase) for path in options.rsa_keys]
        self._secrets = LiveSecrets(self.issues, map(os.fspath, options.keylogs), RsaKeys(keys) if keys else None)
        self.streams = Streams(options.ports, self.issues, self._secrets)
        self.transactions = Transactions()
        self.images = Images(self._emit, options.stuck_after)
        self._options = options
        self._tell = tell
        self._redactor = Redactor(b"", reveal=options.reveal)
        self._calls = Recent()
        self._writes = Recent()
        self._call_counts: Counter[str] = Counter()
        self._rules: Counter[str] = Counter()
        self._told: set[str] = set()

    def take(self, block: PacketBlock) -> None:
        """The next packets."""
        if not len(block):
            return
        block.first_frame = self.packets + 1
        if self.first_ts is None:
            self.first_ts = self.last_ts = int(block.ts[0])
            key = hashlib.blake2b(repr(self.first_ts).encode(), digest_size=32).digest()
            self._redactor = Redactor(key, reveal=self._options.reveal)
        self.packets += len(block)
        self.bytes += int(block.cap_len.sum())
        self.last_ts = max(self.last_ts, int(block.ts.max()))
        self._take(self.streams.push(block))
        self.quiet(0)
        self._tell_issues()

    def quiet(self, passed: int) -> None:
        """No packet came for `passed` ns."""
        uploads = [(image_id, connection.last_ts) for connection, image_id in self.streams.uploads.items()]
        self.images.tick(self.last_ts + passed, uploads)

    def take_side_news(self, reader: FormatReader) -> None:
        """What the reader of a capture found beside packets since the last time: damage, and secrets of TLS."""
        for kind, _packets_before in reader.problems:
            self.issues.count(kind, frame=self.packets or None)
        for block_type, data in reader.secrets:
            self._secrets.add_block(block_type, data)
        reader.problems.clear()
        reader.secrets.clear()

    def finish(self) -> None:
        """Nothing follows: tell what is left, and the summary."""
        if not self.packets:
            self.issues.count("capture-empty")
        self._take(self.streams.finish())
        self.images.settle()
        self._emit(Notice("summary", self.last_ts, details=self._summary()))

    def _take(self, harvest: Harvest) -> None:
        done: list[tuple[int, int, list[SqlStatement] | ApiCall]] = []
        for statements in self.transactions.take(harvest.commands, harvest.ended):
            done.append((statements[-1].end_ts, len(done), statements))
        for exchange, connection in harvest.exchanges:
            call = call_from_exchange(exchange, connection, self._options.ports, self.issues)
            if call is not None:
                done.append((end_of(call), len(done), call))
        for _ts, _order, what in sorted(done, key=lambda item: item[:2]):
            if isinstance(what, ApiCall):
                self._take_call(what)
            else:
                self._take_transaction(what)

    def _take_transaction(self, statements: list[SqlStatement]) -> None:
        last = statements[-1]
        if any(s.changes or s.command.error is not None for s in statements):
            texts = tuple(s.command.sql for s in statements)
            if self._writes.is_other_leg(hash(texts), last.end_ts, last.connection.server):
                return
        for notice in find_in_transaction(statements, self.images):
            self._emit(notice)
        self.images.take_transaction([s for s in statements if s.service == "glance"])

    def _take_call(self, call: ApiCall) -> None:
        self.images.take_call(call)
        route = call.target.removeprefix(call.route_prefix)
        key = (call.method, route, call.status_code, call.request_id)
        if self._calls.is_other_leg(key, end_of(call), call.server):
            return
        self._call_counts[call.service] += 1
        notice = notice_of(call, self.images, self._options.slower_than)
        if notice is not None:
            self._emit(notice)

    def _tell_issues(self) -> None:
        """What is wrong with the capture, when it is first seen: there may be a reason why nothing else is told."""
        for issue in self.issues.rows():
            kind = KINDS[issue.kind]
            if kind.kind in self._told or kind.severity == "info":
                continue
            self._told.add(kind.kind)
            frames = (issue.first_frame,) if issue.first_frame else ()
            message = f"{kind.kind}: {kind.meaning}"
            self._emit(Notice("issue", self.last_ts, None, message, None, None, frames, {"severity": kind.severity}))

    def _emit(self, notice: Notice) -> None:
        if notice.rule is not None:
            self._rules[notice.rule] += 1
        self._tell(notice.row(self._redactor))

    def _summary(self) -> Row:
        return {
            "packets": self.packets,
            "bytes": self.bytes,
            "first_ts": self.first_ts,
            "last_ts": self.last_ts if self.packets else None,
            "connections": self.streams.connection_count,
            "status_changes": self.images.changes,
            "images": self.images.statuses(),
            "calls": dict(sorted(self._call_counts.items())),
            "rules": dict(sorted(self._rules.items())),
            "issues": {issue.kind: issue.count for issue in self.issues.rows()},
        }
