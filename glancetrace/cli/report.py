"""`glancetrace report`: the result as a page for people who have neither the capture nor glancetrace."""

from __future__ import annotations

import click

from glancetrace.cli.layout import SectionedCommand
from glancetrace.cli.options import captures, option
from glancetrace.cli.reading import Reading, takes_reading
from glancetrace.cli.results import read_result
from glancetrace.errors import UsageError

__all__ = ["report"]


@click.command(
    cls=SectionedCommand,
    short_help="The whole story as one HTML file, to be passed on.",
    examples=[
        ("glancetrace report capture.pcap -o report.html", "a page that needs no network and no server"),
        ("glancetrace report 'ring.pcap*' --title 'Slow uploads, May' -o report.html", "with a heading"),
        ("glancetrace report capture.pcap -o - | gzip > report.html.gz", "on standard output"),
    ],
)
@captures
@option("-o", "--output", metavar="FILE", required=True, section="Output", help="File to write; - is standard output.")
@option("--title", metavar="TEXT", section="Output", help="Heading of the page; the names of the files otherwise.")
@takes_reading
def report(paths: tuple[str, ...], output: str, title: str | None, reading: Reading) -> None:
    """Write one HTML file: summary, findings, timelines of the images, calls with their SQL, frames for Wireshark.

    The file holds everything that it shows and loads nothing; secrets are replaced as everywhere.
    Instead of captures, a saved trace or a result of analyze --format json serves as well.
    """
    from glancetrace.output.target import Target

    if output == "":
        raise UsageError("-o needs a name", action="as in -o report.html")
    with Target(output, paths) as target:
        if target.is_terminal:
            raise UsageError("a page is not for a terminal", action="name a file: -o report.html")
        result = read_result(paths, reading, warn=False)
        from glancetrace import __version__
        from glancetrace.check.rules import RULES
        from glancetrace.output.report import Guide, render_html
        from glancetrace.trace import Trace

        guides = {rule.name: Guide(rule.title, rule.meaning, rule.remedy) for rule in RULES.values()}
        revealed = reading.reveal if isinstance(result, Trace) else None
        page = render_html(result.document(), guides, title=title, version=__version__, revealed=revealed)
        target.write(page.encode())
