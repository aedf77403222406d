"""Judges [[call]] and [errors]: how many calls, how long, with how many statements, answered how."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from glancetrace.check.gate.expectations import CallExpectation, Expectations, Range
from glancetrace.check.gate.facts import Facts, frames_of
from glancetrace.check.gate.hidden import CALLS, SQL
from glancetrace.check.gate.times import judge_times
from glancetrace.verdict import CANNOT_JUDGE, FAILED, PASSED, Outcome

__all__ = ["judge_calls", "judge_errors", "statement_counts"]

Row = dict[str, Any]
_SURE = frozenset({"exact", "certain"})


def judge_calls(facts: Facts, rules: Expectations) -> Iterator[Outcome]:
    """Outcomes of every [[call]], in the order of the file."""
    reason = facts.hidden.first((CALLS,), rules.quality.max_loss)
    doubt = reason.text if reason is not None else ""
    for expected in rules.calls:
        calls = [call for call in facts.calls if expected.matches(call["service"], call["operation"])]
        if expected.count is not None:
            yield _judge_count(expected, expected.count, calls, doubt)
        if expected.max_duration is not None or expected.p95_duration is not None:
            yield _judge_duration(expected, calls, doubt)
        if expected.statements is not None:
            yield from _judge_statements(expected, expected.statements, calls, facts, rules)


def _judge_count(expected: CallExpectation, wanted: Range, calls: Sequence[Row], doubt: str) -> Outcome:
    found = len(calls)
    message = f"{found} seen, expected {wanted}"
    if wanted.most is not None and found > wanted.most:
        verdict = FAILED
    elif doubt and (found < wanted.least or wanted.most is not None):
        verdict, message = CANNOT_JUDGE, f"{message}, but {doubt}"
    else:
        verdict = PASSED if found >= wanted.least else FAILED
    frames = frames_of(*(call["first_frame"] for call in calls))
    return Outcome("expected-calls", expected.subject, verdict, message, frames, line=expected.line)


def _judge_duration(expected: CallExpectation, calls: Sequence[Row], doubt: str) -> Outcome:
    """A log's times are uncertain: what lies within is told by neither bound."""
    known = [max(0, call["dur"] - call["uncertainty"]) for call in calls if call["dur"] is not None]
    unsure = [
        call for call in calls
        if call["dur"] is not None and any(
            bound is not None and abs(call["dur"] - bound) <= call["uncertainty"] and call["uncertainty"]
            for bound in (expected.max_duration, expected.p95_duration)
        )
    ]  # fmt: skip
    unanswered = [call for call in calls if call["dur"] is None]
    if unsure:
        doubt = doubt or "the times of a log are not that exact"
    verdict, message, culprit = judge_times(
        known, [0] * len(unanswered), expected.max_duration, expected.p95_duration,
        f"{len(unanswered)} without a response in the capture", doubt,
    )  # fmt: skip
    slowest = next((c for c in calls if culprit and (c["dur"] or 0) - c["uncertainty"] == culprit), None)
    frames = frames_of(slowest["request_frame"], slowest["response_frame"]) if slowest else ()
    if verdict == CANNOT_JUDGE and unanswered:
        frames = frames_of(*(call["first_frame"] for call in unanswered))
    return Outcome(
        "expected-call-time", expected.subject, verdict, message, frames, slowest["ts"] if slowest else None,
        slowest["image_id"] if slowest else None, slowest["id"] if slowest else None, line=expected.line,
    )  # fmt: skip


def statement_counts(call: Row, facts: Facts) -> tuple[int, int]:
    """Statements that a call surely ran, and those that it may have run besides."""
    links = facts.links_of_call.get(call["id"], [])
    sure = sum(link["class"] in _SURE for link in links)
    return sure, len(links) - sure


def _judge_statements(
    expected: CallExpectation, wanted: Range, calls: Sequence[Row], facts: Facts, rules: Expectations
) -> Iterator[Outcome]:
    """One outcome for all calls that are right, one for each that is not."""
    reason = facts.hidden.first((SQL, CALLS), rules.quality.max_loss)
    right = 0
    for call in calls:
        sure, more = statement_counts(call, facts)
        verdict, message = _count_verdict(sure, more, wanted)
        if verdict != FAILED and (reason is not None or not call["complete"]):
            why = reason.text if reason is not None else "its end is not in the capture"
            verdict, message = CANNOT_JUDGE, f"{message}, but {why}"
        if verdict == PASSED:
            right += 1
            continue
        frames = frames_of(call["request_frame"], call["response_frame"])
        yield Outcome(
            "expected-statements", f"{call['operation']} (call {call['id']})", verdict, message, frames, call["ts"],
            call["image_id"], call["id"], line=expected.line,
        )  # fmt: skip
    if right or not calls:
        verdict = PASSED if right else CANNOT_JUDGE
        message = f"{right} with {wanted} statements" if right else "none seen"
        yield Outcome("expected-statements", expected.subject, verdict, message, line=expected.line)


def _count_verdict(sure: int, more: int, wanted: Range) -> tuple[str, str]:
    shown = f"{sure}" if not more else f"{sure} to {sure + more}"
    message = f"{shown} statements, expected {wanted}"
    if (wanted.most is not None and sure > wanted.most) or sure + more < wanted.least:
        return FAILED, message
    if sure >= wanted.least and (wanted.most is None or sure + more <= wanted.most):
        return PASSED, message
    return CANNOT_JUDGE, f"{message}, but {more} of them may be another call's"


def judge_errors(facts: Facts, rules: Expectations) -> Iterator[Outcome]:
    """[errors]: every answer of 4xx or 5xx, and none at all, that is not allowed."""
    if rules.errors_line is None:
        return
    rule, line = "unexpected-error", rules.errors_line
    left = {id(allowed): allowed.most for allowed in rules.allowed_errors}
    groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for call in facts.outer(facts.calls):
        code = call["status_code"]
        if code is not None and code < 400:
            continue
        status = "none" if code is None else str(code)
        if not _allowed(call["operation"], status, rules, left):
            groups[call["service"], call["operation"], status].append(call)
    unanswered = {f["call_id"] for f in facts.findings if f["rule"] == "response-missing"}
    for (service, operation, status), calls in groups.items():
        frames = frames_of(*(call["response_frame"] or call["first_frame"] for call in calls))
        verdict, message = FAILED, f"{len(calls)} answered with {status}"
        if status == "none":
            message = f"{len(calls)} without a response"
            if not any(call["id"] in unanswered for call in calls):
                verdict, message = CANNOT_JUDGE, f"{message} in the capture"
        one = calls[0] if len(calls) == 1 else None
        yield Outcome(
            rule, f"calls of {operation} ({service})", verdict, message, frames, calls[0]["ts"],
            one["image_id"] if one else None, one["id"] if one else None, line=line,
        )  # fmt: skip
    if not groups:
        reason = facts.hidden.first((CALLS,), rules.quality.max_loss)
        verdict = PASSED if reason is None else CANNOT_JUDGE
        message = "none but what is allowed" if reason is None else f"none seen, but {reason.text}"
        yield Outcome(rule, "errors", verdict, message, line=line)


def _allowed(operation: str, status: str, rules: Expectations, left: dict[int, int | None]) -> bool:
    """An entry of allow fits and is not used up."""
    for allowed in rules.allowed_errors:
        if not allowed.matches(operation, status):
            continue
        rest = left[id(allowed)]
        if rest is None:
            return True
        if rest > 0:
            left[id(allowed)] = rest - 1
            return True
    return False
