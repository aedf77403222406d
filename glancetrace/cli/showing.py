"""Output options: where results are written, and how they look."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from glancetrace.cli.options import Callback, option, with_options

if TYPE_CHECKING:
    from glancetrace.conversations import QuickLook
    from glancetrace.output.page import Page
    from glancetrace.output.paint import Painter
    from glancetrace.output.target import Target
    from glancetrace.output.text_watch import WatchText
    from glancetrace.redact import Redactor
    from glancetrace.trace import CaptureSummary

__all__ = ["Showing", "showing_by", "takes_showing"]


@dataclass(frozen=True, slots=True)
class Showing:
    """How results are shown."""

    output: str | None = None
    color: str = "auto"
    zone: str = "UTC"
    relative: bool = False
    wide: bool = False

    def page(self, capture: CaptureSummary | QuickLook, redactor: Redactor, target: Target) -> Page:
        """The page that text reports are printed on."""
        from glancetrace.output.clock import Clock, parse_zone
        from glancetrace.output.page import Page
        from glancetrace.output.paint import Painter
        from glancetrace.output.places import Places

        return Page(
            painter=Painter(color=self._wants_color(target)),
            clock=Clock(capture.first_ts, capture.last_ts, zone=parse_zone(self.zone), relative=self.relative),
            places=Places(capture.files),
            redactor=redactor,
            width=None if self.wide else target.width,
        )

    def watch_text(self, target: Target) -> WatchText:
        """What renders the lines of a watch."""
        from glancetrace.output.clock import parse_zone
        from glancetrace.output.paint import Painter
        from glancetrace.output.text_watch import WatchText

        return WatchText(Painter(color=self._wants_color(target)), zone=parse_zone(self.zone), relative=self.relative)

    def painter(self, target: Target) -> Painter:
        """Applies colours where they are wanted."""
        from glancetrace.output.paint import Painter

        return Painter(color=self._wants_color(target))

    def columns(self, target: Target) -> int | None:
        """Columns that text is fitted to; None: as it comes."""
        return None if self.wide else target.width

    def _wants_color(self, target: Target) -> bool:
        """https://no-color.org: a non-empty NO_COLOR turns the automatic colours off."""
        if self.color != "auto":
            return self.color == "always"
        return target.is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def target(self, paths: Sequence[str]) -> Target:
        """Where the output goes."""
        from glancetrace.output.clock import parse_zone
        from glancetrace.output.target import Target

        parse_zone(self.zone)  # a wrong name is told before an hour of reading
        return Target(self.output, paths)


_SHOWING: Mapping[str, Callable[[Callback], Callback]] = {
    "output": option(
        "-o",
        "--output",
        metavar="FILE",
        section="Output",
        help="Write to a file instead of standard output; compressed if its name ends in .gz, .zst, .xz or .lz4.",
    ),
    "color": option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        show_default=True,
        section="Output",
        help="Colours; auto heeds NO_COLOR.",
    ),
    "zone": option(
        "--tz",
        "zone",
        default="UTC",
        show_default=True,
        metavar="ZONE",
        section="Output",
        help="Time zone of text output: an IANA name, local or UTC.",
    ),
    "relative": option(
        "--relative", is_flag=True, section="Output", help="Times relative to the start of the capture."
    ),
    "wide": option("--wide", is_flag=True, section="Output", help="Do not fit text to the terminal's width."),
}
"""The output options, by field of `Showing`."""


def showing_by(*names: str) -> Callable[[Callback], Callback]:
    """Gives a command some of the output options, by field of `Showing`, as one `showing`."""

    def takes(command: Callback) -> Callback:
        @functools.wraps(command)
        def collected(**given: Any) -> Any:
            chosen = Showing(**{name: given.pop(name) for name in names})
            return command(showing=chosen, **given)

        return with_options(collected, [_SHOWING[name] for name in names])

    return takes


takes_showing = showing_by(*_SHOWING)
"""Gives a command all output options, as one `showing`."""
