"""Whether two samples differ by more than chance: rank and exact tests, which assume no distribution.

Mann-Whitney U for durations (normal approximation with correction for ties; Mann and Whitney 1947) with Cliff's delta
as the size of the effect, Fisher's exact test for counts of calls that did or did not something. A few lines each, so
no statistics library is needed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from math import erfc, exp, lgamma, sqrt

__all__ = ["ALPHA", "TOO_FEW", "Shift", "compare_ranks", "fisher_greater", "greater_rarely", "is_too_few", "median"]

ALPHA = 0.005
"""Chance that a whole family of tests (all shapes, all durations) names a regression in a repetition, at most."""
TOO_FEW = "too few calls to judge"

_FEWEST = 4
"""Values per side from which on the normal approximation is worth anything."""

_RARE = 10
"""Unusual values that the smaller side has to expect before ranks are near enough to normal."""
_NOTHING = 1e-17
"""Share of a sum below which further terms change nothing."""

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
    if new_hits * total <= hits * new:  # not more than expected: what is left of 1 by fewer
        return 1.0 - _sum_of_fewer(new_hits, hits, new, total)
    # More hits in `new` are fewer misses of it.
    return _sum_of_fewer(new - new_hits + 1, total - hits, new, total)


def _sum_of_fewer(count: int, hits: int, new: int, total: int) -> float:
    """p of fewer than `count` hits among `new` of `total`, where `count` is at most about the mean.

    Terms of the hypergeometric distribution from the greatest one down, each made from the one before: numbers of
    hundreds of thousands of calls cost nothing, where binomial coefficients would have as many digits.
    """
    least = max(0, hits - (total - new))
    hit = count - 1
    if hit < least:
        return 0.0
    term = exp(_log_comb(new, hit) + _log_comb(total - new, hits - hit) - _log_comb(total, hits))
    whole = 0.0
    while hit >= least and term > whole * _NOTHING:
        whole += term
        term *= hit * (total - new - hits + hit) / ((new - hit + 1) * (hits - hit + 1))
        hit -= 1
    return min(1.0, whole)


def _log_comb(total: int, chosen: int) -> float:
    return lgamma(total + 1) - lgamma(chosen + 1) - lgamma(total - chosen + 1)


def greater_rarely(base: Sequence[int], new: Sequence[int]) -> float:
    """p that `new` has more of the greater values, where all but the usual one are rare; 0 where they are not.

    Where nearly all values are equal, ranks are anything but normal: of 1 % that differ, one among five calls seems to
    be beyond chance. There the best of the cuts between small and great is tested exactly.
    """
    before, after = Counter(base), Counter(new)
    whole = before + after
    odd = 1 - whole.most_common(1)[0][1] / whole.total()
    if odd * min(len(base), len(new)) >= _RARE:
        return 0.0
    cuts = sorted(whole)[1:]
    p = 1.0
    hits_before = hits_after = 0
    for cut in reversed(cuts):
        hits_before, hits_after = hits_before + before[cut], hits_after + after[cut]
        p = min(p, fisher_greater(hits_before, len(base), hits_after, len(new)))
    return min(1.0, p * max(1, len(cuts)))


def is_too_few(base: int, new: int, tests: int) -> bool:
    """So few values a side that no test could tell the sides apart, however much they differ."""
    return fisher_greater(0, base, new, new) >= ALPHA / max(1, tests)
