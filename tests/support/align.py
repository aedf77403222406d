"""Which decoded command is which command of the truth.

Both sides see the commands of a connection in the same order, but either may have commands that the other lacks. The
pairs are the heaviest chain that rises on both sides, so a command missing or surplus costs only itself.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Command", "align"]

Pair = tuple[int, int]
_START = (0.0, None)
_LOOKED_AT = 400
"""Characters of a text that hold its first 60 when white space is counted once."""


class Command(NamedTuple):
    """What both sides know of a command: its time (ns), whether it is a ping, its text."""

    ts: int
    ping: bool
    text: str

    def key(self) -> str:
        """Equal for commands that may be the same: log and wire differ in white space, and late in long texts."""
        return "PING" if self.ping else " ".join(self.text[:_LOOKED_AT].split())[:60].lower()


class _BestChains:
    """Fenwick tree: weight and last pair of the best chain that ends before a position."""

    def __init__(self, size: int) -> None:
        self.tree: list[tuple[float, Pair | None]] = [_START] * (size + 1)

    def before(self, position: int) -> tuple[float, Pair | None]:
        best: tuple[float, Pair | None] = _START
        while position > 0:
            if self.tree[position][0] > best[0]:
                best = self.tree[position]
            position -= position & -position
        return best

    def put(self, position: int, weight: float, pair: Pair) -> None:
        position += 1
        while position < len(self.tree):
            if weight > self.tree[position][0]:
                self.tree[position] = (weight, pair)
            position += position & -position


def _are_near(distances: list[int], window: int) -> bool:
    """Pairing all in order is the heaviest chain for sure: one pair less may cost more than all their distances do."""
    return max(distances, default=0) <= window and sum(distances) < 3 * window


def align(truth: Sequence[Command], got: Sequence[Command], window: int = 500_000_000, nearest: int = 12) -> list[Pair]:
    """Pairs (index in truth, index in got) of one connection's commands: same text, at most `window` ns apart."""
    keys, keys_got = [command.key() for command in truth], [command.key() for command in got]
    if keys == keys_got and _are_near([abs(a.ts - b.ts) for a, b in zip(truth, got, strict=True)], window):
        return [(i, i) for i in range(len(truth))]
    positions: dict[str, list[int]] = defaultdict(list)
    for j, key in enumerate(keys_got):
        positions[key].append(j)
    chains = _BestChains(len(got))
    previous: dict[Pair, Pair | None] = {}
    for i, wanted in enumerate(truth):
        candidates = positions.get(keys[i], [])
        middle = bisect_left(candidates, wanted.ts, key=lambda j: got[j].ts)
        near = reversed(candidates[max(0, middle - nearest) : middle + nearest])
        found = []
        for j in near:
            distance = abs(got[j].ts - wanted.ts)
            if distance <= window:
                weight, last = chains.before(j)
                found.append((j, weight + 1 + 0.5 * (1 - distance / window), last))
        for j, weight, last in found:
            previous[i, j] = last
            chains.put(j, weight, (i, j))
    pairs = []
    at = chains.before(len(got))[1]
    while at is not None:
        pairs.append(at)
        at = previous[at]
    return pairs[::-1]
