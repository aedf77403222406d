"""From secrets to keys: the key schedules.

TLS 1.2: RFC 5246, sections 5, 6.3 and 8.1, extended master secret RFC 7627; TLS 1.0 and 1.1: RFC 2246, section 5.
TLS 1.3: RFC 8446, section 7, as far as it begins with the traffic secrets of a key log.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from glancetrace.tls.suites import Suite

__all__ = ["DirectionKeys", "expand_label", "make_master_secret", "next_traffic_secret", "prf", "split_key_block",
           "traffic_keys"]  # fmt: skip

_MASTER_LEN = 48
_TLS_1_2 = 0x0303
_TLS_1_0 = 0x0301
_IV_LEN_13 = 12


@dataclass(frozen=True, slots=True)
class DirectionKeys:
    """Keys of one direction: `iv` is the implicit part of the nonce (of CBC in TLS 1.0: the first IV)."""

    key: bytes = field(repr=False)
    iv: bytes = field(repr=False)
    mac_key: bytes = field(repr=False, default=b"")


def _p_hash(digest: str, secret: bytes, seed: bytes, length: int) -> bytes:
    """RFC 5246, section 5."""
    out = b""
    a = seed
    while len(out) < length:
        a = hmac.digest(secret, a, digest)
        out += hmac.digest(secret, a + seed, digest)
    return out[:length]


def prf(version: int, digest: str, secret: bytes, label: bytes, seed: bytes, length: int) -> bytes:
    """The pseudorandom function of TLS 1.0 to 1.2; before 1.2 the hashes are fixed and the secret is halved."""
    if version >= _TLS_1_2:
        return _p_hash(digest, secret, label + seed, length)
    half = (len(secret) + 1) // 2
    md5 = _p_hash("md5", secret[:half], label + seed, length)
    sha1 = _p_hash("sha1", secret[-half:], label + seed, length)
    return bytes(a ^ b for a, b in zip(md5, sha1, strict=True))


def make_master_secret(version: int, digest: str, premaster: bytes, randoms: bytes, session_hash: bytes) -> bytes:
    """RFC 5246, 8.1; with a `session_hash` RFC 7627, section 4. `randoms`: of the client, then of the server."""
    label, seed = (b"extended master secret", session_hash) if session_hash else (b"master secret", randoms)
    return prf(version, digest, premaster, label, seed, _MASTER_LEN)


def split_key_block(
    version: int, suite: Suite, master: bytes, client_random: bytes, server_random: bytes
) -> tuple[DirectionKeys, DirectionKeys]:
    """Keys of client and server in TLS 1.2 and before (RFC 5246, 6.3)."""
    if suite.mode == "cbc":
        iv_len = 16 if version <= _TLS_1_0 else 0
    else:
        iv_len = 12 if suite.mode == "chacha20" else 4
    lens = (suite.mac_len, suite.mac_len, suite.key_len, suite.key_len, iv_len, iv_len)
    block = prf(version, suite.prf, master, b"key expansion", server_random + client_random, sum(lens))
    parts = []
    for length in lens:
        parts.append(block[:length])
        block = block[length:]
    return DirectionKeys(parts[2], parts[4], parts[0]), DirectionKeys(parts[3], parts[5], parts[1])


def expand_label(digest: str, secret: bytes, label: bytes, length: int) -> bytes:
    """HKDF-Expand-Label with an empty context (RFC 8446, 7.1)."""
    name = b"tls13 " + label
    info = length.to_bytes(2, "big") + bytes([len(name)]) + name + b"\0"
    out = block = b""
    counter = 1
    while len(out) < length:
        block = hmac.digest(secret, block + info + bytes([counter]), digest)
        out += block
        counter += 1
    return out[:length]


def traffic_keys(suite: Suite, secret: bytes) -> DirectionKeys:
    """Keys of one direction of TLS 1.3 (RFC 8446, 7.3)."""
    key = expand_label(suite.prf, secret, b"key", suite.key_len)
    return DirectionKeys(key, expand_label(suite.prf, secret, b"iv", _IV_LEN_13))


def next_traffic_secret(suite: Suite, secret: bytes) -> bytes:
    """What a KeyUpdate makes of an application traffic secret (RFC 8446, 7.2)."""
    return expand_label(suite.prf, secret, b"traffic upd", len(secret))
