"""Judges [sql]: statements that read every image, that change rows outside a transaction, or that are forbidden."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from glancetrace.check.gate.expectations import Expectations, ForbiddenSql
from glancetrace.check.gate.facts import Facts, frames_of
from glancetrace.check.gate.hidden import SQL
from glancetrace.check.gate.scan import reads_all_images
from glancetrace.sql.statement import Shape
from glancetrace.verdict import CANNOT_JUDGE, FAILED, PASSED, Outcome

__all__ = ["judge_sql"]

Row = dict[str, Any]
_CHANGES = frozenset({"UPDATE", "INSERT", "DELETE", "REPLACE"})


def judge_sql(facts: Facts, rules: Expectations) -> Iterator[Outcome]:
    """Outcomes of what [sql] forbids."""
    if rules.full_scan_line is not None:
        yield from _judge(facts, rules, "sql-full-scan", rules.full_scan_line, _is_full_scan, "reads all images")
    if rules.autocommit_line is not None:
        yield from _judge(
            facts, rules, "sql-outside-transaction", rules.autocommit_line, _is_outside, "ran under autocommit"
        )
    for forbidden in rules.forbidden_sql:
        yield from _judge(facts, rules, "sql-forbidden", forbidden.line, _matcher(forbidden), _why(forbidden))


def _is_full_scan(statement: Row, shape: Shape) -> bool:
    return statement["service"] == "glance" and reads_all_images(shape)


def _is_outside(statement: Row, shape: Shape) -> bool:
    """Under autocommit a statement is its own COMMIT."""
    own = statement["commit_frame"] is not None and statement["commit_frame"] == statement["request_frame"]
    return own and statement["service"] == "glance" and shape.operation == "UPDATE"


def _matcher(forbidden: ForbiddenSql) -> Callable[[Row, Shape], bool]:
    pattern, digest = forbidden.pattern, forbidden.digest
    if pattern is None:
        return lambda statement, shape: statement["digest"] == digest
    return lambda statement, shape: pattern.search(shape.text) is not None


def _why(forbidden: ForbiddenSql) -> str:
    what = f"matches {forbidden.pattern.pattern!r}" if forbidden.pattern else f"has the digest {forbidden.digest}"
    return f"{what}: {forbidden.reason}" if forbidden.reason else what


def _judge(
    facts: Facts, rules: Expectations, rule: str, line: int, meant: Callable[[Row, Shape], bool], why: str
) -> Iterator[Outcome]:
    """One outcome per digest that is meant; one if there is none."""
    met: dict[str, list[Row]] = {}
    unread = 0
    answers: dict[str, bool] = {}
    for statement in facts.statements:
        shape = facts.shape(statement)
        if shape is None:
            continue
        unread += not shape.parsed
        # Whether it ran under autocommit is the statement's, all else its shape's and its service's.
        key = f"{statement['digest']} {statement['service']}"
        if meant is _is_outside:
            hit = meant(statement, shape)
        else:
            hit = answers[key] = answers[key] if key in answers else meant(statement, shape)
        if hit:
            met.setdefault(statement["digest"], []).append(statement)
    for digest, statements in met.items():
        first = statements[0]
        times = f", {len(statements)} times" if len(statements) > 1 else ""
        message = f"{first['operation']} of {', '.join(first['tables']) or 'no table'}{times} {why}"
        frames = frames_of(*(statement["first_frame"] for statement in statements))
        call_id = facts.call_of_statement.get(first["id"])
        image_id = first["image_ids"][0] if first["image_ids"] else None
        yield Outcome(
            rule, f"statement {digest}", FAILED, message, frames, first["ts"], image_id, call_id, first["id"], line
        )
    if met:
        return
    reason = facts.hidden.first((SQL,), rules.quality.max_loss)
    if reason is not None:
        yield Outcome(rule, "statements", CANNOT_JUDGE, f"none seen, but {reason.text}", reason.frames, line=line)
    elif rule == "sql-full-scan" and unread:
        yield Outcome(rule, "statements", CANNOT_JUDGE, f"{unread} statements could not be read", line=line)
    else:
        yield Outcome(rule, "statements", PASSED, "none", line=line)
