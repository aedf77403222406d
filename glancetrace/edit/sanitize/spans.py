"""Where secrets stand in a text: in SQL, in JSON, in a value on its own.

What a secret looks like is said in `glancetrace.redact`; here its rules are applied where the structure of a text tells
more than a pattern can: values of JSON under a secret name (RFC 8259), and values of an INSERT under a secret column.
Texts are latin-1, a character per byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from glancetrace.redact import find_secrets, is_secret_name, may_hold_secret

__all__ = ["Span", "find_at_end", "find_in_json", "find_in_sql", "find_in_text", "is_secret_column", "values_of_insert"]


class Span(NamedTuple):
    """A secret in a text: where, of which kind, and how it is spelled (plain, json, sql, url)."""

    begin: int
    end: int
    kind: str
    spelling: str


_COLUMNS = frozenset({"encrypted_blob", "blob", "key_hash", "authentication_string", "plugin_auth", "secret_hash"})
_COLUMN_SUFFIXES = ("password_hash", "key_hash", "_blob", "passwd", "authentication_string")

_JSON = re.compile(r'"((?:[^"\\]|\\[\s\S])*)("?)|([{}\[\],:])|([^\s{}\[\],:"]+)')
_ESCAPED = re.compile(r"\\u00([0-7][0-9a-fA-F])")
_NAME_KEYS = ("name", "path", "key", "property")
_TOKEN_ID = ("token", "id")

_INSERT = re.compile(r"\s*(?:INSERT|REPLACE)\b[^(]*\(([^()]*)\)\s*VALUES?\s*\(", re.IGNORECASE)
_SQL_VALUE = re.compile(r"'((?:[^'\\]|\\[\s\S]|'')*)('?)|\"((?:[^\"\\]|\\[\s\S]|\"\")*)(\"?)|([(),])|([^\s(),'\"]+)")
_OPEN_AT_END = re.compile(
    r"(?:password|passwd|passphrase|secret|secret_?key|api_?key|access_?key|private_?key|token|blob|key_hash|password_hash)"
    r"[\\\"'`]*\s*[:=]\s*[\\\"']*([^\"']+)\Z",
    re.IGNORECASE,
)
_TOKEN_AT_END = re.compile(r"(?:gAAAA[A-Za-z0-9_\-]*|\$[2-6][abxy]?\$[A-Za-z0-9./$]*|://[^/\s'\"@]{3,})\Z")


def is_secret_column(name: str) -> bool:
    """A column of this name, or with this alias, holds a secret."""
    lower = name.lower()
    return is_secret_name(name) or lower in _COLUMNS or lower.endswith(_COLUMN_SUFFIXES)


def find_in_text(text: str) -> Iterator[Span]:
    """Secrets that show by what they are and what stands before them."""
    for begin, end, kind, spelling in find_secrets(text):
        if kind == "url-user":
            colon = text.find(":", begin, end)
            begin = colon + 1 if colon >= 0 else begin
        if begin < end:
            yield Span(begin, end, kind, spelling)


def find_at_end(text: str) -> Iterator[Span]:
    """Secrets that a text breaks off in."""
    for pattern, group in ((_OPEN_AT_END, 1), (_TOKEN_AT_END, 0)):
        match = pattern.search(text)
        if match is not None:
            yield Span(*match.span(group), "cut-off", "plain")


def find_in_json(text: str, *, whole: bool) -> Iterator[Span]:
    """Secrets in a JSON text, or what there is of one."""
    if not may_hold_secret(text) and "\\u00" not in text:
        return
    yield from find_in_text(text)
    yield from _walk_json(text)
    if not whole:
        yield from find_at_end(text)


def _walk_json(text: str) -> Iterator[Span]:
    """Values under a secret name; the `value` beside a `name` or `path` that is one; the id of a token."""
    path: list[str] = []
    pairs: list[dict[str, tuple[int, int, str]]] = [{}]
    key = ""
    expect_value = False
    for match in _JSON.finditer(text):
        mark = match[3]
        if mark is None:
            begin, end = match.span(1) if match[4] is None else match.span(4)
            if not expect_value and path and path[-1] != "[]" and match[4] is None:
                key = _unescape_key(text[begin:end])
                continue
            expect_value = False
            spelling = "json" if match[4] is None else "plain"
            names = (key, *path[::-1][:1]) if path and path[-1] == "[]" else (key,)
            if spelling == "plain" and text[begin:end] in ("true", "false", "null"):
                continue
            if any(map(is_secret_name, names)) or (*path[-1:], key) == _TOKEN_ID:
                yield Span(begin, end, "json", spelling)
            pairs[-1][key] = (begin, end, spelling)
        elif mark in "{[":
            path.append(key if mark == "{" else "[]")
            if mark == "{":
                key = ""
            pairs.append({})
            expect_value = mark == "["
        elif mark in "}]":
            found = pairs.pop() if len(pairs) > 1 else pairs[0]
            if path:
                key = path.pop()
            value = found.get("value")
            if value is not None and any(
                is_secret_name(text[slice(*found[name][:2])].rsplit("/", 1)[-1]) for name in _NAME_KEYS if name in found
            ):
                yield Span(value[0], value[1], "json", value[2])
            expect_value = False
        else:
            expect_value = mark == ":" or bool(path and path[-1] == "[]")


def _unescape_key(key: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), key) if "\\" in key else key


def find_in_sql(sql: str) -> Iterator[Span]:
    """Secrets in a statement, or the beginning of one."""
    if not may_hold_secret(sql):
        return
    yield from find_in_text(sql)
    yield from values_of_insert(sql, is_secret_column)
    for literal in _SQL_VALUE.finditer(sql):
        # JSON in a literal, with its quotes escaped or not.
        if literal[1] is not None and "{" in literal[1] and may_hold_secret(literal[1]):
            begin = literal.start(1)
            for span in _walk_json(literal[1].replace('\\"', ' "')):
                yield Span(span.begin + begin, span.end + begin, span.kind, "json")


def values_of_insert(sql: str, wanted: Callable[[str], bool]) -> Iterator[Span]:
    """Values of an INSERT in the columns that are wanted."""
    insert = _INSERT.match(sql)
    if insert is not None:
        columns = [name.strip().strip("`").rsplit(".", 1)[-1].strip("`") for name in insert[1].split(",")]
        places = {index for index, name in enumerate(columns) if wanted(name)}
        if places:
            yield from _values_of(sql, insert.end(), places)


def _values_of(sql: str, pos: int, wanted: set[int]) -> Iterator[Span]:
    """Literals at the wanted places of each row of VALUES."""
    depth, index = 1, 0
    for match in _SQL_VALUE.finditer(sql, pos):
        mark = match[5]
        if mark == "(":
            depth += 1
            if depth == 1:
                index = 0
        elif mark == ")":
            depth -= 1
        elif mark == ",":
            index += depth == 1
        elif depth == 1 and index in wanted:
            group = next(number for number in (1, 3, 6) if match[number] is not None)
            if match[group].upper() != "NULL":
                yield Span(*match.span(group), "sql", "sql" if group != 6 else "plain")
