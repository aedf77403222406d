"""SQL text as tokens: exact, but slow (about 0.3 us a token); the parser calls it once per kind of statement.

Lexical rules of MySQL 8.0 (Reference Manual 9.1 "Literal Values", 9.2 "Schema Object Names", 9.7 "Comments"):

- strings stand in single or double quotes (ANSI_QUOTES is off, as clients of OpenStack leave it), quotes are doubled or
  escaped with a backslash;
- `x'..'`, `b'..'`, `n'..'`, `_charset'..'`, `DATE '..'` prefixes belong to the literal, as does the sign of a number
  that does not follow an operand;
- comments are `/* */`, `-- ` and `#`; they are no tokens, their text is kept apart (it may carry request ids).

Rules of this file: any text gives tokens, nothing raises; a literal without its closing quote ends with the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from glancetrace.sql.statement import Literal

__all__ = ["LITERALS", "Token", "number_value", "string_value", "tokenize", "unescape"]

_TOKEN = re.compile(
    r"""
 (?P<space>\s+)
|(?P<comment>/\*.*?(?:\*/|\Z)|--(?=\s|\Z)[^\n]*|\#[^\n]*)
|(?P<string>'(?:[^'\\]++|\\.|'')*+(?:'|\Z)|"(?:[^"\\]++|\\.|"")*+(?:"|\Z))
|(?P<name>`(?:[^`]++|``)*+(?:`|\Z))
|(?P<number>(?:0[xX][0-9a-fA-F]+|0[bB][01]+|(?:[0-9]+(?:\.[0-9]*)?|(?<![\w`$])\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?![\w$]))
|(?P<word>[\w$@]+)
|(?P<param>\?)
|(?P<operator><=>|<>|!=|<=|>=|:=|\|\||&&|<<|>>|->>|->|.)
""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a", "%": "\\%", "_": "\\_"}
_ESCAPE = re.compile(r"\\(.)|''", re.DOTALL)
_ESCAPE_DOUBLE = re.compile(r'\\(.)|""', re.DOTALL)
_TYPE_WORDS = frozenset({"date", "time", "timestamp"})
_OPERANDS = frozenset({"word", "name", "number", "string", "param"})

LITERALS = frozenset({"string", "number", "param"})
"""Kinds of tokens that take a slot."""


@dataclass(slots=True)
class Token:
    """One token: `kind` is string, number, param, word, name or operator; `text` as written, prefix and sign included.

    `value` is the literal's value (None for a param). `plain`: a string without prefix, whose value is what stands
    between its quotes. `spaced`: white space or a comment comes before it.
    """

    kind: str
    text: str
    value: Literal = None
    plain: bool = False
    spaced: bool = False


def unescape(body: str, quote: str = "'") -> str:
    """Text of a string literal whose `body` (between its quotes) may hold escapes and doubled quotes."""

    def replace(match: re.Match[str]) -> str:
        escaped: str | None = match[1]
        return quote if escaped is None else _ESCAPES.get(escaped, escaped)

    return (_ESCAPE if quote == "'" else _ESCAPE_DOUBLE).sub(replace, body)


def number_value(text: str) -> Literal:
    """Value of a number as written: int, float, bytes for `0x` and `0b`; the text itself when it has no finite end."""
    if text[:2] in ("0x", "0X"):
        return string_value("x", text[2:])
    if text[:2] in ("0b", "0B"):
        return string_value("b", text[2:])
    if len(text) > 300:
        return text
    return float(text) if "." in text or "e" in text or "E" in text else int(text)


def string_value(prefix: str, body: str) -> Literal:
    """Value of a string literal: `prefix` is the lower-case word before it ("x", "b", "n", "_utf8", "date" or "")."""
    if prefix == "x":
        try:
            return bytes.fromhex(body if len(body) % 2 == 0 else "0" + body)
        except ValueError:
            return body
    if prefix == "b" and body and not body.strip("01"):
        return int(body, 2).to_bytes((len(body) + 7) // 8, "big")
    return body


def _is_prefix(word: Token, adjacent: bool) -> bool:
    text = word.text.lower()
    if text in ("x", "b", "n"):
        return adjacent
    return (text[0] == "_" and len(text) > 1) or text in _TYPE_WORDS


def tokenize(sql: str) -> tuple[list[Token], str]:
    """Tokens of the first statement in `sql`, and the text of its comments (joined by a space)."""
    tokens: list[Token] = []
    comments: list[str] = []
    spaced = False
    for match in _TOKEN.finditer(sql):
        kind = match.lastgroup or "operator"
        text = match[0]
        if kind == "space":
            spaced = True
            continue
        if kind == "comment":
            comments.append(text[2:].removesuffix("*/").strip() if text[0] != "#" else text[1:].strip())
            spaced = True
            continue
        if text == ";":
            break
        token = Token(kind, text, spaced=spaced)
        if kind == "string":
            _take_string(token, tokens)
        elif kind == "number":
            _take_number(token, tokens)
        tokens.append(token)
        spaced = False
    return tokens, " ".join(comments)


def _take_string(token: Token, tokens: list[Token]) -> None:
    quote = token.text[0]
    closed = len(token.text) > 1 and token.text.endswith(quote)
    body = unescape(token.text[1:-1] if closed else token.text[1:], quote)
    token.plain = quote == "'" and closed
    token.value = body
    if tokens and tokens[-1].kind == "word" and _is_prefix(tokens[-1], not token.spaced):
        word = tokens.pop()
        token.text = word.text + token.text
        token.value = string_value(word.text.lower(), body)
        token.plain = token.plain and token.value == body
        token.spaced = word.spaced


def _take_number(token: Token, tokens: list[Token]) -> None:
    token.value = number_value(token.text)
    if not tokens or tokens[-1].text != "-" or token.spaced or not isinstance(token.value, int | float):
        return
    before = tokens[-2] if len(tokens) > 1 else None
    if before is None or not (before.kind in _OPERANDS or before.text == ")"):
        sign = tokens.pop()
        token.text = "-" + token.text
        token.value = -token.value
        token.spaced = sign.spaced
