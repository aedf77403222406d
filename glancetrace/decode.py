"""Stage A: captures become exchanges, commands and connections.

Reading, indexing, reassembly and decoding, connection by connection. What comes out are plain rows in no particular
order across connections; `glancetrace.pipeline` orders them, gives them ids and makes sense of them.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from glancetrace.capture.index import PacketIndex
from glancetrace.capture.inputs import BLOCK_SIZE, CaptureReader, expand, open_captures
from glancetrace.capture.sample import sample
from glancetrace.dealing import Hand, deal, hands, keep_own
from glancetrace.errors import GlancetraceError, UsageError
from glancetrace.glance.ports import DEFAULT_PORTS
from glancetrace.http.exchange import HttpExchange
from glancetrace.http.hashing import HashPool
from glancetrace.issues import IssueLog
from glancetrace.mysql.command import MysqlCommand
from glancetrace.net.reassemble import Deal, TcpReassembler
from glancetrace.net.run import Connection
from glancetrace.net.share import READER, Dealt, Share, share_out
from glancetrace.packing import Commands, Rows
from glancetrace.spill.commands import Spill, SpooledCommands
from glancetrace.streams import DEFAULT_HASHES, Stage
from glancetrace.tls.secrets import SecretStore
from glancetrace.trace import Accounting, CapturedFile, CaptureSummary, ConnectionRow
from glancetrace.workers import Worker, join_rows, start_worker, take_dealt

if TYPE_CHECKING:
    from glancetrace.tls.rsa import Passphrase

__all__ = [
    "DEFAULT_HASHES",
    "Decoded",
    "Options",
    "Paths",
    "as_list",
    "decode",
    "is_worth_sharing",
    "no_collection",
    "read_secrets",
    "shares_of",
]

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


@dataclass(frozen=True, slots=True)
class Options:
    """How to read a capture.

    Attributes:
        ports: server port -> service (keystone, glance, registry, swift, mysql, http).
        hashes: names of further hashes of image data, beside md5 and sha512.
        reveal: show secrets.
        progress: called with bytes read so far and bytes in all (None when not known).
        api_logs: logs that tell of API calls beside the capture: file names, globs.
        block_size: bytes of capture that are read at a time. jobs: processes that decode, where it is worth while
            and the input are files; the others are forked. The result does not depend on either.
        keylogs: key log files (SSLKEYLOGFILE) to decrypt TLS with. rsa_keys: PEM files of servers' private RSA keys,
            for TLS 1.2 with RSA key exchange. passphrase: asked for that of an encrypted one, by its file name.
    """

    ports: Mapping[int, str] = field(default_factory=lambda: dict(DEFAULT_PORTS))
    hashes: tuple[str, ...] = ()
    reveal: bool = False
    api_logs: tuple[str, ...] = ()
    progress: Callable[[int, int | None], None] | None = None
    block_size: int = BLOCK_SIZE
    jobs: int = 1
    keylogs: tuple[str | os.PathLike[str], ...] = ()
    rsa_keys: tuple[str | os.PathLike[str], ...] = ()
    passphrase: Passphrase | None = field(default=None, repr=False)


@dataclass(slots=True)
class Decoded:
    """What stage A gives: rows of all connections, and what became of every packet and byte.

    Where there are too many commands for memory, all of them are in `spooled`.
    """

    capture: CaptureSummary
    issues: IssueLog
    exchanges: list[tuple[HttpExchange, Connection]]
    commands: list[tuple[MysqlCommand, Connection]]
    connections: list[ConnectionRow]
    secrets: SecretStore
    spooled: SpooledCommands | None = None


@contextmanager
def no_collection() -> Iterator[None]:
    """Rows hold no cycles, so the cyclic collector would only walk over ever more of them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def as_list(paths: Paths) -> list[str]:
    """One path or several, as strings."""
    if isinstance(paths, str | os.PathLike):
        return [os.fspath(paths)]
    return [os.fspath(path) for path in paths]


def decode(
    paths: Paths, options: Options | None = None, pool: HashPool | None = None, spill: Spill | None = None
) -> Decoded:
    """Read captures and decode what is in them.

    Args:
        paths: file names, globs, "-" for standard input.
        options: see `Options`.
        pool: where bodies are hashed, if that is to go on after decoding; else it ends here, and digests that are asked
            for later are made then.
        spill: where commands go when there are too many for memory; else memory is all there is.

    Raises:
        InputError: a capture cannot be read. UsageError: no path, or an unknown hash.
    """
    options = options or Options()
    names = as_list(paths)
    if not names:
        raise UsageError("no capture given", action="name a file, or - for standard input")
    shares = shares_of(names, options)
    decoded = _decode_shares(names, options, shares, pool, spill) if len(shares) > 1 else None
    return decoded or _decode_alone(names, options, pool, None if spill is None else spill.anew())


def _decode_alone(names: list[str], options: Options, pool: HashPool | None, spill: Spill | None) -> Decoded:
    issues = IssueLog()
    reader = open_captures(names, issues, block_size=options.block_size, mapped=True)
    reader.progress = options.progress
    secrets = read_secrets(reader, options, issues)
    accounting = Accounting()
    push = partial(_read, reader, accounting, issues)
    rows = _decode_share(push, issues, options, secrets, pool, give=_giver(spill))
    _spill_last(rows, spill)
    return _decoded(_summary(reader, accounting), issues, rows, secrets)


def _decode_share(
    push: Callable[[TcpReassembler, Callable[[], None]], None],
    issues: IssueLog,
    options: Options,
    secrets: SecretStore,
    pool: HashPool | None = None,
    share: Share | None = None,
    give: Callable[[Commands], None] | None = None,
    deal: Deal | None = None,
) -> Rows:
    """Decode the connections of a share, or all of them.

    `push` is given what takes the packets, and what is to be called between blocks; `give` is then offered the
    commands, and takes them when it likes. `deal`: see `TcpReassembler`.
    """
    with no_collection(), HashPool() if pool is None else nullcontext(pool) as hashes:
        stage = Stage(options.ports, options.hashes, issues, hashes, secrets)
        reassembler = TcpReassembler(
            stage.consumer, issues, server_ports=frozenset(options.ports), judge=stage.judge, share=share, deal=deal
        )

        def look() -> None:
            if secrets.waiting_bytes:
                secrets.refresh()
            if give is not None:
                give(stage.commands)

        push(reassembler, look)
        reassembler.finish()
    connections = [stage.decoders[c].row for c in reassembler.connections if c in stage.decoders]
    skipped = sum(decoder.bytes_skipped for decoder in stage.decoders.values())
    told = [] if share is None else issues.rows()
    return Rows(
        reassembler.accounting,
        reassembler.first_frames,
        told,
        stage.exchanges,
        stage.commands,
        connections,
        skipped,
    )


def _giver(spill: Spill | None) -> Callable[[Commands], None] | None:
    return None if spill is None else spill.look


def _spill_last(rows: Rows, spill: Spill | None) -> None:
    """The last commands go where the others went."""
    if spill is not None:
        spill.look(rows.commands, last=True)
        rows.spooled = spill.spooled


def _summary(reader: CaptureReader, accounting: Accounting) -> CaptureSummary:
    """What was read; what becomes of the streams is not known yet."""
    return CaptureSummary(
        files=[CapturedFile(f.name, f.first_frame, f.packets) for f in reader.files],
        packets=reader.packets,
        bytes=reader.bytes,
        first_ts=reader.first_ts,
        last_ts=reader.last_ts,
        link_types=sorted(reader.link_types),
        connections=0,
        accounting=accounting,
    )


def _decoded(capture: CaptureSummary, issues: IssueLog, rows: Rows, secrets: SecretStore) -> Decoded:
    totals, accounting = rows.accounting, capture.accounting
    capture.connections = totals.connections
    accounting.stream_bytes_decoded = totals.decoded_bytes - rows.skipped
    accounting.stream_bytes_skipped = totals.skipped_bytes + rows.skipped
    accounting.stream_bytes_missing = totals.missing_bytes
    accounting.stream_bytes = totals.decoded_bytes + totals.skipped_bytes + totals.missing_bytes
    return Decoded(capture, issues, rows.exchanges, rows.commands, rows.connections, secrets, rows.spooled)


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


def _decode_shares(
    names: list[str], options: Options, shares: Sequence[Share], pool: HashPool | None, spill: Spill | None
) -> Decoded | None:
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
        rows = _decode_share(push, IssueLog(), options, secrets, pool, shares[0], _giver(spill))
        _spill_last(rows, spill)
        others = [worker.rows() for worker in workers]
        parts = [rows, *(other for other in others if other is not None)]
        if len(parts) < len(shares):
            return None
        rows = join_rows(parts, issues)
        if spill is not None:
            sent = [(own, part.spooled) for own, part in zip(spills[1:], parts[1:], strict=True) if own is not None]
            spill.join(rows.commands, sent)
            rows.spooled = spill.spooled
        assert rows.capture is not None
        return _decoded(rows.capture, issues, rows, secrets)
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
        push = partial(_read_for_all, ways.values(), partial(_read, reader, accounting, issues))
        dealing = partial(deal, {worker: hand.give for worker, hand in ways.items()})
        rows = _decode_share(push, issues, options, secrets, None, share, give, dealing)
        rows.capture = _summary(reader, accounting)
    else:
        hand = ways[share.worker]
        rows = _decode_share(partial(_take, hand, take_dealt(hand), None), issues, options, secrets, None, share, give)
    _spill_last(rows, spill)
    return rows


def read_secrets(reader: CaptureReader, options: Options, issues: IssueLog) -> SecretStore:
    """The secrets that were given, and those that the capture brings."""
    keys = None
    if options.rsa_keys:
        from glancetrace.tls.rsa import RsaKeys, read_rsa_key

        keys = RsaKeys([read_rsa_key(os.fspath(path), options.passphrase) for path in options.rsa_keys])
    secrets = SecretStore(issues, [os.fspath(path) for path in options.keylogs], keys)
    secrets.ask(reader.read_secrets, once=True)
    if reader.can_bring_secrets:
        secrets.ask(lambda: reader.secrets, once=False)
    return secrets


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


def _read(
    reader: CaptureReader,
    accounting: Accounting,
    issues: IssueLog,
    reassembler: TcpReassembler,
    look: Callable[[], None],
) -> None:
    """Push every block through index and reassembler; `look` is called between blocks."""
    index = PacketIndex(issues)
    for block in reader:
        segments = index.index(block)
        for reason, count in segments.ignored.items():
            accounting.ignored_reasons[reason] = accounting.ignored_reasons.get(reason, 0) + count
        accounting.packets_malformed += segments.malformed
        reassembler.push(segments)
        look()
    index.finish()
    accounting.packets_ignored = sum(accounting.ignored_reasons.values())
    accounting.packets_decoded = reader.packets - accounting.packets_ignored - accounting.packets_malformed
