"""`glancetrace info` and `glancetrace split`: captures as files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from glancetrace.cli.layout import SectionedCommand
from glancetrace.cli.options import captures, format_option, option, say
from glancetrace.cli.reading import Reading, takes_look, takes_reading
from glancetrace.cli.showing import Showing, takes_showing
from glancetrace.errors import UsageError

if TYPE_CHECKING:
    from glancetrace.edit.cutting import Cut
    from glancetrace.edit.grouping import Grouping
    from glancetrace.trace import Trace

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
@takes_look
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
    short_help="Cut a capture into pieces, as editcap does.",
    examples=[
        ("glancetrace split -c 5000 big.pcap piece.pcap", "piece_00000_20200218044955.pcap, piece_00001_..."),
        ("glancetrace split -i 60 --utc big.pcap minute.pcap", "a piece a minute"),
        ("glancetrace split --size 100M big.pcap piece.pcap", "pieces of at most 100 MB"),
        ("glancetrace split --by connection big.pcap conn.pcap", "whole connections, a piece for each"),
        ("glancetrace split -r big.pcap some.pcap 100-2500 7000", "one file with these frames"),
        ("glancetrace analyze 'piece_*.pcap'", "the pieces tell what the whole tells"),
    ],
)
@click.argument("path", metavar="CAPTURE")
@click.argument("output", metavar="OUTPUT")
@click.argument("frames", metavar="[FRAMES]...", nargs=-1)
@option("-c", "--count", type=click.IntRange(min=1), metavar="PACKETS", section="Pieces", help="Packets per piece.")
@option("-i", "--interval", metavar="SECONDS", section="Pieces", help="Seconds per piece: 60, 0.5, 10m.")
@option("--size", metavar="BYTES", section="Pieces", help="Bytes per piece, at most: 500000, 100M, 2G.")
@option(
    "--by",
    type=click.Choice(["connection", "service", "image", "call"]),
    section="Pieces",
    help="A piece for each, whole, with its name in the file's.",
)
@option(
    "--keep-sessions",
    is_flag=True,
    section="Pieces",
    help="Wait with each cut until no exchange is under way, 20,000 packets at the most.",
)
@option("--with-context", is_flag=True, section="Pieces", help="With all hops and handshakes (--by image, call).")
@option("--utc", is_flag=True, section="Pieces", help="Times in names are UTC, so they are the same everywhere.")
@option("-r", "--keep", is_flag=True, section="Packets", help="Keep FRAMES (7, 7-12, 7-) instead of dropping them.")
@option("-A", "--start", metavar="TIME", section="Packets", help="Only packets from then on.")
@option(
    "-B",
    "--stop",
    metavar="TIME",
    section="Packets",
    help="Only packets before: 2020-02-18T04:49:55.5Z, without a zone local time, or seconds since 1970.",
)
@takes_reading
def split(
    path: str,
    output: str,
    frames: tuple[str, ...],
    count: int | None,
    interval: str | None,
    size: str | None,
    by: str | None,
    keep_sessions: bool,
    with_context: bool,
    utc: bool,
    keep: bool,
    start: str | None,
    stop: str | None,
    reading: Reading,
) -> None:
    """Cut a capture into pieces, as editcap does: same names, same bytes. Without -c, -i, --size, --by: one file.

    The pieces keep the packets as they are, with every secret in them. A time without packets has no piece. With an
    OUTPUT in .gz (.zst, .xz, .lz4) they are compressed, and --size counts what they hold. OUTPUT may be - for one file.
    """
    from glancetrace.edit.piece_file import check_output, check_pieces
    from glancetrace.edit.selection import PacketSelection, parse_frames
    from glancetrace.edit.split import split as split_capture
    from glancetrace.output.progress import ProgressBar
    from glancetrace.output.units import plural

    selection = PacketSelection(parse_frames(frames), keep, _moment(start), _moment(stop))
    cut = _cut(count, interval, size, by)
    if keep_sessions and cut is None:
        raise UsageError("--keep-sessions needs a cut to wait with", action="give -c, -i or --size")
    is_one_file = cut is None and by is None
    if is_one_file:
        check_output(output, [path])
    else:
        check_pieces(output)
    trace = _analyzed(path, reading) if keep_sessions or by in ("image", "call") else None
    if cut is not None and trace is not None:
        from glancetrace.edit.quiet import QuietCut, quiet_points

        cut = QuietCut(cut, quiet_points(trace), _LONGEST_WAIT)
    with ProgressBar(enabled=reading.progress) as bar:
        progress = bar if bar.enabled else None
        if by is not None:
            from glancetrace.edit.grouping import split_by

            grouping = _grouping(by, reading, trace, context=with_context)
            pieces = split_by([path], output, grouping, selection=selection, progress=progress)
        else:
            pieces = split_capture([path], output, cut, selection=selection, utc=utc, progress=progress)
    packets = sum(piece.packets for piece in pieces)
    if not packets:
        say(f"no packet matches: {'a capture without packets' if pieces else 'nothing'} was written")
        return
    made = "" if is_one_file else f"{plural(len(pieces), 'piece')}, "
    say(f"{made}{plural(packets, 'packet')}; passwords and tokens in the packets are kept")


_LONGEST_WAIT = 20_000
"""Packets that --keep-sessions waits for a quiet point."""


def _analyzed(path: str, reading: Reading) -> Trace:
    from glancetrace.edit.extract import check_repeatable

    check_repeatable([path])
    trace = reading.analyze([path])
    check_repeatable([path], trace.capture)
    return trace


def _grouping(by: str, reading: Reading, trace: Trace | None, *, context: bool) -> Grouping:
    from glancetrace.edit import grouping
    from glancetrace.edit.parts import PartFinder

    if trace is None:
        make = grouping.by_connection if by == "connection" else grouping.by_service
        return make(reading.port_map())
    find = grouping.parts_of_images if by == "image" else grouping.parts_of_calls
    return grouping.ByPart(find(trace, PartFinder(trace, context=context)))


def _cut(count: int | None, interval: str | None, size: str | None, by: str | None) -> Cut | None:
    from glancetrace.edit.cutting import ByCount, BySize, ByTime
    from glancetrace.output.clock import parse_duration

    if sum(wanted is not None for wanted in (count, interval, size, by)) > 1:
        raise UsageError("-c, -i, --size and --by exclude each other", action="choose one")
    if count is not None:
        return ByCount(count)
    if interval is not None:
        bare = interval.replace(".", "", 1)
        nanoseconds = parse_duration(interval + "s" if bare.isascii() and bare.isdigit() else interval)
        if nanoseconds < 1:
            raise UsageError("a piece needs some time", where="-i", action="give a positive number of seconds")
        return ByTime(nanoseconds)
    return None if size is None else BySize(_byte_count(size))


def _byte_count(text: str) -> int:
    """`500000`, `100k`, `100M`, `2G`: powers of 1000, as in tcpdump -C."""
    match = re.fullmatch(r"([0-9]+)([kKmMgG]?)[bB]?", text)
    if match is None or not int(match[1]):
        raise UsageError(f"{text!r} is no size", where="--size", action="write it as 500000, 100M or 2G")
    return int(match[1]) * {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}[match[2].lower()]


def _moment(text: str | None) -> int | None:
    """Time as editcap takes it, ns: ISO 8601, without a zone local time, or seconds since 1970."""
    from glancetrace.output.clock import Clock

    if text is None:
        return None
    match = re.fullmatch(r"([0-9]+)(?:\.([0-9]{1,9})[0-9]*)?", text)
    if match is not None:
        return int(match[1]) * 1_000_000_000 + int((match[2] or "").ljust(9, "0"))
    if text.startswith("+"):
        raise UsageError(f"{text!r} is no time", action="write it as 2020-02-18T04:49:55Z, or seconds since 1970")
    return Clock(None, None, zone=None).parse(text)
