"""The reference of commands, tables, findings and issues, made from the code: `python -m tests.support.reference`
writes it anew."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import getdoc, isfunction, signature
from pathlib import Path

import click

import glancetrace
from glancetrace.check.gate.rules import EXPECTATIONS
from glancetrace.check.rules import RULES
from glancetrace.cli import cli
from glancetrace.issues import KINDS
from glancetrace.result import Result
from glancetrace.schema import CAPTURE, TABLES, Column
from glancetrace.verdict import Rule
from glancetrace.views import CallView, ImageView, StatementView

__all__ = ["REFERENCE", "render_reference"]

REFERENCE = Path(__file__).resolve().parents[2] / ".github" / "REFERENCE.md"

_TYPES = {
    "ts": "time",
    "dur": "duration, ns",
    "endpoint": "endpoint",
    "int": "integer",
    "str": "text",
    "bool": "true or false",
    "float": "number",
    "list": "list",
    "object": "object",
}


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _rows(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(map(_cell, row))} |"
    yield ""


def _option_row(parameter: click.Option) -> tuple[str, str]:
    names = ", ".join(f"`{name}`" for name in parameter.opts)
    if isinstance(parameter.type, click.Choice):
        names += f" {'/'.join(str(choice) for choice in parameter.type.choices)}"
    elif parameter.metavar:
        names += f" {parameter.metavar}"
    return names, parameter.help or ""


def _commands() -> Iterator[str]:
    for name, command in cli.commands.items():
        yield f"### glancetrace {name}"
        yield ""
        yield " ".join((command.help or "").split())
        yield ""
        options = (parameter for parameter in command.params if isinstance(parameter, click.Option))
        yield from _rows(("option", "what it does"), map(_option_row, options))


def _columns(columns: tuple[Column, ...]) -> Iterator[str]:
    def row(column: Column) -> tuple[str, str, str]:
        values = f" ({', '.join(column.values)})" if column.values else ""
        return f"`{column.name}`", _TYPES[column.type], f"{column.doc}{values}"

    yield from _rows(("column", "type", "meaning"), map(row, columns))


_CLASSES = {
    "Trace": Result,
    "Image: trace.image(name)": ImageView,
    "Call: trace.call(id)": CallView,
    "Statement: trace.statement(id)": StatementView,
}
"""Heading -> class. What is saved and loaded again has the same names as what was analysed."""


def _first_line(thing: object) -> str:
    return (getdoc(thing) or "").split("\n\n")[0]


def _functions() -> Iterator[str]:
    names = [name for name in glancetrace.__all__ if isfunction(getattr(glancetrace, name))]

    def row(name: str) -> tuple[str, str]:
        function = getattr(glancetrace, name)
        return f"`gt.{name}({', '.join(signature(function).parameters)})`", _first_line(function)

    yield from _rows(("function", "what it does"), map(row, names))


def _members(kind: type) -> Iterator[tuple[str, str]]:
    for name, member in vars(kind).items():
        if name.startswith("_"):
            continue
        if isfunction(member):
            arguments = [argument for argument in signature(member).parameters if argument != "self"]
            yield f"`{name}({', '.join(arguments)})`", _first_line(member)
        elif getdoc(member):
            yield f"`{name}`", _first_line(member)


_RULE_HEAD = ("number", "rule", "severity", "what it means", "what to do")


def _rule_row(rule: Rule) -> tuple[str, ...]:
    return rule.number, f"`{rule.name}`", rule.severity, f"{rule.title}: {rule.meaning}", rule.remedy


def _lines() -> Iterator[str]:
    yield "# Reference"
    yield ""
    yield "Made from the code by `python -m tests.support.reference`; a test keeps it so."
    yield ""
    titles = ("Commands", "Tables", "Python", "Findings", "Expectations", "Issues")
    yield f"- {', '.join(f'[{title}](#{title.lower()})' for title in titles)}"
    yield ""
    yield "## Commands"
    yield ""
    yield from _commands()
    yield "## Tables"
    yield ""
    yield (
        "The result document of `analyze --format json` has them under these names, beside `schema` and `capture`; "
        "`transitions`, `intervals` and `events` stand there within their image, without `image_id`. `--format csv "
        "--table NAME` writes one, and each is a DataFrame in Python. Times are UTC with nanoseconds (RFC 3339), "
        "endpoints `address:port` or `[v6]:port`. What is not known is null."
    )
    yield ""
    yield "### capture"
    yield ""
    yield from _columns(CAPTURE)
    for name, columns in TABLES.items():
        yield f"### {name}"
        yield ""
        yield from _columns(columns)
    yield "## Python"
    yield ""
    yield "`import glancetrace as gt`. The docstrings say more: arguments, units, errors."
    yield ""
    yield from _functions()
    for title, kind in _CLASSES.items():
        yield f"### {title}"
        yield ""
        yield from _rows(("name", "what it is"), _members(kind))
    yield "## Findings"
    yield ""
    yield "What happened to the images and calls that a person should know."
    yield ""
    yield from _rows(_RULE_HEAD, map(_rule_row, RULES.values()))
    yield "## Expectations"
    yield ""
    yield "What `glancetrace check --rules FILE` judges besides, where the file asks for it."
    yield ""
    yield from _rows(_RULE_HEAD, map(_rule_row, EXPECTATIONS.values()))
    yield "## Issues"
    yield ""
    yield "What is wrong with a capture, and with what was decoded from it. Nothing is dropped without one of these."
    yield ""
    yield from _rows(
        ("kind", "severity", "what it means", "what to do"),
        ((f"`{kind.kind}`", kind.severity, kind.meaning, kind.remedy) for kind in KINDS.values()),
    )


def render_reference() -> str:
    """The whole text."""
    return "\n".join(_lines()).rstrip() + "\n"


def main() -> None:
    """Write it."""
    REFERENCE.write_text(render_reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
