"""A verdict as one JSON document, beside the schema of results: `"schema": "glancetrace/1"`, `check` with outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glancetrace.schema import SCHEMA
from glancetrace.verdict import Outcome, Rule, Verdict

__all__ = ["verdict_document"]


def _outcome(outcome: Outcome, rule: Rule) -> dict[str, Any]:
    return {
        "rule": outcome.rule,
        "number": rule.number,
        "severity": rule.severity,
        "verdict": outcome.verdict,
        "subject": outcome.subject,
        "message": outcome.message,
        "ts": outcome.ts,
        "image_id": outcome.image_id,
        "call_id": outcome.call_id,
        "statement_id": outcome.statement_id,
        "frames": list(outcome.frames),
        "line": outcome.line,
    }


def verdict_document(verdict: Verdict, rules: Mapping[str, Rule]) -> dict[str, Any]:
    """The document; `rules` explain its outcomes by name."""
    return {
        "schema": SCHEMA,
        "check": {
            "verdict": verdict.verdict,
            "exit_code": verdict.exit_code,
            "files": list(verdict.files.names),
            "rules_file": verdict.rules_file,
            "outcomes": [_outcome(outcome, rules[outcome.rule]) for outcome in verdict.outcomes],
            "notes": [{**finding, "why": why} for finding, why in verdict.notes],
        },
    }
