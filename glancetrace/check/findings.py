"""Looks through a result for what a person should know.

Every function of `FINDERS` looks for one idea and knows nothing of the others; they all get the same `Evidence`. The
rules that they raise are in `glancetrace.check.rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from glancetrace.check.agreement import find_outcome_disagreement, find_status_disagreement
from glancetrace.check.answers import find_refusals, find_server_errors, find_unanswered
from glancetrace.check.database import find_deadlocks, find_lost_races, find_outside_changes, find_sql_errors
from glancetrace.check.evidence import Evidence
from glancetrace.check.slowness import find_repeated, find_slow
from glancetrace.check.stuck import find_illegal, find_missing_bytes, find_stuck, find_uncertain
from glancetrace.check.uploads import find_aborted, find_altered, find_encodings, find_pauses
from glancetrace.check.visibility import find_unread
from glancetrace.trace import CaptureSummary, Finding, Tables

__all__ = ["FINDERS", "find", "look_through"]

FINDERS: tuple[Callable[[Evidence], Iterator[Finding]], ...] = (
    find_stuck,
    find_illegal,
    find_status_disagreement,
    find_outcome_disagreement,
    find_altered,
    find_encodings,
    find_aborted,
    find_pauses,
    find_outside_changes,
    find_lost_races,
    find_server_errors,
    find_refusals,
    find_unanswered,
    find_sql_errors,
    find_deadlocks,
    find_slow,
    find_repeated,
    find_uncertain,
    find_missing_bytes,
    find_unread,
)


def find(tables: Tables, capture: CaptureSummary) -> list[Finding]:
    """Findings about a result, in order of time; `tables.findings` is not touched."""
    return look_through(Evidence(tables, capture))


def look_through(evidence: Evidence) -> list[Finding]:
    """The same, of evidence."""
    findings = [finding for look in FINDERS for finding in look(evidence)]
    findings.sort(key=lambda f: (f.ts, f.rule, f.image_id or "", f.call_id or 0, f.statement_id or 0, f.message))
    return findings
