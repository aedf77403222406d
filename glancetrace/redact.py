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
from collections.abc import Callable, Iterable, Iterator

__all__ = ["HINTS", "REDACTED", "SECRET_HEADERS", "Redactor", "find_secrets", "is_secret_name", "may_hold_secret"]

REDACTED = "<redacted>"

SECRET_HEADERS = frozenset(
    {
        "authorization",
        "cookie",
        "proxy-authorization",
        "set-cookie",
        "x-auth-key",
        "x-auth-token",
        "x-service-token",
        "x-storage-pass",
        "x-storage-token",
        "x-subject-token",
        "x-trace-hmac",
    }
)

_PREFIXED = r"(?:[\w.\-]{0,40}[_.\-])?(?:admin[_-]?pass|password|passwd|passphrase|passcode|secret|secret[_-]?key|api[_-]?key|access[_-]?key|private[_-]?key|token)"  # noqa: E501
"""`password`, and whatever ends so: `os_password`, `x-db-secret`."""
_SECRET_KEY = rf"(?:{_PREFIXED}|(?:new|user|original|master|db|root)password|signature|credential_blob|blob|key_hash|hash_key|password_hash)"  # noqa: E501
HINTS = (
    "gAAAA", "eyJ", "pass", "Pass", "PASS", "secret", "Secret", "SECRET", "token", "Token", "TOKEN", "_key", "-key",
    "ikey", "skey", "ekey", "key_", "Key", "KEY", "uthorization", "ookie", "_sig=", "signature", "Signature", "blob",
    "@", "$2", "$pbkdf2", "$scrypt", "$5$", "$6$", "IDENTIFIED", "identified",
)  # fmt: skip
"""What stands in every text that the patterns below match: looked for first, which is much faster."""

_SQL_STRING = r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\""
_JSON_STRING = r"(?:[^\"\\]|\\(?!\"))*"

_SECRET_NAME = re.compile(_SECRET_KEY, re.IGNORECASE)
_FERNET = re.compile(r"gAAAA[A-Za-z0-9_\-]{16,}={0,2}")
_JWS = re.compile(r"eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+")
_CRYPT = re.compile(r"\$(?:2[abxy]?|pbkdf2[a-z0-9-]*|scrypt|bcrypt_sha256|5|6)\$[A-Za-z0-9./$+=,\-]{8,}")
_JSON_PAIR = re.compile(rf'(\\*"{_SECRET_KEY}\\*"\s*:\s*)(\\*"){_JSON_STRING}(\\*")', re.IGNORECASE)
_JSON_NUMBER = re.compile(rf'(\\*"{_SECRET_KEY}\\*"\s*:\s*)-?[0-9][0-9.eE+\-]*', re.IGNORECASE)
_JSON_PATCH = re.compile(
    rf'("path"\s*:\s*"/{_SECRET_KEY}"\s*,(?:\s*"op"\s*:\s*"\w*"\s*,)?\s*"value"\s*:\s*"){_JSON_STRING}"'
    rf'|("value"\s*:\s*"){_JSON_STRING}("\s*,(?:\s*"op"\s*:\s*"\w*"\s*,)?\s*"path"\s*:\s*"/{_SECRET_KEY}")',
    re.IGNORECASE,
)
"""RFC 6902 as Glance takes it: the name of the property stands beside its value."""
_SQL_PAIR = re.compile(rf"(?<![\w.\-])({_SECRET_KEY}[`]?\s*=\s*)(?:{_SQL_STRING})", re.IGNORECASE)
_SQL_NAMED = re.compile(rf"('{_SECRET_KEY}'\s*,\s*)(?:{_SQL_STRING})", re.IGNORECASE)
"""A row of image_properties: the name of the property, then its value."""
_EVENT_PAIR = re.compile(rf"\A(\w+ {_SECRET_KEY} = ).+", re.IGNORECASE | re.DOTALL)
"""`added os_password = ...`: the summary of an event of an image."""
_QUERY_PAIR = re.compile(rf"((?:^|[?&;\n])(?:{_SECRET_KEY}|temp_url_sig)=)([^&\s'\";]+)", re.IGNORECASE)
_HEADER = re.compile(rf"((?:^|\n)(?:{'|'.join(sorted(SECRET_HEADERS))})\s*:\s*)([^\r\n]+)", re.IGNORECASE)
_URL_USER = re.compile(r"(://)([^/\s'\"@]+)@")
_IDENTIFIED = re.compile(
    rf"(IDENTIFIED\s+(?:(?:WITH|VIA)\s+\S+\s+)?(?:BY|AS|USING)\s+(?:PASSWORD\s+)?)(?:{_SQL_STRING})", re.IGNORECASE
)
_SET_PASSWORD = re.compile(rf"(PASSWORD\s*(?:\(|\sFOR\s+\S+\s*=)\s*)(?:{_SQL_STRING})", re.IGNORECASE)

_REMEMBERED = 65_536
"""Harmless texts that a redactor remembers."""


def may_hold_secret(text: str) -> bool:
    """False when nothing in `text` can be a secret; far cheaper than replacing."""
    for hint in HINTS:  # noqa: SIM110 - a generator costs more than the search
        if hint in text:
            return True
    return False


def is_secret_name(name: str) -> bool:
    """A column, property, field or header of this name holds a secret."""
    return _SECRET_NAME.fullmatch(name) is not None


_NAMED = re.compile(
    r"(?:pass(?:word|wd|phrase|code)?|secret|key|token|signature|blob|hash|_sig)(?:[\"'`\\]|\s*[:=])", re.IGNORECASE
)
"""Stands in every text that a pattern with a secret name in it matches."""

_Span = Callable[[re.Match[str]], tuple[int, int]]

_PLACES: tuple[tuple[str, str, str, re.Pattern[str], _Span], ...] = (
    ("header", "plain", ":", _HEADER, lambda m: m.span(2)),
    ("token", "plain", "gAAAA", _FERNET, lambda m: m.span()),
    ("token", "plain", "eyJ", _JWS, lambda m: m.span()),
    ("password-hash", "plain", "$", _CRYPT, lambda m: m.span()),
    ("url-user", "url", "://", _URL_USER, lambda m: m.span(2)),
    ("sql", "sql", "", _IDENTIFIED, lambda m: (m.end(1) + 1, m.end() - 1)),
    ("sql", "sql", "", _SET_PASSWORD, lambda m: (m.end(1) + 1, m.end() - 1)),
)
_NAMED_PLACES: tuple[tuple[str, str, str, re.Pattern[str], _Span], ...] = (
    ("json", "json", '"', _JSON_PAIR, lambda m: (m.end(2), m.start(3))),
    ("json", "plain", '"', _JSON_NUMBER, lambda m: (m.end(1), m.end())),
    ("json", "json", '"', _JSON_PATCH, lambda m: (m.end(1), m.end() - 1) if m[1] else (m.end(2), m.start(3))),
    ("sql", "sql", "=", _SQL_PAIR, lambda m: (m.end(1) + 1, m.end() - 1)),
    ("sql", "sql", "'", _SQL_NAMED, lambda m: (m.end(1) + 1, m.end() - 1)),
    ("query", "url", "=", _QUERY_PAIR, lambda m: m.span(2)),
)
"""Kind, spelling (plain, json, sql, url), what a text has that matches, pattern, where the secret stands in a match."""


def find_secrets(text: str) -> Iterator[tuple[int, int, str, str]]:
    """Where secrets stand in `text` by the patterns above: begin, end, kind and spelling; spans may overlap."""
    if not may_hold_secret(text):
        return
    for kind, spelling, needed, pattern, span in _PLACES + (_NAMED_PLACES if _NAMED.search(text) else ()):
        if needed in text:
            for match in pattern.finditer(text):
                begin, end = span(match)
                if begin < end:
                    yield begin, end, kind, spelling


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
        if name.lower() in SECRET_HEADERS:
            return self.secret(value)
        if is_secret_name(name) and not self.reveal:
            return REDACTED
        return self.text(value)

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
        text = _JSON_PAIR.sub(lambda m: f"{m[1]}{m[2]}{REDACTED}{m[3]}", text)
        text = _JSON_NUMBER.sub(lambda m: f'{m[1]}"{REDACTED}"', text)
        text = _JSON_PATCH.sub(lambda m: f'{m[1]}{REDACTED}"' if m[1] else f"{m[2]}{REDACTED}{m[3]}", text)
        text = _SQL_PAIR.sub(lambda m: f"{m[1]}'{REDACTED}'", text)
        text = _SQL_NAMED.sub(lambda m: f"{m[1]}'{REDACTED}'", text)
        text = _EVENT_PAIR.sub(lambda m: m[1] + REDACTED, text)
        text = _QUERY_PAIR.sub(lambda m: m[1] + REDACTED, text)
        text = _URL_USER.sub(lambda m: f"{m[1]}{REDACTED}@", text)
        text = _IDENTIFIED.sub(lambda m: f"{m[1]}'{REDACTED}'", text)
        return _SET_PASSWORD.sub(lambda m: f"{m[1]}'{REDACTED}'", text)
