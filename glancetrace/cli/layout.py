"""How help is laid out: commands and options under headings, examples at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

__all__ = ["SectionedCommand", "SectionedGroup", "SectionedOption"]


_LAST = "Help"


class SectionedGroup(click.Group):
    """A group whose help lists its commands under headings."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sections: list[tuple[str, list[click.Command]]] = []

    def add_section(self, title: str, commands: Sequence[click.Command]) -> None:
        """Add commands under a heading."""
        self._sections.append((title, list(commands)))
        for command in commands:
            self.add_command(command)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands, in the order of the help."""
        return [command.name or "" for _, commands in self._sections for command in commands]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands."""
        limit = formatter.width - 18
        for title, commands in self._sections:
            with formatter.section(title):
                formatter.write_dl([(command.name or "", command.get_short_help_str(limit)) for command in commands])


class SectionedOption(click.Option):
    """An option that stands under the heading `section` in the help."""

    def __init__(self, *args: Any, section: str = "Options", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section


class SectionedCommand(click.Command):
    """A command whose help lists options under headings, and examples."""

    def __init__(self, *args: Any, examples: Sequence[tuple[str, str]] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                sections.setdefault(getattr(parameter, "section", _LAST), []).append(record)
        for title, records in sorted(sections.items(), key=lambda item: item[0] == _LAST):
            with formatter.section(title):
                formatter.write_dl(records, col_max=28)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        if self.examples:
            formatter.write_paragraph()
            formatter.write("Examples:\n")
            for command, what in self.examples:
                formatter.write(f"  {command}\n      {what}\n")
