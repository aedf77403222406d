"""Stage A in several processes: each decodes its share of the connections, one of them is this one.

One process reads the capture and deals out the packets (`glancetrace.dealing`). Workers are forked, and send their
rows, commands while they decode others. What they send lies in memory that both have, a file without a name, so no
worker waits for the first process to read it; the pipe says how much there is. What comes out is what one process
gives: connections are numbered over all shares when the rows are there. A worker that fails makes the result worthless;
the caller then decodes alone, and finds out itself what is wrong.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields

from glancetrace.capture.ahead import read_at
from glancetrace.dealing import Hand
from glancetrace.forking import Channel, Child, fork, shared_memory
from glancetrace.issues import IssueLog
from glancetrace.net.accounting import TcpAccounting
from glancetrace.net.share import Dealt
from glancetrace.packing import CommandPacker, Commands, CommandUnpacker, Rows, pack_rows, unpack_rows

__all__ = ["Worker", "join_rows", "start_worker", "take_dealt"]

_MANY = 4096
"""Commands that are sent at once."""

_SIZE_LEN = 8

Decode = Callable[[Callable[[Commands], None]], Rows]
"""Decodes a share of the connections; called in the worker. What it is given takes commands when there are many."""


class Worker:
    """A forked process that decodes a share of the connections.

    Attributes:
        sends: there may be more commands to take.
    """

    def __init__(self, child: Child, store: int) -> None:
        self._child = child
        self._store = store
        self._offset = 0
        self._unpacker = CommandUnpacker()
        self._failed = False
        self.sends = True

    def fileno(self) -> int:
        """Descriptor that can be read when it has sent something, or has ended."""
        return self._child.fileno()

    def take(self) -> None:
        """Wait for the next commands that it sends."""
        data = self._message()
        if data:
            self._unpacker.unpack(data)
        else:
            self.sends, self._failed = False, data is None

    def rows(self) -> Rows | None:
        """Wait for all its rows; None when it failed."""
        while self.sends:
            self.take()
        rest = None if self._failed else self._message()
        return None if rest is None else unpack_rows(rest, self._unpacker)

    def close(self) -> None:
        """Let the process go: what it has not sent yet is not wanted."""
        self._child.close()
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


def take_dealt(hand: Hand, workers: Sequence[Worker] = ()) -> Iterator[Dealt]:
    """What is dealt to this process; while it waits, it takes what workers send.

    Raises:
        BrokenPipeError: the reader has ended before the capture.
    """
    _wait(hand, workers)
    while (dealt := hand.take()) is not None:
        yield dealt
        _wait(hand, workers)


def _wait(hand: Hand, workers: Sequence[Worker]) -> None:
    """Take what workers send until `hand` has something."""
    while True:
        sending = [worker for worker in workers if worker.sends]
        poll = select.poll()
        for descriptor in (hand.fileno(), *(worker.fileno() for worker in sending)):
            poll.register(descriptor, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll()}
        if hand.fileno() in ready:
            return
        for worker in sending:
            if worker.fileno() in ready:
                worker.take()


def start_worker(decode: Decode) -> Worker:
    """Fork a process that decodes; it ends with the process that starts it.

    Raises:
        OSError: the system has no process, memory or pipe left.
    """
    store = shared_memory()
    try:
        child = fork(lambda channel: _work(decode, _Sender(channel, store)))
    except OSError:
        os.close(store)
        raise
    return Worker(child, store)


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


def _work(decode: Decode, sender: _Sender) -> None:
    """What a worker does: packed commands, an empty message, all the other rows."""
    packer = CommandPacker()

    def give(commands: Commands, *, last: bool = False) -> None:
        if commands and (last or len(commands) >= _MANY):
            sender.send(packer.pack(commands))
            commands.clear()

    rows = decode(give)
    if rows.exchanges:  # HTTP from a port of MySQL's, which the first process cannot have
        return
    give(rows.commands, last=True)
    sender.send(b"")
    sender.send(pack_rows(rows, packer))


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
    for rows in shares[1:]:
        first.commands += rows.commands
    return Rows(
        _sum([rows.accounting for rows in shares]),
        first.first_frames,
        [],
        first.exchanges,
        first.commands,
        sorted((row for rows in shares for row in rows.connections), key=lambda row: row.connection.id),
        sum(rows.skipped for rows in shares),
        capture=next(rows.capture for rows in shares if rows.capture is not None),
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
