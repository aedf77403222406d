"""The decoders see what tshark sees: every HTTP message and MySQL command, its text, and the frame of its last byte.

Where the two differ, `DIFFERENCES` says which rows and why; a reason that no longer applies fails the test, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from glancetrace.decode import decode
from glancetrace.net.run import render_endpoint
from tests.support.samples import CAPTURES
from tests.support.tshark import Command, Request, Response, Seen, ask_tshark

Row = Request | Response | Command


@dataclass(frozen=True)
class Difference:
    """Rows of one capture that only one side has: `count` of them fit, because of `reason`."""

    capture: str
    only: str
    count: int
    fits: Callable[[Row], bool]
    reason: str


DIFFERENCES: tuple[Difference, ...] = ()


def see(capture: Path) -> Seen:
    """What glancetrace decodes from a capture, in tshark's terms."""
    decoded = decode(capture)
    seen = Seen([], [], [])
    for exchange, connection in decoded.exchanges:
        ends = render_endpoint(connection.client), render_endpoint(connection.server)
        if exchange.request.method and exchange.request_frame is not None:
            seen.requests.append(
                Request(*ends, exchange.request_frame, exchange.request.method, exchange.request.target)
            )
        if exchange.response is not None and exchange.response_frame is not None:
            seen.responses.append(Response(*ends, exchange.response_frame, exchange.response.status_code))
    for command, connection in decoded.commands:
        ends = render_endpoint(connection.client), render_endpoint(connection.server)
        text = (command.sql or "") if command.command in ("COM_QUERY", "COM_STMT_PREPARE") else ""
        seen.commands.append(Command(*ends, command.request_frame, command.command, text))
    return seen


def unexplained(capture: str, only: str, rows: Counter[Row]) -> list[Row]:
    """Rows that no known difference explains; asserts that every known one occurs."""
    left = list(rows.elements())
    for difference in DIFFERENCES:
        if (difference.capture, difference.only) == (capture, only):
            fitting = [row for row in left if difference.fits(row)]
            assert len(fitting) == difference.count, (difference.reason, fitting)
            left = [row for row in left if not difference.fits(row)]
    return left


@pytest.mark.parametrize("name", sorted(CAPTURES))
def test_equal_to_tshark(name: str) -> None:
    theirs, ours = ask_tshark(CAPTURES[name]), see(CAPTURES[name])
    final = [response for response in theirs.responses if response.status_code >= 200]
    judged = Counter[Row]([*theirs.requests, *final, *theirs.commands])
    decoded = Counter[Row]([*ours.requests, *ours.responses, *ours.commands])
    assert unexplained(name, "tshark", judged - decoded) == []
    assert unexplained(name, "glancetrace", decoded - judged) == []
