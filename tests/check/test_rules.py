"""The table of rules."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import glancetrace.check
from glancetrace.check.evidence import found
from glancetrace.check.rules import RULES

SOURCES = Path(glancetrace.check.__path__[0])


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_rule_says_what_it_means_and_what_to_do(rule: object) -> None:
    for text in (rule.title, rule.meaning, rule.remedy):
        assert text.strip() == text
        assert len(text) > 6
    assert rule.severity in ("info", "warning", "error")
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", rule.name)


def test_every_rule_is_raised_somewhere() -> None:
    code = "".join(path.read_text() for path in SOURCES.glob("*.py") if path.name != "rules.py")
    assert {name for name in RULES if f'"{name}"' not in code} == set()


def test_an_unlisted_rule_cannot_be_raised() -> None:
    with pytest.raises(KeyError):
        found("no-such-rule", "message", 0)


def test_frames_are_ascending_and_bounded() -> None:
    finding = found("client-error", "message", 0, frames=[9, None, 3, 9, *range(100, 200)])
    assert finding.frames[:3] == [3, 9, 100]
    assert len(finding.frames) == 20
