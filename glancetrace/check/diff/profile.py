"""What a result says of each operation, without anything that belongs to one run: order, ids, times, tokens."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from glancetrace.check.gate.facts import Facts
from glancetrace.check.gate.hidden import CALLS, SQL
from glancetrace.verdict import Files

__all__ = ["Operation", "Profile", "build_profile"]

_SURE = frozenset({"exact", "certain"})
_FRAME = frozenset({"COMMIT", "ROLLBACK", "BEGIN", "SET"})
"""Operations of statements that only hold others together; they count, but are not told one by one."""


@dataclass(slots=True)
class Operation:
    """Calls of one operation.

    Attributes:
        calls: how many. durations: ns, of those with a response. statuses: HTTP status ("none" without) -> calls.
        statements: status -> per call with it whose statements are sure, digest -> how often; "" counts them all.
        frames: a frame per digest, and of the slowest call under "".
    """

    calls: int = 0
    durations: list[int] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    statements: dict[str, list[Counter[str]]] = field(default_factory=dict)
    frames: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Profile:
    """A whole result: operations by (service, operation), ways of images, findings by rule and severity.

    `texts`: digest -> a statement of it without its values; `kinds`: digest -> what it does to which tables.
    `unsure`: why something may be missing; "" if nothing is. `whole`: not even a statement is without its call.
    `files`: by which frames are named.
    """

    name: str
    operations: dict[tuple[str, str], Operation] = field(default_factory=dict)
    ways: Counter[tuple[str, ...]] = field(default_factory=Counter)
    steps: Counter[tuple[str, str, bool]] = field(default_factory=Counter)
    findings: Counter[tuple[str, str]] = field(default_factory=Counter)
    texts: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    unsure: str = ""
    whole: bool = True
    files: Files = field(default_factory=Files)


def build_profile(document: dict[str, Any]) -> Profile:
    """The profile of a result document."""
    facts = Facts(document)
    profile = Profile(", ".join(file["name"] for file in facts.capture["files"]) or "-")
    profile.files = Files.of(facts.capture)
    reason = facts.hidden.first((CALLS, SQL))
    profile.unsure = reason.text if reason is not None else ""
    profile.whole = reason is None and not facts.unlinked
    operations: dict[tuple[str, str], Operation] = defaultdict(Operation)
    for call in facts.calls:
        _add_call(operations[call["service"], call["operation"]], call, facts, profile)
    profile.operations = dict(sorted(operations.items()))
    for image in facts.images:
        profile.ways[tuple(interval["status"] for interval in image["intervals"])] += 1
        for change in image["transitions"]:
            profile.steps[change["from"] or "", change["to"], change["legal"]] += 1
    for finding in facts.findings:
        profile.findings[finding["rule"], finding["severity"]] += 1
    return profile


def _add_call(operation: Operation, call: dict[str, Any], facts: Facts, profile: Profile) -> None:
    operation.calls += 1
    status = "none" if call["status_code"] is None else str(call["status_code"])
    operation.statuses[status] += 1
    if call["dur"] is not None:
        if call["dur"] >= max(operation.durations, default=0):
            operation.frames[""] = call["request_frame"] or 0
        operation.durations.append(call["dur"])
    links = facts.links_of_call.get(call["id"], [])
    if not call["complete"] or any(link["class"] not in _SURE for link in links):
        return
    counts: Counter[str] = Counter()
    for link in links:
        statement = facts.statement_of[link["statement_id"]]
        counts[""] += 1
        digest = statement["digest"]
        if digest is None or statement["operation"] in _FRAME:
            continue
        counts[digest] += 1
        operation.frames.setdefault(digest, statement["first_frame"])
        if digest not in profile.texts:
            shape = facts.shape(statement)
            profile.texts[digest] = shape.text if shape is not None else statement["operation"]
            profile.kinds[digest] = f"{statement['operation']} {', '.join(sorted(statement['tables']))}"
    operation.statements.setdefault(status, []).append(counts)
