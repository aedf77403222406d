"""Prepared statements: text by id, bound values of every type, binary rows, cursors, bulk execution."""

from __future__ import annotations

import struct
from itertools import repeat

import pytest

from glancetrace.mysql.command import Value
from glancetrace.mysql.constants import FieldType as T
from glancetrace.mysql.values import pull_binary
from tests.support.mysql_wire import (
    CLIENT,
    LOGIN,
    SERVER,
    Script,
    column,
    cut_runs,
    decode,
    eof,
    err,
    execute,
    lenenc,
    login,
    ok,
    packet,
    packets,
    prepare_ok,
    query,
    rows_of,
    runs,
)

SQL = "UPDATE images SET status=? WHERE id=?"
STRING = (int(T.MYSQL_TYPE_VAR_STRING), 0)
DEPRECATE_EOF = 1 << 24


def prepare(statement_id: int = 1, params: int = 2, columns: list[bytes] | None = None, sql: str = SQL) -> Script:
    return [
        (CLIENT, packet(0, b"\x16" + sql.encode())),
        (SERVER, packets(1, prepare_ok(statement_id, params, columns or []))),
    ]


VALUES = [
    (T.MYSQL_TYPE_TINY, 0, b"\xfb", -5),
    (T.MYSQL_TYPE_TINY, 0x80, b"\xfb", 251),
    (T.MYSQL_TYPE_SHORT, 0x80, b"\xff\xff", 65535),
    (T.MYSQL_TYPE_YEAR, 0, b"\xcf\x07", 1999),
    (T.MYSQL_TYPE_LONG, 0, struct.pack("<i", -8388608), -8388608),
    (T.MYSQL_TYPE_INT24, 0, struct.pack("<i", 7), 7),
    (T.MYSQL_TYPE_LONGLONG, 0x80, b"\xff" * 8, 2**64 - 1),
    (T.MYSQL_TYPE_FLOAT, 0, struct.pack("<f", 1.5), 1.5),
    (T.MYSQL_TYPE_DOUBLE, 0, struct.pack("<d", 2.25e-300), 2.25e-300),
    (T.MYSQL_TYPE_NULL, 0, b"", None),
    (T.MYSQL_TYPE_NEWDECIMAL, 0, lenenc(b"-12345.678900"), "-12345.678900"),
    (T.MYSQL_TYPE_STRING, 0, lenenc("sn\u2603w".encode()), "sn\u2603w"),
    (T.MYSQL_TYPE_BLOB, 0, lenenc(b"\x00\xff" * 200), b"\x00\xff" * 200),
    (T.MYSQL_TYPE_BIT, 0, lenenc(b"\x03\xff"), b"\x03\xff"),
    (T.MYSQL_TYPE_DATE, 0, b"\x04\xe8\x07\x02\x1d", "2024-02-29"),
    (T.MYSQL_TYPE_DATE, 0, b"\x00", "0000-00-00"),
    (T.MYSQL_TYPE_DATETIME, 0, b"\x00", "0000-00-00 00:00:00"),
    (T.MYSQL_TYPE_DATETIME, 0, b"\x04\xea\x07\x0b\x14", "2026-11-20 00:00:00"),
    (T.MYSQL_TYPE_TIMESTAMP, 0, b"\x07\xea\x07\x0b\x14\x01\x02\x03", "2026-11-20 01:02:03"),
    (T.MYSQL_TYPE_DATETIME, 0, b"\x0b\xea\x07\x0b\x14\x01\x02\x03\x04\x00\x00\x00", "2026-11-20 01:02:03.000004"),
    (T.MYSQL_TYPE_TIME, 0, b"\x00", "00:00:00"),
    (T.MYSQL_TYPE_TIME, 0, b"\x08\x01\x01\x00\x00\x00\x02\x03\x04", "-26:03:04"),
    (T.MYSQL_TYPE_TIME, 0, b"\x0c\x00\x00\x00\x00\x00\x02\x03\x04\x05\x00\x00\x00", "02:03:04.000005"),
]


@pytest.mark.parametrize(("field_type", "flag", "raw", "value"), VALUES)
def test_values_of_every_type(field_type: T, flag: int, raw: bytes, value: Value) -> None:
    assert pull_binary(b"xx" + raw + b"yy", 2, 2 + len(raw), field_type, bool(flag)) == (value, 2 + len(raw))
    for end in range(2, 2 + len(raw)):
        assert pull_binary(b"xx" + raw, 2, end, field_type, bool(flag)) is None


def test_bound_values() -> None:
    types = [(int(t), flag) for t, flag, _, _ in VALUES]
    script: Script = [
        *LOGIN,
        *prepare(9, len(VALUES)),
        (CLIENT, execute(9, types, [raw for _, _, raw, _ in VALUES])),
        (SERVER, packet(1, ok(1, 1))),
    ]
    command = decode(script)[0][1]
    assert (command.command, command.sql, command.affected_rows) == ("COM_STMT_EXECUTE", SQL, 1)
    assert command.params == tuple(value for _, _, _, value in VALUES)


def test_types_of_an_earlier_execution_hold_on() -> None:
    script: Script = [
        *LOGIN,
        *prepare(),
        (CLIENT, execute(1, [STRING, STRING], [lenenc(b"saving"), lenenc(b"id-1")])),
        (SERVER, packet(1, ok(1))),
        (CLIENT, execute(1, None, [None, lenenc(b"id-2")])),
        (SERVER, packet(1, ok(0))),
    ]
    _, first, second = decode(script)[0]
    assert (first.params, second.params) == (("saving", "id-1"), (None, "id-2"))


def test_long_data_come_ahead_until_reset() -> None:
    def long_data(part: bytes) -> bytes:
        return packet(0, b"\x18" + struct.pack("<IH", 1, 0) + part)

    only_second = execute(1, [STRING, STRING], [b"", lenenc(b"id")])
    script: Script = [
        *LOGIN,
        *prepare(),
        (CLIENT, long_data(b"sav") + long_data(b"ing") + only_second),
        (SERVER, packet(1, ok(1))),
        (CLIENT, long_data(b"lost")),
        (CLIENT, packet(0, b"\x1a\x01\x00\x00\x00")),
        (SERVER, packet(1, ok())),
        (CLIENT, execute(1, None, [lenenc(b"queued"), lenenc(b"id")])),
        (SERVER, packet(1, ok(1))),
    ]
    rows, issues, _ = decode(script)
    assert [r.params for r in rows if r.command == "COM_STMT_EXECUTE"] == [("saving", "id"), ("queued", "id")]
    assert [r.command for r in rows].count("COM_STMT_SEND_LONG_DATA") == 3
    assert not issues.rows()


@pytest.mark.parametrize("deprecate_eof", [False, True])
@pytest.mark.parametrize("params", [0, 2])
@pytest.mark.parametrize("joined", [False, True])
def test_binary_rows(deprecate_eof: bool, params: int, joined: bool) -> None:
    columns = [column("id"), column("size", int(T.MYSQL_TYPE_LONGLONG), unsigned=True), column("status")]
    row = b"\x00\x00" + lenenc(b"a1") + b"\xff" * 8 + lenenc(b"active")
    empty = b"\x00\x10" + lenenc(b"b2") + struct.pack("<Q", 5)
    end = ok(status=2, header=0xFE) if deprecate_eof else eof()
    result = [lenenc(3), *columns, *([] if deprecate_eof else [eof()]), row, empty, end]
    start: Script = login(DEPRECATE_EOF) if deprecate_eof else LOGIN
    bound = [STRING] * params
    script: Script = [
        *([(CLIENT, packet(0, b"\x0e")), (SERVER, packet(1, ok()))] if joined else start),
        (CLIENT, packet(0, b"\x16SELECT")),
        (SERVER, packets(1, prepare_ok(4, params, columns, deprecate_eof=deprecate_eof))),
        (CLIENT, execute(4, bound, [lenenc(b"v")] * params)),
        (SERVER, packets(1, result)),
        (CLIENT, packet(0, b"\x19\x04\x00\x00\x00")),
    ]
    for entries in (runs(script), list(cut_runs(runs(script), repeat(1)))):
        rows, issues, _ = decode(entries, wanted=frozenset({"id", "size", "status"}), joined=joined)
        command = next(r for r in rows if r.command == "COM_STMT_EXECUTE")
        assert command.rows == [("a1", 2**64 - 1, "active"), ("b2", 5, None)]
        assert (command.returned_rows, command.complete, command.params) == (2, True, ("v",) * params)
        assert all(r.complete for r in rows)
        assert [i.kind for i in issues.rows()] == (["mysql-resynchronised"] if joined else [])


def test_parameters_only_and_capabilities_unknown() -> None:
    """Without CLIENT_DEPRECATE_EOF one more packet follows; whether it does shows only in what comes next."""
    for with_eof in (False, True):
        script: Script = [
            (CLIENT, packet(0, b"\x16" + SQL.encode())),
            (SERVER, packets(1, prepare_ok(3, 2, [], deprecate_eof=not with_eof))),
            (CLIENT, execute(3, [STRING, STRING], [lenenc(b"a"), lenenc(b"b")])),
            (SERVER, packet(1, ok(1))),
        ]
        for entries in (runs(script), list(cut_runs(runs(script), repeat(1)))):
            rows, _, _ = decode(entries, joined=True)
            assert [(r.command, r.complete) for r in rows] == [("COM_STMT_PREPARE", True), ("COM_STMT_EXECUTE", True)]
            assert rows[1].params == ("a", "b")


def test_the_statement_prepared_last_is_minus_one() -> None:
    run = execute(0xFFFFFFFF, [STRING, STRING], [lenenc(b"x"), lenenc(b"y")])
    script: Script = [
        *LOGIN,
        (CLIENT, packet(0, b"\x16" + SQL.encode()) + run),
        (SERVER, packets(1, prepare_ok(8, 2, []))),
        (SERVER, packet(1, ok(1))),
        (CLIENT, packet(0, b"\x16selec ?") + run),
        (SERVER, packet(1, err(1064, "syntax"))),
        (SERVER, packet(1, err(1243, "Unknown prepared statement handler"))),
    ]
    rows, issues, _ = decode(script)
    assert [(r.sql, r.params) for r in rows if r.command == "COM_STMT_EXECUTE"] == [(SQL, ("x", "y")), (None, None)]
    assert [i.kind for i in issues.rows()] == ["mysql-statement-unknown"]


def test_a_statement_from_before_the_capture_has_no_text() -> None:
    script: Script = [
        (CLIENT, execute(5, [STRING], [lenenc(b"x")])),
        (SERVER, packet(1, ok(1))),
    ]
    rows, issues, _ = decode(script, joined=True)
    assert [(r.command, r.sql, r.params, r.affected_rows) for r in rows] == [("COM_STMT_EXECUTE", None, None, 1)]
    assert sorted(i.kind for i in issues.rows()) == ["mysql-resynchronised", "mysql-statement-unknown"]


def test_closing_and_resetting_the_connection_forget_statements() -> None:
    run = (CLIENT, execute(1, [STRING, STRING], [lenenc(b"x"), lenenc(b"y")]))
    unknown = (SERVER, packet(1, err(1243, "Unknown prepared statement handler")))
    script: Script = [
        *LOGIN,
        *prepare(),
        (CLIENT, packet(0, b"\x19\x01\x00\x00\x00")),
        run,
        unknown,
        *prepare(),
        (CLIENT, packet(0, b"\x1f")),
        (SERVER, packet(1, ok())),
        run,
        unknown,
    ]
    rows, _, _ = decode(script)
    assert [r.sql for r in rows if r.command == "COM_STMT_EXECUTE"] == [None, None]


def test_query_attributes_of_an_execution_are_left_out() -> None:
    """PARAMETER_COUNT_AVAILABLE: a count, and a name with each type; attributes stand behind the parameters."""
    named = b"".join(bytes(STRING) + lenenc(name) for name in (b"", b"", b"traceparent"))
    values = lenenc(b"active") + lenenc(b"id-1") + lenenc(b"00-abc")
    payload = struct.pack("<BIBI", 0x17, 1, 0x08, 1) + b"\x03" + b"\x00" + b"\x01" + named + values
    script: Script = [*LOGIN, *prepare(), (CLIENT, packet(0, payload)), (SERVER, packet(1, ok(1)))]
    assert decode(script)[0][1].params == ("active", "id-1")


def test_a_cursor_is_fetched_from() -> None:
    columns = [column("id"), column("size", int(T.MYSQL_TYPE_LONG))]
    opened = packets(1, [lenenc(2), *columns, eof(0x42)])

    def fetch(*sizes: int, status: int) -> Script:
        rows = [b"\x00\x00" + lenenc(b"i") + struct.pack("<i", size) for size in sizes]
        return [
            (CLIENT, packet(0, b"\x1c" + struct.pack("<II", 1, 2))),
            (SERVER, packets(1, [*rows, eof(status)])),
        ]

    script: Script = [
        *LOGIN,
        *prepare(1, 0, columns, "SELECT id, size"),
        (CLIENT, execute(1, None, [], flags=1)),
        (SERVER, opened),
        *fetch(1, 2, status=0x42),
        *fetch(3, status=0x82),
    ]
    rows, issues, _ = decode(script, wanted=frozenset({"size"}))
    assert [(r.command, r.returned_rows, r.status_flags, r.complete) for r in rows[1:]] == [
        ("COM_STMT_EXECUTE", 0, 0x42, True),
        ("COM_STMT_FETCH", 2, 0x42, True),
        ("COM_STMT_FETCH", 1, 0x82, True),
    ]
    assert not issues.rows()


def test_bulk_execution() -> None:
    rows = b"\x00" + lenenc(b"a") + b"\x01" + b"\x00" + lenenc(b"b") + b"\x02" + b"\x03" + b"\x00" + lenenc(b"c")
    first = struct.pack("<BIH", 0xFA, 1, 128) + bytes(STRING) * 2 + rows
    again = struct.pack("<BIH", 0xFA, 1, 0) + b"\x00" + lenenc(b"d") + b"\x00" + lenenc(b"e")
    unit = packets(1, [lenenc(2), column("Id"), column("Affected_rows"), eof(), b"\x00\x00\x01a\x01b", eof()])
    script: Script = [
        *login(extended=1 << 2),
        *prepare(),
        (CLIENT, packet(0, first)),
        (SERVER, packet(1, ok(3))),
        (CLIENT, packet(0, again)),
        (SERVER, unit),
        (CLIENT, packet(0, again + b"\x00\x05cut")),
        (SERVER, packet(1, err(1835, "Malformed communication packet"))),
    ]
    bulk = [r for r in decode(script)[0] if r.command == "COM_STMT_BULK_EXECUTE"]
    assert [r.params for r in bulk] == [("a", None, "b", None, None, "c"), ("d", "e"), None]
    assert [(r.sql, r.affected_rows, r.returned_rows) for r in bulk] == [
        (SQL, 3, None),
        (SQL, None, 1),
        (SQL, None, None),
    ]


def test_cached_metadata_of_a_prepared_statement() -> None:
    """MARIADB_CLIENT_CACHE_METADATA: the second execution sends no definitions; those of the first hold."""
    columns = [column("id"), column("status")]
    row = b"\x00\x00" + lenenc(b"a1") + lenenc(b"active")
    script: Script = [
        *login(extended=1 << 4),
        *prepare(1, 0, columns, "SELECT"),
        (CLIENT, execute(1, None, [])),
        (SERVER, packets(1, [lenenc(2) + b"\x01", *columns, eof(), row, eof()])),
        (CLIENT, execute(1, None, [])),
        (SERVER, packets(1, [lenenc(2) + b"\x00", eof(), row, row, eof()])),
        (CLIENT, query("COMMIT")),
        (SERVER, packet(1, ok())),
    ]
    rows, issues, _ = decode(script, wanted=frozenset({"status"}))
    assert [r.rows for r in rows[1:3]] == [[("active",)], [("active",), ("active",)]]
    assert all(r.complete for r in rows)
    assert not issues.rows()


def test_broken_executions_have_no_values() -> None:
    for cut in range(11, len(execute(1, [STRING, STRING], [lenenc(b"active"), lenenc(b"id")])) - 4):
        whole = execute(1, [STRING, STRING], [lenenc(b"active"), lenenc(b"id")])[4:]
        script: Script = [*LOGIN, *prepare(), (CLIENT, packet(0, whole[:cut])), (SERVER, packet(1, err(1835, "x")))]
        command = decode(script)[0][1]
        assert (command.sql, command.params) == (SQL, None)
        assert rows_of([command])[0]["complete"]
