"""The second opinion: no difference where there is none, each fault by its name where the result was doctored."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from glancetrace.errors import InputError, UsageError
from glancetrace.glance.call import ApiCall
from glancetrace.glance.ports import DEFAULT_PORTS
from glancetrace.glance.statement import SqlStatement
from glancetrace.pipeline import analyze
from glancetrace.trace import Tables, Trace
from glancetrace.verify.ask import _LARGE_BODY, Question, ask, question_of
from glancetrace.verify.compare import Comparison, compare
from glancetrace.verify.known import REASONS, context_of
from glancetrace.verify.messages import Message, own_messages
from glancetrace.verify.verify import verify
from tests.support import capture_files as cf
from tests.support.samples import capture_path, keylog_path

PROXIED = capture_path("article-proxied-foreign")


@cache
def trace_of(name: str) -> Trace:
    return analyze(capture_path(name), keylog=keylog_path(name))


@cache
def seen_by_tshark(name: str) -> tuple[Message, ...]:
    log = keylog_path(name)
    question = question_of(trace_of(name), DEFAULT_PORTS, [str(log)] if log else [], [])
    return tuple(ask(str(capture_path(name)), question))


def compared(name: str, trace: Trace | None = None) -> Comparison:
    trace = trace or trace_of(name)
    context = context_of(trace, DEFAULT_PORTS, with_bodies=True)
    return compare(own_messages(trace), seen_by_tshark(name), context)


def told(comparison: Comparison) -> list[tuple[str, int]]:
    return [(difference.kind, difference.frame) for difference in comparison.contradictions]


def copied(trace: Trace) -> Trace:
    """A trace to be doctored: rows of its own, what they refer to shared."""
    calls = [copy.copy(call) for call in trace.tables.calls]
    statements = [copy.copy(statement) for statement in trace.tables.statements]
    for statement in statements:
        statement.command = copy.copy(statement.command)
    tables = Tables(connections=trace.tables.connections, calls=calls, statements=statements, links=trace.tables.links)
    return Trace(trace.capture, tables, trace.redactor)


@pytest.mark.parametrize("name", ["article", "pymysql-tls13", "connector-pure-prepared"])
def test_no_difference(name: str) -> None:
    comparison = compared(name)
    assert comparison.differences == []
    assert comparison.ours == comparison.theirs
    assert sum(comparison.ours.values()) > 5


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pymysql-multi", {"file-contents": 5}),
        ("mariadb-cli-compress", {"compressed": 2}),
    ],
)
def test_known_differences_are_named(name: str, expected: dict[str, int]) -> None:
    comparison = compared(name)
    assert Counter(difference.reason for difference in comparison.differences) == expected
    assert comparison.contradictions == []
    assert set(expected) <= set(REASONS)


Doctor = Callable[[Trace, ApiCall, SqlStatement], tuple[str, int]]
"""Changes a copy of a trace at a call and a statement; returns the difference that must be found, and in which frame."""


def drop_call(trace: Trace, call: ApiCall, statement: SqlStatement) -> tuple[str, int]:
    trace.tables.calls.remove(call)
    return "only-tshark", call.request_frame or 0


def drop_statement(trace: Trace, call: ApiCall, statement: SqlStatement) -> tuple[str, int]:
    trace.tables.statements.remove(statement)
    return "only-tshark", statement.command.request_frame


def change_status(trace: Trace, call: ApiCall, statement: SqlStatement) -> tuple[str, int]:
    call.status_code = 500
    return "status", call.response_frame or 0


def change_method(trace: Trace, call: ApiCall, statement: SqlStatement) -> tuple[str, int]:
    call.method = "POST"
    return "method", call.request_frame or 0


def change_target(trace: Trace, call: ApiCall, statement: SqlStatement) -> tuple[str, int]:
    call.target += "x"
    return "target", call.request_frame or 0


def change_text(trace: Trace, call: ApiCall, statement: SqlStatement) -> tuple[str, int]:
    statement.command.sql = (statement.command.sql or "").replace("SELECT", "SELECT DISTINCT")
    return "text", statement.command.request_frame


def change_command(trace: Trace, call: ApiCall, statement: SqlStatement) -> tuple[str, int]:
    statement.command.command = "COM_PING"
    return "command", statement.command.request_frame


def move_statement(trace: Trace, call: ApiCall, statement: SqlStatement) -> tuple[str, int]:
    statement.command.request_frame += 1
    statement.command.first_frame += 1
    return "frame", statement.command.request_frame - 1


def move_response(trace: Trace, call: ApiCall, statement: SqlStatement) -> tuple[str, int]:
    frame = call.response_frame or 0
    call.response_frame = frame + 1
    return "frame", frame


def invent_statement(trace: Trace, call: ApiCall, statement: SqlStatement) -> tuple[str, int]:
    invented = copy.copy(statement)
    invented.command = copy.copy(statement.command)
    invented.command.sql = "DELETE FROM images"
    invented.command.first_frame = invented.command.request_frame = statement.command.request_frame + 1
    trace.tables.statements.append(invented)
    return "only-glancetrace", invented.command.request_frame


DOCTORS = [drop_call, drop_statement, change_status, change_method, change_target, change_text, change_command,
           move_statement, move_response, invent_statement]  # fmt: skip


@pytest.mark.parametrize("doctor", DOCTORS)
@pytest.mark.parametrize("place", [0, 3, -1])
def test_a_doctored_result_is_found_out(doctor: Doctor, place: int) -> None:
    trace = copied(trace_of("article"))
    call = [call for call in trace.tables.calls if call.complete][place]
    selects = [s for s in trace.tables.statements if s.operation == "SELECT" and s.command.command == "COM_QUERY"]
    expected = doctor(trace, call, selects[place])
    found = told(compared("article", trace))
    if doctor is drop_call:  # its response is missing as well
        assert sorted(found) == sorted([expected, ("only-tshark", call.response_frame or 0)])
    else:
        assert found == [expected]


def test_a_leg_inside_counts_too() -> None:
    """What only the hop behind the proxy shows is compared, on its own frames."""
    trace = copied(trace_of("article-allports"))
    assert compared("article-allports", trace).contradictions == []
    call = next(call for call in trace.tables.calls if len(call.hops) == 2)
    inner = call.hops[1]
    call.hops = call.hops[:1]
    assert inner.messages is not None
    found = told(compared("article-allports", trace))
    assert found == [
        ("only-tshark", inner.messages.request_frame),
        ("only-tshark", inner.messages.response_frame),
    ]


def test_both_legs_of_a_database_proxy(tmp_path: Path) -> None:
    """Two seconds of it: nova's and neutron's statements are there as well."""
    rows = cf.read([PROXIED]).rows[:1500]
    path = tmp_path / "start.pcap"
    path.write_bytes(cf.pcap([cf.Packet(ts, data) for _frame, ts, _link, data, _len in rows]))
    trace = analyze(path)
    assert any(statement.hops for statement in trace.tables.statements)
    comparison = verify(trace, [str(path)], DEFAULT_PORTS)
    assert comparison.contradictions == []
    assert {difference.reason for difference in comparison.differences} <= set(REASONS)


def test_several_captures_and_what_tshark_cannot_read(tmp_path: Path) -> None:
    """Pieces, one of them compressed with xz, are given to tshark as one."""
    import lzma

    rows = cf.read([capture_path("pymysql-basic")]).rows
    packets = [cf.Packet(ts, data) for _frame, ts, _link, data, _len in rows]
    names = [tmp_path / "a.pcap", tmp_path / "b.pcap.xz"]
    names[0].write_bytes(cf.pcap(packets[:40]))
    names[1].write_bytes(lzma.compress(cf.pcap(packets[40:])))
    paths = [str(name) for name in names]
    comparison = verify(analyze(paths), paths, DEFAULT_PORTS)
    assert comparison.differences == []
    assert comparison.ours["command"] == 34


def test_a_message_that_was_cut_is_a_known_difference(tmp_path: Path) -> None:
    """The capture ends within an upload: tshark waits for its end and shows nothing of it."""
    upload = next(call for call in trace_of("article").tables.calls if call.operation == "image-upload")
    assert upload.request_frame is not None
    rows = cf.read([capture_path("article")]).rows[: upload.request_frame - 5]
    path = tmp_path / "cut.pcap"
    path.write_bytes(cf.pcap([cf.Packet(ts, data) for _frame, ts, _link, data, _len in rows]))
    comparison = verify(analyze(path), [str(path)], DEFAULT_PORTS)
    assert [(one.kind, one.reason) for one in comparison.differences] == [("only-glancetrace", "not-to-its-end")]


def test_other_services_are_named(tmp_path: Path) -> None:
    """HTTP that is none of OpenStack's image business, and a response whose request came before the capture."""
    rows = cf.read([capture_path("article")]).rows
    packets = [cf.Packet(ts, data.replace(b"GET / HTTP", b"GET /x HTTP")) for _frame, ts, _link, data, _len in rows[:8]]
    packets[3] = cf.Packet(packets[3].ts, packets[3].data.replace(b"GET / ", b"BREW /"))
    path = tmp_path / "other.pcap"
    path.write_bytes(cf.pcap(packets[4:8]))
    comparison = verify(analyze(path), [str(path)], DEFAULT_PORTS)
    assert [(one.kind, one.frame, one.reason) for one in comparison.differences] == [
        ("only-tshark", 1, "request-not-captured")
    ]


def test_large_bodies_are_not_put_together() -> None:
    trace = copied(trace_of("article"))
    assert question_of(trace, DEFAULT_PORTS, [], []).with_bodies
    trace.tables.calls[0].request_body_bytes = _LARGE_BODY
    question = question_of(trace, DEFAULT_PORTS, [], [])
    assert ("http.desegment_body", "FALSE") in question.preferences
    messages = list(ask(str(capture_path("article")), question))
    context = context_of(trace, DEFAULT_PORTS, with_bodies=question.with_bodies)
    comparison = compare(own_messages(trace), messages, context)
    assert comparison.contradictions == []
    trace.tables.calls[3].status_code = 500
    context = context_of(trace, DEFAULT_PORTS, with_bodies=question.with_bodies)
    (found,) = compare(own_messages(trace), messages, context).contradictions
    assert found.kind == "status"


def test_what_tshark_cannot_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.pcap").write_bytes(b"\xd4\xc3\xb2\xa1" + bytes(100))
    with pytest.raises(InputError, match="tshark"):
        list(ask(str(tmp_path / "x.pcap"), Question()))


def test_standard_input_is_refused() -> None:
    with pytest.raises(UsageError, match="only once"):
        verify(trace_of("article"), ["-"], DEFAULT_PORTS)
