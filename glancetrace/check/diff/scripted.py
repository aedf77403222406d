"""What every call of an operation has on top, where a scenario is repeated and calls are too few for any test.

Two recordings of one script agree to the statement: the calls of an operation in the one run the same counts of every
shape as those in the other. Where the counts differ, and one and the same handful of SELECTs makes them equal again in
all calls, nothing else having changed, those SELECTs were added; one call a side is enough to see it. That holds for
scripts only: clients that act by chance agree in half of their operations, and a call more or less decides which
SELECTs they run. So most operations have to agree in this way before any of them is judged; writes that all calls have
on top count as well where there are three calls a side. Few calls prove no write, since its count follows from what the
client sends; Keystone is left to the tests, too, whose caches decide what is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

__all__ = ["added_selects", "agree", "is_script"]

_MOST = 0.75
"""Share of the operations that agree. Repeated scripts: all of them; clients that act by chance: 0.4 to 0.6."""

_ENOUGH = 3
"""Calls a side from which on writes that all of them have on top are no chance of what a client sends."""

Counts = Sequence[Counter[str]]


def _kinds_of_calls(counts: Counts) -> set[frozenset[tuple[str, int]]]:
    """The different calls, by how often they ran each shape."""
    return {frozenset((digest, count) for digest, count in call.items() if digest and count) for call in counts}


def agree(base: Counts, new: Counts) -> bool:
    """Both sides have the same kinds of calls."""
    return _kinds_of_calls(base) == _kinds_of_calls(new)


def is_script(pairs: Sequence[tuple[Counts, Counts]], kinds: Mapping[str, str]) -> bool:
    """Both results are of one script: most operations agree, but for statements that were added to every call.

    Args:
        pairs: each operation's calls in both. kinds: as for `added_selects`.
    """
    told = [(base, new) for base, new in pairs if any(call[""] for call in (*base, *new))]
    alike = sum(agree(base, new) or _is_grown(base, new, kinds) for base, new in told)
    return bool(told) and alike >= _MOST * len(told)


def _is_grown(base: Counts, new: Counts, kinds: Mapping[str, str]) -> bool:
    """SELECTs were added to every call; or anything, where enough calls show it."""
    enough = min(len(base), len(new)) >= _ENOUGH
    return bool(added_selects(base, new, kinds)) or (enough and bool(_added(base, new)))


def added_selects(base: Counts, new: Counts, kinds: Mapping[str, str]) -> dict[str, int]:
    """Digest -> how many more of it every call of `new` runs; empty where more than SELECTs that were added differs.

    Args:
        base, new: digest -> count, for each call; "" is their sum. kinds: digest -> operation and tables.
    """
    added = _added(base, new)
    return added if all(kinds[digest].startswith("SELECT ") for digest in added) else {}


def _added(base: Counts, new: Counts) -> dict[str, int]:
    """Digest -> how many more of it every call of `new` runs; empty where anything else differs."""
    before, after = _kinds_of_calls(base), _kinds_of_calls(new)
    if not before or len(before) != len(after):
        return {}
    growth: Counter[str] = Counter()
    for calls, sign in ((after, 1), (before, -1)):
        for call in calls:
            for digest, count in call:
                growth[digest] += sign * count
    added = {digest: count // len(before) for digest, count in growth.items() if count}
    if any(count < 1 for count in added.values()):
        return {}
    return added if {_with(call, added) for call in before} == after else {}


def _with(call: frozenset[tuple[str, int]], added: Mapping[str, int]) -> frozenset[tuple[str, int]]:
    return frozenset((Counter(dict(call)) + Counter(added)).items())
