"""What a comparison lets pass."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Thresholds"]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What is let pass.

    `slower`: share by which the median of an operation may grow beyond the others'; `delay`: ns that it must grow at
    least; `overall`: share by which everything may, None: by any. `statements`: per call and shape, on average.
    `findings`: of one rule of severity error, more than before. `failures`: calls with 5xx or no response of one
    operation, more than before.
    """

    slower: float = 0.5
    delay: int = 10_000_000
    overall: float | None = None
    statements: float = 0.2
    findings: int = 0
    failures: int = 0
