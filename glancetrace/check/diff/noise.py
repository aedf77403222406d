"""Whether two samples differ by more than chance: rank and exact tests, which assume no distribution.

Mann-Whitney U for durations (normal approximation with correction for ties; Mann and Whitney 1947) with Cliff's delta
as the size of the effect, Fisher's exact test for counts of calls that did or did not something. A few lines each, so
no statistics library is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from math import comb, erfc, sqrt

__all__ = ["ALPHA", "TOO_FEW", "Shift", "compare_ranks", "fisher_greater", "is_too_few", "median"]

ALPHA = 0.005
"""Chance that a whole family of tests (all shapes, all durations) names a regression in a repetition, at most."""
TOO_FEW = "too few calls to judge"

_FEWEST = 4
"""Values per side from which on the normal approximation is worth anything."""

Shift = tuple[float, float]
"""p (one-sided: the second sample is greater) and Cliff's delta (-1 to 1, positive: the second is greater)."""


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of the two middle ones; 0 without values."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    middle = len(ordered) // 2
    return float(ordered[middle]) if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def compare_ranks(base: Sequence[float], new: Sequence[float]) -> Shift | None:
    """Mann-Whitney U of `new` against `base`; None with fewer than 4 values on a side."""
    n, m = len(base), len(new)
    if n < _FEWEST or m < _FEWEST:
        return None
    ranked = sorted([(value, 0) for value in base] + [(value, 1) for value in new])
    rank_sum = ties = 0.0
    position = 0
    for _, group in groupby(ranked, key=lambda pair: pair[0]):
        members = [side for _, side in group]
        count = len(members)
        rank_sum += sum(members) * (position + (count + 1) / 2)
        ties += count**3 - count
        position += count
    u = rank_sum - m * (m + 1) / 2
    total = n + m
    variance = n * m / 12 * (total + 1 - ties / (total * (total - 1)))
    delta = 2 * u / (n * m) - 1
    if variance <= 0:
        return 1.0, delta
    return 0.5 * erfc((u - n * m / 2 - 0.5) / sqrt(variance) / sqrt(2)), delta


def fisher_greater(base_hits: int, base: int, new_hits: int, new: int) -> float:
    """p of so many hits in `new` or more, if both sides hit alike (one-sided Fisher's exact test)."""
    hits, total = base_hits + new_hits, base + new
    ways = comb(total, hits)
    most = min(hits, new)
    return sum(comb(new, k) * comb(base, hits - k) for k in range(new_hits, most + 1)) / ways


def is_too_few(base: int, new: int, tests: int) -> bool:
    """So few values a side that no test could tell the sides apart, however much they differ."""
    return 1 / comb(base + new, new) >= ALPHA / max(1, tests)
