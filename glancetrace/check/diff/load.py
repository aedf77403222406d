"""How long a call took beside what ran at the same moment.

A host that is busy for a while makes all calls of that while slow, so the durations of neighbouring calls are not
independent, which rank tests take for granted: one burst of load, and the operation that happened to be called in it
looks slower. Each duration is therefore divided by how slow the calls of other operations were beside it: the median of
their durations, each as a multiple of its operation's own median.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from glancetrace.check.diff.noise import median

__all__ = ["Timed", "relative_durations"]

Timed = tuple[int, int]
"""Start of a call and its duration, ns."""

_NEAR = 10
"""Calls of other operations that are looked at on each side."""
_WITHIN = 2_000_000_000
"""ns beyond which a call says nothing of the load."""
_FEWEST = 5


def relative_durations(calls: Mapping[tuple[str, str], Sequence[Timed]]) -> dict[tuple[str, str], list[float]]:
    """Durations of each operation's calls, ns, as they would have been under usual load; in their order."""
    usual = {key: median([dur for _, dur in timed]) for key, timed in calls.items()}
    everything = sorted(
        (ts, key, dur / usual[key]) for key, timed in calls.items() if usual[key] for ts, dur in timed
    )  # fmt: skip
    starts = [ts for ts, _, _ in everything]
    sides = tuple((step, _next_others([key for _, key, _ in everything], step)) for step in (-1, 1))
    found: dict[tuple[str, str], list[float]] = {}
    for key, timed in calls.items():
        found[key] = []
        for ts, dur in timed:
            at = bisect_left(starts, ts)
            beside = [
                factor
                for first, (step, others) in zip((at - 1, at), sides, strict=True)
                for factor in _nearest(everything, first, step, others, ts, key)
            ]
            # Where a clock is so coarse that most calls took no time at all, they tell nothing.
            load = median(beside) if len(beside) >= _FEWEST else 1.0
            found[key].append(dur / (load or 1.0))
    return found


def _next_others(keys: Sequence[tuple[str, str]], step: int) -> list[int]:
    """For each call the nearest one of another operation, on one side; beyond the end where there is none."""
    found = [0] * len(keys)
    for index in range(len(keys))[::-step]:
        beside = index + step
        same = 0 <= beside < len(keys) and keys[beside] == keys[index]
        found[index] = found[beside] if same else beside
    return found


def _nearest(
    everything: Sequence[tuple[int, tuple[str, str], float]],
    first: int,
    step: int,
    others: Sequence[int],
    ts: int,
    key: tuple[str, str],
) -> list[float]:
    """How many times their usual duration the nearest calls of other operations took, on one side in time."""
    found: list[float] = []
    index = first
    while 0 <= index < len(everything) and len(found) < _NEAR:
        when, other, factor = everything[index]
        if abs(when - ts) > _WITHIN:
            break
        if other == key:
            index = others[index]
            continue
        found.append(factor)
        index += step
    return found
