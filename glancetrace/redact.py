"""Secrets never leave by default.

Passwords and authentication payloads become `<redacted>`; tokens and other long random secrets become eight hex digits
of a keyed BLAKE2b, so that equal secrets stay recognisably equal within one capture. The key is derived from the
capture itself: the same capture gives the same output.

Redaction is done on text on its way out, by what it looks like and where it stands, so it works on SQL, URLs, headers
and JSON alike.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

__all__ = ["REDACTED", "SECRET_HEADERS", "Redactor", "is_secret_name", "may_hold_secret"]

REDACTED = "<redacted>"

SECRET_HEADERS = frozenset(
    {
        "authorization",
        "cookie",
        "proxy-authorization",
        "set-cookie",
        "x-auth-token",
        "x-service-token",
        "x-storage-token",
        "x-subject-token",
        "x-trace-hmac",
    }
)

_SECRET_KEY = r"(?:admin_?pass|adminPass|new_?password|original_?password|user_?password|password|passwd|secret_?key|secret|api_?key|access_?key|private_?key|signature|passcode|credential_blob|blob|key_hash|hash_key|password_hash|token)"  # noqa: E501
_HINTS = (
    "gAAAA", "eyJ", "pass", "Pass", "PASS", "secret", "Secret", "SECRET", "token", "Token", "TOKEN", "key", "Key",
    "KEY",
    "_sig=", "signature", "Signature", "blob",
    "://", "$2", "$pbkdf2", "$scrypt", "$5$", "$6$", "IDENTIFIED", "identified",
)  # fmt: skip
"""What stands in every text that the patterns below match: looked for first, which is much faster."""

_SECRET_NAME = re.compile(_SECRET_KEY, re.IGNORECASE)
_FERNET = re.compile(r"gAAAA[A-Za-z0-9_\-]{16,}={0,2}")
_JWS = re.compile(r"eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+")
_CRYPT = re.compile(r"\$(?:2[abxy]?|pbkdf2[a-z0-9-]*|scrypt|bcrypt_sha256|5|6)\$[A-Za-z0-9./$+=,\-]{8,}")
_JSON_PAIR = re.compile(rf'(\\*"{_SECRET_KEY}\\*"\s*:\s*)(\\*")((?:[^"\\]|\\(?!"))*)(\\*")', re.IGNORECASE)
_SQL_PAIR = re.compile(rf"(\b{_SECRET_KEY}\b[`]?\s*=\s*)'((?:[^'\\]|\\.|'')*)'", re.IGNORECASE)
_QUERY_PAIR = re.compile(rf"([?&;](?:X-Auth-Token|{_SECRET_KEY}|temp_url_sig)=)([^&\s'\";]+)", re.IGNORECASE)
_HEADER = re.compile(rf"((?:^|\n)(?:{'|'.join(sorted(SECRET_HEADERS))})\s*:\s*)([^\r\n]+)", re.IGNORECASE)
_URL_USER = re.compile(r"(://)([^/\s'\"@]+)@")
_IDENTIFIED = re.compile(
    r"(IDENTIFIED\s+(?:WITH\s+\S+\s+)?(?:BY|AS)\s+(?:PASSWORD\s+)?)'(?:[^'\\]|\\.)*'", re.IGNORECASE
)
_SET_PASSWORD = re.compile(r"(PASSWORD\s*\(\s*)'(?:[^'\\]|\\.)*'", re.IGNORECASE)


_REMEMBERED = 65_536
"""Harmless texts that a redactor remembers."""


def may_hold_secret(text: str) -> bool:
    """False when nothing in `text` can be a secret; far cheaper than replacing."""
    for hint in _HINTS:  # noqa: SIM110 - a generator costs more than the search
        if hint in text:
            return True
    return False


def is_secret_name(name: str) -> bool:
    """A column or field of this name holds a secret."""
    return _SECRET_NAME.fullmatch(name) is not None


class Redactor:
    """Hides secrets in text.

    Args:
        key: up to 64 bytes, derived from the capture.
        reveal: True turns everything off.
    """

    def __init__(self, key: bytes, *, reveal: bool = False) -> None:
        self._key = key[:64]
        self._harmless: set[str] = set()
        self.reveal = reveal

    def secret(self, value: str) -> str:
        """Stand-in for a token: 8 hex digits in brackets, equal for equal tokens of one capture."""
        if self.reveal or not value:
            return value
        return f"<{hashlib.blake2b(value.encode('utf-8', 'replace'), key=self._key, digest_size=4).hexdigest()}>"

    def are_harmless(self, values: Iterable[object]) -> bool:
        """None of these texts can hold a secret; ids that come again and again are looked at once."""
        harmless = self._harmless
        for value in values:
            if type(value) is str and value not in harmless:
                if may_hold_secret(value):
                    return False
                if len(harmless) < _REMEMBERED:
                    harmless.add(value)
        return True

    def header(self, name: str, value: str) -> str:
        """A header's value as it may be shown."""
        return self.secret(value) if name.lower() in SECRET_HEADERS else self.text(value)

    def text(self, text: str) -> str:
        """`text` with everything that looks like a secret replaced."""
        if self.reveal or not may_hold_secret(text):
            return text
        return self._replace(text)

    def _replace(self, text: str) -> str:
        secret = self.secret
        text = _HEADER.sub(lambda m: m[1] + secret(m[2].strip()), text)
        text = _FERNET.sub(lambda m: secret(m[0]), text)
        text = _JWS.sub(lambda m: secret(m[0]), text)
        text = _CRYPT.sub(REDACTED, text)
        text = _JSON_PAIR.sub(lambda m: f"{m[1]}{m[2]}{REDACTED}{m[4]}", text)
        text = _SQL_PAIR.sub(lambda m: f"{m[1]}'{REDACTED}'", text)
        text = _QUERY_PAIR.sub(lambda m: m[1] + REDACTED, text)
        text = _URL_USER.sub(lambda m: f"{m[1]}{REDACTED}@", text)
        text = _IDENTIFIED.sub(lambda m: f"{m[1]}'{REDACTED}'", text)
        return _SET_PASSWORD.sub(lambda m: f"{m[1]}'{REDACTED}'", text)
