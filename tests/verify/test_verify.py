"""The second opinion: no difference where there is none, each fault by its name where the result was doctored."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import glancetrace.verify.ask
from glancetrace.errors import InputError, UsageError
from glancetrace.glance.call import ApiCall
from glancetrace.glance.ports import DEFAULT_PORTS
from glancetrace.glance.statement import SqlStatement
from glancetrace.pipeline import Options, analyze
from glancetrace.trace import Tables, Trace
from glancetrace.verify.ask import LARGE_BODY, Question, ask, questions_of
from glancetrace.verify.compare import Comparison, compare
from glancetrace.verify.known import REASONS, context_of
from glancetrace.verify.messages import Message, own_messages
from glancetrace.verify.verify import verify
from tests.support import capture_files as cf
from tests.support.samples import capture_path, keylog_path

PROXIED = capture_path("article-proxied-foreign")


def piece(path: Path, capture: Path, first: int, last: int) -> Path:
    """Frames of a capture as one of their own."""
    rows = cf.read([capture]).rows[first - 1 : last]
    path.write_bytes(cf.pcap([cf.Packet(ts, data) for _frame, ts, _link, data, _len in rows]))
    return path


@dataclass(frozen=True)
class Heard:
    """A capture, what glancetrace says of it, and what tshark does: asked once for many tests."""

    trace: Trace
    theirs: list[Message]

    def compare(self, trace: Trace | None = None) -> Comparison:
        trace = trace or self.trace
        return compare(own_messages(trace), self.theirs, context_of(trace, DEFAULT_PORTS, with_bodies=True))


def hear(path: Path, keylog: Path | None = None) -> Heard:
    trace = analyze(path, keylog=keylog)
    (question,) = questions_of(trace, DEFAULT_PORTS, [str(keylog)] if keylog else [])
    return Heard(trace, list(ask(str(path), question)))


ALLPORTS = capture_path("article-allports")
SHOWN, SENT, STORED = 1651, 1761, 2312
"""Frames of `article-allports`: where a call begins, some calls later the upload of another image, and its last one."""


@pytest.fixture(scope="module")
def upload(tmp_path_factory: pytest.TempPathFactory) -> Heard:
    """One image of the article on all hops: looked for, created, uploaded."""
    return hear(piece(tmp_path_factory.mktemp("piece") / "upload.pcap", ALLPORTS, SHOWN, STORED))


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


def test_no_difference(upload: Heard) -> None:
    comparison = upload.compare()
    assert comparison.contradictions == []
    assert comparison.ours == comparison.theirs
    assert min(comparison.ours.values()) > 5


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pymysql-tls13", {}),
        ("pymysql-multi", {"file-contents": 5}),
        ("mariadb-cli-compress", {"compressed": 2}),
    ],
)
def test_known_differences_are_named(name: str, expected: dict[str, int]) -> None:
    comparison = hear(capture_path(name), keylog_path(name)).compare()
    assert Counter(difference.reason for difference in comparison.differences) == expected
    assert comparison.contradictions == []
    assert comparison.theirs["command"] > 5
    assert set(expected) <= set(REASONS)


Doctor = Callable[[Trace, ApiCall, SqlStatement], tuple[str, int]]
"""Changes a copy of a trace at a call and a statement; returns the difference to be found, and its frame."""


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
    call.method = "BREW"
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
def test_a_doctored_result_is_found_out(upload: Heard, doctor: Doctor, place: int) -> None:
    trace = copied(upload.trace)
    call = [call for call in trace.tables.calls if call.complete][place]
    selects = [s for s in trace.tables.statements if s.operation == "SELECT" and s.command.command == "COM_QUERY"]
    expected = doctor(trace, call, selects[place])
    found = told(upload.compare(trace))
    if doctor is drop_call:  # on every hop, request and response
        legs = [hop.messages for hop in call.hops if hop.messages is not None]
        frames = [frame for leg in legs for frame in (leg.request_frame, leg.response_frame)]
        assert expected in found
        assert sorted(found) == sorted(("only-tshark", frame) for frame in frames)
        assert len(found) == 4
    else:
        assert found == [expected]


def test_a_leg_inside_counts_too(upload: Heard) -> None:
    """What only the hop behind the proxy shows is compared, on its own frames."""
    trace = copied(upload.trace)
    call = next(call for call in trace.tables.calls if len(call.hops) == 2)
    inner = call.hops[1].messages
    call.hops = call.hops[:1]
    assert inner is not None
    assert told(upload.compare(trace)) == [("only-tshark", inner.request_frame), ("only-tshark", inner.response_frame)]


def test_both_legs_of_a_database_proxy(tmp_path: Path) -> None:
    """Statements of nova and neutron are there as well."""
    heard = hear(piece(tmp_path / "start.pcap", PROXIED, 1, 700))
    assert any(statement.hops for statement in heard.trace.tables.statements)
    assert heard.compare().contradictions == []
    trace = copied(heard.trace)
    statement = next(statement for statement in trace.tables.statements if statement.hops)
    inner = statement.hops[1]
    statement.hops = statement.hops[:1]
    assert told(heard.compare(trace)) == [("only-tshark", inner.request_frame)]


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
    path = piece(tmp_path / "cut.pcap", ALLPORTS, SENT, SENT + 60)
    comparison = verify(analyze(path), [str(path)], DEFAULT_PORTS)
    reasons = Counter((one.kind, one.reason) for one in comparison.differences)
    assert reasons == {("only-glancetrace", "not-to-its-end"): 1}


def test_after_a_loss_tshark_waits(upload: Heard, tmp_path: Path) -> None:
    """What it does not show of such a connection is no fault; a message that both have still has to be the same."""
    rows = cf.read([ALLPORTS]).rows[SHOWN - 1 : SENT]
    lost = next(
        statement.command for statement in upload.trace.tables.statements[20:] if statement.operation == "SELECT"
    )
    path = tmp_path / "lossy.pcap"
    kept = [row for number, row in enumerate(rows, 1) if number != lost.request_frame]
    path.write_bytes(cf.pcap([cf.Packet(ts, data) for _frame, ts, _link, data, _len in kept]))
    heard = hear(path)
    comparison = heard.compare()
    assert comparison.contradictions == []
    reasons = {one.reason for one in comparison.differences}
    assert "bytes-missing" in reasons
    assert reasons <= {"bytes-missing", "not-to-its-end"}
    trace = copied(heard.trace)
    first = next(s for s in trace.tables.statements if s.command.request_frame < lost.request_frame and s.command.sql)
    first.command.sql = "SELECT 1"
    assert told(heard.compare(trace)) == [("text", first.command.request_frame)]


def test_what_is_no_call_is_named(tmp_path: Path) -> None:
    """A response whose request came before the capture; a request that is none of Glance's business."""
    rows = cf.read([capture_path("article")]).rows
    packets = [cf.Packet(ts, data) for _frame, ts, _link, data, _len in rows[:5]]
    late, foreign = tmp_path / "late.pcap", tmp_path / "foreign.pcap"
    late.write_bytes(cf.pcap(packets[4:]))
    asked = packets[3].data.replace(b"GET / HTTP/1.1\r\nHost: 127", b"GET /x/y HTTP/1.1\r\nHost:7")
    assert len(asked) == len(packets[3].data)
    foreign.write_bytes(cf.pcap([*packets[:3], cf.Packet(packets[3].ts, asked), packets[4]]))
    ports = {port: service for port, service in DEFAULT_PORTS.items() if port != 13000}
    found = [
        [(one.kind, one.frame, one.reason) for one in verify(trace, [str(path)], ports).differences]
        for path in (late, foreign)
        for trace in [analyze(path, Options(ports=ports))]
    ]
    assert found == [
        [("only-tshark", 1, "request-not-captured")],
        [("only-tshark", 4, "other-service"), ("only-tshark", 5, "other-service")],
    ]


def test_large_bodies_are_not_put_together(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """tshark is asked for SQL and for HTTP apart then, and nothing is lost by that."""
    path = piece(tmp_path / "upload.pcap", ALLPORTS, SHOWN, STORED)
    trace = analyze(path)
    assert len(questions_of(trace, DEFAULT_PORTS)) == 1
    monkeypatch.setattr(glancetrace.verify.ask, "LARGE_BODY", 100_000)
    trace.tables.calls[0].status_code = 500
    comparison = verify(trace, [str(path)], DEFAULT_PORTS)
    assert not comparison.with_bodies
    assert [one.kind for one in comparison.contradictions] == ["status"]
    assert comparison.ours == comparison.theirs


def test_large_bodies_over_tls() -> None:
    """Records are put together, what is in them is not."""
    trace = analyze(capture_path("article-tls13"), keylog=keylog_path("article-tls13"))
    trace.tables.calls[0].request_body_bytes = LARGE_BODY
    sql, *_, tls = questions_of(trace, DEFAULT_PORTS, ["keys.txt"])
    assert sql.filter == "mysql.command"
    assert sql.decode_as["tcp.port==13292"] == "data"
    assert (tls.decode_as["tcp.port==13292"], tls.decode_as["tls.port==13292"]) == ("tls", "http")
    assert ("tls.desegment_ssl_application_data", "FALSE") in tls.preferences


def test_what_tshark_cannot_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.pcap").write_bytes(b"\xd4\xc3\xb2\xa1" + bytes(100))
    with pytest.raises(InputError, match="tshark"):
        list(ask(str(tmp_path / "x.pcap"), Question({})))


def test_standard_input_is_refused() -> None:
    with pytest.raises(UsageError, match="only once"):
        verify(analyze(capture_path("pymysql-tls12")), ["-"], DEFAULT_PORTS)
