"""ClientHello, ServerHello and EncryptedExtensions: what both sides tell about the connection.

RFC 8446, sections 4.1.2, 4.1.3, 4.2 and 4.3.1; RFC 5246, 7.4.1; RFC 6066, section 3 (server name); RFC 7301 (ALPN).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from glancetrace.tls.constants import ExtensionType
from glancetrace.wire import Cursor, ShortRead

__all__ = ["ClientHello", "ServerHello", "parse_client_hello", "parse_extensions", "parse_server_hello", "pull_alpn"]

RANDOM_LEN = 32

_RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"""SHA-256 of "HelloRetryRequest": the random of a ServerHello that is one."""


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What the client offers: `ticket` of TLS 1.2; `early_data`: 0-RTT data follow at once."""

    version: int
    random: bytes
    session_id: bytes = field(repr=False)
    suites: tuple[int, ...] = field(repr=False)
    sni: str | None
    ticket: bytes = field(repr=False)
    early_data: bool


@dataclass(frozen=True, slots=True)
class ServerHello:
    """What the server chose: `retry`: it is a HelloRetryRequest. `etm`, `ems`: RFC 7366, RFC 7627."""

    version: int
    random: bytes
    session_id: bytes = field(repr=False)
    suite: int
    alpn: str | None
    etm: bool
    ems: bool
    retry: bool


def _pull_uint(cursor: Cursor, length: int) -> int:
    return int.from_bytes(cursor.pull_bytes(length), "big")


def _pull_vector(cursor: Cursor, length_len: int) -> bytes:
    """A vector with its length in front (RFC 8446, 3.4)."""
    return cursor.pull_bytes(_pull_uint(cursor, length_len))


def parse_extensions(block: bytes) -> dict[int, bytes]:
    """Type -> data; what is cut short is left out."""
    cursor = Cursor(block)
    extensions: dict[int, bytes] = {}
    try:
        while cursor.remaining:
            kind = _pull_uint(cursor, 2)
            extensions.setdefault(kind, _pull_vector(cursor, 2))
    except ShortRead:
        pass
    return extensions


def pull_alpn(extensions: dict[int, bytes]) -> str | None:
    """The protocol that the server chose (RFC 7301, 3.1)."""
    data = extensions.get(ExtensionType.ALPN, b"")
    return data[3:].decode("ascii", "replace") if len(data) > 3 else None


def _server_name(extensions: dict[int, bytes]) -> str | None:
    """The host name of RFC 6066, section 3."""
    data = extensions.get(ExtensionType.SERVER_NAME, b"")
    return data[5:].decode("ascii", "replace") if len(data) > 5 and not data[2] else None


def parse_client_hello(body: bytes) -> ClientHello | None:
    """The body of a ClientHello; None where it is none."""
    cursor = Cursor(body)
    try:
        version = _pull_uint(cursor, 2)
        random = cursor.pull_bytes(RANDOM_LEN)
        session_id = _pull_vector(cursor, 1)
        numbers = _pull_vector(cursor, 2)
        _pull_vector(cursor, 1)
        extensions = parse_extensions(_pull_vector(cursor, 2)) if cursor.remaining else {}
    except ShortRead:
        return None
    return ClientHello(
        version=version,
        random=random,
        session_id=session_id,
        suites=tuple(int.from_bytes(numbers[at : at + 2], "big") for at in range(0, len(numbers), 2)),
        sni=_server_name(extensions),
        ticket=extensions.get(ExtensionType.SESSION_TICKET, b""),
        early_data=ExtensionType.EARLY_DATA in extensions,
    )


def parse_server_hello(body: bytes) -> ServerHello | None:
    """The body of a ServerHello; None where it is none."""
    cursor = Cursor(body)
    try:
        version = _pull_uint(cursor, 2)
        random = cursor.pull_bytes(RANDOM_LEN)
        session_id = _pull_vector(cursor, 1)
        suite = _pull_uint(cursor, 2)
        cursor.pull_bytes(1)
        extensions = parse_extensions(_pull_vector(cursor, 2)) if cursor.remaining else {}
    except ShortRead:
        return None
    chosen = extensions.get(ExtensionType.SUPPORTED_VERSIONS, b"")
    return ServerHello(
        version=int.from_bytes(chosen, "big") if len(chosen) == 2 else version,
        random=random,
        session_id=session_id,
        suite=suite,
        alpn=pull_alpn(extensions),
        etm=ExtensionType.ENCRYPT_THEN_MAC in extensions,
        ems=ExtensionType.EXTENDED_MASTER_SECRET in extensions,
        retry=random == _RETRY_RANDOM,
    )
