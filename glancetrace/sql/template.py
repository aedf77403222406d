"""Tokens of a statement -> its `Template`: the text without literals, its digest, and where each literal belongs.

Statements that differ only in literals, white space, length of IN lists and count of equal VALUES rows have one digest.
Therefore a list of literals behind IN counts as one *place*, and so do equal rows behind the first: a place has a
number in `source` (the text for the SQL parser, in which each literal is its place's number), and `spans` tells which
literals of this very statement stand there.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from glancetrace.sql.tokens import LITERALS, Token

__all__ = ["Template", "build_template", "first_word"]

_WORDS = frozenset({"word", "name"})


@dataclass(frozen=True, slots=True)
class Template:
    """A statement without its literals.

    Attributes:
        digest: 16 hex digits (BLAKE2b of the tokens).
        text: for people: literals as `?`, lists as `IN (?)`, white space single.
        operation: first word, upper case, "" for an empty text; START becomes BEGIN.
        source: text for the SQL parser: strings are '<place>', numbers <place>.
        spans: place -> (index of its first literal, count of literals).
        row_count, row_places: rows behind VALUES that were folded into the first, and the places of that first row
            (half-open range); `row_literals` is the count of literals in each row.
    """

    digest: str
    text: str
    operation: str
    source: str
    spans: tuple[tuple[int, int], ...]
    row_count: int = 1
    row_places: tuple[int, int] = (0, 0)
    row_literals: int = 0


def first_word(tokens: list[Token]) -> str:
    """The operation that a statement names first, upper case."""
    for token in tokens:
        if token.text == "(":
            continue
        word = token.text.upper() if token.kind in _WORDS else ""
        return "BEGIN" if word == "START" else word
    return ""


def _matching(tokens: list[Token], start: int) -> int:
    """Index behind the parenthesis that closes the one at `start`; the end if none does."""
    depth = 0
    for index in range(start, len(tokens)):
        text = tokens[index].text
        if text == "(":
            depth += 1
        elif text == ")":
            depth -= 1
            if depth == 0:
                return index + 1
    return len(tokens)


def _literal_list(tokens: list[Token], start: int) -> int:
    """Index of the `)` when only literals and commas stand behind the `(` at `start`, else 0."""
    index = start + 1
    while index < len(tokens) and tokens[index].kind in LITERALS:
        if index + 1 == len(tokens):
            return 0
        if tokens[index + 1].text == ")":
            return index + 1
        if tokens[index + 1].text != ",":
            return 0
        index += 2
    return 0


def _signature(tokens: list[Token], start: int, end: int) -> tuple[str, ...]:
    return tuple("?" if token.kind in LITERALS else token.text for token in tokens[start:end])


def _equal_rows(tokens: list[Token], start: int) -> tuple[int, int, int]:
    """(count of rows that equal the first, index behind the first, index behind the last) for rows from `start` on."""
    first_end = _matching(tokens, start)
    width = first_end - start
    signature = _signature(tokens, start, first_end)
    count, end = 1, first_end
    while (
        end + width < len(tokens) + 1
        and end < len(tokens)
        and tokens[end].text == ","
        and _signature(tokens, end + 1, end + 1 + width) == signature
    ):
        count += 1
        end += 1 + width
    return count, first_end, end


def build_template(tokens: list[Token]) -> Template:
    """The template of a statement's tokens; linear in their number."""
    builder = _Builder()
    index, total = 0, len(tokens)
    skip_from, skip_to = -1, -1
    while index < total:
        if index == skip_from:
            builder.fold_rows(tokens, skip_from, skip_to)
            index = skip_to
            continue
        token = tokens[index]
        builder.add(token)
        word = token.text.upper() if token.kind == "word" else ""
        index += 1
        if index >= total or tokens[index].text != "(":
            continue
        if word == "IN":
            end = _literal_list(tokens, index)
            if end:
                builder.add_list(tokens, index, end)
                index = end
        elif word in ("VALUES", "VALUE") and skip_from < 0:
            count, first_end, last_end = _equal_rows(tokens, index)
            if count > 1:
                builder.begin_rows(count)
                skip_from, skip_to = first_end, last_end
    return builder.finish(first_word(tokens))


class _Builder:
    def __init__(self) -> None:
        self.words: list[str] = []
        self.text: list[str] = []
        self.source: list[str] = []
        self.spans: list[tuple[int, int]] = []
        self.literal_count = 0
        self.row_count = 1
        self.row_places = (0, 0)
        self.row_literals = 0

    def add(self, token: Token) -> None:
        """One token, a literal taking one place."""
        space = " " if token.spaced and self.text else ""
        if token.kind not in LITERALS:
            self.words.append(token.text)
            self.text.append(space + token.text)
            self.source.append(space + token.text)
            return
        self._place(token, space, 1)

    def _place(self, token: Token, space: str, count: int) -> None:
        place = len(self.spans)
        self.spans.append((self.literal_count, count))
        self.literal_count += count
        self.words.append("?")
        self.text.append(space + "?")
        self.source.append(f"{space}{place}" if token.kind == "number" else f"{space}'{place}'")

    def add_list(self, tokens: list[Token], start: int, end: int) -> None:
        """The list that opens at `start` and closes at `end`, which is not added, takes one place."""
        self.add(tokens[start])
        self._place(tokens[start + 1], "", (end - start) // 2)

    def begin_rows(self, count: int) -> None:
        """The next row stands for `count` rows."""
        self.row_count = count
        self.row_places = (len(self.spans), 0)
        self.row_literals = self.literal_count

    def fold_rows(self, tokens: list[Token], start: int, end: int) -> None:
        """The rows in tokens `start` to `end` equal the one that was just added."""
        self.row_places = (self.row_places[0], len(self.spans))
        self.row_literals = self.literal_count - self.row_literals
        self.literal_count += self.row_literals * (self.row_count - 1)
        self.words.append(", ...")
        self.text.append(", ...")

    def finish(self, operation: str) -> Template:
        """What was added."""
        digest = blake2b("\0".join(self.words).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        return Template(
            digest=digest,
            text="".join(self.text),
            operation=operation,
            source="".join(self.source),
            spans=tuple(self.spans),
            row_count=self.row_count,
            row_places=self.row_places,
            row_literals=self.row_literals,
        )
