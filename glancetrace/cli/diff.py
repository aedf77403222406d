"""`glancetrace diff`: two results compared by operation."""

from __future__ import annotations

import click

from glancetrace.cli.layout import SectionedCommand
from glancetrace.cli.options import format_option, option
from glancetrace.cli.reading import Reading, takes_reading
from glancetrace.cli.results import read_result
from glancetrace.cli.showing import Showing, showing_by

__all__ = ["diff"]

_LIMITS = "Thresholds"


@click.command(
    cls=SectionedCommand,
    short_help="Two captures compared by operation: SQL per call, times, statuses.",
    examples=[
        ("glancetrace diff base.pcap new.pcap", "exit code 1 where the new one is worse, beyond chance"),
        ("glancetrace diff base.json.gz new.pcap --format markdown", "a comment for the pull request"),
        ("glancetrace diff base.pcap new.pcap --max-slower 20 --min-delay 2ms", "be stricter about time"),
    ],
)
@click.argument("base", metavar="BASE")
@click.argument("new", metavar="NEW")
@option(
    "--max-slower",
    type=click.FloatRange(0),
    default=50,
    show_default=True,
    metavar="PERCENT",
    section=_LIMITS,
    help="Growth of an operation's median beyond what all have in common.",
)
@option(
    "--min-delay",
    default="10ms",
    show_default=True,
    metavar="DURATION",
    section=_LIMITS,
    help="Growth of a median below which it does not matter.",
)
@option(
    "--max-slower-overall",
    type=click.FloatRange(0),
    metavar="PERCENT",
    section=_LIMITS,
    help="Growth that all operations have in common; else it is told and lets pass.",
)
@option(
    "--max-statements",
    type=click.FloatRange(0),
    default=0.2,
    show_default=True,
    metavar="N",
    section=_LIMITS,
    help="Statements more per call, on average, of one shape.",
)
@option(
    "--max-failures",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="N",
    section=_LIMITS,
    help="Calls more with 5xx or without a response, of one operation.",
)
@option(
    "--max-findings",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="N",
    section=_LIMITS,
    help="Findings more of one rule of severity error.",
)
@format_option("text", "json", "markdown")
@showing_by("output", "color")
@takes_reading
def diff(
    base: str,
    new: str,
    max_slower: float,
    min_delay: str,
    max_slower_overall: float | None,
    max_statements: float,
    max_failures: int,
    max_findings: int,
    form: str,
    showing: Showing,
    reading: Reading,
) -> int:
    """Compare two captures, JSON results or saved traces: calls, their answers, SQL per call, times, statuses.

    Order, ids, times of day and tokens do not matter; what too few calls leave open is told as unclear. Exit codes: 0
    no regression, 1 regressions, 3 no regression, but one of the two does not show everything. A pattern in quotes
    names a capture of several files.
    """
    from glancetrace.check.diff.compare import compare
    from glancetrace.check.diff.profile import build_profile
    from glancetrace.check.diff.thresholds import Thresholds
    from glancetrace.duration import parse_duration

    overall = None if max_slower_overall is None else max_slower_overall / 100
    limits = Thresholds(
        max_slower / 100, parse_duration(min_delay), overall, max_statements, max_findings, max_failures
    )  # fmt: skip
    with showing.target([base, new]) as target:
        before = build_profile(read_result([base], reading).document())
        comparison = compare(before, build_profile(read_result([new], reading).document()), limits)
        if form == "json":
            from glancetrace.output.diff import diff_document
            from glancetrace.output.json import dump_document

            target.write_json(dump_document(diff_document(comparison)))
        elif form == "markdown":
            from glancetrace.output.diff import render_markdown

            target.write_lines(render_markdown(comparison))
        else:
            from glancetrace.output.diff import render_text

            target.write_lines(render_text(comparison, showing.painter(target)))
    return comparison.exit_code
