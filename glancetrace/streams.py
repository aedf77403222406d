"""Streams become rows: what a connection speaks is found out, and its runs go to the decoders for that.

A `Stage` is what the connections of one capture share: where rows and issues go, the secrets of TLS, the judge of ports
that nobody named. TLS lies between the wire and the other protocols, from the first byte or from where MySQL asks for
it; what it decrypts is recognised and decoded as if it were plain.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from glancetrace.errors import UsageError
from glancetrace.glance.calls import make_body_policy
from glancetrace.glance.database import wanted_columns
from glancetrace.http.decoder import HttpDecoder
from glancetrace.http.exchange import HttpExchange
from glancetrace.http.hashing import HashPool
from glancetrace.http.head import looks_like_http
from glancetrace.issues import IssueLog
from glancetrace.mysql.command import MysqlCommand
from glancetrace.mysql.decoder import MysqlDecoder
from glancetrace.mysql.recognise import looks_like_mysql
from glancetrace.mysql.resultset import DefinitionsCache
from glancetrace.net.run import FROM_CLIENT, Connection, Run
from glancetrace.net.verdict import Verdict
from glancetrace.tls.recognise import RECOGNISABLE_LEN, client_random_of, may_be_tls
from glancetrace.trace import ConnectionRow

if TYPE_CHECKING:
    from glancetrace.tls.decoder import TlsDecoder
    from glancetrace.tls.sealed import SealedReader
    from glancetrace.tls.secrets import SecretStore

__all__ = ["DEFAULT_HASHES", "ConnectionDecoder", "Stage"]

DEFAULT_HASHES = ("md5", "sha512")

_HTTPS_PORTS = (443, 8443)
"""Where OpenStack's API is found behind TLS, beside the ports that have a service."""


class ConnectionDecoder:
    """Finds out what a connection speaks and hands its runs to the decoder for that, through TLS where it is used."""

    def __init__(self, stage: Stage, connection: Connection) -> None:
        self._stage = stage
        self._connection = connection
        self.row = ConnectionRow(connection, "unknown")
        self._service = stage.ports.get(connection.server[1])
        self._ignored_bytes = 0
        self._held: list[Run] = []
        self._decoder: HttpDecoder | MysqlDecoder | None = None
        self._tls: TlsDecoder | None = None
        self._sealed: SealedReader | None = None
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
            # Most captures have no TLS, and these modules take longer to import than to be asked.
            from glancetrace.tls.decoder import TlsDecoder
            from glancetrace.tls.sealed import SealedReader

            stage = self._stage
            if isinstance(self._decoder, MysqlDecoder):
                self._take_plain = self._decoder.feed_decrypted
            self._tls = TlsDecoder(self._connection, stage.secrets, stage.issues, self._decrypted)
            self.row.tls = self._tls.summary
            if not isinstance(self._decoder, MysqlDecoder):
                self._sealed = SealedReader()
                self.row.sealed = self._sealed.exchanges
            self.feed = self._feed_tls
        if run is not None:
            self._feed_tls(run)

    def _feed_tls(self, run: Run) -> None:
        """Both what can be decrypted and what shows without."""
        if self._sealed is not None:
            self._sealed.feed(run)
        if self._tls is not None:
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


class Stage:
    """State that the connections of one capture share.

    Args:
        ports: server port -> service. hashes: names of further hashes of bodies.

    Raises:
        UsageError: an unknown hash.
    """

    def __init__(
        self,
        ports: Mapping[int, str],
        hashes: Iterable[str],
        issues: IssueLog,
        hash_pool: HashPool,
        secrets: SecretStore,
    ) -> None:
        self.ports = ports
        self.issues = issues
        self.secrets = secrets
        self.definitions = DefinitionsCache()
        self.exchanges: list[tuple[HttpExchange, Connection]] = []
        self.commands: list[tuple[MysqlCommand, Connection]] = []
        self.decoders: dict[Connection, ConnectionDecoder] = {}
        algorithms = tuple(dict.fromkeys((*DEFAULT_HASHES, *hashes)))
        for name in algorithms:
            if name not in hashlib.algorithms_available or not hashlib.new(name, usedforsecurity=False).digest_size:
                raise UsageError(f"hash {name!r} is not known", action="see hashlib.algorithms_available")
        self.body_policy = make_body_policy(lambda: hash_pool.new(algorithms))

    def consumer(self, connection: Connection) -> ConnectionDecoder:
        """What decodes a connection."""
        decoder = self.decoders[connection] = ConnectionDecoder(self, connection)
        return decoder

    def http_sink(self, connection: Connection) -> Callable[[HttpExchange], None]:
        """What takes the exchanges of a connection."""
        exchanges = self.exchanges
        return lambda exchange: exchanges.append((exchange, connection))

    def mysql_sink(self, connection: Connection) -> Callable[[MysqlCommand], None]:
        """What takes the commands of a connection."""
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
            if port in _HTTPS_PORTS or port in self.ports or self.secrets.rsa is not None:
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
