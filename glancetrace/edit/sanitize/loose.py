"""Secrets behind their names in texts of any form: INI, YAML, XML, form data, what Python prints, SQL's spellings.

The patterns of `glancetrace.redact` are exact, so that what people read stays readable. Here nothing needs to stay
readable: whatever follows the name of a secret and a sign that assigns is replaced. Texts are latin-1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from glancetrace.edit.sanitize.spans import Span
from glancetrace.redact import is_secret_name, may_hold_secret

__all__ = ["LOOSE_HINTS", "find_loosely", "find_loosely_in_sql", "may_hold_loosely"]

LOOSE_HINTS = (
    b"\\u00",
    b"user_data",
    b"assertion",
    b"SAMLRe",
    b"code_verifier",
    b"\0p",
    b"p\0",
    b"\0P",
    b"P\0",
    b"\0t",
    b"t\0",
)
"""One of these stands in a text whose hints are spelled in escapes or in UTF-16, or that is told by its name."""

_NAME = (
    r"(?<![\w.\-])([\w.\-]*(?:pass(?:word|wd|phrase|code)?|secret|key|token|signature|_sig|hash|blob"
    r"|user_data|assertion|saml(?:response|request)|code_verifier))"
)
_TELLING = re.compile(r"user_data|(?:client_)?assertion|SAML(?:Response|Request)|code_verifier", re.IGNORECASE)
"""Names that `redact` leaves alone: start scripts of servers, and what identity federation sends."""
_SIGN = r"(?:(?:\\?[\"'`])?\]?[ \t]*(?::=|=>|[=:])[ \t]*|[ \t]*>)"
_ASSIGNED = re.compile(_NAME + _SIGN + r"(?:[A-Za-z]?\\?([\"'])|(?![\s\"'\\{}\[\]<]))", re.IGNORECASE)
_BARE = re.compile(r"[^\s\"'<>&,;(){}\[\]\\]+")
_CONSTANTS = frozenset({"true", "false", "null", "none", "nil", "~", "0", "1"})
_MULTIPART = re.compile(r"name=\"?([\w.\-]+)\"?[^\r\n]*\r?\n(?:[^\r\n]+\r?\n)*\r?\n([\s\S]*?)(?=\r?\n--|\Z)")
_ESCAPED_URL = re.compile(r":\\/\\/[^/\s'\"@\\:]*:([^/\s'\"@\\]+)@")
_SQL_VALUE = (
    r"(?:0x([0-9A-Fa-f]+)|(?:_\w+\s*|[NXBnxb])?(?:'((?:[^'\\]|\\[\s\S]|'')*)'?|\"((?:[^\"\\]|\\[\s\S]|\"\")*)\"?))"
)
_COMPARED = r"[`\"]?\s*(?::=|<=>|[!<>]*=|<>|\bLIKE\b|\b(?:NOT\s+)?IN\s*\(|\()\s*"
_SQL = re.compile(_NAME.replace(r"\w.", r"\w", 1) + _COMPARED + f"(?:{_SQL_VALUE})", re.IGNORECASE)
_NEXT = re.compile(rf"\s*,\s*(?:{_SQL_VALUE})")


def may_hold_loosely(text: str) -> bool:
    """False when nothing in a text can be a secret by any rule."""
    return may_hold_secret(text) or ":\\/" in text or _TELLING.search(text) is not None


def find_loosely(text: str) -> Iterator[Span]:
    """Values that are assigned to the name of a secret, quoted or not."""
    if not may_hold_loosely(text):
        return
    for match in _ASSIGNED.finditer(text):
        if not is_secret_name(match[1]) and not _TELLING.fullmatch(match[1]):
            continue
        begin = match.end()
        if match[2]:
            end = text.find(match[2], begin)
            end = len(text) if end < 0 else end - (text[end - 1] == "\\")
        else:
            bare = _BARE.match(text, begin)
            end = bare.end() if bare is not None else begin
        if begin < end and text[begin:end].lower() not in _CONSTANTS:
            yield Span(begin, end, "text", "plain")
    for match in _MULTIPART.finditer(text):
        if is_secret_name(match[1]) and match[2]:
            yield Span(*match.span(2), "form", "plain")
    for match in _ESCAPED_URL.finditer(text):
        yield Span(*match.span(1), "url-user", "url")


def find_loosely_in_sql(sql: str) -> Iterator[Span]:
    """Values that a statement holds against the name of a secret: literals of any kind, also several."""
    if not may_hold_secret(sql):
        return
    for match in _SQL.finditer(sql):
        if not is_secret_name(match[1].rsplit(".", 1)[-1]):
            continue
        value: re.Match[str] | None = match
        first = 2
        while value is not None:
            group = next((number for number in range(first, first + 3) if value[number]), 0)
            if group:
                yield Span(*value.span(group), "sql", "plain" if group == first else "sql")
            value, first = _NEXT.match(sql, value.end()), 1
