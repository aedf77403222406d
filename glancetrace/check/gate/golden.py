"""What a golden result holds: the story of a capture without what differs from run to run (ids, times, frames)."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import Any

from glancetrace.check.gate.calls import statement_counts
from glancetrace.check.gate.facts import Facts

__all__ = ["render_golden", "summarise"]


def summarise(document: dict[str, Any]) -> dict[str, Any]:
    """Ways of images by name, calls by operation and status with their counts of statements, findings by rule."""
    facts = Facts(document)
    ways: dict[str, list[str]] = defaultdict(list)
    for image in facts.images:
        ways[image["name"] or "(no name)"].append(" > ".join(i["status"] for i in image["intervals"]))
    calls: dict[str, Counter[str]] = defaultdict(Counter)
    statements: dict[str, set[int]] = defaultdict(set)
    for call in facts.calls:
        key = f"{call['service']} {call['operation']}"
        calls[key]["none" if call["status_code"] is None else str(call["status_code"])] += 1
        if call["service"] == "glance":
            statements[key].add(sum(statement_counts(call, facts)))
    return {
        "images": {name: sorted(found) for name, found in sorted(ways.items())},
        "calls": {key: dict(sorted(found.items())) for key, found in sorted(calls.items())},
        "statements_per_call": {key: [min(found), max(found)] for key, found in sorted(statements.items())},
        "findings": dict(sorted(Counter(finding["rule"] for finding in facts.findings).items())),
    }


def render_golden(document: dict[str, Any]) -> str:
    """The summary as JSON, a line for each image, operation and rule, so that a difference reads well."""
    parts = []
    for part, rows in summarise(document).items():
        lines = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in rows.items())
        parts.append(f" {json.dumps(part)}: {{\n{lines}\n }}" if rows else f" {json.dumps(part)}: {{}}")
    return "{\n" + ",\n".join(parts) + "\n}\n"
