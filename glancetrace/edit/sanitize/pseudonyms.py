"""Pseudonyms: what a secret becomes in a sanitised capture.

A pseudonym has the length of the secret in every spelling (JSON and SQL escapes, percent signs, base64, hex), because
every character becomes one of its own kind: digits digits, letters letters of the same case, hexadecimal strings stay
hexadecimal, and what is neither (quotes, dots, `=`) stays, so that nothing needs an escape that did not need it. It is
made by keyed BLAKE2b (RFC 7693) from the secret alone: equal secrets become equal pseudonyms, in every packet and in
every capture that is sanitised with the same key, and without the key nothing leads back.

What says of which kind a secret is stays: `gAAAA` of a Fernet token, `$2b$12$` of a password hash, the dots of a JWS.
"""

from __future__ import annotations

import base64
import re
import secrets
from binascii import Error as BinasciiError
from hashlib import blake2b
from os import path
from string import ascii_lowercase, ascii_uppercase, digits
from urllib.parse import unquote_to_bytes

__all__ = ["Pseudonyms", "read_key", "unescape"]

_KEY_LEN = 32
_HEX_LOWER = re.compile(r"(?=.*[0-9a-f])[0-9a-f\-]{8,}")
_HEX_UPPER = re.compile(r"[0-9A-F\-]{8,}")
_KEPT = re.compile(
    r"gAAAA|\$(?:2[abxy]?\$[0-9]{2}\$|pbkdf2[a-z0-9-]*\$[0-9]+\$|scrypt\$ln=[0-9]+,r=[0-9]+,p=[0-9]+\$|bcrypt_sha256\$|[56]\$)"
)
"""The start of a secret that tells its kind."""
_BASIC = re.compile(r"(basic\s+)([A-Za-z0-9+/]+={0,2})\s*", re.IGNORECASE)
_SCHEME = re.compile(r"(?:bearer|basic|digest|negotiate|aws4-hmac-sha256)\s+", re.IGNORECASE)

_UTF8 = r"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
_UNITS = {
    "plain": re.compile(rf"{_UTF8}|[\s\S]"),
    "json": re.compile(
        rf"\\u[dD][89abAB][0-9a-fA-F]{{2}}\\u[dD][c-fC-F][0-9a-fA-F]{{2}}|\\u[0-9a-fA-F]{{4}}|\\[\s\S]|{_UTF8}|[\s\S]"
    ),
    "sql": re.compile(rf"\\[\s\S]|''|{_UTF8}|[\s\S]"),
    "url": re.compile(
        rf"%[cCdD].%[89abAB].|%[eE].(?:%[89abAB].){{2}}|%[fF].(?:%[89abAB].){{3}}|%[0-9a-fA-F]{{2}}|{_UTF8}|[\s\S]"
    ),
}
"""A secret as it is spelled, character by character."""


def read_key(text: str | None) -> bytes:
    """The key that `text` gives: the content of a file of that name, else the text; without it a random one."""
    if text is None:
        return secrets.token_bytes(_KEY_LEN)
    data = text.encode()
    if path.isfile(text):
        with open(text, "rb") as file:
            data = file.read()
    return blake2b(data, digest_size=_KEY_LEN, person=b"sanitize").digest()


def unescape(raw: str, spelling: str) -> str:
    """The secret that stands as `raw` in JSON, SQL or a URL, its UTF-8 as latin-1; as it is elsewhere."""
    if spelling == "plain" or not _ESCAPES[spelling].search(raw):
        return raw
    return "".join(_plain(unit, spelling) for unit in _UNITS[spelling].findall(raw))


_ESCAPES = {
    "json": re.compile(r"\\"),
    "sql": re.compile(r"\\|''"),
    "url": re.compile("%"),
    "address": re.compile(r"\A\Z"),
}


def _plain(unit: str, spelling: str) -> str:
    """One character without its escape; what is no character stays."""
    if spelling == "url" and unit[0] == "%":
        return unquote_to_bytes(unit).decode("latin-1")
    if spelling == "json" and unit.startswith("\\u") and len(unit) >= 6:
        code = int(unit[2:6], 16)
        if len(unit) == 12:
            code = 0x10000 + (code - 0xD800) * 0x400 + int(unit[8:], 16) - 0xDC00
        return unit if 0xD800 <= code < 0xE000 else chr(code).encode().decode("latin-1")
    return unit[-1] if unit[0] in "\\'" and len(unit) == 2 else unit


class Pseudonyms:
    """Makes pseudonyms with one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._known: dict[tuple[str, str], str] = {}

    def of(self, raw: str, spelling: str = "plain") -> str:
        """The pseudonym of a secret that is spelled `raw`, in the same spelling and of the same length.

        Both are latin-1 texts: a character is a byte.
        """
        pseudonym = self._known.get((raw, spelling))
        if pseudonym is None:
            pseudonym = self._known[raw, spelling] = self._make(raw, spelling)
        return pseudonym

    def opaque(self, raw: bytes) -> bytes:
        """As many bytes, none of them NUL, for a secret that is no text: a scramble or the answer to one."""
        stream = self._stream(raw, len(raw))
        return bytes(byte % 94 + 33 if old else 0 for byte, old in zip(stream, raw, strict=True))

    def digest(self, raw: bytes) -> bytes:
        """64 bytes, always the same for the same `raw`."""
        return blake2b(raw, key=self._key).digest()

    def number(self, raw: bytes, limit: int) -> int:
        """A number below `limit`, always the same for the same `raw`."""
        return int.from_bytes(blake2b(raw, key=self._key, digest_size=16).digest(), "big") % limit

    def _make(self, raw: str, spelling: str) -> str:
        basic = _BASIC.fullmatch(raw)
        if basic is not None:
            return basic[1] + self._basic(basic[2])
        scheme = _SCHEME.match(raw)
        if scheme is not None:
            return scheme[0] + self._make(raw[scheme.end() :], spelling)
        kept = _KEPT.match(raw)
        if kept is not None and len(raw) > kept.end():
            return kept[0] + self._spell(raw[kept.end() :], spelling)
        return self._spell(raw, spelling)

    def _basic(self, encoded: str) -> str:
        """`user:password` in base64 (RFC 7617): the user stays."""
        try:
            plain = base64.b64decode(encoded, validate=True).decode("latin-1")
        except (BinasciiError, ValueError):
            return self._spell(encoded, "plain")
        user, colon, password = plain.partition(":")
        if not colon or not password:
            return self._spell(encoded, "plain")
        return base64.b64encode((user + colon + self.of(password)).encode("latin-1")).decode()

    def _spell(self, raw: str, spelling: str) -> str:
        units = _UNITS[spelling].findall(raw)
        value = unescape(raw, spelling)
        if _HEX_LOWER.fullmatch(value):
            alphabets = (digits + "abcdef", digits + "abcdef", digits + "abcdef")
        elif _HEX_UPPER.fullmatch(value):
            alphabets = (digits + "ABCDEF", digits + "ABCDEF", digits + "ABCDEF")
        else:
            alphabets = (digits, ascii_lowercase, ascii_uppercase)
        if not any(map(str.isalnum, value)):
            return raw
        for attempt in range(16):
            stream = self._stream(value.encode("utf-8", "surrogatepass") + bytes([attempt]) * bool(attempt), len(units))
            made = "".join(_replace(unit, spelling, byte, alphabets) for unit, byte in zip(units, stream, strict=True))
            if made != raw:
                return made
        return raw

    def _stream(self, value: bytes, length: int) -> bytes:
        """As many bytes that look random."""
        blocks = [
            blake2b(value, key=self._key, salt=number.to_bytes(16, "big")).digest()
            for number in range(length // 64 + 1)
        ]
        return b"".join(blocks)[:length]


def _replace(unit: str, spelling: str, byte: int, alphabets: tuple[str, str, str]) -> str:
    """One character as it is spelled becomes another of its kind, spelled likewise."""
    plain = _plain(unit, spelling)
    made = _replace_plain(plain, byte, alphabets)
    if made == plain or unit == plain:
        return made if unit == plain else unit
    if spelling == "url":
        escaped = "".join(f"%{ord(char):02X}" for char in made)
    elif unit.startswith("\\u"):
        pairs = made.encode("latin-1").decode().encode("utf-16-be").hex()
        escaped = "".join(f"\\u{pairs[at : at + 4]}" for at in range(0, len(pairs), 4))
        return escaped if unit[2:].upper() != unit[2:] else "\\u".join(part.upper() for part in escaped.split("\\u"))
    else:
        return unit[0] + made if made.isalnum() and plain not in _NAMED_ESCAPES else unit
    return escaped.lower() if unit.lower() == unit else escaped


_NAMED_ESCAPES = frozenset("bfnrtu0Z")
"""Letters that mean something else behind a backslash."""


def _replace_plain(unit: str, byte: int, alphabets: tuple[str, str, str]) -> str:
    if unit.isascii():
        for kind, alphabet in zip((digits, ascii_lowercase, ascii_uppercase), alphabets, strict=True):
            if unit in kind:
                return alphabet[byte % len(alphabet)]
        return unit
    # The last byte of a character in UTF-8; 0xA0 to 0xBF can stand behind nearly all first bytes.
    last = unit[-1]
    return unit[:-1] + chr(0xA0 | byte & 0x1F) if 0x80 <= ord(last) < 0xC0 else unit
