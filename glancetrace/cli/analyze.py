"""`glancetrace analyze`: the whole story."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from glancetrace.cli.layout import SectionedCommand
from glancetrace.cli.options import captures, format_option, option
from glancetrace.cli.reading import Reading, takes_reading
from glancetrace.cli.showing import Showing, takes_showing
from glancetrace.errors import UsageError

if TYPE_CHECKING:
    from glancetrace.output.target import Target
    from glancetrace.trace import Trace

__all__ = ["analyze"]


@click.command(
    cls=SectionedCommand,
    short_help="Calls, images, timelines, findings: the whole story.",
    examples=[
        ("glancetrace analyze capture.pcap", "calls, images, their timelines, findings"),
        ("timeout 60 tcpdump -s0 -w - port 9292 or port 3306 | glancetrace analyze -", "what happens in a minute"),
        ("glancetrace analyze 'ring.pcap*' --format json -o result.json", "all files of a ring buffer, as JSON"),
        ("glancetrace analyze c.pcap --format csv --table transitions", "one table, for a spreadsheet"),
    ],
)
@captures
@format_option("text", "json", "jsonl", "csv")
@option("--table", metavar="NAME", section="Output", help="Table that --format csv writes (images, api_calls, ...).")
@takes_showing
@takes_reading
def analyze(paths: tuple[str, ...], form: str, table: str | None, showing: Showing, reading: Reading) -> None:
    """Tell what happened: API calls, images and their statuses, findings.

    CAPTURE is a pcap or pcapng file, also compressed; several files, patterns in quotes; - is standard input.
    """
    _check_table(form, table)
    with showing.target(paths) as target:
        _write(reading.analyze(paths, warn=False), form, table, showing, target)


def _check_table(form: str, table: str | None) -> None:
    from glancetrace.schema import TABLES

    if (form == "csv") != (table is not None):
        raise UsageError("--format csv and --table NAME go together", action=f"tables: {', '.join(TABLES)}")
    if table is not None and table not in TABLES:
        raise UsageError(f"no table {table!r}", action=f"tables: {', '.join(TABLES)}")


def _write(trace: Trace, form: str, table: str | None, showing: Showing, target: Target) -> None:
    if form == "json":
        from glancetrace.output.json import render_json

        for piece in render_json(trace):
            target.write_json(piece)
    elif form == "jsonl":
        from glancetrace.output.json import render_jsonl

        for line in render_jsonl(trace):
            target.write_json(line)
    elif form == "csv":
        from glancetrace.document import BUILDERS, RowBuilder
        from glancetrace.output.rows import write_rows

        assert table is not None
        write_rows(target, form, table, BUILDERS[table](RowBuilder(trace)))
    else:
        from glancetrace.output.text_analyze import render_report

        page = showing.page(trace.capture, trace.redactor, target)
        target.write_lines(render_report(trace, page))
