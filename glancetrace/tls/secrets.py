"""Secrets of TLS connections: key logs, secrets blocks of pcapng files, sessions that can be resumed.

The NSS key log format (https://www.ietf.org/archive/id/draft-ietf-tls-keylogfile-02.html): lines of a label, the client
random and the secret, in hexadecimal. Key logs grow while they are read: when a secret is looked up that is not there,
what was written since is read, and whatever else may know more is asked (`SecretStore.ask`). Nothing here shows a
secret: not the representation, not an error, not an issue.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from glancetrace.errors import InputError
from glancetrace.issues import IssueLog

if TYPE_CHECKING:
    from glancetrace.tls.rsa import RsaKeys

__all__ = ["EARLY", "HANDSHAKE", "MASTER", "TLS_KEY_LOG", "TRAFFIC", "KeyLogFile", "SecretStore"]

TLS_KEY_LOG = 0x544C534B
"""Type of a pcapng secrets block that holds a key log (draft-ietf-opsawg-pcapng, 4.7)."""

MASTER = "CLIENT_RANDOM"
EARLY = "CLIENT_EARLY_TRAFFIC_SECRET"
HANDSHAKE = ("CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET")
TRAFFIC = ("CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0")
_PREMASTER = "RSA"
_SESSION = "RSA Session-ID"

_USED = (MASTER, EARLY, *HANDSHAKE, *TRAFFIC, _PREMASTER, _SESSION)
_LINE = re.compile(rb"([A-Z][A-Z0-9_]*) ([0-9A-Fa-f]+) ([0-9A-Fa-f]+)")
_SESSION_LINE = re.compile(rb"RSA Session-ID:([0-9A-Fa-f]+) Master-Key:([0-9A-Fa-f]+)")
_LONGEST_LINE = 4096
_PREMASTER_ID_LEN = 8
_MASTER_LEN = 48
_RANDOM_LEN = 32
_MOST_CANDIDATES = 16
"""Secrets that are tried for one connection or session, at most: captures bring secrets too, and may be hostile."""


def _parse_line(line: bytes) -> tuple[str, bytes, bytes] | None:
    """Label, what the secret is found by, secret; None where the line is none of a key log."""
    session = _SESSION_LINE.fullmatch(line)
    fields = (_SESSION.encode(), *session.groups()) if session else None
    if fields is None:
        match = _LINE.fullmatch(line)
        if match is None:
            return None
        fields = match.groups()
    if len(fields[1]) % 2 or len(fields[2]) % 2:
        return None
    label, known_by, secret = fields[0].decode(), bytes.fromhex(fields[1].decode()), bytes.fromhex(fields[2].decode())
    if label not in (_PREMASTER, _SESSION) and len(known_by) != _RANDOM_LEN:
        return None
    if label in (MASTER, _PREMASTER, _SESSION) and len(secret) != _MASTER_LEN:
        return None
    return label, known_by, secret


class KeyLogFile:
    """A key log that may grow: `read_on` gives the complete lines that were added since, with their numbers.

    A pipe (`<(...)` of a shell) is read once, to its end.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._position = 0
        self._lines = 0
        self._rest = b""
        self._ended = False

    def read_on(self) -> list[tuple[int, bytes]]:
        """Lines and their numbers, from 1; the last one may be without its end, and comes again when it has more.

        Raises:
            InputError: the file cannot be read.
        """
        if self._ended:
            return []
        try:
            with open(self.path, "rb") as file:
                self._ended = not file.seekable()
                if not self._ended:
                    file.seek(self._position)
                added = file.read()
        except FileNotFoundError:
            raise InputError("no such file", where=self.path, action="check the name of the key log") from None
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", where=self.path, action="check the key log") from None
        self._position += len(added)
        if not added:
            return []
        *complete, rest = (self._rest + added).split(b"\n")
        lines = list(enumerate(complete, self._lines + 1))
        self._lines += len(complete)
        self._rest = rest[-_LONGEST_LINE:]
        if rest and _parse_line(rest.strip()):
            lines.append((self._lines + 1, rest))
        return lines


class SecretStore:
    """All secrets that are known so far.

    Attributes:
        given: somebody gave secrets: a key log, an RSA key or a secrets block.
        rsa: private keys, None where none was given. generation: grows with every secret that is added.
        waiting_bytes: bytes of records of all connections that wait for a secret.
    """

    def __init__(self, issues: IssueLog, key_logs: Iterable[str] = (), rsa: RsaKeys | None = None) -> None:
        self.rsa = rsa
        self.given = rsa is not None
        self.generation = 0
        self.waiting_bytes = 0
        self._issues = issues
        self._secrets: dict[str, dict[bytes, tuple[bytes, ...]]] = {label: {} for label in _USED}
        self._sessions: dict[bytes, tuple[bytes, ...]] = {}
        self._seen: dict[bytes, None] = {}
        self._premasters: dict[bytes, None] = {}
        self._askers: list[tuple[Callable[[], Iterable[tuple[int, bytes]]], bool]] = []
        self._files = [KeyLogFile(path) for path in key_logs]
        for file in self._files:
            self.given = True
            self._take_file(file, first=True)

    def __repr__(self) -> str:
        return f"<secrets of {sum(map(len, self._secrets.values()))} kinds and connections>"

    @property
    def can_grow(self) -> bool:
        """More secrets may come."""
        return bool(self._files or self._askers)

    def ask(self, asker: Callable[[], Iterable[tuple[int, bytes]]], *, once: bool) -> None:
        """Have `asker` give more secrets blocks (type, data) when a secret is missing: whenever one is, or `once`."""
        self._askers.append((asker, once))

    def add_block(self, kind: int, data: bytes) -> None:
        """The contents of a secrets block; kinds other than key logs are of no use here."""
        if kind != TLS_KEY_LOG:
            return
        self.given = True
        for line in data.split(b"\n"):
            self._take_line(line)

    def refresh(self) -> bool:
        """Read what was added since; whether that brought secrets."""
        known = self.generation
        for file in self._files:
            self._take_file(file, first=False)
        askers, self._askers = self._askers, [(asker, once) for asker, once in self._askers if not once]
        for asker, _ in askers:
            for kind, data in asker():
                self.add_block(kind, data)
        return self.generation != known

    def find(self, label: str, client_random: bytes) -> tuple[bytes, ...]:
        """What may be the secret with this label of a connection: several where key logs disagree."""
        if client_random not in self._secrets[label]:
            self.refresh()
        return self._secrets[label].get(client_random, ())

    def prefer(self, client_random: bytes, secret: bytes) -> None:
        """This secret opened a record: of those that were given for the client random it is the right one."""
        for secrets in self._secrets.values():
            found = secrets.get(client_random, ())
            if secret in found[1:]:
                secrets[client_random] = (secret, *(other for other in found if other != secret))

    def knows(self, client_random: bytes) -> bool:
        """Whether there is a secret of this connection."""
        labels = (MASTER, TRAFFIC[0], HANDSHAKE[0], TRAFFIC[1], HANDSHAKE[1], EARLY)
        if not any(client_random in self._secrets[label] for label in labels):
            self.refresh()
        return any(client_random in self._secrets[label] for label in labels)

    def find_premasters(self, encrypted: bytes, version: int) -> tuple[bytes, ...]:
        """What may be the premaster secret that a client sent under the server's RSA key."""
        logged = self._secrets[_PREMASTER].get(encrypted[:_PREMASTER_ID_LEN], ())
        opened = self.rsa.decrypt_premaster(encrypted, version) if self.rsa is not None else None
        return logged if opened is None or opened in logged else (*logged, opened)

    def find_session(self, *known_by: bytes) -> tuple[bytes, ...]:
        """What may be the master secret of a session of TLS 1.2 that is resumed by its id or its ticket."""
        found = [(*self._sessions.get(key, ()), *self._secrets[_SESSION].get(key, ())) for key in known_by if key]
        return tuple(dict.fromkeys(master for masters in found for master in masters))

    def remember_session(self, known_by: bytes, master: bytes) -> None:
        """This session may be resumed."""
        masters = self._sessions.get(known_by, ())
        if known_by and master not in masters and len(masters) < _MOST_CANDIDATES:
            self._sessions[known_by] = (*masters, master)
            self.generation += 1

    def note_client(self, client_random: bytes) -> None:
        """A connection of this client random is in the capture."""
        self._seen[client_random] = None

    def note_premaster(self, encrypted: bytes) -> None:
        """A premaster secret under an RSA key is in the capture."""
        self._premasters[encrypted[:_PREMASTER_ID_LEN]] = None

    @property
    def seen_clients(self) -> int:
        """Connections, by client randoms, that are in the capture."""
        return len(self._seen)

    @property
    def known_clients(self) -> int:
        """Those of them whose secrets are known."""
        labels = (MASTER, *TRAFFIC, *HANDSHAKE)
        return sum(any(random in self._secrets[label] for label in labels) for random in self._seen)

    def needed_lines(self) -> list[str]:
        """Key log lines of the connections that are in the capture, in their order; where key logs disagree, that of
        the secret which opened something."""
        lines = [
            f"{label} {random.hex()} {secrets[random][0].hex()}"
            for random in self._seen
            for label, secrets in self._secrets.items()
            if label not in (_PREMASTER, _SESSION) and random in secrets
        ]
        premasters = self._secrets[_PREMASTER]
        lines += [f"RSA {key.hex()} {secret.hex()}" for key in self._premasters for secret in premasters.get(key, ())]
        return lines

    def _take_file(self, file: KeyLogFile, *, first: bool) -> None:
        lines = file.read_on()
        bad = [number for number, line in lines if not self._take_line(line)]
        if first and bad and not any(_parse_line(line.strip()) for _, line in lines):
            raise InputError("is no key log: no line of it can be read", where=file.path,
                             action="give the file that SSLKEYLOGFILE names")  # fmt: skip
        for number in bad:
            self._issues.count("keylog-line-unreadable", where=f"{file.path}, line {number}")

    def _take_line(self, line: bytes) -> bool:
        """Add what a line says; False where it cannot be read, or is one too many for its connection."""
        line = line.strip()
        if not line or line.startswith(b"#"):
            return True
        parsed = _parse_line(line)
        if parsed is None:
            return False
        label, known_by, secret = parsed
        secrets = self._secrets.get(label)
        if secrets is not None and secret not in secrets.get(known_by, ()):
            candidates = secrets.get(known_by, ())
            if len(candidates) >= _MOST_CANDIDATES:
                return False
            secrets[known_by] = (*candidates, secret)
            self.generation += 1
        return True
