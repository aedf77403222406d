"""The rules that a rules file turns on: what its expectations are called when they fail. A table and nothing else.

Numbers begin at GT101 and stay with their rules for good, like those of the built-in rules.
"""

from __future__ import annotations

from glancetrace.check.rules import RULES
from glancetrace.verdict import Rule

__all__ = ["ALL_RULES", "EXPECTATIONS", "find_rule"]

EXPECTATIONS: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(
            "GT101",
            "expected-image",
            "error",
            "Expected image missing, or too many of them",
            "the count of images that an [[image]] of the rules file describes is not what it says",
            "see whether the upload ran at all; rename the image, or change count in the rules file",
        ),
        Rule(
            "GT102",
            "expected-statuses",
            "error",
            "Image went another way than expected",
            "the statuses of an image are not those that statuses, contains or forbidden of its [[image]] allow",
            "look at the timeline of the image: glancetrace timeline --image NAME",
        ),
        Rule(
            "GT103",
            "expected-status-time",
            "error",
            "Image too long in a status",
            "an image was in a status for longer than max_duration or p95_duration of its [[image]] allow",
            "see where the time of the upload or import went: glancetrace timeline --image NAME",
        ),
        Rule(
            "GT104",
            "expected-calls",
            "error",
            "More or fewer calls than expected",
            "the count of calls of an operation is not what its [[call]] says",
            "see which calls came on top or are missing: glancetrace calls --operation NAME",
        ),
        Rule(
            "GT105",
            "expected-call-time",
            "error",
            "Call slower than expected",
            "a call took longer than max_duration or p95_duration of its [[call]] allow",
            "see where its time went: glancetrace timeline, or the finding call-slow",
        ),
        Rule(
            "GT106",
            "expected-statements",
            "error",
            "Another count of SQL statements in a call",
            "a call ran more SQL statements than max_statements of its [[call]] allows, or not as many as it should",
            "compare with an earlier capture: glancetrace diff BASE NEW shows which statements are new",
        ),
        Rule(
            "GT107",
            "unexpected-error",
            "error",
            "Call refused or failed that should not",
            "a call was answered with an error, or not at all, and [errors] of the rules file does not allow it",
            "look at the response in the frames; allow it in [errors] if it belongs to the scenario",
        ),
        Rule(
            "GT108",
            "unexpected-image",
            "error",
            "Image that nothing expects",
            "an image passed that no [[image]] describes, and [images] of the rules file allows no others",
            "see who made it: glancetrace timeline --image NAME; or describe it",
        ),
        Rule(
            "GT109",
            "capture-quality",
            "error",
            "Capture too poor to judge",
            "more of the capture is lost, encrypted or joined in the middle than [capture] of the rules file accepts",
            "record again: tcpdump -s0 -B 65536, key log from the start, capture before client",
        ),
        Rule(
            "GT110",
            "sql-full-scan",
            "error",
            "Every image is read",
            "a SELECT of images names no indexed column (id, owner, visibility, checksum, os_hash_value, created_at, "
            "updated_at) in its WHERE, or only in an OR that has a branch without one",
            "see which call ran it, and with which filter",
        ),
        Rule(
            "GT111",
            "sql-outside-transaction",
            "error",
            "UPDATE outside a transaction",
            "an UPDATE of Glance's tables ran under autocommit: it was committed by itself",
            "see who ran it: Glance turns autocommit off; a tool or a proxy turned it on",
        ),
        Rule(
            "GT112",
            "sql-forbidden",
            "error",
            "Forbidden SQL",
            "a statement matches a [[sql.forbid]] of the rules file",
            "see which call ran it: glancetrace sql",
        ),
    )
}
"""Name of a rule -> rule."""

ALL_RULES: dict[str, Rule] = {**RULES, **EXPECTATIONS}
"""Built-in rules and expectations."""


def find_rule(key: str) -> Rule | None:
    """The rule of a name or number, whatever its case."""
    wanted = key.strip().lower()
    return next((rule for rule in ALL_RULES.values() if wanted in (rule.name, rule.number.lower())), None)
