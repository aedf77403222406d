"""`glancetrace search`: where a text stands."""

from __future__ import annotations

from typing import Any

import click

from glancetrace.cli.layout import SectionedCommand
from glancetrace.cli.options import captures, format_option, option, say
from glancetrace.cli.reading import Reading, takes_reading
from glancetrace.cli.showing import Showing, takes_showing
from glancetrace.errors import UsageError

__all__ = ["search"]


@click.command(
    cls=SectionedCommand,
    short_help="Where a text stands: URLs, headers, bodies, SQL.",
    examples=[
        ("glancetrace search cirros capture.pcap", "calls and statements that name it"),
        ("glancetrace search --regex 'status=.(saving|active)' capture.pcap", "with a regular expression"),
        ("glancetrace search req-5d1b capture.pcap --format jsonl", "a request id from a log, for a program"),
    ],
)
@click.argument("text")
@captures
@option("--regex", is_flag=True, section="Filters", help="TEXT is a regular expression.")
@option("--case-sensitive", is_flag=True, section="Filters", help="Upper and lower case differ.")
@format_option("text", "json", "jsonl", "csv")
@takes_showing
@takes_reading
def search(
    text: str,
    paths: tuple[str, ...],
    regex: bool,
    case_sensitive: bool,
    form: str,
    showing: Showing,
    reading: Reading,
) -> None:
    """Find TEXT in statements, URLs, headers and JSON bodies; shows call, image and frames.

    The exit code is 0 whether something is found or not. What is shown is redacted, also where TEXT is a secret.
    """
    from glancetrace.output.search import Hit, search_trace
    from glancetrace.output.select import compile_pattern

    if not text:
        raise UsageError("an empty text stands everywhere", action="give the text to search for")
    pattern = compile_pattern(text, regex=regex, case_sensitive=case_sensitive)
    with showing.target(paths) as target:
        trace = reading.analyze(paths)
        hits = search_trace(trace, pattern)
        if not hits:
            say("nothing found")
        if form == "text":
            from glancetrace.output.text_search import render_hits

            page = showing.page(trace.capture, trace.redactor, target)
            target.write_lines(render_hits(trace, hits, page) if hits else ())
            return
        from glancetrace.output.rows import write_rows
        from glancetrace.rfc3339 import rfc3339

        def row(hit: Hit) -> dict[str, Any]:
            return {
                "ts": rfc3339(hit.ts),
                "where": hit.where,
                "text": hit.excerpt,
                "call_id": hit.call_id,
                "statement_id": hit.statement_id,
                "image_ids": hit.image_ids,
                "first_frame": hit.first_frame,
                "last_frame": hit.last_frame,
            }

        write_rows(target, form, "hits", map(row, hits))
