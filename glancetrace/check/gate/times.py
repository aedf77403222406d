"""Durations against a maximum and a 95th percentile, some of them known as "at least" only."""

from __future__ import annotations

from collections.abc import Sequence

from glancetrace.check.wording import duration_text
from glancetrace.verdict import CANNOT_JUDGE, FAILED, PASSED

__all__ = ["judge_times", "p95"]


def p95(durations: Sequence[int]) -> int:
    """The value that 95 % do not exceed (nearest rank); of no values an IndexError."""
    return sorted(durations)[max(0, -(-95 * len(durations) // 100) - 1)]


def judge_times(
    known: Sequence[int], at_least: Sequence[int], most: int | None, most_p95: int | None, cut: str, doubt: str
) -> tuple[str, str, int | None]:
    """Verdict, message, and the duration that decided (None without one).

    Args:
        known: durations, ns. at_least: what is known of those that were cut off (`cut` says why).
        most, most_p95: bounds, ns. doubt: why others may be hidden; "" if none are.
    """
    everything = [*known, *at_least]
    if not everything:
        return CANNOT_JUDGE, "none seen whose duration could be judged", None
    longest = max(everything)
    bounds = ", ".join(
        f"{name} {duration_text(bound)}" for name, bound in (("at most", most), ("p95 at most", most_p95))
        if bound is not None
    )  # fmt: skip
    count = f"of {len(everything)} the longest {duration_text(longest)}, p95 {duration_text(p95(everything))}"
    message = f"{count}; expected {bounds}"
    if most is not None and longest > most:
        return FAILED, message, longest
    # What is cut off is longer than what was seen of it: with it as it is the percentile can only be too low.
    if most_p95 is not None and p95(everything) > most_p95:
        if doubt:
            return CANNOT_JUDGE, f"{message}; {doubt}", longest
        return FAILED, message, longest
    if at_least:
        return CANNOT_JUDGE, f"{message}; {cut}", max(at_least)
    return (CANNOT_JUDGE, f"{message}; {doubt}", longest) if doubt else (PASSED, message, longest)
