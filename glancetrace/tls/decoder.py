"""TLS on one connection: runs from the wire in, runs of plaintext out.

The decoder only watches. It follows the handshake in both directions, finds the secrets of the connection by the client
random, opens record after record and hands on what application data say, each byte with the place (time, frame) at
which its record was complete, as Wireshark shows it. What does not authenticate is never handed on.

Records that are lost are found again by trial: under the sequence numbers that may have been reached, and under the
keys that may follow (see `glancetrace.tls.protection`). While the secret of a connection is not known, its records
wait, up to a bound: a key log may still grow, and a pipe bring a secrets block.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from glancetrace.issues import IssueLog
from glancetrace.net.run import FROM_CLIENT, FROM_SERVER, Connection, Run
from glancetrace.tls.constants import HEADER_LEN, VERSION_NAMES, ContentType, HandshakeType
from glancetrace.tls.handshake import Handshake, Messages
from glancetrace.tls.plaintext import PlaintextRuns
from glancetrace.tls.protection import Protection
from glancetrace.tls.records import Record, RecordReader
from glancetrace.tls.secrets import SecretStore
from glancetrace.tls.suites import suite_name
from glancetrace.tls.summary import Reason, TlsSummary

if TYPE_CHECKING:
    from glancetrace.tls.ciphers import Opened

__all__ = ["TlsDecoder"]

_MAX_FAILURES = 64
"""Records in a row that do not authenticate, after which a direction is given up."""
_LONGEST_WAIT = 1 << 20
_LONGEST_WAIT_OF_ALL = 64 << 20
"""Bytes of records that wait for a secret, at most: of a connection, and of all together."""


class _Side:
    """One direction.

    Attributes:
        reader, messages, protection: its records, its handshake messages, its keys.
        protected: records are encrypted from now on. given_up: nothing more is tried. damaged: bytes of it are missing.
        opened: records that were opened; failures: records in a row, since then, that were not.
        skipped: bytes of records that were not opened.
    """

    __slots__ = ("damaged", "direction", "failures", "given_up", "messages", "opened", "protected", "protection",
                 "reader", "skipped")  # fmt: skip

    def __init__(self, direction: int, protection: Protection) -> None:
        self.direction = direction
        self.reader = RecordReader(direction)
        self.messages = Messages()
        self.protection = protection
        self.protected = False
        self.given_up = False
        self.damaged = False
        self.opened = 0
        self.failures = 0
        self.skipped = 0


class TlsDecoder:
    """Decrypts one connection.

    Args:
        connection: whose bytes these are. secrets: all that are known. issues: where everything odd is counted.
        sink: gets runs of plaintext, in the order in which their records were complete.

    Attributes:
        summary: what is known of the connection; complete when it is closed.
    """

    def __init__(
        self, connection: Connection, secrets: SecretStore, issues: IssueLog, sink: Callable[[Run], None]
    ) -> None:
        self.summary = TlsSummary()
        self._connection = connection
        self._secrets = secrets
        self._issues = issues
        self._handshake = Handshake()
        self._sides = (
            _Side(FROM_CLIENT, Protection(FROM_CLIENT, self._handshake, secrets)),
            _Side(FROM_SERVER, Protection(FROM_SERVER, self._handshake, secrets)),
        )
        self._out = PlaintextRuns(sink)
        self._waiting: list[tuple[_Side, Record]] = []
        self._waiting_bytes = 0
        self._patient = True
        self._generation = 0
        self._sent_early: list[Record] = []
        self._opened_early: list[tuple[bytes, Record]] = []
        self._first_frame = 0
        self._reason: Reason | None = None

    @property
    def bytes_skipped(self) -> int:
        """Bytes of both directions that were fed and tell nothing, records that were not decrypted above all."""
        return sum(side.skipped + side.reader.skipped for side in self._sides)

    @property
    def alpn(self) -> str | None:
        """The protocol that both sides agreed on, as far as it is known."""
        return self._handshake.alpn

    def feed(self, run: Run) -> None:
        """The next run, in the order of the wire."""
        side = self._sides[run.direction]
        if not self._first_frame:
            self._first_frame = run.frames[0]
        if self._waiting and self._generation != self._secrets.generation:
            self._retry()
        if run.gap:
            side.damaged = True
            side.reader.lose(run.gap)
        if run.data:
            side.reader.push(run)
            self._advance(side)
        self._out.flush()

    def close(self, ts: int, frame: int) -> None:
        """No run follows: give up what waits, and say how far the connection was decrypted."""
        if self._waiting:
            self._secrets.refresh()
            self._retry()
        if self._waiting:
            self._give_up_waiting()
        self._drop_early()
        for side in self._sides:
            rest = side.reader.rest()
            side.skipped += rest
            if side.opened and not side.given_up and side.reader.lost:
                self._out.lose(side.direction, side.reader.lost + rest)
        self._out.close(ts, frame)
        self._conclude()

    # Records.

    def _advance(self, side: _Side) -> None:
        reader = side.reader
        while True:
            record = reader.pull()
            if record is not None:
                self._take(side, record)
            elif reader.synced or not self._resynchronise(side):
                return

    def _resynchronise(self, side: _Side) -> bool:
        """Out of step: find the next record; true when one was found and taken."""
        reader = side.reader
        side.damaged = True
        by_trial = side.protected and not side.given_up and not self._waiting
        for candidate in reader.candidates():
            opened = self._open(side, candidate) if by_trial else None
            if opened is not None:
                reader.accept()
                self._take_opened(side, candidate, opened)
                return True
            if not by_trial and reader.chains():
                reader.accept()
                self._take(side, candidate)
                return True
        return False

    def _take(self, side: _Side, record: Record) -> None:
        if not side.protected:
            self._take_plain(side, record)
        elif side.given_up:
            self._skip(side, record)
        elif self._waiting:
            self._wait(side, record)
        elif record.content_type != ContentType.CHANGE_CIPHER_SPEC or not self._is_for_middleboxes(record):
            self._take_protected(side, record)

    def _is_for_middleboxes(self, record: Record) -> bool:
        """RFC 8446, appendix D.4: a ChangeCipherSpec that says nothing."""
        return self._handshake.is_tls13 and len(record.body) == 1

    def _take_plain(self, side: _Side, record: Record) -> None:
        """A record that nothing protects yet; unless what says so is lost."""
        handshake = self._handshake
        kind = record.content_type
        if side.reader.lost and handshake.server is not None and not handshake.is_tls13:
            opened = self._open(side, record)
            if opened is not None:
                side.protected = True
                self._take_opened(side, record, opened)
                return
        if kind == ContentType.HANDSHAKE:
            if side.reader.lost:
                side.messages.clear()
            for message in side.messages.push(record.body):
                self._take_message(side, *message)
            side.reader.forget_loss()
        elif kind == ContentType.CHANGE_CIPHER_SPEC:
            if handshake.server is not None and not handshake.is_tls13:
                side.protected = True
        elif kind == ContentType.APPLICATION_DATA:
            if handshake.client is not None and handshake.client.early_data and handshake.server is None:
                self._keep_early(record)
                return
            side.protected = True
            self._take(side, record)

    def _take_message(self, side: _Side, kind: int, message: bytes) -> None:
        handshake = self._handshake
        was = handshake.server
        handshake.take(side.direction, kind, message)
        if kind == HandshakeType.CLIENT_HELLO and handshake.client is not None:
            self.summary.sni = self.summary.sni or handshake.client.sni
            self._secrets.note_client(handshake.client.random)
        elif kind == HandshakeType.SERVER_HELLO and handshake.server is not was:
            self._take_server_hello()
        elif handshake.early is not None and self._opened_early:
            self._settle_early(accepted=handshake.early)

    def _take_server_hello(self) -> None:
        handshake = self._handshake
        if handshake.server is None:
            return
        version = handshake.server.version
        self.summary.version = VERSION_NAMES.get(version, f"0x{version:04X}")
        self.summary.suite = suite_name(handshake.server.suite)
        if handshake.is_tls13:
            for side in self._sides:
                side.protected = True
            early, self._sent_early = self._sent_early, []
            for record in early:
                self._take(self._sides[FROM_CLIENT], record)

    # Protected records.

    def _take_protected(self, side: _Side, record: Record) -> None:
        opened = self._open(side, record)
        if opened is None and not side.opened and not side.failures and self._secrets.refresh():
            opened = self._open(side, record)
        if opened is not None:
            self._take_opened(side, record, opened)
            return
        missing = self._missing_keys(side)
        if missing is None:
            self._fail(side, record)
        elif missing is Reason.NO_SECRET and self._patient and self._secrets.can_grow:
            self._wait(side, record)
        else:
            self._give_up(side, missing)
            self._skip(side, record)

    def _open(self, side: _Side, record: Record) -> Opened | None:
        opened = side.protection.open(record, side.reader.lost_so_far)
        if opened is not None and side.protection.moved:
            side.messages.clear()
            if side.protection.lost_content:
                self._out.lose(side.direction, side.protection.lost_content)
        return opened

    def _missing_keys(self, side: _Side) -> Reason | None:
        """Why a record cannot be opened, unless it is the record's own fault."""
        handshake = self._handshake
        if handshake.server is None or handshake.client is None:
            began = handshake.client is not None or any(one.damaged for one in self._sides)
            return Reason.PACKET_LOST if began and not self._connection.started_before_capture else Reason.NO_HANDSHAKE
        if handshake.suite is None:
            return Reason.UNSUPPORTED
        return None if side.protection.knows_keys() else Reason.NO_SECRET

    def _take_opened(self, side: _Side, record: Record, opened: Opened) -> None:
        kind, content = opened
        side.opened += 1
        side.failures = 0
        if side.reader.lost:
            side.reader.forget_loss()
        if kind == ContentType.APPLICATION_DATA:
            if not len(content):
                return
            if side.protection.is_early and not self._handshake.early:
                self._opened_early.append((bytes(content), record))
                return
            self.summary.application_bytes[side.direction] += len(content)
            self._out.add(side.direction, content, record.ts, record.frame)
        elif kind == ContentType.HANDSHAKE:
            for message in side.messages.push(content):
                self._take_message(side, *message)

    def _fail(self, side: _Side, record: Record) -> None:
        """A record does not authenticate: it is lost."""
        side.failures += 1
        self._skip(side, record)
        if side.protection.epoch is not None:
            side.reader.lost += HEADER_LEN + len(record.body)
        if side.failures >= _MAX_FAILURES or side.protection.exhausted:
            self._give_up(side, self._blame())

    def _blame(self) -> Reason:
        """Records do not authenticate, though there is a secret."""
        if any(side.damaged or side.opened for side in self._sides):
            return Reason.PACKET_LOST
        return Reason.WRONG_KEY

    def _skip(self, side: _Side, record: Record) -> None:
        """Nobody can read this record."""
        side.skipped += HEADER_LEN + len(record.body)
        if record.content_type == ContentType.APPLICATION_DATA:
            suite = self._handshake.suite
            size = max(0, len(record.body) - (suite.expansion if suite is not None else 0))
            self.summary.add_burst(side.direction, size, record.ts, record.frame)

    def _give_up(self, side: _Side, reason: Reason) -> None:
        side.given_up = True
        if reason is Reason.NO_SECRET and self._handshake.encrypted_premaster and self._secrets.rsa is not None:
            reason = Reason.WRONG_KEY
        self._reason = self._reason or reason
        if not self._secrets.given:
            self._reason = Reason.NO_SECRETS

    # Waiting for a secret.

    def _wait(self, side: _Side, record: Record) -> None:
        if not self._waiting:
            self._generation = self._secrets.generation
        record.body = bytes(record.body)
        self._waiting.append((side, record))
        self._note_waiting(len(record.body))
        if self._waiting_bytes > _LONGEST_WAIT or self._secrets.waiting_bytes > _LONGEST_WAIT_OF_ALL:
            self._secrets.refresh()
            self._retry()
            if self._waiting:
                self._give_up_waiting()

    def _retry(self) -> None:
        """There may be a secret now."""
        waiting, self._waiting = self._waiting, []
        self._note_waiting(-self._waiting_bytes)
        patient, self._patient = self._patient, False
        for number, (side, record) in enumerate(waiting):
            if self._missing_keys(side) is Reason.NO_SECRET and not side.given_up:
                self._waiting = waiting[number:]
                self._note_waiting(sum(len(record.body) for _, record in self._waiting))
                break
            self._take(side, record)
        self._patient = patient
        self._generation = self._secrets.generation

    def _give_up_waiting(self) -> None:
        """Nobody knows the secret, or it would come too late."""
        self._patient = False
        waiting, self._waiting = self._waiting, []
        self._note_waiting(-self._waiting_bytes)
        for side, record in waiting:
            self._take(side, record)

    def _note_waiting(self, added: int) -> None:
        self._waiting_bytes += added
        self._secrets.waiting_bytes += added

    # Early data (RFC 8446, 2.3): sent before the server has answered, which may refuse it.

    def _keep_early(self, record: Record) -> None:
        if sum(len(kept.body) for kept in self._sent_early) > _LONGEST_WAIT:
            self._skip(self._sides[FROM_CLIENT], record)
            return
        record.body = bytes(record.body)
        self._sent_early.append(record)

    def _settle_early(self, *, accepted: bool) -> None:
        """The server took the early data, or the client will send them again."""
        early, self._opened_early = self._opened_early, []
        for content, record in early:
            if accepted:
                self.summary.application_bytes[FROM_CLIENT] += len(content)
                self._out.add(FROM_CLIENT, content, record.ts, record.frame)
            else:
                self._sides[FROM_CLIENT].skipped += HEADER_LEN + len(record.body)

    def _drop_early(self) -> None:
        self._settle_early(accepted=False)
        for record in self._sent_early:
            self._skip(self._sides[FROM_CLIENT], record)
        self._sent_early = []

    def _conclude(self) -> None:
        """The connection is over."""
        summary = self.summary
        summary.alpn = self._handshake.alpn
        summary.decrypted = any(side.opened for side in self._sides)
        reason = self._reason
        if reason is None and not summary.decrypted:
            if any(side.failures for side in self._sides):
                reason = self._blame()
            elif self._handshake.client is None:
                reason = Reason.NO_HANDSHAKE if self._secrets.given else Reason.NO_SECRETS
        if reason is not None:
            summary.reason = reason.text
            self._issues.count(reason.issue, frame=self._first_frame, connection_id=self._connection.id)
