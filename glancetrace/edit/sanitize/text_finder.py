"""Finds any of many texts in bytes, and tells names from parts of other words."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby

__all__ = ["CONTEXT_LEN", "TextFinder", "may_go_on", "stands_alone"]

CONTEXT_LEN = 3
"""Bytes behind a name that tell whether it stands alone."""
_PREFIX_LEN = 6
_MOST_PREFIXES = 64


class TextFinder:
    """Finds any of many texts.

    Attributes:
        longest: bytes of the longest.
    """

    def __init__(self, texts: list[bytes]) -> None:
        self.longest = max(map(len, texts), default=0)
        groups: dict[bytes, list[bytes]] = defaultdict(list)
        for text in sorted(texts, key=len, reverse=True):
            groups[text[:_PREFIX_LEN]].append(text)
        # The more of them a group has in common, the faster it is looked for.
        self._by_prefix = {_common_prefix(group): group for group in groups.values()}
        self._lengths = sorted({len(prefix) for prefix in self._by_prefix})
        self._pattern: re.Pattern[bytes] | None = None
        if len(self._by_prefix) > _MOST_PREFIXES:
            self._pattern = re.compile(_any_of(sorted(self._by_prefix)))

    def find(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Where which text stands, in no order; several may begin at the same place."""
        if self._pattern is not None:
            at = 0
            while (match := self._pattern.search(data, at)) is not None:
                at = match.start()
                for length in self._lengths:
                    yield from self._at(data, at, self._by_prefix.get(data[at : at + length], ()))
                at += 1
            return
        for prefix, texts in self._by_prefix.items():
            at = data.find(prefix)
            while at >= 0:
                yield from self._at(data, at, texts)
                at = data.find(prefix, at + 1)

    def _at(self, data: bytes, at: int, texts: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
        for text in texts:
            if data.startswith(text, at):
                yield at, text


def _any_of(prefixes: list[bytes]) -> bytes:
    """A pattern that matches where one of them begins, branching byte by byte: not all are tried at every place."""
    if len(prefixes) == 1 or not prefixes[0]:
        return re.escape(prefixes[0])
    branches = [(first, [one[1:] for one in group]) for first, group in groupby(prefixes, lambda one: one[:1])]
    return b"(?:" + b"|".join(re.escape(first) + _any_of(rests) for first, rests in branches) + b")"


def _common_prefix(texts: list[bytes]) -> bytes:
    first, last = min(texts), max(texts)
    same = [one == other for one, other in zip(first, last, strict=False)]
    return first[: same.index(False) if False in same else len(same)]


def stands_alone(data: bytes, at: int, name: bytes) -> bool:
    """A name stands there as a whole word, or as a value behind its length, and not as a key of JSON."""
    before, behind = data[max(at - 1, 0) : at], data[at + len(name) : at + len(name) + CONTEXT_LEN]
    if behind[:1] == b'"' and behind[1:].lstrip().startswith(b":"):
        return False
    return before == bytes([min(len(name), 255)]) or not (_in_word(before) or _in_word(behind[:1]))


def may_go_on(data: bytes, at: int, name: bytes) -> bool:
    """What follows the bytes may decide whether the name at `at` stands alone."""
    behind = data[at + len(name) : at + len(name) + CONTEXT_LEN]
    return not behind or (behind[:1] == b'"' and len(behind) < CONTEXT_LEN and not behind[1:].strip())


def _in_word(byte: bytes) -> bool:
    return byte.isalnum() or byte == b"_"
