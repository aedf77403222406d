"""Authentication of MySQL: what of the packets of the connection phase is to be concealed.

MySQL Server documentation, "Connection Phase" (page_protocol_connection_phase.html), Protocol::HandshakeV10,
Protocol::HandshakeResponse41, Protocol::AuthSwitchRequest, COM_CHANGE_USER. A scramble and the answer to it suffice to
guess at a password, so both become pseudonyms; equal scrambles stay equal, which is how the legs of a proxied session
are told to be one. Users, schemas, plugins and capabilities stay. Functions return ranges of the payload.
"""

from __future__ import annotations

from glancetrace.mysql.constants import Capability
from glancetrace.mysql.session_state import pull_lenenc

__all__ = ["answer_secrets", "change_user_secrets", "greeting_secrets", "reply_secrets", "server_secrets"]

Ranges = list[tuple[int, int]]

_SHORT_SIGNAL = 2
"""Bytes of a packet that is a signal of a plugin: request for the public key, fast authentication done, ..."""


def greeting_secrets(payload: bytes) -> Ranges:
    """The scramble of a HandshakeV10: 8 bytes behind version and thread id, and what follows the reserved bytes."""
    version_end = payload.find(b"\0", 1)
    if version_end < 0:
        return []
    first = version_end + 5
    second = first + 8 + 1 + 2 + 1 + 2 + 2 + 1 + 10
    scramble_len = payload[first + 8 + 1 + 2 + 1 + 2 + 2] if len(payload) > second else 0
    return [(first, first + 8), (second, min(len(payload), second + max(13, scramble_len - 8)))]


def answer_secrets(payload: bytes) -> Ranges:
    """The authentication response of a HandshakeResponse41, as long as its length field says; else all behind it."""
    if len(payload) < 32:
        return [(0, len(payload))]
    capabilities = int.from_bytes(payload[:4], "little")
    if not capabilities & Capability.CLIENT_PROTOCOL_41:
        return [(5, len(payload))]
    pos = payload.find(b"\0", 32) + 1
    if not pos:
        return [(32, len(payload))]
    if capabilities & Capability.CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA:
        length, pos = pull_lenenc(payload, pos, len(payload))
    elif capabilities & Capability.CLIENT_SECURE_CONNECTION:
        length, pos = (payload[pos], pos + 1) if pos < len(payload) else (0, pos)
    else:
        length = max(payload.find(b"\0", pos) - pos, 0)
    if length < 0 or pos + length > len(payload):
        return [(pos, len(payload))]
    return [(pos, pos + length)]


def change_user_secrets(payload: bytes) -> Ranges:
    """The authentication response of a COM_CHANGE_USER."""
    pos = payload.find(b"\0", 1) + 1
    if not pos or pos >= len(payload):
        return [(1, len(payload))]
    return [(pos + 1, min(len(payload), pos + 1 + payload[pos]))]


def server_secrets(payload: bytes) -> Ranges:
    """A server's packet during authentication: the scramble of an AuthSwitchRequest, the data of a plugin."""
    if payload[:1] == b"\xfe":
        name_end = payload.find(b"\0", 1) + 1
        return [(name_end, len(payload))] if name_end else []
    if payload[:1] == b"\x01" and len(payload) > _SHORT_SIGNAL and b"PUBLIC KEY" not in payload:
        return [(1, len(payload))]
    return []


def reply_secrets(payload: bytes) -> Ranges:
    """A client's packet during authentication, of any plugin: all of it, unless it is a signal."""
    return [] if len(payload) < _SHORT_SIGNAL else [(0, len(payload))]
