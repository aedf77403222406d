"""How a secret may be spelled elsewhere: encodings that change nothing but its bytes, all looked for.

Base64 (RFC 4648) at each of its three alignments, since `user:password` is encoded as one; percent-encoding (RFC 3986);
hexadecimal; JSON's escapes (RFC 8259); SQL's; XML's; UTF-16. A pseudonym is spelled the same way and replaces it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from html import escape
from urllib.parse import quote, quote_plus

__all__ = ["spellings", "url_spellings"]


def spellings(secret: bytes) -> Iterator[bytes]:
    """A secret in every encoding, always as many and in the same order; empty where one cannot be."""
    yield secret
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + secret)
        # The characters that bytes before and behind have a part in are left out.
        core = encoded[-(-before * 4 // 3) : (before + len(secret)) * 4 // 3]
        yield core
        yield core.replace(b"+", b"-").replace(b"/", b"_")
    yield from url_spellings(secret)
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    yield b"\0".join(secret[at : at + 1] for at in range(len(secret))) if secret.isascii() else b""
    yield from _escaped(secret)


def url_spellings(secret: bytes) -> Iterator[bytes]:
    """A secret as it is, and percent-encoded."""
    yield secret
    for encoded in (quote(secret, safe=""), quote(secret), quote_plus(secret)):
        yield encoded.encode()
        yield _lower_percents(encoded).encode()


def _lower_percents(encoded: str) -> str:
    first, *rest = encoded.split("%")
    return "%".join([first, *(part[:2].lower() + part[2:] for part in rest)])


def _escaped(secret: bytes) -> Iterator[bytes]:
    try:
        text = secret.decode()
    except UnicodeDecodeError:
        text = ""
    ascii_only, unicode = json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]
    every = "".join(f"\\u{ord(char):04x}" for char in text) if text.isascii() else ""
    quoted = text.replace("'", "''"), text.replace("\\", "\\\\").replace("'", "\\'").replace('"', '\\"')
    for spelled in (ascii_only, unicode, ascii_only.replace("/", "\\/"), every, *quoted, escape(text)):
        yield spelled.encode()
    yield "\\u".join(part.upper() for part in every.split("\\u")).encode()
