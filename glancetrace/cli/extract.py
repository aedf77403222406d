"""`glancetrace extract`: the packets that show something, for Wireshark or an attachment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from glancetrace.cli.layout import SectionedCommand
from glancetrace.cli.options import NUMBER, captures, option, say
from glancetrace.cli.reading import Reading, takes_reading
from glancetrace.errors import UsageError

if TYPE_CHECKING:
    from glancetrace.edit.parts import Part, PartFinder
    from glancetrace.trace import Trace

__all__ = ["extract"]


@click.command(
    cls=SectionedCommand,
    short_help="Only the packets of an image, call, statement, ...",
    examples=[
        ("glancetrace extract --image cirros capture.pcap -o cirros.pcap", "its calls and their SQL"),
        ("glancetrace extract --call 17 --with-context capture.pcap -o call.pcap", "a call on all its hops"),
        ("glancetrace extract --finding server-error 'ring*.pcap' -o failed.pcap", "what a finding is about"),
        ("glancetrace extract --since +10s --until +12s capture.pcap -o two.pcap", "two seconds, everything"),
    ],
)
@captures
@option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    help="The capture to write, compressed if it ends in .gz, .zst, .xz or .lz4; - is standard output.",
)
@option("--image", multiple=True, metavar="NAME|ID", section="What", help="An image: its calls and statements.")
@option(
    "--call", multiple=True, type=NUMBER, metavar="ID", section="What", help="A call with the statements that it ran."
)
@option("--statement", multiple=True, type=NUMBER, metavar="ID", section="What", help="A statement.")
@option("--connection", multiple=True, type=NUMBER, metavar="ID", section="What", help="A whole connection.")
@option("--finding", multiple=True, metavar="RULE", section="What", help="What findings of a rule are about.")
@option("--since", metavar="TIME", section="What", help="Of that, only from then on; +1.5s is after the start.")
@option("--until", metavar="TIME", section="What", help="Only until then.")
@option("--with-context", is_flag=True, section="What", help="With the other hops, and handshakes (TLS: always).")
@takes_reading
def extract(
    paths: tuple[str, ...],
    output: str,
    image: tuple[str, ...],
    call: tuple[int, ...],
    statement: tuple[int, ...],
    connection: tuple[int, ...],
    finding: tuple[str, ...],
    since: str | None,
    until: str | None,
    with_context: bool,
    reading: Reading,
) -> None:
    """Write only the packets of an image, call, statement, connection, finding or time to a small capture.

    Several are taken together. The packets are as they were, with every secret in them. With TLS the handshake comes
    along unless --since cuts it off: glancetrace can decrypt the rest with the key log then. Wireshark needs whole
    connections (--connection).
    """
    from glancetrace.edit.extract import check_repeatable
    from glancetrace.edit.extract import extract as extract_packets
    from glancetrace.edit.parts import PartFinder
    from glancetrace.edit.piece_file import check_output
    from glancetrace.edit.selection import PacketSelection
    from glancetrace.output.clock import Clock
    from glancetrace.output.progress import ProgressBar
    from glancetrace.output.units import plural

    check_repeatable(paths)
    check_output(output, paths)
    for moment in (since, until):
        if moment is not None:
            Clock(None, None).parse(moment)
    named = [*image, *call, *statement, *connection, *finding]
    if not named and since is None and until is None:
        raise UsageError("nothing to extract", action="give --image, --call, --statement, --finding or a time")
    trace = reading.analyze(paths)
    check_repeatable(paths, trace.capture)
    clock = Clock(trace.capture.first_ts, trace.capture.last_ts)
    finder = PartFinder(trace, context=with_context)
    part = _find(trace, finder, image, call, statement, connection, finding) if named else None
    selection = PacketSelection(
        since=None if since is None else clock.parse(since),
        until=None if until is None else clock.parse(until) + 1,
    )
    with ProgressBar(enabled=reading.progress) as bar:
        progress = bar if bar.enabled else None
        piece = extract_packets(list(paths), output, part, selection=selection, progress=progress)
    if not piece.packets:
        say("no packet matches: a capture without packets was written")
        return
    say(f"{plural(piece.packets, 'packet')}; passwords and tokens in them are kept")


def _find(
    trace: Trace,
    finder: PartFinder,
    images: tuple[str, ...],
    calls: tuple[int, ...],
    statements: tuple[int, ...],
    connections: tuple[int, ...],
    rules: tuple[str, ...],
) -> Part:
    """All that was asked for, together."""
    from glancetrace.edit.parts import join_parts
    from glancetrace.output.select import find_images

    tables = trace.tables
    _check_ids("--call", calls, len(tables.calls))
    _check_ids("--statement", statements, len(tables.statements))
    known = {row.connection.id for row in tables.connections}
    for number in connections:
        if number not in known:
            raise UsageError(f"there is no connection {number}", action="see connections in analyze --format json")
    parts = [finder.of_calls(calls), finder.of_statements(statements), finder.of_connections(connections)]
    parts += [finder.of_image(found.id, found.call_ids) for wanted in images for found in find_images(trace, wanted)]
    for rule in rules:
        found = [row for row in tables.findings if row.rule == rule]
        if not found:
            rules_found = ", ".join(sorted({row.rule for row in tables.findings})) or "none"
            raise UsageError(f"no finding of {rule!r}", where="--finding", action=f"findings: {rules_found}")
        parts += [finder.of_finding(row) for row in found]
    return join_parts(parts)


def _check_ids(option_name: str, ids: tuple[int, ...], count: int) -> None:
    for number in ids:
        if not 0 < number <= count:
            raise UsageError(f"there is no {number}", where=option_name, action=f"ids go from 1 to {count}")
