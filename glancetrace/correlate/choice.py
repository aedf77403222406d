"""The call that was chosen for a unit of work, and why."""

from __future__ import annotations

from dataclasses import dataclass, field

from glancetrace.correlate.facts import CallFacts
from glancetrace.correlate.weighing import Joint

__all__ = ["Choice"]


@dataclass(slots=True)
class Choice:
    """The call chosen for a unit, and why; what each field means is told by `link.Link`."""

    call: CallFacts
    link_class: str
    score: float
    evidence: tuple[str, ...]
    relation: str = "in_request"
    rejected: list[tuple[int, str]] = field(default_factory=list)
    group_id: int | None = None
    candidates: tuple[int, ...] = ()
    joint: Joint | None = None
