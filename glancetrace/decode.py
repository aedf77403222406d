"""Stage A: captures become exchanges, commands and connections.

Reading, indexing, reassembly and decoding, connection by connection. What comes out are plain rows in no particular
order across connections; `glancetrace.pipeline` orders them, gives them ids and makes sense of them.
"""

from __future__ import annotations

import gc
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace

from glancetrace.capture.index import PacketIndex
from glancetrace.capture.inputs import BLOCK_SIZE, CaptureReader, expand, open_captures
from glancetrace.capture.sample import sample
from glancetrace.errors import UsageError
from glancetrace.glance.calls import make_body_policy
from glancetrace.glance.database import wanted_columns
from glancetrace.glance.ports import DEFAULT_PORTS
from glancetrace.http.decoder import HttpDecoder
from glancetrace.http.exchange import HttpExchange
from glancetrace.http.hashing import HashPool
from glancetrace.http.head import looks_like_http
from glancetrace.issues import IssueLog
from glancetrace.mysql.command import MysqlCommand
from glancetrace.mysql.decoder import MysqlDecoder
from glancetrace.mysql.recognise import looks_like_mysql
from glancetrace.mysql.resultset import DefinitionsCache
from glancetrace.net.reassemble import TcpReassembler
from glancetrace.net.run import FROM_CLIENT, Connection, Run
from glancetrace.net.share import Share, share_out
from glancetrace.net.verdict import Verdict
from glancetrace.packing import Rows
from glancetrace.tls.decoder import TlsDecoder
from glancetrace.tls.recognise import RECOGNISABLE_LEN, client_random_of, may_be_tls
from glancetrace.tls.rsa import Passphrase, RsaKeys, read_rsa_key
from glancetrace.tls.secrets import SecretStore
from glancetrace.trace import Accounting, ConnectionRow
from glancetrace.workers import Worker, join_rows, start_worker

__all__ = ["DEFAULT_HASHES", "Decoded", "Options", "Paths", "as_list", "decode"]

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

DEFAULT_HASHES = ("md5", "sha512")

_HTTPS_PORTS = (443, 8443)
"""Where OpenStack's API is found behind TLS, beside the ports that have a service."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to read a capture.

    Attributes:
        ports: server port -> service (keystone, glance, registry, swift, mysql, http).
        hashes: names of further hashes of image data, beside md5 and sha512.
        reveal: show secrets.
        progress: called with bytes read so far and bytes in all (None when not known).
        block_size: bytes of capture that are read at a time. jobs: processes that decode, where it is worth while
            and the input are files; the others are forked. The result does not depend on either.
        keylogs: key log files (SSLKEYLOGFILE) to decrypt TLS with. rsa_keys: PEM files of servers' private RSA keys,
            for TLS 1.2 with RSA key exchange. passphrase: asked for that of an encrypted one, by its file name.
    """

    ports: Mapping[int, str] = field(default_factory=lambda: dict(DEFAULT_PORTS))
    hashes: tuple[str, ...] = ()
    reveal: bool = False
    progress: Callable[[int, int | None], None] | None = None
    block_size: int = BLOCK_SIZE
    jobs: int = 1
    keylogs: tuple[str | os.PathLike[str], ...] = ()
    rsa_keys: tuple[str | os.PathLike[str], ...] = ()
    passphrase: Passphrase | None = field(default=None, repr=False)


@dataclass(slots=True)
class Decoded:
    """What stage A gives: rows of all connections, and what became of every packet and byte."""

    reader: CaptureReader
    issues: IssueLog
    accounting: Accounting
    exchanges: list[tuple[HttpExchange, Connection]]
    commands: list[tuple[MysqlCommand, Connection]]
    connections: list[ConnectionRow]
    connection_count: int
    secrets: SecretStore
    workers: list[Worker] = field(default_factory=list)

    def close(self) -> None:
        """No digest is asked for any more: let the processes go that make them."""
        for worker in self.workers:
            worker.close()


class _ConnectionDecoder:
    """Finds out what a connection speaks and hands its runs to the decoder for that, through TLS where it is used."""

    def __init__(self, stage: _Stage, connection: Connection) -> None:
        self._stage = stage
        self._connection = connection
        self.row = ConnectionRow(connection, "unknown")
        self._service = stage.options.ports.get(connection.server[1])
        self._ignored_bytes = 0
        self._held: list[Run] = []
        self._decoder: HttpDecoder | MysqlDecoder | None = None
        self._tls: TlsDecoder | None = None
        self._take_plain: Callable[[Run], None] = self._first_decrypted
        self.feed: Callable[[Run], None] = self._first_feed

    def _first_feed(self, run: Run) -> None:
        if not run.data:
            return
        is_tls = False if self._service == "mysql" else self._is_tls(run)
        if is_tls is None:
            self._held.append(run)
            return
        held, self._held = [*self._held, run], []
        if is_tls:
            self.row.protocol = "tls"
            self._begin_tls(None)
        else:
            self.feed = self._begin(self._protocol(held[0]), held[0])
        for one in held:
            self.feed(one)

    def _is_tls(self, run: Run) -> bool | None:
        """Whether the first bytes of the connection, those that are held and `run`, are TLS; None: not known yet."""
        begin = b"".join(one.data[:RECOGNISABLE_LEN] for one in self._held)
        if self._held and (run.direction != self._held[0].direction or run.gap):
            return False
        return may_be_tls(begin + run.data[:RECOGNISABLE_LEN])

    def _begin(self, protocol: str, run: Run) -> Callable[[Run], None]:
        """What takes the runs of a protocol; `run` is the first."""
        stage, connection = self._stage, self._connection
        if protocol == "http":
            self._decoder = HttpDecoder(connection, stage.http_sink(connection), stage.issues, stage.body_policy)
        elif protocol == "mysql":
            decoder = MysqlDecoder(
                connection, stage.mysql_sink(connection), stage.issues, wanted_columns, stage.definitions
            )
            decoder.on_tls = self._begin_tls
            self._decoder, self.row.session = decoder, decoder.session
        else:
            kind = "http2-not-decoded" if protocol == "http2" else "protocol-unknown"
            stage.issues.count(kind, frame=run.frames[0], connection_id=connection.id)
            return self._ignore
        self.row.protocol = protocol
        return self._decoder.feed

    def _begin_tls(self, run: Run | None) -> None:
        """From here on, beginning with `run`, the connection is encrypted."""
        if self._tls is None:
            stage = self._stage
            if isinstance(self._decoder, MysqlDecoder):
                self._take_plain = self._decoder.feed_decrypted
            self._tls = TlsDecoder(self._connection, stage.secrets, stage.issues, self._decrypted)
            self.row.tls = self._tls.summary
            self.feed = self._tls.feed
        if run is not None:
            self._tls.feed(run)

    def _decrypted(self, run: Run) -> None:
        self._take_plain(run)

    def _first_decrypted(self, run: Run) -> None:
        if not run.data:
            return
        protocol = "http2" if self._tls is not None and self._tls.alpn == "h2" else self._protocol(run)
        self._take_plain = self._begin(protocol, run)
        self._take_plain(run)

    def _protocol(self, run: Run) -> str:
        if self._service is not None:
            return "mysql" if self._service == "mysql" else "http"
        data = run.data
        client, server = (data[:64], b"") if run.direction == FROM_CLIENT else (b"", data[:64])
        if looks_like_http(client, server) or (self._tls is not None and self._tls.alpn == "http/1.1"):
            return "http"
        return "mysql" if looks_like_mysql(client, server) is not False else "unknown"

    def _ignore(self, run: Run) -> None:
        """Nobody decodes this connection."""
        self._ignored_bytes += len(run.data)

    @property
    def bytes_skipped(self) -> int:
        """Bytes of both directions that were fed and not decoded."""
        skipped = self._ignored_bytes + (self._tls.bytes_skipped if self._tls is not None else 0)
        if isinstance(self._decoder, HttpDecoder):
            return skipped + sum(self._decoder.bytes_skipped)
        return skipped

    def close(self, ts: int, frame: int, how: str) -> None:
        """The connection ends."""
        held, self._held = self._held, []
        if held:
            self.feed = self._begin(self._protocol(held[0]), held[0])
        for run in held:
            self.feed(run)
        if self._tls is not None:
            self._tls.close(ts, frame)
        if self._decoder is not None:
            self._decoder.close(ts, frame, how)


class _Stage:
    """State that the connections of one capture share."""

    def __init__(self, options: Options, issues: IssueLog, hash_pool: HashPool, secrets: SecretStore) -> None:
        self.options = options
        self.issues = issues
        self.secrets = secrets
        self.definitions = DefinitionsCache()
        self.exchanges: list[tuple[HttpExchange, Connection]] = []
        self.commands: list[tuple[MysqlCommand, Connection]] = []
        self.decoders: dict[Connection, _ConnectionDecoder] = {}
        algorithms = tuple(dict.fromkeys((*DEFAULT_HASHES, *options.hashes)))
        for name in options.hashes:
            if name not in hashlib.algorithms_available or not hashlib.new(name, usedforsecurity=False).digest_size:
                raise UsageError(f"hash {name!r} is not known", action="see hashlib.algorithms_available")
        self.body_policy = make_body_policy(lambda: hash_pool.new(algorithms))

    def consumer(self, connection: Connection) -> _ConnectionDecoder:
        decoder = self.decoders[connection] = _ConnectionDecoder(self, connection)
        return decoder

    def http_sink(self, connection: Connection) -> Callable[[HttpExchange], None]:
        exchanges = self.exchanges
        return lambda exchange: exchanges.append((exchange, connection))

    def mysql_sink(self, connection: Connection) -> Callable[[MysqlCommand], None]:
        commands = self.commands
        return lambda command: commands.append((command, connection))

    def judge(self, connection: Connection, client: bytes, server: bytes) -> Verdict:
        """Is a connection on an unnamed port HTTP or MySQL, plain or in TLS for which there are secrets?"""
        for begin, port, verdict in (
            (client, connection.server[1], Verdict.WANT),
            (server, connection.client[1], Verdict.WANT_SWAPPED),
        ):
            random = client_random_of(begin) if begin else None
            if random is None:
                continue
            if port in _HTTPS_PORTS or port in self.options.ports or self.secrets.rsa is not None:
                return verdict
            if not random:
                return Verdict.MORE
            return verdict if self.secrets.knows(random) else Verdict.SKIP
        return _judge(connection, client, server)


def _judge(connection: Connection, client: bytes, server: bytes) -> Verdict:
    """Is a connection on an unnamed port HTTP or MySQL?"""
    as_http = looks_like_http(client, server)
    if as_http:
        return Verdict.WANT
    if looks_like_http(server, client):
        return Verdict.WANT_SWAPPED
    as_mysql = looks_like_mysql(client, server)
    if as_mysql:
        return Verdict.WANT
    if looks_like_mysql(server, client):
        return Verdict.WANT_SWAPPED
    return Verdict.MORE if as_http is None or as_mysql is None else Verdict.SKIP


@contextmanager
def _no_collection() -> Iterator[None]:
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


def decode(paths: Paths, options: Options | None = None, pool: HashPool | None = None) -> Decoded:
    """Read captures and decode what is in them.

    Args:
        paths: file names, globs, "-" for standard input.
        options: see `Options`.
        pool: where bodies are hashed, if that is to go on after decoding; else it ends here, and digests that are asked
            for later are made then.

    Raises:
        InputError: a capture cannot be read. UsageError: no path, or an unknown hash.
    """
    options = options or Options()
    names = as_list(paths)
    if not names:
        raise UsageError("no capture given", action="name a file, or - for standard input")
    shares = _shares(names, options)
    decoded = _decode_shares(names, options, shares) if len(shares) > 1 else None
    return decoded or _decode_alone(names, options, pool)


def _decode_alone(names: list[str], options: Options, pool: HashPool | None) -> Decoded:
    issues = IssueLog()
    reader = open_captures(names, issues, block_size=options.block_size)
    secrets = _read_secrets(reader, options, issues)
    accounting, rows = _decode_share(reader, issues, issues, options, secrets, pool)
    return _decoded(reader, issues, accounting, rows, secrets, [])


def _decode_share(
    reader: CaptureReader,
    capture_issues: IssueLog,
    issues: IssueLog,
    options: Options,
    secrets: SecretStore,
    pool: HashPool | None = None,
    share: Share | None = None,
) -> tuple[Accounting, Rows]:
    """Decode the connections of a share, or all of them; issues of the capture and of connections are counted apart."""
    with _no_collection(), HashPool() if pool is None else nullcontext(pool) as hashes:
        stage = _Stage(options, issues, hashes, secrets)
        reassembler = TcpReassembler(
            stage.consumer, issues, server_ports=frozenset(options.ports), judge=stage.judge, share=share
        )
        accounting = _read(reader, reassembler, capture_issues, options, secrets)
    connections = [stage.decoders[c].row for c in reassembler.connections if c in stage.decoders]
    skipped = sum(decoder.bytes_skipped for decoder in stage.decoders.values())
    told = [] if share is None else issues.rows()
    return accounting, Rows(
        reader.packets,
        reassembler.accounting,
        reassembler.first_frames,
        told,
        stage.exchanges,
        stage.commands,
        connections,
        skipped,
    )


def _decoded(
    reader: CaptureReader,
    issues: IssueLog,
    accounting: Accounting,
    rows: Rows,
    secrets: SecretStore,
    workers: list[Worker],
) -> Decoded:
    totals = rows.accounting
    accounting.stream_bytes_decoded = totals.decoded_bytes - rows.skipped
    accounting.stream_bytes_skipped = totals.skipped_bytes + rows.skipped
    accounting.stream_bytes_missing = totals.missing_bytes
    accounting.stream_bytes = totals.decoded_bytes + totals.skipped_bytes + totals.missing_bytes
    return Decoded(
        reader,
        issues,
        accounting,
        rows.exchanges,
        rows.commands,
        rows.connections,
        totals.connections,
        secrets,
        workers,
    )


_WORTH_SHARING = 8 << 20
"""Bytes of captures, as they lie on disk, that are worth a second process."""


def _shares(names: list[str], options: Options) -> Sequence[Share]:
    """How the connections are shared out among processes; none where one process does it all.

    Only files can be read by several; sessions that are resumed need what an RSA key told of others, in one process.
    """
    if options.jobs < 2 or options.rsa_keys or not hasattr(os, "fork"):
        return ()
    paths = expand(names)
    if not all(map(os.path.isfile, paths)) or sum(map(os.path.getsize, paths)) < _WORTH_SHARING:
        return ()
    index = PacketIndex(IssueLog())
    sql_ports = frozenset(port for port, service in options.ports.items() if service == "mysql")
    largest = max(paths, key=os.path.getsize)
    return share_out([index.index(block) for block in sample(largest)], sql_ports, options.jobs)


def _decode_shares(names: list[str], options: Options, shares: Sequence[Share]) -> Decoded | None:
    """Decode with a process per share, this one being the first; None when they do not come to one result."""

    def decode_share(share: Share) -> Rows:
        ignored = IssueLog()  # the first one tells them
        reader = open_captures(names, ignored, block_size=options.block_size)
        secrets = _read_secrets(reader, options, ignored)
        return _decode_share(reader, ignored, IssueLog(), replace(options, progress=None), secrets, share=share)[1]

    workers: list[Worker] = []
    try:
        try:
            for share in shares[1:]:
                workers.append(start_worker(decode_share, share))
        except OSError:  # no process to be had
            return None
        issues = IssueLog()
        reader = open_captures(names, issues, block_size=options.block_size)
        secrets = _read_secrets(reader, options, issues)
        accounting, rows = _decode_share(reader, issues, IssueLog(), options, secrets, share=shares[0])
        others = [worker.rows() for worker in workers]
        parts = [rows, *(other for other in others if other is not None and other.packets == rows.packets)]
        if len(parts) < len(shares):
            return None
        decoded = _decoded(reader, issues, accounting, join_rows(parts, issues), secrets, workers)
        workers = []
        return decoded
    finally:
        for worker in workers:
            worker.close()


def _read_secrets(reader: CaptureReader, options: Options, issues: IssueLog) -> SecretStore:
    """The secrets that were given, and those that the capture brings."""
    keys = [read_rsa_key(os.fspath(path), options.passphrase) for path in options.rsa_keys]
    secrets = SecretStore(issues, [os.fspath(path) for path in options.keylogs], RsaKeys(keys) if keys else None)
    secrets.ask(reader.read_secrets, once=True)
    if reader.can_bring_secrets:
        secrets.ask(lambda: reader.secrets, once=False)
    return secrets


def _read(
    reader: CaptureReader,
    reassembler: TcpReassembler,
    issues: IssueLog,
    options: Options,
    secrets: SecretStore,
) -> Accounting:
    """Push every block through index and reassembler."""
    accounting = Accounting()
    index = PacketIndex(issues)
    reader.progress = options.progress
    for block in reader:
        if secrets.waiting_bytes:
            secrets.refresh()
        segments = index.index(block)
        for reason, count in segments.ignored.items():
            accounting.ignored_reasons[reason] = accounting.ignored_reasons.get(reason, 0) + count
        accounting.packets_malformed += segments.malformed
        reassembler.push(segments)
    index.finish()
    reassembler.finish()
    accounting.packets_ignored = sum(accounting.ignored_reasons.values())
    accounting.packets_decoded = reader.packets - accounting.packets_ignored - accounting.packets_malformed
    return accounting
