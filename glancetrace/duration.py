"""Durations as people write them: `250ms`, `1.5s`, `2min`."""

from __future__ import annotations

import re

from glancetrace.errors import UsageError

__all__ = ["parse_duration"]

_SECOND = 1_000_000_000
_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": _SECOND,
    "m": 60 * _SECOND,
    "min": 60 * _SECOND,
    "h": 3600 * _SECOND,
    "d": 86400 * _SECOND,
}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(ns|us|µs|ms|s|min|m|h|d)?")


def parse_duration(text: str) -> int:
    """`100ms`, `1.5s`, `2 min`, `1h` as nanoseconds; a bare number is seconds.

    Raises:
        UsageError: it is none.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is no duration", action="write it as 250ms, 1.5s or 2min")
    whole, _, fraction = match[1].partition(".")
    unit = _UNITS[match[2] or "s"]
    return int(whole or 0) * unit + (int(fraction) * unit // 10 ** len(fraction) if fraction else 0)
