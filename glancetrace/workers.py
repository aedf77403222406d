"""Stage A in several processes: each decodes its share of the connections, one of them is this one.

Workers are forked, read the capture themselves and send their rows through a pipe, then the digests of the bodies that
they hashed. What comes out is what one process gives: connections are numbered over all shares when the rows are there.
A worker that fails, or that has read another number of packets (the file is still growing), makes the result worthless;
the caller then decodes alone, and finds out itself what is wrong.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import fields

from glancetrace.errors import GlancetraceError
from glancetrace.forking import Channel, Child, fork
from glancetrace.http.exchange import BodyHasher
from glancetrace.issues import IssueLog
from glancetrace.net.accounting import TcpAccounting
from glancetrace.net.share import Share
from glancetrace.packing import Digests, Rows, pack_rows, unpack_rows

__all__ = ["Worker", "join_rows", "start_worker"]

Decode = Callable[[Share], Rows]
"""Decodes a share of the connections; called in the worker."""


class Worker:
    """A forked process that decodes a share of the connections."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._digests: Digests | None = None

    def rows(self) -> Rows | None:
        """Wait for its rows; None when it failed."""
        data = self._child.receive()
        return None if data is None else unpack_rows(data, self.digests)

    def digests(self) -> Digests:
        """Wait for the digests of the bodies that it hashed, which are the last that it sends.

        Raises:
            GlancetraceError: it ended without sending them.
        """
        if self._digests is None:
            data = self._child.receive()
            self.close()
            if data is None:
                raise GlancetraceError("a decoding process was ended from outside", action="run again with --jobs 1")
            self._digests = pickle.loads(data)
        return self._digests

    def close(self) -> None:
        """Let the process go: what it has not sent yet is not wanted."""
        self._child.close()


def start_worker(decode: Decode, share: Share) -> Worker:
    """Fork a process that decodes `share`; it ends with the process that starts it.

    Raises:
        OSError: the system has no process or pipe left.
    """

    def work(channel: Channel) -> None:
        data, hashers = pack_rows(decode(share))
        channel.send(data)
        channel.send(pickle.dumps(_digests(hashers)))

    return Worker(fork(work))


def _digests(hashers: Sequence[BodyHasher]) -> Digests:
    return [hasher.hexdigests() for hasher in hashers]


def join_rows(shares: Sequence[Rows], issues: IssueLog) -> Rows:
    """The rows of all shares as one process would have them; their issues are counted in `issues`."""
    opened = sorted(
        (frame, worker, at) for worker, rows in enumerate(shares) for at, frame in enumerate(rows.first_frames)
    )
    numbers = [[0] * (len(rows.first_frames) + 1) for rows in shares]
    for number, (_frame, worker, at) in enumerate(opened, 1):
        numbers[worker][at + 1] = number
    for rows, renumbered in zip(shares, numbers, strict=True):
        _renumber(rows, renumbered)
        for issue in rows.issues:
            issues.count(issue.kind, frame=issue.first_frame, connection_id=issue.connection_id, times=issue.count)
    first = shares[0]
    return Rows(
        first.packets,
        _sum([rows.accounting for rows in shares]),
        first.first_frames,
        [],
        [exchange for rows in shares for exchange in rows.exchanges],
        [command for rows in shares for command in rows.commands],
        sorted((row for rows in shares for row in rows.connections), key=lambda row: row.connection.id),
        sum(rows.skipped for rows in shares),
    )


def _renumber(rows: Rows, numbers: Sequence[int]) -> None:
    """Give the connections of a share their numbers in the whole capture."""
    for row in rows.connections:
        row.connection.id = numbers[row.connection.id]
        if row.session is not None:
            row.session.connection_id = row.connection.id
    for exchange, connection in rows.exchanges:
        exchange.connection_id = connection.id
    for issue in rows.issues:
        if issue.connection_id is not None:
            issue.connection_id = numbers[issue.connection_id]


def _sum(parts: Sequence[TcpAccounting]) -> TcpAccounting:
    """Totals over shares; packets and payload are of the whole capture in each of them."""
    total = TcpAccounting()
    for field in fields(TcpAccounting):
        values = [getattr(part, field.name) for part in parts]
        setattr(total, field.name, values[0] if field.name in ("packets", "payload_bytes") else sum(values))
    return total
