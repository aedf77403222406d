"""The decoders see what tshark sees: every HTTP message and MySQL command, its text, and the frame of its last byte.

Where the two differ, the reason stands here: tshark shows only messages that are complete (`Ours.cut` holds the others,
which must be just what tshark lacks), reads MySQL text as ASCII (`as_ascii`), and is wrong about the commands listed in
`DIFFERENCES`; an entry there that no longer applies fails the test, too.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from glancetrace.decode import decode
from glancetrace.net.run import render_endpoint
from glancetrace.options import Options
from tests.support.samples import CAPTURES, keylog_path
from tests.support.tshark import Command, Request, Response, ask_tshark

Row = Request | Response | Command


@dataclass(frozen=True)
class Ours:
    """What glancetrace decodes from a capture, in tshark's terms; `cut` holds messages not seen to their end."""

    rows: Counter[Row]
    cut: Counter[Row]


@dataclass(frozen=True)
class Difference:
    """Commands of one capture, by (frame, command), that only one side has, and why."""

    only_tshark: frozenset[tuple[int, str]]
    only_ours: frozenset[tuple[int, str]]
    reason: str


NONE = Difference(frozenset(), frozenset(), "")

DIFFERENCES = {
    "pymysql-multi": Difference(
        frozenset((frame, f"command {code}") for frame, code in ((49, 48), (62, 44), (75, 101), (88, 50), (93, 53))),
        frozenset(),
        "tshark takes the file contents of LOAD DATA LOCAL for commands: their first bytes are '0', ',', 'e', '2', '5'",
    ),
    "mariadb-cli-compress": Difference(
        frozenset({(78, "command 77"), (86, "command 59")}),
        frozenset({(86, "COM_QUERY")}),
        "tshark does not join a command that spans several compressed packets",
    ),
}


def as_ascii(text: str) -> str:
    """Text as tshark 4.0 shows it: a replacement character for every byte that is not ASCII."""
    return "".join(chr(byte) if byte < 128 else "\ufffd" for byte in text.encode())


def see(capture: Path, *keylogs: Path) -> Ours:
    """Decode a capture."""
    decoded = decode(capture, Options(keylogs=keylogs))
    whole: Counter[Row] = Counter()
    cut: Counter[Row] = Counter()
    for exchange, connection in decoded.exchanges:
        ends = render_endpoint(connection.client), render_endpoint(connection.server)
        request, response = exchange.request, exchange.response
        if request.method and exchange.request_frame is not None:
            kept = whole if exchange.request_body.complete else cut
            kept[Request(*ends, exchange.request_frame, request.method, request.target)] += 1
        if response is not None and exchange.response_frame is not None:
            kept = whole if exchange.response_body.complete else cut
            kept[Response(*ends, exchange.response_frame, response.status_code)] += 1
    for command, connection in decoded.commands:
        ends = render_endpoint(connection.client), render_endpoint(connection.server)
        text = as_ascii(command.sql or "") if command.command in ("COM_QUERY", "COM_STMT_PREPARE") else ""
        whole[Command(*ends, command.request_frame, command.command, text)] += 1
    return Ours(whole, cut)


def commands_in(rows: Counter[Row]) -> set[tuple[int, str]]:
    """(frame, command) of rows that are all commands."""
    return {(row.frame, row.command if isinstance(row, Command) else repr(row)) for row in rows}


@pytest.mark.parametrize("name", sorted(CAPTURES))
def test_equal_to_tshark(name: str) -> None:
    judge, ours = ask_tshark(CAPTURES[name]), see(CAPTURES[name])
    final = [response for response in judge.responses if response.status_code >= 200]
    theirs = Counter[Row]([*judge.requests, *final, *judge.commands])
    known = DIFFERENCES.get(name, NONE)
    assert commands_in(theirs - ours.rows) == known.only_tshark
    assert commands_in(ours.rows - theirs) == known.only_ours
    assert not ours.cut & theirs


@pytest.mark.parametrize("name", sorted(name for name in CAPTURES if keylog_path(name)))
def test_decrypted_as_by_tshark(name: str) -> None:
    keylog = keylog_path(name)
    assert keylog is not None
    judge, ours = ask_tshark(CAPTURES[name], keylog), see(CAPTURES[name], keylog)
    theirs = Counter[Row]([*judge.requests, *judge.responses, *judge.commands])
    assert theirs == ours.rows
    assert theirs > see(CAPTURES[name]).rows
    assert not ours.cut & theirs


def test_interim_responses_are_those_of_tshark() -> None:
    judge = ask_tshark(CAPTURES["failures"])
    theirs = Counter(response.status_code for response in judge.responses if response.status_code < 200)
    decoded = decode(CAPTURES["failures"])
    assert Counter(code for exchange, _ in decoded.exchanges for code in exchange.interim) == theirs
    assert theirs


def test_messages_not_seen_to_their_end_are_the_aborted_ones() -> None:
    """Uploads that were given up, a download, on their hops, and answers that a health check did not wait for."""
    cut = see(CAPTURES["failures"]).cut
    uploads = [row for row in cut.elements() if isinstance(row, Request)]
    answers = [row for row in cut.elements() if isinstance(row, Response)]
    assert Counter((row.method, row.server) for row in uploads) == {
        ("PUT", "127.0.0.20:13292"): 4,
        ("PUT", "127.0.0.19:9292"): 5,
    }
    assert Counter((row.status_code, row.server) for row in answers) == {
        (200, "127.0.0.20:13292"): 1,
        (200, "127.0.0.19:9292"): 1,
        (200, "127.0.0.19:5000"): 4,
    }
