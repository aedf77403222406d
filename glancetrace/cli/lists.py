"""`glancetrace calls` and `glancetrace sql`: lists with filters."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from glancetrace.cli.layout import SectionedCommand
from glancetrace.cli.options import NUMBER, Callback, captures, format_option, option, say, with_options
from glancetrace.cli.reading import Reading, takes_reading
from glancetrace.cli.showing import Showing, takes_showing

if TYPE_CHECKING:
    from glancetrace.output.select import Selection
    from glancetrace.trace import Trace

__all__ = ["calls", "sql"]


@dataclass(frozen=True, slots=True)
class Filters:
    """Filters as given on the command line."""

    image: tuple[str, ...]
    operation: tuple[str, ...]
    status: tuple[str, ...]
    table: tuple[str, ...]
    service: tuple[str, ...]
    call: tuple[int, ...]
    grep: str | None
    since: str | None
    until: str | None
    slower_than: str | None

    def check(self) -> None:
        """Complain about what is wrong in itself before an hour of reading: patterns, durations, times."""
        from glancetrace.output.clock import Clock, parse_duration
        from glancetrace.output.select import compile_pattern

        clock = Clock(None, None)
        for moment in (self.since, self.until):
            if moment is not None:
                clock.parse(moment)
        if self.slower_than is not None:
            parse_duration(self.slower_than)
        if self.grep is not None:
            compile_pattern(self.grep)

    def selection(self, trace: Trace, showing: Showing) -> Selection:
        """What they mean for a trace."""
        from glancetrace.output.clock import Clock, parse_duration, parse_zone
        from glancetrace.output.select import Selection

        clock = Clock(trace.capture.first_ts, trace.capture.last_ts, zone=parse_zone(showing.zone))
        return Selection(
            images=self.image,
            operations=self.operation,
            statuses=self.status,
            tables=self.table,
            services=self.service,
            calls=self.call,
            grep=self.grep,
            since=None if self.since is None else clock.parse(self.since),
            until=None if self.until is None else clock.parse(self.until),
            slower_than=None if self.slower_than is None else parse_duration(self.slower_than),
        )


def _filter(*names: str, help: str, metavar: str, **settings: Any) -> Any:
    return option(*names, section="Filters", help=help, metavar=metavar, **settings)


_FILTERS = (
    _filter("--image", multiple=True, metavar="NAME|ID", help="Of this image: name, pattern, id or its first digits."),
    _filter("--operation", multiple=True, metavar="NAME", help="Calls: image-upload, 'image-*'. SQL: UPDATE, SELECT."),
    _filter(
        "--status",
        multiple=True,
        metavar="STATUS",
        help="Calls: 404, 5xx, none (no response). SQL: committed, rolled_back, unknown, error, 1213. "
        "Both: what put an image into a status (saving).",
    ),
    _filter("--table", multiple=True, metavar="NAME", help="That name this table (images, 'image_*')."),
    _filter("--service", multiple=True, metavar="NAME", help="Of this service: glance, keystone, ..."),
    _filter("--call", multiple=True, metavar="ID", type=NUMBER, help="Of this call: 12 or #12."),
    _filter("--grep", metavar="REGEX", help="Whose URL or text matches; case does not matter."),
    _filter("--since", metavar="TIME", help="From then on: 2020-02-18T04:49:55Z, 04:49:55.5, +1.5s (after the start)."),
    _filter("--until", metavar="TIME", help="Until then."),
    _filter("--slower-than", metavar="DURATION", help="That took longer: 100ms, 2s."),
)


def _takes_filters(command: Callback) -> Callback:
    """Gives a command the filters, as one `filters`."""
    names = Filters.__dataclass_fields__

    @functools.wraps(command)
    def collected(**given: Any) -> Any:
        filters = Filters(**{name: given.pop(name) for name in names})
        return command(filters=filters, **given)

    return with_options(collected, _FILTERS)


@click.command(
    cls=SectionedCommand,
    short_help="API calls, with filters.",
    examples=[
        ("glancetrace calls capture.pcap", "every call"),
        ("glancetrace calls --status 4xx --status 5xx capture.pcap", "what failed"),
        ("glancetrace calls --operation 'image-*' --slower-than 500ms c.pcap", "slow calls about images"),
        ("glancetrace calls --since +10s --until +12s --format csv c.pcap", "two seconds, for a spreadsheet"),
    ],
)
@captures
@_takes_filters
@format_option("text", "json", "jsonl", "csv")
@takes_showing
@takes_reading
def calls(paths: tuple[str, ...], filters: Filters, form: str, showing: Showing, reading: Reading) -> None:
    """List API calls."""
    from glancetrace.output.select import select_calls

    filters.check()
    with showing.target(paths) as target:
        trace = reading.analyze(paths)
        chosen = select_calls(trace, filters.selection(trace, showing))
        if not chosen:
            say("nothing matches")
        if form == "text":
            from glancetrace.output.text_lists import render_calls

            page = showing.page(trace.capture, trace.redactor, target)
            target.write_lines(render_calls(trace, chosen, page) if chosen else ())
        else:
            from glancetrace.document import RowBuilder
            from glancetrace.output.rows import write_rows

            write_rows(target, form, "api_calls", map(RowBuilder(trace).call, chosen))


@click.command(
    cls=SectionedCommand,
    short_help="SQL statements and the calls that ran them.",
    examples=[
        ("glancetrace sql --image cirros capture.pcap", "statements about an image, or run by its calls"),
        ("glancetrace sql --operation UPDATE --table images capture.pcap", "every write to a table"),
        ("glancetrace sql --status error --full capture.pcap", "failed statements with their whole text"),
        ("glancetrace sql --status active capture.pcap", "the statements that made images active"),
    ],
)
@captures
@_takes_filters
@option("--full", is_flag=True, section="Output", help="The statement as sent instead of its gist.")
@format_option("text", "json", "jsonl", "csv")
@takes_showing
@takes_reading
def sql(paths: tuple[str, ...], filters: Filters, full: bool, form: str, showing: Showing, reading: Reading) -> None:
    """List SQL statements, each with the call that ran it."""
    from glancetrace.output.select import select_statements

    filters.check()
    with showing.target(paths) as target:
        trace = reading.analyze(paths)
        chosen = select_statements(trace, filters.selection(trace, showing))
        if not chosen:
            say("nothing matches")
        if form == "text":
            from glancetrace.output.text_lists import render_statements

            page = showing.page(trace.capture, trace.redactor, target)
            target.write_lines(render_statements(trace, chosen, page, whole=full) if chosen else ())
        else:
            from glancetrace.document import RowBuilder
            from glancetrace.output.rows import write_rows

            write_rows(target, form, "statements", map(RowBuilder(trace).statement, chosen))
