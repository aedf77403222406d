"""The row that attribution writes: which call ran a statement, how sure that is, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glancetrace.correlate.weighing import Joint

__all__ = ["CERTAIN", "EXACT", "INFERRED", "TWIN", "Link"]

EXACT = "exact"
CERTAIN = "certain"
INFERRED = "inferred"
TWIN = "twin"


@dataclass(slots=True)
class Link:
    """One statement attributed to one call.

    Attributes:
        link_class: "exact" (an id in band: request id, task id), "certain" (one candidate left after contradictions),
            "inferred" (the best of several), "twin" (several calls that cannot be told apart: `candidates`).
        relation: "in_request", or "async" for work that goes on after the response.
        score: 0..1, how sure.
        evidence: what speaks for it, in words. rejected: (call id, reason) of calls that were considered.
        joint: the joint solution that it comes from, to explain it by.
    """

    statement_id: int
    call_id: int
    link_class: str
    relation: str
    score: float
    evidence: tuple[str, ...] = ()
    group_id: int | None = None
    candidates: tuple[int, ...] = ()
    rejected: list[tuple[int, str]] = field(default_factory=list)
    joint: Joint | None = field(default=None, repr=False, compare=False)
