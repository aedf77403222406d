"""Every command, option, column, rule and issue kind is documented, and the reference says what the code says."""

from __future__ import annotations

import re

import click
import pytest

from glancetrace.cli import cli
from glancetrace.document import render_document
from glancetrace.issues import KINDS, SEVERITIES, IssueKind
from glancetrace.schema import CAPTURE, TABLES, Column
from tests.support.handmade import handmade_trace
from tests.support.readme import README, ROOT
from tests.support.reference import REFERENCE, render_reference

PACKAGE = ROOT / "glancetrace"
OPTIONS = [
    (name, parameter)
    for name, command in cli.commands.items()
    for parameter in command.params
    if isinstance(parameter, click.Option)
]
COLUMNS = [(table, column) for table, columns in {"capture": CAPTURE, **TABLES}.items() for column in columns]


def test_the_reference_is_up_to_date() -> None:
    written = REFERENCE.read_text(encoding="utf-8")
    assert written == render_reference(), "python -m tests.support.reference brings it up to date"


def test_the_readme_leads_to_it() -> None:
    assert f"({REFERENCE.relative_to(ROOT)})" in README.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", cli.commands)
def test_a_command_says_what_it_does_and_shows_examples(name: str) -> None:
    command = cli.commands[name]
    assert len(command.help or "") > 10
    examples = getattr(command, "examples", ())
    assert examples
    for line, what in examples:
        assert "glancetrace" in line
        assert what


@pytest.mark.parametrize(("command", "option"), OPTIONS, ids=lambda part: getattr(part, "name", part))
def test_an_option_says_what_it_does(command: str, option: click.Option) -> None:
    assert re.fullmatch(r"[A-Z].*\.", option.help or "", re.DOTALL), command


@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=lambda part: getattr(part, "name", part))
def test_a_column_has_a_type_and_a_meaning(table: str, column: Column) -> None:
    assert column.type in {"int", "str", "bool", "float", "ts", "dur", "endpoint", "list", "object"}, table
    assert len(column.doc) > 5


def test_the_columns_of_the_capture_are_those_of_the_document() -> None:
    assert [column.name for column in CAPTURE] == list(render_document(handmade_trace())["capture"])


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_an_issue_kind_says_what_it_means_and_what_to_do(kind: IssueKind) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", kind.kind)
    assert kind.severity in SEVERITIES
    for text in (kind.meaning, kind.remedy):
        assert text == text.strip()
        assert len(text) > 6
        assert not text.endswith(".")


def test_every_issue_kind_is_counted_somewhere() -> None:
    code = "".join(path.read_text() for path in PACKAGE.rglob("*.py") if path.name != "issues.py")
    assert {kind for kind in KINDS if f'"{kind}"' not in code} == set()
