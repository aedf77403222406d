"""Judges [capture]: whether the capture is good enough for what the rules ask of it. It never fails: it cannot be
judged."""

from __future__ import annotations

from collections.abc import Iterator

from glancetrace.check.gate.expectations import Expectations
from glancetrace.check.gate.facts import Facts
from glancetrace.check.gate.hidden import UNCOUNTED_LOSSES, undecrypted
from glancetrace.verdict import CANNOT_JUDGE, PASSED, Outcome

__all__ = ["judge_quality"]

_RULE = "capture-quality"


def judge_quality(facts: Facts, rules: Expectations) -> Iterator[Outcome]:
    """Outcomes: bytes that are missing, connections that are encrypted or began before the capture."""
    quality = rules.quality
    loss = facts.hidden.loss
    message = f"{100 * loss:.3g} % of the stream bytes are missing, {100 * quality.max_loss:.3g} % are accepted"
    frames = [i["first_frame"] for i in facts.document["issues"] if i["kind"] == "tcp-gap" and i["first_frame"]]
    cut = sorted({issue["kind"] for issue in facts.document["issues"]} & UNCOUNTED_LOSSES)
    if cut and not quality.max_loss:
        message += f", but a file is not whole ({', '.join(cut)})"
    yield _outcome(
        "loss", (quality.max_loss > 0 or not cut) and loss <= quality.max_loss, message, quality.line, frames[:20]
    )
    if quality.max_undecrypted is not None:
        closed = undecrypted(facts.document)
        message = f"{len(closed)} connections are encrypted, {quality.max_undecrypted} are accepted"
        yield _outcome("encryption", len(closed) <= quality.max_undecrypted, message, quality.line)
    if quality.max_started_before is not None:
        before = [c for c in facts.document["connections"] if c["started_before_capture"]]
        message = f"{len(before)} connections began before the capture, {quality.max_started_before} are accepted"
        yield _outcome("start", len(before) <= quality.max_started_before, message, quality.line)


def _outcome(subject: str, good: bool, message: str, line: int | None, frames: list[int] | None = None) -> Outcome:
    shown = frames if frames and not good else ()
    return Outcome(_RULE, f"capture, {subject}", PASSED if good else CANNOT_JUDGE, message, shown, line=line)
