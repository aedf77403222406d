"""`glancetrace export`: results for the tools that people use already."""

from __future__ import annotations

import click

from glancetrace import __version__
from glancetrace.cli.layout import SectionedCommand
from glancetrace.cli.options import captures, option, say
from glancetrace.cli.reading import Reading, takes_reading
from glancetrace.cli.results import read_earlier
from glancetrace.errors import UsageError

__all__ = ["export"]

_FORMATS = ("perfetto", "otlp", "har", "parquet", "csv", "sqlite", "duckdb", "wireshark")
"""`glancetrace.output.export.formats.FORMATS`, which is imported when it is needed."""


@click.command(
    cls=SectionedCommand,
    short_help="For Perfetto, Jaeger, Wireshark, SQL, ...",
    examples=[
        ("glancetrace export capture.pcap --to perfetto -o trace.json", "a timeline, for ui.perfetto.dev"),
        ("glancetrace export capture.pcap --to otlp -o spans.json", "spans, for Jaeger, Tempo or a collector"),
        ("glancetrace export capture.pcap --to sqlite -o result.db", "tables, to be asked in SQL"),
        ("glancetrace export capture.pcap --to wireshark -o notes.pcapng", "the capture with comments on its packets"),
        ("glancetrace export 'ring.pcap*' --to csv -o tables", "a folder with a file per table"),
    ],
)
@captures
@option("--to", "form", type=click.Choice(_FORMATS), required=True, section="Output", help="What to write.")
@option(
    "-o",
    "--output",
    required=True,
    metavar="OUT",
    section="Output",
    help="File to write; a folder for parquet, csv, and wireshark unless it ends in .pcapng; - where it is JSON.",
)
@takes_reading
def export(paths: tuple[str, ...], form: str, output: str, reading: Reading) -> None:
    """Write the result in the format of another tool. Instead of captures, a folder that --to
    parquet wrote serves, or a result of analyze --format json.

    perfetto: Chrome trace events. otlp: OpenTelemetry spans. har: the API calls as an HTTP archive. parquet, csv,
    sqlite, duckdb: all tables. wireshark: the capture as pcapng with comments, display filters and colours; its packets
    are as they were, with every secret in them.
    """
    from glancetrace.edit.extract import check_repeatable
    from glancetrace.output.export.formats import export as export_result
    from glancetrace.output.export.formats import prepare

    prepare(form)
    if form == "wireshark":
        if output == "-":
            raise UsageError("packets cannot go to standard output", action="give a file name")
        check_repeatable(paths)
    earlier = read_earlier(paths, reading)
    if earlier is not None:
        prepare(form, earlier)
        export_result(earlier, form, output, paths, __version__)
        return
    trace = reading.analyze(paths)
    if form == "wireshark":
        check_repeatable(paths, trace.capture)
    export_result(trace, form, output, paths, __version__)
    if form == "wireshark":
        say("passwords and tokens in the packets are kept")
