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
    found: dict[tuple[str, str], list[float]] = {}
    for key, timed in calls.items():
        found[key] = []
        for ts, dur in timed:
            at = bisect_left(starts, ts)
            sides = (range(at - 1, -1, -1), range(at, len(starts)))
            beside = [factor for side in sides for factor in _nearest(everything, side, ts, key)]
            load = median(beside) if len(beside) >= _FEWEST else 1.0
            found[key].append(dur / load)
    return found


def _nearest(
    everything: Sequence[tuple[int, tuple[str, str], float]], indices: range, ts: int, key: tuple[str, str]
) -> list[float]:
    """How many times their usual duration the nearest calls of other operations took, on one side in time."""
    found: list[float] = []
    for index in indices:
        when, other, factor = everything[index]
        if abs(when - ts) > _WITHIN or len(found) == _NEAR:
            break
        if other != key:
            found.append(factor)
    return found
