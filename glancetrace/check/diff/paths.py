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

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from glancetrace.check.diff.noise import fisher_greater

__all__ = ["Extended", "extended_calls"]

_MOST = 3
"""SELECTs on top that still are the same path."""

Path = frozenset[tuple[str, int]]
Counts = Sequence[Counter[str]]
Known = dict[tuple[Path, int], list[tuple[frozenset[str], Path]]]


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
        taken, goes = Counter(map(_path, base)), Counter(map(_path, new))
        known = _known(taken, kinds)
        before, after = before + len(base), after + len(new)
        # A path that a single call of the base has taken would be unknown without it.
        hits_before += sum(count == 1 and _on_top(path, known, kinds) is not None for path, count in taken.items())
        for path in goes.keys() - taken.keys():
            more = _on_top(path, known, kinds)
            if more is not None:
                hits_after += goes[path]
                added.update({digest: count * goes[path] for digest, count in more.items()})
    always = frozenset.intersection(*(frozenset(call) for _, new in statuses for call in new)) if after else frozenset()
    return Extended(fisher_greater(hits_before, before, hits_after, after), added, hits_after, after, always)


def _path(call: Counter[str]) -> Path:
    return frozenset((digest, count) for digest, count in call.items() if digest and count)


def _known(paths: Iterable[Path], kinds: Mapping[str, str]) -> Known:
    """Paths by what a path on top of them has in common with them, and by how many SELECTs they run."""
    known: Known = defaultdict(list)
    for path in paths:
        known[_apart(path, kinds)].append((_shapes(path), path))
    return known


def _shapes(path: Path) -> frozenset[str]:
    return frozenset(digest for digest, _ in path)


def _apart(path: Path, kinds: Mapping[str, str]) -> tuple[Path, int]:
    """What a path runs that is no SELECT, and how many SELECTs."""
    rest = frozenset(one for one in path if not kinds[one[0]].startswith("SELECT "))
    return rest, sum(count for _, count in path - rest)


def _on_top(path: Path, known: Known, kinds: Mapping[str, str]) -> Counter[str] | None:
    """The fewest SELECTs that a known path lacks to be this one; None if no such path is."""
    whole, shapes = dict(path), _shapes(path)
    rest, selects = _apart(path, kinds)
    for more in range(1, _MOST + 1):
        below = [
            sorted((Counter(whole) - Counter(dict(other))).items())
            for its_shapes, other in known.get((rest, selects - more), ())
            if its_shapes <= shapes and all(whole.get(digest, 0) >= count for digest, count in other)
        ]
        if below:
            return Counter(dict(min(below)))
    return None
