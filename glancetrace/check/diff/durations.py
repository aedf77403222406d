"""How long the calls of each operation took, compared.

A slower operation is told where a rank test says so, the effect is large, and the median grew beyond what all
operations have in common, since another host or its load slows everything and says nothing about one of them, and
beyond what operations usually differ from that: no load slows all of them alike. Durations are taken as they were and
beside what ran at the same moment (`glancetrace.check.diff.load`); both have to have grown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import exp, log

from glancetrace.check.diff.noise import ALPHA, TOO_FEW, compare_ranks, is_too_few, median
from glancetrace.check.diff.profile import Key, Profile, name_of, shared
from glancetrace.check.diff.thresholds import Thresholds
from glancetrace.check.wording import duration_text
from glancetrace.verdict import Change

__all__ = ["compare_durations"]

_EFFECT = 0.33
_APART = 4
"""How many times the usual difference (of logarithms) an operation must differ: 2.7 standard deviations."""
_NOTEWORTHY = 1.5
"""Factor of all durations from which on it is told."""
_FEWEST = 3
"""Operations from which on they have something in common."""


def compare_durations(base: Profile, new: Profile, limits: Thresholds) -> Iterator[Change]:
    """Operations that became slower or faster, and all of them."""
    both = list(shared(base, new))
    factors = [(key, _factor(before.durations, after.durations)) for key, before, after in both]
    common = _common(factors)
    if common > _NOTEWORTHY or (limits.overall is not None and common > 1 + limits.overall):
        what = "times as long, by the median of all operations: another host or load, if it is no regression"
        worse = limits.overall is not None and common > 1 + limits.overall
        yield Change("time", "all operations", "slower", "1", f"{common:.2f}", what, worse)
    for key, before, after in both:
        was, is_now = median(before.durations), median(after.durations)
        slower = _is_slower(before.relative, after.relative, max(1.0, common), len(both))
        faster = not slower and _is_slower(after.relative, before.relative, max(1.0, 1 / common), len(both))
        apart = max(1.0, common) * max(1 + limits.slower, _spread(factors, key, common) ** _APART)
        beyond = all(
            median(now) > median(then) * apart and median(now) - median(then) * max(1.0, common) > limits.delay
            for then, now in ((before.durations, after.durations), (before.relative, after.relative))
        )
        if beyond and not slower:
            few = is_too_few(len(before.durations), len(after.durations), len(both))
            reason = TOO_FEW if few else "calls differ so much that it is not sure"
            what = f"median of the calls' durations; {reason} ({len(before.durations)} and {len(after.durations)})"
            yield Change("time", name_of(key), "unclear", duration_text(round(was)), duration_text(round(is_now)), what)
        if not slower and not faster:
            continue
        if not beyond and not (faster and is_now * (1 + limits.slower) < was):
            continue
        frame = after.frames.get("", 0)
        yield Change(
            "time", name_of(key), "slower" if slower else "faster", duration_text(round(was)),
            duration_text(round(is_now)), "median of the calls' durations", slower and beyond,
            [frame] if frame and slower else [],
        )  # fmt: skip


Factors = Sequence[tuple[Key, float]]


def _factor(base: Sequence[int], new: Sequence[int]) -> float:
    """By how much the median changed; 0 where a side has no calls."""
    was = median(base)
    return median(new) / was if was else 0.0


def _common(factors: Factors) -> float:
    """By how much all operations changed: the middle of their factors; 1 without three of them."""
    known = [factor for _, factor in factors if factor]
    return median(known) if len(known) >= _FEWEST else 1.0


def _spread(factors: Factors, key: Key, common: float) -> float:
    """By how much the other operations usually differ from what is common: the median of their factors from it.

    Two loads that differ do not slow all operations alike: what waits for a lock or a full queue, more than the rest.
    """
    apart = [abs(log(factor / common)) for other, factor in factors if factor and other != key]
    return exp(median(apart))


def _is_slower(base: Sequence[float], new: Sequence[float], common: float, tests: int) -> bool:
    """`new` is greater than `base` times what all have in common, beyond chance and by an effect that counts."""
    shift = compare_ranks([value * common for value in base], new)
    return shift is not None and shift[0] < ALPHA / max(1, tests) and shift[1] > _EFFECT
