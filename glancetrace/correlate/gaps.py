"""How long a call waits before, between and after its units of work: learnt from calls whose units are known.

Delays in a busy service spread over five orders of magnitude and have more than one hump (a thread that waits for its
turn, a token that has to be validated), so they are counted in bins of their logarithm, four to a decade, smoothed over
the neighbours and read off between them. What is compared are densities per nanosecond. A pair of units seen rarely
leans on all pairs.
"""

from __future__ import annotations

import math
from collections import defaultdict

__all__ = ["FIRST", "LAST", "GapModel"]

FIRST = "first"
LAST = "last"

_PER_DECADE = 4
_SHORTEST = 250_000
"""ns that are not told apart any more: packets are not captured to the microsecond."""
_BINS = 6 * _PER_DECADE + 1
_TRUST = 1.0
"""Times a broader kind of gap counts beside the sightings of a narrower one."""
_SMOOTH = (0.25, 0.5, 0.25)
_EARLY = -7.0
"""Natural logarithm of how likely packets stand so far out of order that a gap looks negative."""

Place = tuple[str, str]
"""(what came before, what comes after), kinds of units without marks; FIRST and LAST for the call's own ends."""


def _bin(gap: int) -> int:
    if gap <= _SHORTEST:
        return 0
    return min(_BINS - 1, 1 + int(_PER_DECADE * math.log10(gap / _SHORTEST)))


def _width(number: int) -> float:
    """Width of a bin, ns."""
    if number == 0:
        return float(_SHORTEST)
    return float(_SHORTEST * (10 ** (number / _PER_DECADE) - 10 ** ((number - 1) / _PER_DECADE)))


_LOG_WIDTHS = [math.log(_width(number)) for number in range(_BINS)]


class GapModel:
    """Counts of gaps by place, and what they say of another gap."""

    def __init__(self) -> None:
        self._counts: dict[object, list[float]] = defaultdict(lambda: [0.0] * _BINS)
        self._densities: dict[Place, list[float]] = {}

    def copy(self) -> GapModel:
        """One that has seen the same, and may see more."""
        other = GapModel()
        for key, counts in self._counts.items():
            other._counts[key] = list(counts)
        return other

    def learn(self, place: Place, gap: int, weight: float = 1.0) -> None:
        """A gap of `gap` ns was seen at `place`."""
        number = _bin(gap)
        for key in _keys(place):
            self._counts[key][number] += weight
        if self._densities:
            self._densities.clear()

    def log_density(self, place: Place, gap: int) -> float:
        """Natural logarithm of the density of a gap of `gap` ns at `place`, per ns."""
        densities = self._densities.get(place)
        if densities is None:
            densities = self._densities[place] = self._log_densities(place)
        if gap <= _SHORTEST:
            return densities[0] if gap > -_SHORTEST else densities[0] + _EARLY
        place_in_bins = 0.5 + _PER_DECADE * math.log10(gap / _SHORTEST)
        lower = int(place_in_bins)
        if lower >= _BINS - 1:
            return densities[-1]
        return densities[lower] + (place_in_bins - lower) * (densities[lower + 1] - densities[lower])

    def _log_densities(self, place: Place) -> list[float]:
        shares = [1.0 / _BINS] * _BINS
        for key in reversed(_keys(place)):
            counts = self._counts.get(key)
            if counts:
                smooth = _smoothed(counts)
                total = sum(smooth)
                shares = [(n + _TRUST * share) / (total + _TRUST) for n, share in zip(smooth, shares, strict=True)]
        return [math.log(share) - width for share, width in zip(shares, _LOG_WIDTHS, strict=True)]


def _keys(place: Place) -> tuple[object, ...]:
    before, after = place
    broad = FIRST if before == FIRST else LAST if after == LAST else "between"
    return place, broad


def _smoothed(counts: list[float]) -> list[float]:
    low, middle, high = _SMOOTH
    last = len(counts) - 1
    return [
        low * counts[max(0, i - 1)] + middle * counts[i] + high * counts[min(last, i + 1)] for i in range(len(counts))
    ]
