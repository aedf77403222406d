"""A comparison of two results: text for a terminal, Markdown for a pull request's comment, rows for JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from glancetrace.output.clean import clean
from glancetrace.output.paint import Painter
from glancetrace.schema import SCHEMA
from glancetrace.verdict import CANNOT_JUDGE, FAILED, PASSED, Change, Comparison, Files

__all__ = ["diff_document", "render_markdown", "render_text"]

_PARTS = {
    "calls": "Calls",
    "answers": "Answers",
    "statements": "SQL per call",
    "time": "Time",
    "images": "Images",
    "findings": "Findings",
}
_WORDS = {FAILED: "REGRESSION", CANNOT_JUDGE: "CANNOT JUDGE", PASSED: "no regression"}
_STYLES = {FAILED: "bad", CANNOT_JUDGE: "busy", PASSED: "good"}
_LONGEST = 160
_MARKDOWN = str.maketrans({"|": "\\|", "`": "'", "<": "&lt;", "\n": " "})


def _line(change: Change, files: Files) -> str:
    what = textwrap.shorten(clean(change.what), _LONGEST, placeholder=" ...")
    return (
        f"{clean(change.subject)}: {change.kind}: {change.before} -> {change.after}  {what}{files.text(change.frames)}"
    )


def _sum(comparison: Comparison) -> str:
    worse = sum(change.regression for change in comparison.changes)
    return f"{worse} regressions, {len(comparison.changes) - worse} other differences"


def render_text(comparison: Comparison, painter: Painter) -> Iterator[str]:
    """Lines for people."""
    yield f"{painter.paint('Diff', 'title')}  {clean(comparison.base)} -> {clean(comparison.new)}"
    for part, title in _PARTS.items():
        changes = [change for change in comparison.changes if change.part == part]
        if changes:
            yield ""
            yield painter.paint(title, "title")
        for change in changes:
            mark = painter.paint("REGRESSION", "bad") if change.regression else "-"
            yield f"  {mark} {_line(change, comparison.files)}"
    yield ""
    for reason in comparison.unsure:
        yield f"  {painter.paint('CANNOT JUDGE', 'busy')} {clean(reason)}"
    yield f"{painter.paint(_WORDS[comparison.verdict], _STYLES[comparison.verdict])}  {_sum(comparison)}"


def _cell(text: str) -> str:
    return textwrap.shorten(clean(text), _LONGEST, placeholder=" ...").translate(_MARKDOWN)


def render_markdown(comparison: Comparison) -> Iterator[str]:
    """Lines of a comment: the regressions in a table, all else folded away."""
    yield f"### glancetrace diff: {_WORDS[comparison.verdict]}"
    yield ""
    yield f"`{_cell(comparison.base)}` -> `{_cell(comparison.new)}`: {_sum(comparison)}"
    for reason in comparison.unsure:
        yield ""
        yield f"Cannot be judged wholly: {_cell(reason)}"
    worse = [change for change in comparison.changes if change.regression]
    others = [change for change in comparison.changes if not change.regression]
    if worse:
        yield ""
        yield from _table(worse, comparison.files)
    if others:
        yield ""
        yield f"<details><summary>{len(others)} other differences</summary>"
        yield ""
        yield from _table(others, comparison.files)
        yield ""
        yield "</details>"


def _table(changes: list[Change], files: Files) -> Iterator[str]:
    yield "| part | of | change | before | after | what |"
    yield "|---|---|---|---|---|---|"
    for change in changes:
        cells = (_PARTS[change.part], change.subject, change.kind, change.before, change.after,
                 f"{change.what}{files.text(change.frames)}")  # fmt: skip
        yield f"| {' | '.join(map(_cell, cells))} |"


def diff_document(comparison: Comparison) -> dict[str, Any]:
    """The document of `diff --format json`."""
    return {
        "schema": SCHEMA,
        "diff": {
            "verdict": comparison.verdict,
            "exit_code": comparison.exit_code,
            "base": comparison.base,
            "new": comparison.new,
            "unsure": list(comparison.unsure),
            "changes": [
                {
                    "part": change.part,
                    "subject": change.subject,
                    "kind": change.kind,
                    "before": change.before,
                    "after": change.after,
                    "what": change.what,
                    "regression": change.regression,
                    "frames": list(change.frames),
                }
                for change in comparison.changes
            ],
        },
    }
