"""`glancetrace report`: the result as a page for people who have neither the capture nor glancetrace."""

from __future__ import annotations

import click

from glancetrace.cli.layout import SectionedCommand
from glancetrace.cli.options import Reading, captures, option, takes_reading
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
    """
    from glancetrace.output.target import Target

    if output == "":
        raise UsageError("-o needs a name", action="as in -o report.html")
    with Target(output, paths) as target:
        if target.is_terminal:
            raise UsageError("a page is not for a terminal", action="name a file: -o report.html")
        trace = reading.analyze(paths, warn=False)
        from glancetrace import __version__
        from glancetrace.check.rules import RULES
        from glancetrace.document import render_document
        from glancetrace.output.report import Guide, render_html

        guides = {rule.name: Guide(rule.title, rule.meaning, rule.remedy) for rule in RULES.values()}
        page = render_html(render_document(trace), guides, title=title, version=__version__, revealed=reading.reveal)
        target.write(page.encode())
