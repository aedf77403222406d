"""The built-in rules as checks: one outcome per finding that is bad enough, one per rule that found nothing.

Only rules of the severity that fails, or worse, are judged. Nothing found passes only where everything that the rule
needs to see was visible.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from glancetrace.check.gate.expectations import Expectations
from glancetrace.check.gate.facts import Facts
from glancetrace.check.rules import RULES
from glancetrace.issues import SEVERITIES
from glancetrace.verdict import CANNOT_JUDGE, FAILED, PASSED, Outcome, Rule

__all__ = ["judge_builtin", "notes"]

_BUILT_IN = "built-in rule"


def _judged(rule: Rule, rules: Expectations) -> bool:
    return SEVERITIES.index(rule.severity) >= SEVERITIES.index(rules.fail_on) and rule.name not in rules.ignored


def _excuse(finding: dict[str, Any], facts: Facts, rules: Expectations) -> str:
    """Why a finding does not fail; "" if it does."""
    rule = RULES.get(finding["rule"])
    if finding["rule"] in rules.ignored:
        return f"ignored: {rules.ignored[finding['rule']]}"
    severity = rule.severity if rule is not None else finding["severity"]
    if SEVERITIES.index(severity) < SEVERITIES.index(rules.fail_on):
        return f"severity {severity}, {rules.fail_on} fails"
    call = facts.call_of.get(finding["call_id"] or 0)
    if finding["rule"] in ("server-error", "client-error") and call is not None:
        status = str(call["status_code"])
        if any(allowed.matches(call["operation"], status) for allowed in rules.allowed_errors):
            return "allowed by [errors]"
    return ""


def judge_builtin(facts: Facts, rules: Expectations) -> Iterator[Outcome]:
    """Outcomes of the built-in rules, in the order of the table."""
    failing: dict[str, list[dict[str, Any]]] = {}
    for finding in facts.findings:
        if not _excuse(finding, facts, rules):
            failing.setdefault(finding["rule"], []).append(finding)
    for rule in RULES.values():
        if not _judged(rule, rules):
            continue
        for finding in failing.get(rule.name, ()):
            yield Outcome(
                rule.name, _BUILT_IN, FAILED, finding["message"], finding["frames"], finding["ts"],
                finding["image_id"], finding["call_id"], finding["statement_id"],
            )  # fmt: skip
        if rule.name not in failing:
            reason = facts.hidden.first(rule.needs, rules.quality.max_loss)
            if reason is None:
                yield Outcome(rule.name, _BUILT_IN, PASSED, "nothing found")
            else:
                message = f"nothing found, but {reason.text}"
                yield Outcome(rule.name, _BUILT_IN, CANNOT_JUDGE, message, reason.frames)


def notes(facts: Facts, rules: Expectations) -> Iterator[tuple[dict[str, Any], str]]:
    """Findings that do not fail, and why not."""
    for finding in facts.findings:
        excuse = _excuse(finding, facts, rules)
        if excuse:
            yield finding, excuse
