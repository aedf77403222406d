"""TLS conversations as runs, whole, cut and with losses, and what the decoder tells of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from glancetrace.issues import IssueLog
from glancetrace.net.run import Connection, Run
from glancetrace.tls.decoder import TlsDecoder
from glancetrace.tls.rsa import RsaKeys
from glancetrace.tls.secrets import TLS_KEY_LOG, SecretStore
from glancetrace.tls.summary import TlsSummary

__all__ = ["Told", "connection", "decrypt", "segments_of", "store_of"]

SEGMENT_LEN = 1448


@dataclass
class Told:
    """What a decoder told: `said` by direction, with the gaps as (offset in `said`, bytes); runs; summary; issues."""

    summary: TlsSummary
    runs: list[Run] = field(default_factory=list)
    said: list[bytes] = field(default_factory=lambda: [b"", b""])
    gaps: list[list[tuple[int, int]]] = field(default_factory=lambda: [[], []])
    issues: dict[str, int] = field(default_factory=dict)
    skipped: int = 0

    def take(self, run: Run) -> None:
        """The sink of a decoder."""
        self.runs.append(run)
        if run.gap:
            self.gaps[run.direction].append((len(self.said[run.direction]), run.gap))
        self.said[run.direction] += run.data

    def places(self, direction: int) -> list[int]:
        """Frame of every byte that one side said."""
        return [
            frame
            for run in self.runs
            if run.direction == direction
            for frame, (begin, end) in zip(run.frames, pairwise([*run.offsets, len(run.data)]), strict=False)
            for _ in range(begin, end)
        ]


def connection(*, joined: bool = False) -> Connection:
    """A connection to Glance's public port."""
    return Connection(1, ("192.0.2.1", 40000), ("192.0.2.2", 13292), joined, 0, 1)


def store_of(keylog: Sequence[str] = (), *, rsa: RsaKeys | None = None, issues: IssueLog | None = None) -> SecretStore:
    """Secrets that are known from the start."""
    store = SecretStore(issues or IssueLog(), rsa=rsa)
    if keylog:
        store.add_block(TLS_KEY_LOG, "\n".join(keylog).encode())
    return store


def segments_of(flights: Iterable[tuple[int, bytes]], size: int = SEGMENT_LEN) -> list[tuple[int, bytes]]:
    """What went over the wire, in segments."""
    return [(side, data[at : at + size]) for side, data in flights for at in range(0, len(data), size)]


def decrypt(runs: Iterable[Run], secrets: SecretStore, *, joined: bool = False) -> Told:
    """Decrypt the runs of one connection."""
    issues = IssueLog()
    told = Told(TlsSummary())
    decoder = TlsDecoder(connection(joined=joined), secrets, issues, told.take)
    told.summary = decoder.summary
    for run in runs:
        decoder.feed(run)
    decoder.close(10**9, 10**6)
    told.issues = {issue.kind: issue.count for issue in issues.rows()}
    told.skipped = decoder.bytes_skipped
    return told
