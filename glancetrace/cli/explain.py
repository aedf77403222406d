"""`glancetrace explain`: why a statement belongs to a call."""

from __future__ import annotations

import click

from glancetrace.cli.layout import SectionedCommand
from glancetrace.cli.options import captures, format_option, option
from glancetrace.cli.reading import Reading, takes_reading
from glancetrace.cli.showing import Showing, showing_by
from glancetrace.errors import UsageError

__all__ = ["explain"]


@click.command(
    cls=SectionedCommand,
    short_help="Why a statement belongs to its call.",
    examples=[
        ("glancetrace explain --call 27 capture.pcap", "all units of work of a call (ids as `calls` shows them)"),
        ("glancetrace explain --statement 311 capture.pcap", "one statement, with the unit of work it is in"),
        ("glancetrace explain --frame 1010 capture.pcap", "whatever a frame of Wireshark belongs to"),
    ],
)
@captures
@option("--statement", type=int, metavar="ID", section="What", help="This statement.")
@option("--call", type=int, metavar="ID", section="What", help="This API call.")
@option("--frame", type=int, metavar="N", section="What", help="The statement or call that a frame belongs to.")
@format_option("text", "json")
@showing_by("output")
@takes_reading
def explain(
    paths: tuple[str, ...],
    statement: int | None,
    call: int | None,
    frame: int | None,
    form: str,
    showing: Showing,
    reading: Reading,
) -> None:
    """Say why statements were linked to calls: evidence with weights, rejected calls with reasons, what is missing.

    Weights are natural logarithms, as the joint solution adds them up; evidence without a weight decides alone.
    """
    if [statement, call, frame].count(None) != 2:
        raise UsageError("explain needs one of --statement, --call and --frame", action="name one of them")
    with showing.target(paths) as target:
        explanation = reading.analyze(paths).explain(statement=statement, call=call, frame=frame)
        if form == "text":
            from glancetrace.output.clean import clean

            for line in explanation.lines():
                text = line.lstrip(" ")
                target.write_lines([line[: len(line) - len(text)] + clean(text)])
            return
        from glancetrace.output.json import dump_document
        from glancetrace.schema import SCHEMA

        target.write_json(dump_document({"schema": SCHEMA, "explanation": explanation.row()}))
