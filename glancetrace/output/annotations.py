"""A verdict as GitHub Actions workflow commands: annotations in the log and beside the line of the rules file.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions; escaping as in @actions/core.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from glancetrace.output.clean import clean
from glancetrace.verdict import CANNOT_JUDGE, FAILED, PASSED, Rule, Verdict

__all__ = ["render_annotations"]

_COMMANDS = {FAILED: "error", CANNOT_JUDGE: "warning"}


def _data(text: str) -> str:
    """A message: a captured line break must not begin a command of its own."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def render_annotations(verdict: Verdict, rules: Mapping[str, Rule]) -> Iterator[str]:
    """A command per check that did not pass, and a summary in plain text."""
    for outcome in verdict.outcomes:
        command = _COMMANDS.get(outcome.verdict)
        if command is None:
            continue
        rule = rules[outcome.rule]
        properties = f"title={_property(f'{rule.number} {rule.title}')}"
        if outcome.line is not None and verdict.rules_file is not None:
            properties = f"file={_property(clean(verdict.rules_file))},line={outcome.line},{properties}"
        unsure = "cannot be judged: " if outcome.verdict == CANNOT_JUDGE else ""
        text = clean(f"{outcome.subject}: {unsure}{outcome.message}{verdict.files.text(outcome.frames)}")
        yield f"::{command} {properties}::{_data(text)}"
    yield (
        f"{verdict.count(FAILED)} failed, {verdict.count(CANNOT_JUDGE)} cannot be judged, "
        f"{verdict.count(PASSED)} passed"
    )
