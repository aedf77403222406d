"""`glancetrace verify`: a second opinion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from glancetrace.cli.layout import SectionedCommand
from glancetrace.cli.options import captures, format_option, say
from glancetrace.cli.reading import Reading, takes_reading
from glancetrace.cli.showing import Showing, showing_by

if TYPE_CHECKING:
    from glancetrace.redact import Redactor
    from glancetrace.verify.compare import Comparison, Difference
    from glancetrace.verify.messages import Message

__all__ = ["verify"]


@click.command(
    cls=SectionedCommand,
    short_help="Does Wireshark see the same?",
    examples=[
        ("glancetrace verify capture.pcap", "every difference from what Wireshark's dissectors see, or none"),
        ("glancetrace verify capture.pcap --keylog keys.txt --format json", "over TLS, for a program"),
    ],
)
@captures
@format_option("text", "json")
@showing_by("output")
@takes_reading
def verify(paths: tuple[str, ...], form: str, showing: Showing, reading: Reading) -> int:
    """Ask Wireshark for a second opinion: tshark reads the same captures, and every difference is listed.

    Compared are HTTP requests (method, target), responses (status code) and MySQL commands (text), each with the frame
    of its last byte, on every hop. Needs tshark, and is slow: some hundred messages a second. The exit code is 1 where
    something differs without a known reason.
    """
    from glancetrace.edit.extract import check_repeatable
    from glancetrace.verify.ask import check_tools
    from glancetrace.verify.compare import KINDS
    from glancetrace.verify.known import REASONS
    from glancetrace.verify.verify import verify as verify_trace

    check_repeatable(paths)
    check_tools()
    with showing.target(paths) as target:
        trace = reading.analyze(paths)
        comparison = verify_trace(trace, paths, reading.port_map(), keylogs=reading.keylogs, rsa_keys=reading.rsa_keys)
        verdict = _verdict(comparison, trace.redactor)
        if form == "json":
            from glancetrace.output.json import dump_document

            target.write_json(dump_document(verdict))
        else:
            from glancetrace.output.text_verify import render_verdict

            target.write_lines(render_verdict(verdict, KINDS, REASONS))
    if not any([*comparison.ours.values(), *comparison.theirs.values()]):
        say("nothing was compared: no HTTP and no MySQL that can be read")
    return 1 if comparison.contradictions else 0


def _verdict(comparison: Comparison, redactor: Redactor) -> dict[str, Any]:
    """The result as plain rows, secrets replaced."""
    from glancetrace.schema import SCHEMA

    return {
        "schema": SCHEMA,
        "same": not comparison.contradictions,
        "with_bodies": comparison.with_bodies,
        "glancetrace": comparison.ours,
        "tshark": comparison.theirs,
        "differences": [_row(difference, redactor) for difference in comparison.differences],
    }


def _row(difference: Difference, redactor: Redactor) -> dict[str, Any]:
    ours, theirs = difference.ours, difference.theirs
    either = theirs or ours
    assert either is not None
    return {
        "kind": difference.kind,
        "reason": difference.reason,
        "frame": difference.frame,
        "message": either.kind,
        "client": either.client,
        "server": either.server,
        "call_id": ours.call_id if ours is not None else None,
        "statement_id": ours.statement_id if ours is not None else None,
        "glancetrace": _side(ours, redactor),
        "tshark": _side(theirs, redactor),
    }


def _side(message: Message | None, redactor: Redactor) -> dict[str, Any] | None:
    if message is None:
        return None
    return {"frame": message.frame, "what": redactor.text(message.what), "text": redactor.text(message.text)}
