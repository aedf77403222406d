"""Numbers of the TLS protocol that are met on the wire.

RFC 8446 (TLS 1.3), section 4 and appendix B; RFC 5246 (TLS 1.2), appendix A; the IANA registry "TLS Parameters".
"""

from __future__ import annotations

from enum import IntEnum

__all__ = ["HEADER_LEN", "LONGEST_RECORD", "VERSION_NAMES", "ContentType", "ExtensionType", "HandshakeType"]

HEADER_LEN = 5
LONGEST_RECORD = (1 << 14) + 2048
"""Bytes of a protected record, at most (RFC 5246, 6.2.3; TLS 1.3 allows only 256 more than 2^14)."""

VERSION_NAMES = {0x0300: "SSL 3.0", 0x0301: "TLS 1.0", 0x0302: "TLS 1.1", 0x0303: "TLS 1.2", 0x0304: "TLS 1.3"}


class ContentType(IntEnum):
    """RFC 8446, 5.1."""

    CHANGE_CIPHER_SPEC = 20
    ALERT = 21
    HANDSHAKE = 22
    APPLICATION_DATA = 23
    HEARTBEAT = 24


class HandshakeType(IntEnum):
    """RFC 8446, 4, and RFC 5246, 7.4: those that matter to somebody who only watches."""

    CLIENT_HELLO = 1
    SERVER_HELLO = 2
    NEW_SESSION_TICKET = 4
    END_OF_EARLY_DATA = 5
    ENCRYPTED_EXTENSIONS = 8
    CLIENT_KEY_EXCHANGE = 16
    FINISHED = 20
    KEY_UPDATE = 24


class ExtensionType(IntEnum):
    """RFC 8446, 4.2, and the registry."""

    SERVER_NAME = 0
    ALPN = 16
    ENCRYPT_THEN_MAC = 22
    EXTENDED_MASTER_SECRET = 23
    SESSION_TICKET = 35
    EARLY_DATA = 42
    SUPPORTED_VERSIONS = 43
