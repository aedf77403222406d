"""A verdict as text: what failed and what cannot be judged in full, what passed in short."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from glancetrace.output.clean import clean
from glancetrace.output.paint import Painter
from glancetrace.output.units import plural
from glancetrace.verdict import CANNOT_JUDGE, FAILED, PASSED, Outcome, Rule, Verdict

__all__ = ["render_rule", "render_rules", "render_verdict"]

_WORDS = {FAILED: "FAILED", CANNOT_JUDGE: "CANNOT JUDGE", PASSED: "passed"}
_STYLES = {FAILED: "bad", CANNOT_JUDGE: "busy", PASSED: "good"}
_UNBOUNDED = 100
_SHOWN_OUTCOMES = 10


def _paragraph(text: str, width: int, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )


def _outcomes(verdict: Verdict, kind: str, rules: Mapping[str, Rule], painter: Painter, width: int) -> Iterator[str]:
    """Outcomes of one verdict; of those of one rule and line the first few, of passed ones the first."""
    shown = Counter[tuple[str, int | None]]()
    mine = [o for o in verdict.outcomes if o.verdict == kind and (kind == FAILED or o.line is not None)]
    total = Counter((o.rule, o.line) for o in mine)
    most = 1 if kind == PASSED else _SHOWN_OUTCOMES
    for outcome in mine:
        key = outcome.rule, outcome.line
        shown[key] += 1
        if shown[key] > most:
            continue
        rest = total[key] - most if shown[key] == most else 0
        rule = rules[outcome.rule]
        word = _WORDS[kind]
        place = f" [{verdict.rules_file}:{outcome.line}]" if outcome.line and verdict.rules_file else ""
        more = f" and {plural(rest, 'more like it', 'more like it')}" if rest > 0 else ""
        text = f"{word} {rule.number} {rule.name}: {outcome.subject}: {outcome.message}"
        frames = verdict.files.text(outcome.frames) if kind != PASSED else ""
        lines = _paragraph(clean(f"{text}{frames}{more}{place}"), width, "  ", "    ")
        lines[0] = lines[0].replace(word, painter.paint(word, _STYLES[kind]), 1)
        yield from lines


def _notes(verdict: Verdict, painter: Painter, width: int) -> Iterator[str]:
    """Findings that do not fail: the first of each rule and reason."""
    counts = Counter((finding["rule"], why) for finding, why in verdict.notes)
    told: set[tuple[str, str]] = set()
    for finding, why in verdict.notes:
        key = finding["rule"], why
        if key in told:
            continue
        told.add(key)
        more = f", and {counts[key] - 1} more" if counts[key] > 1 else ""
        text = f"noted {finding['rule']}: {finding['message']}{verdict.files.text(finding['frames'])}{more}; {why}"
        yield from (painter.paint(line, "dim") for line in _paragraph(clean(text), width, "  ", "    "))


def _unjudged(verdict: Verdict, rules: Mapping[str, Rule], painter: Painter, width: int) -> Iterator[str]:
    """Built-in rules that cannot be judged, those with the same reason together."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in verdict.outcomes:
        if outcome.verdict == CANNOT_JUDGE and outcome.line is None:
            groups.setdefault(outcome.message, []).append(outcome)
    word = _WORDS[CANNOT_JUDGE]
    for message, outcomes in groups.items():
        names = ", ".join(f"{rules[o.rule].number} {o.rule}" for o in outcomes)
        lines = _paragraph(
            clean(f"{word} {names}: {message}{verdict.files.text(outcomes[0].frames)}"), width, "  ", "    "
        )
        lines[0] = lines[0].replace(word, painter.paint(word, _STYLES[CANNOT_JUDGE]), 1)
        yield from lines


def render_verdict(
    verdict: Verdict, rules: Mapping[str, Rule], painter: Painter, width: int | None = None
) -> Iterator[str]:
    """Lines of a verdict; `rules` explain its outcomes by name."""
    columns = width or _UNBOUNDED
    yield painter.paint("Check", "title") + f"  {clean(', '.join(verdict.files.names))}"
    for kind in (FAILED, CANNOT_JUDGE, PASSED):
        yield from _outcomes(verdict, kind, rules, painter, columns)
        if kind == CANNOT_JUDGE:
            yield from _unjudged(verdict, rules, painter, columns)
    quiet = [o for o in verdict.outcomes if o.verdict == PASSED and o.line is None]
    if quiet:
        numbers = ", ".join(dict.fromkeys(rules[o.rule].number for o in quiet))
        text = f"passed {plural(len(quiet), 'built-in rule')}: {numbers}"
        yield from _paragraph(text, columns, "  ", "    ")
    yield from _notes(verdict, painter, columns)
    counts = ", ".join(
        f"{verdict.count(kind)} {word}" for kind, word in
        ((FAILED, "failed"), (CANNOT_JUDGE, "cannot be judged"), (PASSED, "passed"))
    )  # fmt: skip
    yield ""
    yield f"{painter.paint(_WORDS[verdict.verdict], _STYLES[verdict.verdict])}  {counts}"


def render_rules(rules: Sequence[Rule]) -> Iterator[str]:
    """One line per rule."""
    width = max((len(rule.name) for rule in rules), default=0)
    for rule in rules:
        yield f"{rule.number}  {rule.severity:<7}  {rule.name:<{width}}  {rule.title}"


def render_rule(rule: Rule, how: str) -> Iterator[str]:
    """All that is known of a rule; `how`: what turns it on."""
    yield f"{rule.number} {rule.name} ({rule.severity}): {rule.title}"
    for label, text in (("What it means", rule.meaning), ("What to do", rule.remedy), ("When", how)):
        yield from _paragraph(f"{label}: {text}", _UNBOUNDED, "  ", "    ")
    if rule.needs:
        yield f"  Passes only where these are wholly visible: {' and '.join(rule.needs)}"
