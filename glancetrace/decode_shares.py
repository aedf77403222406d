"""Stage A in several processes: each decodes its share of the connections.

The second process reads the capture and deals out the packets; the first takes its own, decodes them, and takes the
rows of all others (see `glancetrace.workers`). Where this does not come to one result, one process does it all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from glancetrace.capture.index import PacketIndex
from glancetrace.capture.inputs import expand, open_captures
from glancetrace.capture.sample import sample
from glancetrace.dealing import Hand, deal, hands, keep_own
from glancetrace.decode_part import decode_part, push_all, read_secrets, summary_of
from glancetrace.errors import GlancetraceError
from glancetrace.http.hashing import HashPool
from glancetrace.issues import IssueLog
from glancetrace.net.reassemble import TcpReassembler
from glancetrace.net.share import READER, Dealt, Share, share_out
from glancetrace.options import Options
from glancetrace.packing import Commands, Rows
from glancetrace.spill.commands import Spill
from glancetrace.tls.secrets import SecretStore
from glancetrace.trace import Accounting
from glancetrace.workers import Worker, join_rows, start_worker, take_dealt

__all__ = ["decode_shares", "is_worth_sharing", "shares_of"]

_WORTH_SHARING = 8 << 20
"""Bytes of captures, as they lie on disk, that are worth a second process."""


def is_worth_sharing(names: list[str], options: Options) -> bool:
    """Whether several processes are wanted, and can and should read these captures.

    Only files can be read by several, key logs too; sessions that are resumed need what an RSA key told of others, in
    one process.
    """
    if options.jobs < 2 or options.rsa_keys or not hasattr(os, "fork"):
        return False
    paths = expand(names)
    are_files = all(map(os.path.isfile, (*paths, *options.keylogs)))
    return are_files and sum(map(os.path.getsize, paths)) >= _WORTH_SHARING


def shares_of(names: list[str], options: Options, *, deals: bool = True) -> Sequence[Share]:
    """How the connections are shared out among processes; none where one process does it all. See `share_out`."""
    if not is_worth_sharing(names, options):
        return ()
    paths = expand(names)
    index = PacketIndex(IssueLog())
    sql_ports = frozenset(port for port, service in options.ports.items() if service == "mysql")
    largest = max(paths, key=os.path.getsize)
    return share_out([index.index(block) for block in sample(largest)], sql_ports, options.jobs, deals=deals)


def decode_shares(
    names: list[str], options: Options, shares: Sequence[Share], pool: HashPool | None, spill: Spill | None
) -> tuple[Rows, IssueLog, SecretStore] | None:
    """Decode with a process per share, this one being the first; None when they do not come to one result."""
    workers: list[Worker] = []
    ways: dict[int, Hand] = {}
    try:
        try:
            spills = [None] * len(shares) if spill is None else spill.share_out([share.part for share in shares])
            ways = hands(share.worker for share in shares if share.worker != READER)
            for own, share in zip(spills[1:], shares[1:], strict=True):
                workers.append(start_worker(partial(_decode_dealt, names, options, share, ways, own)))
        except (GlancetraceError, OSError):  # no process, pipe, memory or temporary file to be had
            return None
        keep_own(ways, 0)
        issues = IssueLog()
        with open_captures(names, issues) as reader:
            secrets = read_secrets(reader, options, issues)
        push = partial(_take, ways[0], take_dealt(ways[0], workers), options.progress)
        rows = decode_part(push, IssueLog(), options, secrets, pool, shares[0], spill)
        others = [worker.rows() for worker in workers]
        parts = [rows, *(other for other in others if other is not None)]
        if len(parts) < len(shares):
            return None
        rows = join_rows(parts, issues)
        if spill is not None:
            sent = [(own, part.spooled) for own, part in zip(spills[1:], parts[1:], strict=True) if own is not None]
            spill.join(rows.commands, sent)
            rows.spooled = spill.spooled
        return rows, issues, secrets
    except OSError:  # the reader has ended, or a file cannot be read any more
        return None
    finally:
        for worker in workers:
            worker.close()
        for hand in ways.values():
            hand.close()


def _decode_dealt(
    names: list[str],
    options: Options,
    share: Share,
    ways: Mapping[int, Hand],
    spill: Spill | None,
    give: Callable[[Commands], None],
) -> Rows:
    """What a worker does: `READER` reads and deals, the others take what it deals to them."""
    keep_own(ways, share.worker)
    issues, accounting = IssueLog(), Accounting()
    reader = open_captures(names, issues, block_size=options.block_size, mapped=True)
    secrets = read_secrets(reader, options, IssueLog())  # the first process tells what is wrong with them
    give = give if spill is None else spill.behind(give)
    if share.worker == READER:
        reader.progress = partial(_note, ways.values())
        push = partial(_read_for_all, ways.values(), partial(push_all, reader, accounting, issues))
        dealing = partial(deal, {worker: hand.give for worker, hand in ways.items()})
        rows = decode_part(push, issues, options, secrets, None, share, spill, give, dealing)
        rows.capture = summary_of(reader, accounting)
    else:
        hand = ways[share.worker]
        rows = decode_part(
            partial(_take, hand, take_dealt(hand), None), issues, options, secrets, None, share, spill, give
        )
    return rows


def _read_for_all(
    others: Iterable[Hand],
    read: Callable[[TcpReassembler, Callable[[], None]], None],
    reassembler: TcpReassembler,
    look: Callable[[], None],
) -> None:
    """Read, and tell the others when it is over."""
    read(reassembler, look)
    for hand in others:
        hand.end()


def _note(others: Iterable[Hand], read: int, total: int | None) -> None:
    """The reader has come that far."""
    for hand in others:
        hand.position = read, total or 0


def _take(
    hand: Hand,
    packets: Iterator[Dealt],
    progress: Callable[[int, int | None], None] | None,
    reassembler: TcpReassembler,
    look: Callable[[], None],
) -> None:
    """Take what another process reads; `look` is called between blocks."""
    for dealt in packets:
        reassembler.push_dealt(dealt)
        look()
        if progress is not None and hand.position[1]:
            progress(*hand.position)
