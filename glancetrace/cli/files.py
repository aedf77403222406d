"""`glancetrace info` and `glancetrace split`: captures as files."""

from __future__ import annotations

import click

from glancetrace.cli.layout import SectionedCommand
from glancetrace.cli.options import (
    Reading,
    Showing,
    captures,
    format_option,
    option,
    say,
    takes_reading,
    takes_showing,
)

__all__ = ["info", "split"]


@click.command(
    cls=SectionedCommand,
    short_help="A quick look: times, servers, quality.",
    examples=[
        ("glancetrace info capture.pcap", "what is in it: times, servers, quality"),
        ("glancetrace info 'ring.pcap*' --format json", "all files of a ring buffer"),
    ],
)
@captures
@format_option("text", "json")
@takes_showing
@takes_reading
def info(paths: tuple[str, ...], form: str, showing: Showing, reading: Reading) -> None:
    """Take a quick look: packets, times, servers and their traffic, capture quality. Nothing is decoded."""
    with showing.target(paths) as target:
        found = reading.look(paths)
        if form == "json":
            from glancetrace.output.json import dump_document
            from glancetrace.output.text_info import describe_look

            target.write_json(dump_document(describe_look(found)))
        else:
            from glancetrace.output.text_info import render_look
            from glancetrace.redact import Redactor

            target.write_lines(render_look(found, showing.page(found, Redactor(b""), target)))


@click.command(
    cls=SectionedCommand,
    short_help="Cut a capture into pieces.",
    examples=[
        ("glancetrace split -c 5000 big.pcap piece.pcap", "piece_00000_20200218044955.pcap, piece_00001_..."),
        ("glancetrace analyze 'piece_*.pcap'", "the pieces tell what the whole tells"),
    ],
)
@click.argument("path", metavar="CAPTURE")
@click.argument("output", metavar="OUTPUT")
@option("-c", "--count", type=click.IntRange(min=1), required=True, metavar="PACKETS", help="Packets per piece.")
@option("--no-progress", is_flag=True, help="No progress bar.")
def split(path: str, output: str, count: int, no_progress: bool) -> None:
    """Cut a capture into pieces of so many packets, as editcap -c does: same names, same bytes.

    The pieces keep the packets as they are, with every secret in them.
    """
    from glancetrace.edit.split import split_by_count
    from glancetrace.output.progress import ProgressBar
    from glancetrace.output.units import plural

    with ProgressBar(enabled=not no_progress) as bar:
        pieces = split_by_count([path], output, count, progress=bar if bar.enabled else None)
    say(f"{plural(len(pieces), 'piece')}, {plural(sum(piece.packets for piece in pieces), 'packet')}; "
        "passwords and tokens in the packets are kept")  # fmt: skip
