"""Which bytes are TLS (RFC 8446, 5.1 and 4.1.2): on ports of interest, and on those that nobody named."""

from __future__ import annotations

__all__ = ["RECOGNISABLE_LEN", "client_random_of", "may_be_tls"]

RECOGNISABLE_LEN = 3
_RANDOM_AT = 11
_RANDOM_LEN = 32


def may_be_tls(data: bytes) -> bool | None:
    """Whether `data` begins with the header of a TLS record; None: more bytes are needed to tell."""
    header = (data[:1] == b"" or 20 <= data[0] <= 24) and data[1:2] in (b"", b"\x03") and data[2:3] <= b"\x04"
    if not header:
        return False
    return True if len(data) >= RECOGNISABLE_LEN else None


def client_random_of(data: bytes) -> bytes | None:
    """The random of the ClientHello that `data` begins with; b"" when more bytes are needed, None if it is none."""
    begin = data[:6]
    if not b"\x16\x03".startswith(begin[:2]) or begin[2:3] > b"\x04" or begin[5:6] not in (b"", b"\x01"):
        return None
    random = data[_RANDOM_AT : _RANDOM_AT + _RANDOM_LEN]
    return random if len(random) == _RANDOM_LEN else b""
