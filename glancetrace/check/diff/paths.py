"""SELECTs that the calls of an operation run on top, where clients act by chance.

What a call does, it does by one of a few paths: its statements, each with its count. Shape by shape, a scenario of
chance needs many calls before a test is sure, since each shape depends on the path and there are hundreds of shapes to
test. Path by path it needs few: a call whose path nobody has taken in the other recording, but which is one of its
paths with a SELECT or a few on top, is rare among repetitions, and how rare, the base says of itself (each of its calls
against the others). So the calls of an operation are counted that go such a way, over all statuses, and one exact test
is made per operation. Few calls are enough where each of them runs a SELECT of a shape that is nowhere in the base:
which shapes there are, the code decides and not chance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from glancetrace.check.diff.noise import fisher_greater

__all__ = ["Extended", "extended_calls"]

_MOST = 3
"""SELECTs on top that still are the same path."""

Path = frozenset[tuple[str, int]]
Counts = Sequence[Counter[str]]


@dataclass(frozen=True, slots=True)
class Extended:
    """New calls that run SELECTs on top.

    `chance`: that so many do in a repetition (exact, one-sided). `added`: SELECTs on top of all calls, by digest.
    `hits`: calls that have some; `calls`: all of them. `always`: digests that each of all of them has.
    """

    chance: float
    added: Counter[str]
    hits: int
    calls: int
    always: frozenset[str]


def extended_calls(statuses: Sequence[tuple[Counts, Counts]], kinds: Mapping[str, str]) -> Extended:
    """How surely the new calls of an operation run SELECTs on top of what the base's calls run.

    Args:
        statuses: calls of the base and of the new side, for each status that both have: digest -> count; "" is the sum.
        kinds: digest -> operation and tables.
    """
    before = after = hits_before = hits_after = 0
    added: Counter[str] = Counter()
    for base, new in statuses:
        taken = Counter(_path(call) for call in base)
        # A path that a single call of the base has taken would be unknown without it.
        once = {path for path, count in taken.items() if count == 1}
        before, after = before + len(base), after + len(new)
        hits_before += sum(_on_top(path, taken.keys() - {path}, kinds) is not None for path in once)
        for call in new:
            more = _on_top(_path(call), taken.keys(), kinds)
            if more is not None:
                hits_after += 1
                added.update(more)
    always = frozenset.intersection(*(frozenset(call) for _, new in statuses for call in new)) if after else frozenset()
    return Extended(fisher_greater(hits_before, before, hits_after, after), added, hits_after, after, always)


def _path(call: Counter[str]) -> Path:
    return frozenset((digest, count) for digest, count in call.items() if digest and count)


def _on_top(path: Path, known: Iterable[Path], kinds: Mapping[str, str]) -> Counter[str] | None:
    """The fewest SELECTs that a known path lacks to be this one; None if it is known, or no such path is."""
    whole = Counter(dict(path))
    best: Counter[str] | None = None
    for other in known:
        if other == path:
            return None
        less = Counter(dict(other))
        if not less <= whole:
            continue
        more = whole - less
        few = more.total() <= (_MOST if best is None else best.total() - 1)
        if few and all(kinds[digest].startswith("SELECT ") for digest in more):
            best = more
    return best
