"""How commands declare their options, and how they speak to people beside their output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from glancetrace.cli.layout import SectionedOption

__all__ = ["NUMBER", "Callback", "captures", "format_option", "option", "say", "with_options"]

Callback = Callable[..., Any]

captures = click.argument("paths", metavar="CAPTURE...", nargs=-1, required=True)
"""Captures: paths, globs, - for standard input."""


def option(*names: str, section: str = "Options", **settings: Any) -> Callable[[Callback], Callback]:
    """A click option under a heading of the help."""
    return click.option(*names, cls=SectionedOption, section=section, **settings)


def format_option(*formats: str) -> Callable[[Callback], Callback]:
    """`--format`, the first one being the default."""
    return option(
        "-f",
        "--format",
        "form",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        section="Output",
        help="What to write.",
    )


class NumberType(click.ParamType[int]):
    """An id as lists print it: `12` or `#12`."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """See `click.ParamType.convert`."""
        text = str(value).removeprefix("#")
        if not text.isascii() or not text.isdigit():
            self.fail(f"{value!r} is no id; ids are numbers, as in 12 or #12", param, ctx)
        return int(text)


NUMBER = NumberType()


def with_options(command: Callback, options: Sequence[Callable[[Callback], Callback]]) -> Callback:
    """A command with options, in the order of the list."""
    for add in reversed(options):
        command = add(command)
    return command


def say(message: str) -> None:
    """A remark on standard error: nothing that a pipe would read."""
    click.echo(f"glancetrace: {message}", err=True)
