"""The connection phase: greeting, handshake response, SSL request, and the fields of COM_CHANGE_USER.

MySQL Server documentation: Protocol::HandshakeV10, Protocol::HandshakeResponse41, Protocol::SSLRequest,
COM_CHANGE_USER; MariaDB, "Connection": a server that does not set CLIENT_MYSQL (the bit of CLIENT_LONG_PASSWORD) has
extended capabilities in the last four reserved bytes, and so has its client. A PROXY protocol header (haproxy.org,
proxy-protocol.txt) may precede the client's bytes. Authentication data are stepped over and never kept; the server's
scramble is no secret and identifies the session on both legs of a proxy.
"""

from __future__ import annotations

from dataclasses import dataclass

from glancetrace.mysql.constants import Capability
from glancetrace.mysql.session_state import pull_lenenc
from glancetrace.wire import Cursor, ShortRead

__all__ = [
    "Greeting",
    "Login",
    "is_ssl_request",
    "parse_change_user",
    "parse_greeting",
    "parse_handshake_response",
    "proxy_header_len",
]

_LONG_PASSWORD = int(Capability.CLIENT_LONG_PASSWORD)
_SSL_REQUEST_LEN = 32
_PROXY_V1 = b"PROXY "
_PROXY_V1_MAX_LEN = 107
_PROXY_V2 = b"\r\n\r\n\x00\r\nQUIT\n"


@dataclass(frozen=True, slots=True)
class Greeting:
    """Protocol::HandshakeV10. `capabilities` holds MariaDB's extended ones above bit 32."""

    server_version: str
    thread_id: int
    scramble: bytes
    capabilities: int
    status_flags: int


@dataclass(frozen=True, slots=True)
class Login:
    """Who logs in where; `capabilities` as in `Greeting`."""

    user: str
    schema: str | None
    capabilities: int


def parse_greeting(payload: bytes) -> Greeting | None:
    """Payload of the server's first packet, None when it is no HandshakeV10."""
    cursor = Cursor(payload)
    try:
        if cursor.pull_uint8() != 10:
            return None
        version = cursor.pull_nul()
        thread_id = cursor.pull_uint_le(4)
        scramble = cursor.pull_bytes(8)
        cursor.pull_uint8()
        capabilities = cursor.pull_uint_le(2)
        if not cursor.remaining:
            return Greeting(version.decode("latin-1"), thread_id, scramble, capabilities, 0)
        cursor.pull_uint8()
        status_flags = cursor.pull_uint_le(2)
        capabilities |= cursor.pull_uint_le(2) << 16
        scramble_len = cursor.pull_uint8()
        cursor.pull_bytes(6)
        extended = cursor.pull_uint_le(4)
        if not capabilities & _LONG_PASSWORD:
            capabilities |= extended << 32
        scramble += cursor.pull_bytes(min(max(13, scramble_len - 8), cursor.remaining)).rstrip(b"\0")
    except ShortRead:
        return None
    return Greeting(version.decode("latin-1"), thread_id, scramble, capabilities, status_flags)


def is_ssl_request(payload: bytes) -> bool:
    """The client asks for TLS: a handshake response that ends before the user name."""
    return len(payload) == _SSL_REQUEST_LEN and bool(int.from_bytes(payload[:4], "little") & Capability.CLIENT_SSL)


def parse_handshake_response(payload: bytes, server_capabilities: int) -> Login | None:
    """Protocol::HandshakeResponse41, None when it is none (or older than MySQL 4.1)."""
    cursor = Cursor(payload)
    try:
        capabilities = cursor.pull_uint_le(4)
        if not capabilities & Capability.CLIENT_PROTOCOL_41:
            return None
        cursor.pull_bytes(4 + 1 + 19)
        extended = cursor.pull_uint_le(4)
        if not server_capabilities & _LONG_PASSWORD:
            capabilities |= extended << 32
        user = cursor.pull_nul()
        capabilities &= server_capabilities | _LONG_PASSWORD
        schema = b""
        if _step_over_secret(cursor, capabilities) and capabilities & Capability.CLIENT_CONNECT_WITH_DB:
            schema = cursor.pull_nul()
    except ShortRead:
        return None
    return Login(user.decode("utf-8", "replace"), schema.decode("utf-8", "replace") or None, capabilities)


def _step_over_secret(cursor: Cursor, capabilities: int) -> bool:
    """Move behind the authentication response; false when nothing follows it."""
    if capabilities & Capability.CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA:
        length, cursor.pos = pull_lenenc(cursor.data, cursor.pos, cursor.end)
        cursor.pull_bytes(length)
    elif capabilities & Capability.CLIENT_SECURE_CONNECTION:
        cursor.pull_bytes(cursor.pull_uint8())
    else:
        cursor.pull_nul()
    return cursor.remaining > 0


def parse_change_user(payload: bytes) -> Login | None:
    """COM_CHANGE_USER (with CLIENT_SECURE_CONNECTION, which every version since 4.1 has); capabilities are 0."""
    cursor = Cursor(payload, 1)
    try:
        user = cursor.pull_nul()
        cursor.pull_bytes(cursor.pull_uint8())
        schema = cursor.pull_nul()
    except ShortRead:
        return None
    return Login(user.decode("utf-8", "replace"), schema.decode("utf-8", "replace") or None, 0)


def proxy_header_len(data: bytes) -> int | None:
    """Length of the PROXY protocol header that `data` starts with: 0 without one, None when more bytes are needed."""
    if data.startswith(_PROXY_V2):
        return 16 + int.from_bytes(data[14:16], "big") if len(data) >= 16 else None
    if data.startswith(_PROXY_V1):
        stop = data.find(b"\r\n", 0, _PROXY_V1_MAX_LEN)
        if stop >= 0:
            return stop + 2
        return None if len(data) < _PROXY_V1_MAX_LEN else 0
    return None if _PROXY_V1.startswith(data) or _PROXY_V2.startswith(data) else 0
