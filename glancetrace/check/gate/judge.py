"""From a result document and expectations to a `Verdict`: the checks, in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from glancetrace.check.gate.builtin import judge_builtin, notes
from glancetrace.check.gate.calls import judge_calls, judge_errors
from glancetrace.check.gate.expectations import Expectations
from glancetrace.check.gate.facts import Facts
from glancetrace.check.gate.images import judge_images, judge_unexpected
from glancetrace.check.gate.quality import judge_quality
from glancetrace.check.gate.sql import judge_sql
from glancetrace.verdict import Files, Outcome, Verdict

__all__ = ["CHECKS", "judge"]

CHECKS: tuple[Callable[[Facts, Expectations], Iterator[Outcome]], ...] = (
    judge_quality,
    judge_images,
    judge_unexpected,
    judge_calls,
    judge_errors,
    judge_sql,
    judge_builtin,
)


def judge(document: dict[str, Any], rules: Expectations | None = None) -> Verdict:
    """Outcomes of all checks over a result document; without rules, of the built-in ones."""
    rules = rules or Expectations()
    facts = Facts(document)
    outcomes = [outcome for check in CHECKS for outcome in check(facts, rules)]
    return Verdict(Files.of(facts.capture), rules.path, outcomes, list(notes(facts, rules)))
