"""What a result says of each operation, without anything that belongs to one run: order, ids, times, tokens."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from glancetrace.check.diff.load import Timed, relative_durations
from glancetrace.check.diff.races import lost_races, overtaken_changes
from glancetrace.check.gate.facts import Facts
from glancetrace.check.gate.hidden import CALLS, SQL
from glancetrace.rfc3339 import nanoseconds
from glancetrace.verdict import Files

__all__ = ["Key", "Operation", "Profile", "build_profile", "name_of", "shared"]

Key = tuple[str, str]
"""Service and operation."""


_SURE = frozenset({"exact", "certain"})
_OF_A_CHANGE = frozenset({"status-illegal", "image-stuck"})
"""Findings about a status change and the call that made it."""
_SCORE = 0.99
"""Score from which on an inferred link is as good as a certain one: fewer than 1 in 1000 of them are wrong."""
_LOST = 0.01
"""Share of the bytes that may be missing before counts of statements say nothing."""
_FRAME = frozenset({"COMMIT", "ROLLBACK", "BEGIN", "SET"})
"""Operations of statements that only hold others together; they count, but are not told one by one."""


Way = tuple[str, ...]
"""Statuses of an image, in order."""
Step = tuple[str, str, bool]
"""Status before and after, and whether Glance allows the change."""


@dataclass(slots=True)
class Operation:
    """Calls of one operation.

    Attributes:
        calls: how many. durations: ns, of those with a response; relative: the same under usual load (see `load`);
            slowest: the longest of them.
        statuses: HTTP status ("none" without) -> calls; unended: those without, whose connection nobody ended: the
            capture ended first, or misses the response; raced: those that lost a race, by status (see `races`).
        statements: status -> per call with it whose statements are sure, digest -> how often; "" counts them all.
        frames: a frame per digest, and of the slowest call under "".
    """

    calls: int = 0
    durations: list[int] = field(default_factory=list)
    relative: list[float] = field(default_factory=list)
    slowest: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    unended: int = 0
    raced: Counter[str] = field(default_factory=Counter)
    statements: dict[str, list[Counter[str]]] = field(default_factory=dict)
    frames: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Profile:
    """A whole result: operations by (service, operation), ways of images, findings by rule and severity.

    `begun`, `running`: those of the ways that began before the capture did, and that were not over when it ended.
    `raced`: those of the findings that are about a call that lost a race; `raced_steps`: steps of images that calls
    raced for. `shapes`: digests of all statements, whoever ran them. `texts`: digest -> a statement of it without its
    values; `kinds`: digest -> what it does to which tables.
    `unsure`: why something may be missing; "" if nothing is. `whole`: not even a statement is without its call.
    `counted`: the SQL is there, but for few statements that were lost.
    `files`: by which frames are named.
    """

    name: str
    operations: dict[Key, Operation] = field(default_factory=dict)
    ways: Counter[Way] = field(default_factory=Counter)
    begun: Counter[Way] = field(default_factory=Counter)
    running: Counter[Way] = field(default_factory=Counter)
    steps: Counter[Step] = field(default_factory=Counter)
    raced_steps: Counter[Step] = field(default_factory=Counter)
    findings: Counter[tuple[str, str]] = field(default_factory=Counter)
    raced: Counter[tuple[str, str]] = field(default_factory=Counter)
    shapes: set[str] = field(default_factory=set)
    texts: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    unsure: str = ""
    whole: bool = True
    counted: bool = True
    files: Files = field(default_factory=Files)


def shared(base: Profile, new: Profile) -> Iterator[tuple[Key, Operation, Operation]]:
    """Operations that both have, as in each of them."""
    for key, operation in base.operations.items():
        if key in new.operations:
            yield key, operation, new.operations[key]


def name_of(key: Key) -> str:
    """An operation as it is told."""
    return f"{key[1]} ({key[0]})"


def build_profile(document: dict[str, Any]) -> Profile:
    """The profile of a result document."""
    facts = Facts(document)
    profile = Profile(", ".join(file["name"] for file in facts.capture["files"]) or "-")
    profile.files = Files.of(facts.capture)
    reason = facts.hidden.first((CALLS, SQL))
    profile.unsure = reason.text if reason is not None else ""
    profile.shapes = {statement["digest"] for statement in facts.statement_of.values()}
    profile.counted = facts.hidden.first((SQL,), _LOST) is None
    profile.whole = reason is None and not facts.unlinked
    operations: dict[Key, Operation] = defaultdict(Operation)
    timed: dict[Key, list[Timed]] = defaultdict(list)
    races = lost_races(facts)
    unanswered = {finding["call_id"] for finding in facts.findings if finding["rule"] == "response-missing"}
    for call in facts.calls:
        key = call["service"], call["operation"]
        _add_call(operations[key], call, facts, profile)
        if call["dur"] is not None:
            timed[key].append((nanoseconds(call["ts"]) or 0, call["dur"]))
        operations[key].unended += call["status_code"] is None and call["id"] not in unanswered
        if call["id"] in races:
            operations[key].raced[_status(call)] += 1
    for key, relative in relative_durations(timed).items():
        operations[key].relative = relative
    profile.operations = dict(sorted(operations.items()))
    contested = {finding["image_id"] for finding in facts.findings if finding["rule"] == "lost-race"}
    overtaken: set[tuple[str, int]] = set()
    running = {finding["image_id"] for finding in facts.findings if finding["rule"] == "upload-running"}
    for image in facts.images:
        way = tuple(interval["status"] for interval in image["intervals"])
        profile.ways[way] += 1
        profile.begun[way] += all(change["from"] is not None for change in image["transitions"])
        profile.running[way] += image["id"] in running
        for change, late in zip(image["transitions"], overtaken_changes(image, facts), strict=True):
            step = change["from"] or "", change["to"], change["legal"]
            profile.steps[step] += 1
            profile.raced_steps[step] += late or image["id"] in contested
            if late:
                overtaken.add((image["id"], change["call_id"]))
    for finding in facts.findings:
        kind = finding["rule"], finding["severity"]
        profile.findings[kind] += 1
        of_change = finding["rule"] in _OF_A_CHANGE and (finding["image_id"], finding["call_id"]) in overtaken
        profile.raced[kind] += of_change or finding["call_id"] in races
    return profile


def _status(call: dict[str, Any]) -> str:
    return "none" if call["status_code"] is None else str(call["status_code"])


def _add_call(operation: Operation, call: dict[str, Any], facts: Facts, profile: Profile) -> None:
    operation.calls += 1
    status = _status(call)
    operation.statuses[status] += 1
    if call["dur"] is not None:
        if call["dur"] >= operation.slowest:
            operation.slowest, operation.frames[""] = call["dur"], call["request_frame"] or 0
        operation.durations.append(call["dur"])
    links = facts.links_of_call.get(call["id"], [])
    statements = [facts.statement_of[link["statement_id"]] for link in links]
    sure = all(link["class"] in _SURE or link["score"] >= _SCORE for link in links)
    if not call["complete"] or not sure or any(statement["digest"] is None for statement in statements):
        return
    counts: Counter[str] = Counter()
    for statement in statements:
        counts[""] += 1
        digest = statement["digest"]
        if statement["operation"] in _FRAME:
            continue
        counts[digest] += 1
        operation.frames.setdefault(digest, statement["first_frame"])
        if digest not in profile.texts:
            shape = facts.shape(statement)
            profile.texts[digest] = shape.text if shape is not None else statement["operation"]
            profile.kinds[digest] = f"{statement['operation']} {', '.join(sorted(statement['tables']))}"
    operation.statements.setdefault(status, []).append(counts)
