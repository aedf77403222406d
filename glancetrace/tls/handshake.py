"""The handshake as somebody sees it who only watches: messages in, what was agreed on out.

RFC 8446, section 4; RFC 5246, section 7; RFC 5077 (tickets), RFC 7627 (extended master secret). The messages of one
direction are joined over records by `Messages`; `Handshake` holds what they said. A renegotiation starts over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from glancetrace.net.run import FROM_CLIENT
from glancetrace.tls.constants import ExtensionType, HandshakeType
from glancetrace.tls.hello import (
    ClientHello,
    ServerHello,
    parse_client_hello,
    parse_extensions,
    parse_server_hello,
    pull_alpn,
)
from glancetrace.tls.suites import Suite, find_suite

__all__ = ["TLS_1_3", "Handshake", "Message", "Messages"]

TLS_1_3 = 0x0304
_TLS_1_0 = 0x0301

_HEADER_LEN = 4
_LONGEST_MESSAGE = 1 << 17
_LONGEST_TRANSCRIPT = 1 << 18

Message = tuple[int, bytes]
"""Type (`HandshakeType`) and the whole message, its header included."""


class Messages:
    """Joins handshake messages of one direction that span records."""

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = b""

    def push(self, content: bytes | memoryview) -> Iterator[Message]:
        """Add the content of a record; gives the messages that are complete now."""
        self._data += bytes(content)
        while len(self._data) >= _HEADER_LEN:
            size = _HEADER_LEN + int.from_bytes(self._data[1:4], "big")
            if size > _LONGEST_MESSAGE:
                self._data = b""
                return
            if len(self._data) < size:
                return
            message, self._data = self._data[:size], self._data[size:]
            yield message[0], message

    def clear(self) -> None:
        """What is there will not be completed."""
        self._data = b""


class Handshake:
    """What was agreed on.

    Attributes:
        client, server: the hellos, None until they are seen. suite: None where it is not known how to decrypt it.
        early: whether the server took the early data that the client sent; None while that is not known.
        encrypted_premaster, session_hash: of TLS 1.2 with RSA key exchange.
        ticket: that the server issued in TLS 1.2. alpn: as agreed on. ordinal: which handshake it is, from 1.
    """

    __slots__ = ("_transcript", "_transcript_len", "alpn", "client", "early", "encrypted_premaster", "ordinal",
                 "server", "session_hash", "suite", "ticket")  # fmt: skip

    def __init__(self) -> None:
        self.ordinal = 0
        self.client: ClientHello | None = None
        self.server: ServerHello | None = None
        self.suite: Suite | None = None
        self.alpn: str | None = None
        self.early: bool | None = None
        self.encrypted_premaster = b""
        self.session_hash = b""
        self.ticket = b""
        self._transcript: list[bytes] = []
        self._transcript_len = 0

    @property
    def is_tls13(self) -> bool:
        """The server chose TLS 1.3."""
        return self.server is not None and self.server.version >= TLS_1_3

    def take(self, direction: int, kind: int, message: bytes) -> None:
        """Learn from a message."""
        body = message[_HEADER_LEN:]
        if kind == HandshakeType.CLIENT_HELLO and direction == FROM_CLIENT:
            self._take_client_hello(body)
        self._note(message)
        if kind == HandshakeType.SERVER_HELLO and direction != FROM_CLIENT:
            self._take_server_hello(body)
        elif kind == HandshakeType.ENCRYPTED_EXTENSIONS and self.is_tls13:
            self._take_encrypted_extensions(body)
        elif kind == HandshakeType.END_OF_EARLY_DATA and self.is_tls13:
            self.early = True
        elif kind == HandshakeType.CLIENT_KEY_EXCHANGE and not self.is_tls13:
            self._take_key_exchange(body)
        elif kind == HandshakeType.NEW_SESSION_TICKET and not self.is_tls13:
            self.ticket = body[6:]

    def _take_client_hello(self, body: bytes) -> None:
        hello = parse_client_hello(body)
        if hello is None:
            return
        if self.server is not None or self.client is None:
            self.server = self.suite = self.early = None
            self.encrypted_premaster = self.session_hash = self.ticket = b""
            self._transcript = []
            self._transcript_len = 0
        self.client = hello

    def _take_server_hello(self, body: bytes) -> None:
        hello = parse_server_hello(body)
        if hello is None:
            return
        if hello.retry:
            self.early = False
            return
        self.server = hello
        self.ordinal += 1
        self.suite = find_suite(hello.suite) if hello.version >= _TLS_1_0 else None
        if self.suite is not None and self.suite.tls13 != self.is_tls13:
            self.suite = None
        self.alpn = hello.alpn or self.alpn
        if hello.version >= TLS_1_3:
            self._transcript = []

    def _take_encrypted_extensions(self, body: bytes) -> None:
        extensions = parse_extensions(body[2:])
        self.alpn = pull_alpn(extensions) or self.alpn
        if self.early is None:
            self.early = ExtensionType.EARLY_DATA in extensions

    def _take_key_exchange(self, body: bytes) -> None:
        """RFC 5246, 7.4.7.1: with RSA the encrypted premaster secret, its length in front."""
        if self.suite is not None and self.suite.rsa and len(body) > 2:
            self.encrypted_premaster = body[2 : 2 + int.from_bytes(body[:2], "big")]
            if self.server is not None and self.server.ems:
                self.session_hash = self._hash_transcript(self.suite, self.server.version)
        self._transcript = []

    def _note(self, message: bytes) -> None:
        if self._transcript_len < _LONGEST_TRANSCRIPT:
            self._transcript.append(message)
            self._transcript_len += len(message)

    def _hash_transcript(self, suite: Suite, version: int) -> bytes:
        """RFC 7627, section 3."""
        messages = b"".join(self._transcript)
        if version < 0x0303:
            return hashlib.md5(messages).digest() + hashlib.sha1(messages).digest()
        return hashlib.new(suite.prf, messages).digest()
