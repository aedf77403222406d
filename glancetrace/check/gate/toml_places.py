"""Where the keys of a TOML text stand: tomllib tells what a file says, but not in which line.

Good enough to point at: headers and keys at the start of a line, outside of multi-line strings.
"""

from __future__ import annotations

import re
from collections import Counter

__all__ = ["Place", "find_places"]

Place = tuple[str | int, ...]

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?")
_KEY = re.compile(r"""\s*("[^"]*"|'[^']*'|[A-Za-z0-9_-]+(?:\s*\.\s*[A-Za-z0-9_-]+)*)\s*=""")
_FENCES = ('"""', "'''")


def _parts(text: str) -> list[str]:
    return [part.strip().strip("\"'") for part in ([text] if text[:1] in "\"'" else text.split("."))]


def find_places(text: str) -> dict[Place, int]:
    """Path of a table or key, with the index of its entry in an array of tables -> line, from 1."""
    places: dict[Place, int] = {}
    counts: Counter[Place] = Counter()
    table: Place = ()
    fence = ""
    for number, line in enumerate(text.splitlines(), 1):
        if fence:
            fence = "" if fence in line else fence
            continue
        header = _HEADER.match(line)
        key = _KEY.match(line)
        if header is not None:
            table = tuple(_parts(header[2]))
            if header[1] == "[[":
                counts[table] += 1
                table = (*table, counts[table] - 1)
            places.setdefault(table, number)
        elif key is not None:
            places.setdefault((*table, *_parts(key[1])), number)
            fence = next((mark for mark in _FENCES if line.count(mark) % 2), "")
    return places
