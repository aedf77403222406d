"""A verdict as JUnit XML, as Jenkins, GitLab and others read it: a test case per outcome.

There is no standard; this keeps to what Jenkins' xunit plugin accepts (junit-10.xsd). What cannot be judged is an
`error`, as a test that could not run is, never `skipped`: a skipped test does not fail a build.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.sax.saxutils import escape, quoteattr

from glancetrace.output.clean import clean
from glancetrace.verdict import CANNOT_JUDGE, FAILED, Outcome, Rule, Verdict

__all__ = ["render_junit"]

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ELEMENTS = {FAILED: "failure", CANNOT_JUDGE: "error"}


def _attribute(text: str) -> str:
    return quoteattr(_NOT_XML.sub("", clean(text)))


def _case(outcome: Outcome, rule: Rule, verdict: Verdict) -> str:
    head = (
        f"    <testcase classname={_attribute(f'glancetrace.{rule.number}')} "
        f"name={_attribute(f'{rule.name}: {outcome.subject}')}"
    )
    element = _ELEMENTS.get(outcome.verdict)
    if element is None:
        return f'{head} time="0"/>'
    place = f"{verdict.rules_file}:{outcome.line}" if outcome.line and verdict.rules_file else ""
    lines = [outcome.message, verdict.files.filter(outcome.frames), place, f"{rule.title}: {rule.remedy}"]
    body = escape(_NOT_XML.sub("", "\n".join(clean(line) for line in lines if line)))
    return (
        f'{head} time="0">\n      <{element} message={_attribute(outcome.message)} type="{rule.number}">{body}'
        f"</{element}>\n    </testcase>"
    )


def render_junit(verdict: Verdict, rules: Mapping[str, Rule]) -> str:
    """The whole file; `rules` explain the outcomes by name."""
    counts = (
        f'tests="{len(verdict.outcomes)}" failures="{verdict.count(FAILED)}" errors="{verdict.count(CANNOT_JUDGE)}"'
    )
    name = _attribute(f"glancetrace check {', '.join(verdict.files.names)}")
    cases = "\n".join(_case(outcome, rules[outcome.rule], verdict) for outcome in verdict.outcomes)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="glancetrace" {counts} time="0">\n'
        f'  <testsuite name={name} {counts} skipped="0" time="0">\n{cases}\n  </testsuite>\n</testsuites>\n'
    )
