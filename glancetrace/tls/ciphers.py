"""Opens protected records: one class per way in which TLS protects them, primitives from `cryptography`.

RFC 5246, 6.2.3 (CBC, AEAD), RFC 7366 (encrypt-then-MAC), RFC 5288, 6655, 7905 (nonces); RFC 8446, 5.2 to 5.4. A record
that does not authenticate under a sequence number gives None, never plaintext.
"""

from __future__ import annotations

import hmac
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from glancetrace.tls.schedule import DirectionKeys
from glancetrace.tls.suites import Suite

__all__ = ["Opened", "RecordCipher", "make_cipher"]

Opened = tuple[int, bytes | memoryview]
"""Content type and content of a record."""

_BLOCK_LEN = 16
_EXPLICIT_NONCE_LEN = 8


class _Aead(Protocol):
    def decrypt(self, nonce: bytes, data: bytes | memoryview, associated_data: bytes | None, /) -> bytes: ...


class RecordCipher(Protocol):
    """Keys of one direction."""

    def open(self, seq: int, content_type: int, version: int, body: bytes | memoryview) -> Opened | None:
        """Content of the record with this sequence number; None when it does not authenticate."""
        ...


def _make_aead(suite: Suite, key: bytes) -> _Aead:
    if suite.mode == "gcm":
        return AESGCM(key)
    if suite.mode == "ccm":
        return AESCCM(key, suite.tag_len)
    return ChaCha20Poly1305(key)


class _Aead13:
    """TLS 1.3: the content type stands behind the content, then zeros as padding."""

    __slots__ = ("_aead", "_iv", "_shortest")

    def __init__(self, suite: Suite, keys: DirectionKeys) -> None:
        self._aead = _make_aead(suite, keys.key)
        self._iv = int.from_bytes(keys.iv, "big")
        self._shortest = suite.tag_len + 1

    def open(self, seq: int, content_type: int, version: int, body: bytes | memoryview) -> Opened | None:
        size = len(body)
        if size < self._shortest:
            return None
        nonce = (self._iv ^ seq).to_bytes(12, "big")
        header = bytes((content_type, version >> 8, version & 0xFF, size >> 8, size & 0xFF))
        try:
            inner = self._aead.decrypt(nonce, body, header)
        except InvalidTag:
            return None
        end = len(inner) - 1
        if not inner[end]:
            end = len(inner.rstrip(b"\0")) - 1
            if end < 0:
                return None
        return inner[end], memoryview(inner)[:end]


class _Aead12:
    """TLS 1.2: AES-GCM and AES-CCM send half of the nonce with every record, ChaCha20 makes it of the number."""

    __slots__ = ("_aead", "_explicit", "_iv", "_shortest", "_tag_len")

    def __init__(self, suite: Suite, keys: DirectionKeys) -> None:
        self._aead = _make_aead(suite, keys.key)
        self._iv = keys.iv
        self._explicit = 0 if suite.mode == "chacha20" else _EXPLICIT_NONCE_LEN
        self._tag_len = suite.tag_len
        self._shortest = self._explicit + suite.tag_len

    def open(self, seq: int, content_type: int, version: int, body: bytes | memoryview) -> Opened | None:
        explicit = self._explicit
        size = len(body) - self._shortest
        if size < 0:
            return None
        if explicit:
            nonce = self._iv + bytes(body[:explicit])
        else:
            nonce = (int.from_bytes(self._iv, "big") ^ seq).to_bytes(12, "big")
        associated = seq.to_bytes(8, "big") + bytes(
            (content_type, version >> 8, version & 0xFF, size >> 8, size & 0xFF)
        )
        try:
            return content_type, self._aead.decrypt(nonce, body[explicit:], associated)
        except InvalidTag:
            return None


class _Cbc:
    """AES-CBC with HMAC: over the plaintext before it was encrypted, or (RFC 7366) over the ciphertext."""

    __slots__ = ("_cipher", "_digest", "_etm", "_iv", "_mac_key", "_mac_len")

    def __init__(self, suite: Suite, keys: DirectionKeys, *, etm: bool) -> None:
        self._cipher = algorithms.AES(keys.key)
        self._digest = suite.mac
        self._mac_key = keys.mac_key
        self._mac_len = suite.mac_len
        self._etm = etm
        self._iv = keys.iv
        """TLS 1.0: the last block of the record before."""

    def open(self, seq: int, content_type: int, version: int, body: bytes | memoryview) -> Opened | None:
        mac_len = self._mac_len
        start = seq.to_bytes(8, "big") + bytes((content_type, version >> 8, version & 0xFF))
        sealed = bytes(body)
        if self._etm:
            sealed, mac = sealed[:-mac_len], sealed[-mac_len:]
            if not self._is_mac(mac, start, sealed):
                return None
        iv, encrypted = (self._iv, sealed) if self._iv else (sealed[:_BLOCK_LEN], sealed[_BLOCK_LEN:])
        if not encrypted or len(encrypted) % _BLOCK_LEN:
            return None
        decryptor = Cipher(self._cipher, modes.CBC(iv)).decryptor()
        padded = decryptor.update(encrypted) + decryptor.finalize()
        padding = padded[-1] + 1
        if padding > len(padded) or padded[-padding:].strip(padded[-1:]):
            return None
        content = padded[:-padding]
        if not self._etm:
            if len(content) < mac_len:
                return None
            content, mac = content[: len(content) - mac_len], content[len(content) - mac_len :]
            if not self._is_mac(mac, start, content):
                return None
        if self._iv:
            self._iv = encrypted[-_BLOCK_LEN:]
        return content_type, content

    def _is_mac(self, mac: bytes, start: bytes, content: bytes) -> bool:
        wanted = hmac.digest(self._mac_key, start + len(content).to_bytes(2, "big") + content, self._digest)
        return hmac.compare_digest(mac, wanted)


def make_cipher(suite: Suite, keys: DirectionKeys, *, etm: bool = False) -> RecordCipher:
    """What opens the records of one direction."""
    if suite.tls13:
        return _Aead13(suite, keys)
    if suite.mode == "cbc":
        return _Cbc(suite, keys, etm=etm)
    return _Aead12(suite, keys)
