"""Every command: its text, its effect, how it is answered and when."""

from __future__ import annotations

import struct

import pytest

from glancetrace.mysql.commands import is_request, parse_query_text
from glancetrace.mysql.constants import COMMAND_NAMES, Command
from tests.support.mysql_wire import (
    AUTOCOMMIT,
    CLIENT,
    LOGIN,
    SERVER,
    Script,
    column,
    decode,
    eof,
    err,
    ok,
    packet,
    packets,
    query,
    result_set,
    text_row,
)

SIMPLE = {
    "COM_CREATE_DB": b"\x05new",
    "COM_DROP_DB": b"\x06old",
    "COM_REFRESH": b"\x07\x01",
    "COM_SHUTDOWN": b"\x08\x00",
    "COM_PROCESS_KILL": b"\x0c\x07\x00\x00\x00",
    "COM_PING": b"\x0e",
    "COM_REGISTER_SLAVE": b"\x15" + bytes(20),
    "COM_STMT_RESET": b"\x1a\x01\x00\x00\x00",
    "COM_SET_OPTION": b"\x1b\x00\x00",
    "COM_RESET_CONNECTION": b"\x1f",
}


@pytest.mark.parametrize("name", SIMPLE)
@pytest.mark.parametrize("answer", [ok(), eof(), err(1227, "Access denied", "42000")], ids=["ok", "eof", "err"])
def test_commands_that_are_answered_with_one_packet(name: str, answer: bytes) -> None:
    script: Script = [*LOGIN, (CLIENT, packet(0, SIMPLE[name])), (SERVER, packet(1, answer)), (CLIENT, query("next"))]
    command = decode(script)[0][0]
    assert (command.command, command.complete) == (name, True)
    assert (command.first_frame, command.request_frame, command.response_frame) == (4, 4, 5)
    assert (command.error is not None) is (answer[:1] == b"\xff")


def test_every_command_that_passes_as_a_request_has_a_name() -> None:
    assert set(COMMAND_NAMES) == {int(command) for command in Command}
    assert COMMAND_NAMES[0x03] == "COM_QUERY"
    assert COMMAND_NAMES[0xFA] == "COM_STMT_BULK_EXECUTE"


def test_a_query_answered_with_ok() -> None:
    script: Script = [
        *LOGIN,
        (CLIENT, query("UPDATE images SET status='saving'")),
        (SERVER, packet(1, ok(3, 0x0001, insert_id=300))),
        (CLIENT, query("COMMIT")),
        (SERVER, packet(1, ok(0, AUTOCOMMIT))),
    ]
    update, commit = decode(script)[0]
    assert (update.affected_rows, update.last_insert_id, update.status_flags) == (3, 300, 1)
    assert (update.status_before, commit.status_before) == (AUTOCOMMIT, 1)
    assert update.returned_rows is None
    assert (update.schema, update.session.user, update.session.thread_id) == ("glance", "glance", 77)
    assert (update.ordinal, commit.ordinal) == (1, 2)
    assert update.response_ts == update.response_end_ts == update.ts + 1000


def test_an_error_keeps_code_state_and_message() -> None:
    script: Script = [*LOGIN, (CLIENT, query("selec")), (SERVER, packet(1, err(1064, "near 'selec'", "42000")))]
    error = decode(script)[0][0].error
    assert error is not None
    assert (error.code, error.sqlstate, error.message) == (1064, "42000", "near 'selec'")


def test_progress_reports_are_no_errors() -> None:
    report = b"\xff\xff\xff\x01\x01\x02" + bytes(4)
    script: Script = [*LOGIN, (CLIENT, query("ALTER TABLE images")), (SERVER, packets(1, [report, report, ok(9)]))]
    command = decode(script)[0][0]
    assert (command.error, command.affected_rows, command.complete) == (None, 9, True)


def test_commands_without_an_answer_are_rows_at_once() -> None:
    script: Script = [
        *LOGIN,
        (CLIENT, packet(0, b"\x19\x01\x00\x00\x00") + query("SELECT 1")),
        (SERVER, packet(1, ok())),
        (CLIENT, packet(0, b"\x01")),
    ]
    close, select, leave = decode(script)[0]
    assert [c.command for c in (close, select, leave)] == ["COM_STMT_CLOSE", "COM_QUERY", "COM_QUIT"]
    assert all(c.complete for c in (close, select, leave))
    assert (close.response_ts, leave.response_ts) == (None, None)


def test_commands_in_flight_together_keep_their_order() -> None:
    script: Script = [
        *LOGIN,
        (CLIENT, query("first") + query("second")),
        (CLIENT, packet(0, b"\x19\x01\x00\x00\x00") + packet(0, b"\x0e")),
        (SERVER, packet(1, ok(1))),
        (SERVER, packet(1, ok(2)) + packet(1, ok(3, 0))),
        (CLIENT, query("last")),
        (SERVER, packet(1, ok(4))),
    ]
    rows, issues, _ = decode(script)
    assert [(r.command, r.sql, r.affected_rows) for r in rows] == [
        ("COM_QUERY", "first", 1),
        ("COM_QUERY", "second", 2),
        ("COM_STMT_CLOSE", None, None),
        ("COM_PING", None, 3),
        ("COM_QUERY", "last", 4),
    ]
    assert [r.response_frame for r in rows] == [6, 7, None, 7, 9]
    assert not issues.rows()


def test_the_schema_follows_init_db_use_and_session_tracking() -> None:
    tracked = ok(status=0x4002, tail=lenenc_info(b"\x01\x06\x05heat1"))
    script: Script = [
        *LOGIN,
        (CLIENT, packet(0, b"\x02nova")),
        (SERVER, packet(1, ok())),
        (CLIENT, query("USE `neutron`;")),
        (SERVER, packet(1, ok())),
        (CLIENT, query("use nowhere")),
        (SERVER, packet(1, err(1049, "Unknown database"))),
        (CLIENT, query("SELECT SLEEP(0)")),
        (SERVER, packet(1, tracked)),
        (CLIENT, query("SELECT 1")),
        (SERVER, packet(1, ok())),
    ]
    rows, _, decoder = decode(script)
    assert [r.schema for r in rows] == ["glance", "nova", "neutron", "neutron", "heat1"]
    assert decoder.session.schema == "heat1"
    assert rows[0].sql == "nova"


def lenenc_info(changes: bytes) -> bytes:
    """Empty info and session state changes behind an OK packet."""
    return b"\x00" + bytes([len(changes)]) + changes


def test_field_list_statistics_and_process_info() -> None:
    fields = packets(1, [column("id") + b"\x00", column("status") + b"\x00", eof()])
    processes = packets(1, result_set(["Id", "User"], [text_row("1", "glance")]))
    script: Script = [
        *LOGIN,
        (CLIENT, packet(0, b"\x04images\0%")),
        (SERVER, fields),
        (CLIENT, packet(0, b"\x09")),
        (SERVER, packet(1, b"Uptime: 7  Threads: 1")),
        (CLIENT, packet(0, b"\x0a")),
        (SERVER, processes),
        (CLIENT, packet(0, b"\x0d")),
        (SERVER, packet(1, eof())),
    ]
    rows, issues, _ = decode(script)
    names = ["COM_FIELD_LIST", "COM_STATISTICS", "COM_PROCESS_INFO", "COM_DEBUG"]
    assert [(r.command, r.complete) for r in rows] == [(name, True) for name in names]
    assert [r.returned_rows for r in rows] == [None, None, 1, None]
    assert not issues.rows()


@pytest.mark.parametrize("code", [b"\x12", b"\x13", b"\x1e"])
def test_replication_streams_are_not_decoded(code: bytes) -> None:
    script: Script = [*LOGIN, (CLIENT, packet(0, code + bytes(20)))]
    script += [(SERVER, packet(n, b"\x00" + bytes(40))) for n in range(1, 50)]
    rows, _, _ = decode(script)
    assert len(rows) == 1
    assert not rows[0].complete


def test_query_attributes_stand_before_the_text() -> None:
    one = b"\x03\x01\x01\x00\x01\xfe\x00\x01a\x011select 1"
    assert parse_query_text(one) == b"select 1"
    assert parse_query_text(b"\x03\x00\x01select 2") == b"select 2"
    two = b"\x03\x02\x01\x02\x01" + b"\x08\x80\x01n" + b"\xfe\x00\x01s" + struct.pack("<Q", 5) + b"select 3"
    assert parse_query_text(two) == b"select 3"
    assert parse_query_text(b"\x03\x05\x01\x00\x01\xfe") == b"\x05\x01\x00\x01\xfe"
    script: Script = [*LOGIN, (CLIENT, packet(0, one)), (SERVER, packet(1, ok()))]
    assert decode(script)[0][0].sql == "select 1"


def test_text_that_is_not_utf8_is_kept_with_replacements() -> None:
    script: Script = [*LOGIN, (CLIENT, query(b"select '\xff\xe9'")), (SERVER, packet(1, ok()))]
    assert decode(script)[0][0].sql == "select '\ufffd\ufffd'"


def test_a_request_of_more_than_16_mib_is_one_command() -> None:
    sql = "select '" + "x" * 0x1000000 + "'"
    data = query(sql)
    pieces = [data[:5_000_000], data[5_000_000:0x1000001], data[0x1000001:]]
    script: Script = [*LOGIN, *((CLIENT, piece) for piece in pieces), (SERVER, packet(2, ok(7)))]
    command = decode(script)[0][0]
    assert command.sql == sql
    assert (command.affected_rows, command.complete, command.first_frame, command.request_frame) == (7, True, 4, 6)


@pytest.mark.parametrize(
    "data",
    [
        b"GET /v2/images HTTP/1.1\r\n",
        b"\x17\x03\x03\x01\x00abcdefgh",
        b"AMQP\x00\x00\x09\x01",
        b"\x00\x00\x00\x00\x03SELECT",
        b"\x07\x00\x00\x01\x03COMMIT",
        b"\x02\x00\x00\x00\x0e\x0e",
        b"\x07\x00\x00\x00\x55COMMIT",
        b"\x07\x00\x00\x00\x03\x02OMMIT",
        b"\x01\x00\x00\x00\x03",
        b"",
    ],
)
def test_other_bytes_are_no_request(data: bytes) -> None:
    assert not is_request(data, 0)
