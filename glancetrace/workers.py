"""Stage A in several processes: each decodes its share of the connections, one of them is this one.

The first process reads the capture and deals out the packets (`glancetrace.dealing`). Workers are forked, and send
their rows, commands while they decode others, then the digests of the bodies that they hashed. What they send lies in
memory that both have, a file without a name, so no worker waits for the first process to read it; the pipe says how
much there is. What comes out is what one process gives: connections are numbered over all shares when the rows are
there. A worker that fails makes the result worthless; the caller then decodes alone, and finds out itself what is
wrong.
"""

from __future__ import annotations

import os
import pickle
import select
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from functools import partial

from glancetrace.capture.ahead import read_at
from glancetrace.dealing import Hand
from glancetrace.errors import GlancetraceError
from glancetrace.forking import Channel, Child, fork, shared_memory
from glancetrace.http.exchange import BodyHasher
from glancetrace.issues import IssueLog
from glancetrace.net.accounting import TcpAccounting
from glancetrace.net.share import Dealt, Share
from glancetrace.packing import CommandPacker, Commands, CommandUnpacker, Digests, Rows, pack_rows, unpack_rows

__all__ = ["Worker", "join_rows", "start_worker"]

_MANY = 4096
"""Commands that are sent at once."""

_SIZE_LEN = 8

Decode = Callable[[Share, Iterator[Dealt], Callable[[Commands], None]], Rows]
"""Decodes a share of the connections from their packets; called in the worker. What it is given last takes commands
when there are many."""


class Worker:
    """A forked process that decodes a share of the connections."""

    def __init__(self, child: Child, store: int, hand: Hand) -> None:
        self._child = child
        self._store = store
        self._hand = hand
        self._offset = 0
        self._unpacker = CommandUnpacker()
        self._digests: Digests | None = None

    def give(self, dealt: Dealt) -> None:
        """Send it packets of its share; while it has too many, take what it has sent."""
        while self._hand.is_full and not _is_ready(self._hand, self._child):
            data = self._message()
            if not data:  # it has ended, which giving finds out, too
                break
            self._unpacker.unpack(data)
        self._hand.give(self._child, dealt)

    def rows(self) -> Rows | None:
        """No packets follow: wait for its rows; None when it failed."""
        if not self._hand.end(self._child):
            return None
        while data := self._message():
            self._unpacker.unpack(data)
        rest = None if data is None else self._message()
        return None if rest is None else unpack_rows(rest, self._unpacker, self.digests)

    def digests(self) -> Digests:
        """Wait for the digests of the bodies that it hashed, which are the last that it sends.

        Raises:
            GlancetraceError: it ended without sending them.
        """
        if self._digests is None:
            data = self._message()
            self.close()
            if data is None:
                raise GlancetraceError("a decoding process was ended from outside", action="run again with --jobs 1")
            self._digests = pickle.loads(data)
        return self._digests

    def close(self) -> None:
        """Let the process go: what it has not sent yet is not wanted."""
        self._child.close()
        self._hand.close()
        if self._store >= 0:
            os.close(self._store)
            self._store = -1

    def _message(self) -> bytes | None:
        """The next that it sends, None when it has ended."""
        size = self._child.receive()
        if size is None:
            return None
        data = read_at(self._store, self._offset, int.from_bytes(size, "little"))
        self._offset += len(data)
        return data


def _is_ready(hand: Hand, child: Channel) -> bool:
    """Wait for either; whether it is `hand`."""
    poll = select.poll()
    poll.register(hand, select.POLLIN)
    poll.register(child, select.POLLIN)
    return any(descriptor == hand.fileno() for descriptor, _ in poll.poll())


def start_worker(decode: Decode, share: Share) -> Worker:
    """Fork a process that decodes `share`; it ends with the process that starts it.

    Raises:
        OSError: the system has no process, memory or pipe left.
    """
    hand, store = Hand(), -1
    try:
        store = shared_memory()

        def work(channel: Channel) -> None:
            _work(partial(decode, share, hand.take(channel)), _Sender(channel, store))

        child = fork(work)
    except OSError:
        hand.close()
        if store >= 0:
            os.close(store)
        raise
    hand.begin()
    return Worker(child, store, hand)


class _Sender:
    """Sends messages from a worker."""

    def __init__(self, channel: Channel, store: int) -> None:
        self._channel = channel
        self._store = store
        self._offset = 0

    def send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            written = os.pwrite(self._store, rest, self._offset)
            self._offset += written
            rest = rest[written:]
        self._channel.send(len(data).to_bytes(_SIZE_LEN, "little"))


def _work(decode: Callable[[Callable[[Commands], None]], Rows], sender: _Sender) -> None:
    """What a worker does: packed commands, an empty message, all the other rows, digests."""
    packer = CommandPacker()

    def give(commands: Commands, *, last: bool = False) -> None:
        if commands and (last or len(commands) >= _MANY):
            sender.send(packer.pack(commands))
            commands.clear()

    rows = decode(give)
    give(rows.commands, last=True)
    data, hashers = pack_rows(rows, packer)
    sender.send(b"")
    sender.send(data)
    sender.send(pickle.dumps(_digests(hashers)))


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
