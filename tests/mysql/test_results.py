"""Every form of result: text and binary rows, how they end, what is kept of them."""

from __future__ import annotations

import struct
from itertools import repeat

import pytest

from glancetrace.mysql import resultset
from glancetrace.mysql.resultset import DefinitionsCache
from tests.support.mysql_wire import (
    AUTOCOMMIT,
    CLIENT,
    LOGIN,
    MORE_RESULTS,
    SERVER,
    Script,
    column,
    cut_runs,
    decode,
    eof,
    err,
    lenenc,
    login,
    ok,
    packet,
    packets,
    query,
    result_set,
    rows_of,
    runs,
    text_row,
)

DEPRECATE_EOF = 1 << 24
OPTIONAL_METADATA = 1 << 25
CACHE_METADATA = 1 << 4
NAMES = ["images_id", "images_name", "images_status"]
ROWS = [text_row("a1", None, "queued"), text_row("b2", "", "active"), text_row("c3", "n" * 300, "saving")]
VALUES = [("a1", "queued"), ("b2", "active"), ("c3", "saving")]
WANTED = frozenset({"images_id", "images_status"})


def script_of(payloads: list[bytes], start: Script = LOGIN) -> Script:
    return [*start, (CLIENT, query("SELECT images")), (SERVER, packets(1, payloads)), (CLIENT, query("next"))]


@pytest.mark.parametrize("deprecate_eof", [False, True])
@pytest.mark.parametrize("joined", [False, True])
def test_text_rows(deprecate_eof: bool, joined: bool) -> None:
    start = login(DEPRECATE_EOF) if deprecate_eof else LOGIN
    script = script_of(result_set(NAMES, ROWS, deprecate_eof=deprecate_eof, status=0x21), [] if joined else start)
    for wanted, columns, values in ((WANTED, ("images_id", "images_status"), VALUES), (None, None, None)):
        whole = decode(script, wanted=wanted, joined=joined)[0][0]
        bytewise = decode(list(cut_runs(runs(script), repeat(1))), wanted=wanted, joined=joined)[0][0]
        for command in (whole, bytewise):
            assert (command.returned_rows, command.status_flags, command.complete) == (3, 0x21, True)
            assert (command.columns, command.rows) == (columns, values)
            assert command.rows_complete is (wanted is not None)
            assert command.affected_rows is None


def test_only_wanted_columns_are_kept_and_the_policy_sees_text_and_schema() -> None:
    asked: list[tuple[str, str | None]] = []

    def policy(sql: str, schema: str | None) -> frozenset[str] | None:
        asked.append((sql, schema))
        return frozenset({"images_name", "absent"})

    command = decode(script_of(result_set(NAMES, ROWS)), wanted=policy)[0][0]
    assert asked == [("SELECT images", "glance")]
    assert command.columns == ("images_name",)
    assert command.rows == [(None,), ("",), ("n" * 300,)]
    nothing = decode(script_of(result_set(NAMES, ROWS)), wanted=frozenset({"absent"}))[0][0]
    assert (nothing.columns, nothing.rows, nothing.returned_rows) == (None, None, 3)


def test_an_empty_result_set_has_no_rows_and_is_complete() -> None:
    command = decode(script_of(result_set(NAMES, [])), wanted=WANTED)[0][0]
    assert (command.returned_rows, command.rows, command.rows_complete, command.complete) == (0, [], True, True)


def test_an_error_can_end_the_rows() -> None:
    payloads = [*result_set(NAMES, ROWS)[:-1], err(1317, "Query execution was interrupted", "70100")]
    command = decode(script_of(payloads), wanted=WANTED)[0][0]
    assert command.error is not None
    assert (command.error.code, command.returned_rows, command.complete) == (1317, 3, True)


@pytest.mark.parametrize("deprecate_eof", [False, True])
def test_several_results_are_one_response(deprecate_eof: bool) -> None:
    more = AUTOCOMMIT | MORE_RESULTS
    payloads = [
        *result_set(["a"], [text_row("1")], status=more, deprecate_eof=deprecate_eof),
        ok(5, more, insert_id=6),
        *result_set(["b", "c"], [text_row("2", "3")] * 2, status=more, deprecate_eof=deprecate_eof),
        ok(1, 0, insert_id=9),
    ]
    start = login(DEPRECATE_EOF) if deprecate_eof else LOGIN
    command = decode(script_of(payloads, start), wanted=frozenset({"b"}))[0][0]
    assert (command.returned_rows, command.affected_rows, command.last_insert_id) == (3, 1, 9)
    assert (command.status_flags, command.rows, command.complete) == (0, [("2",), ("2",)], True)
    failed = decode(script_of([*payloads[:5], err(1054, "Unknown column")], start))[0][0]
    assert failed.error is not None
    assert failed.complete


def test_sequence_ids_wrap_around() -> None:
    rows = [text_row(str(n)) for n in range(1000)]
    command = decode(script_of(result_set(["id"], rows)), wanted=frozenset({"id"}))[0][0]
    assert (command.returned_rows, command.complete) == (1000, True)
    assert command.rows is not None
    assert command.rows[-1] == ("999",)


@pytest.mark.parametrize("wanted", [None, frozenset({"id"}), frozenset({"data"})])
def test_rows_of_16_mib_and_more(wanted: frozenset[str] | None) -> None:
    big = "z" * 0x1000010
    exact = "y" * (0xFFFFFF - 10)
    rows = [text_row(big, "1"), text_row("small", "2"), text_row(exact, None)]
    assert len(rows[2]) % 0xFFFFFF == 0 or len(rows[2]) < 0xFFFFFF
    head = packets(1, [lenenc(2), column("data"), column("id"), eof()])
    body, sequence = b"", 5
    for row in rows:
        data = packet(sequence, row)
        sequence += 1 + len(row) // 0xFFFFFF
        body += data
    data = head + body + packet(sequence, eof())
    pieces = [data[start : start + 3_000_000] for start in range(0, len(data), 3_000_000)]
    script: Script = [*LOGIN, (CLIENT, query("SELECT")), *((SERVER, piece) for piece in pieces)]
    for entries in (script, [*script[:4], (SERVER, data)]):
        rows_, issues, _ = decode(entries, wanted=wanted)
        assert (rows_[0].returned_rows, rows_[0].complete) == (3, True)
        if wanted == frozenset({"id"}):
            assert rows_[0].rows == [("1",), ("2",), (None,)]
        elif wanted:
            assert rows_[0].rows == [(big,), ("small",), (exact,)]
        assert not issues.rows()


def test_a_wanted_row_without_end_is_counted_and_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glancetrace.mysql.response._MAX_PARTS", 0)
    data = packets(1, [lenenc(1), column("data"), eof()]) + packet(4, text_row("z" * 0x1000010)) + packet(6, eof())
    script: Script = [*LOGIN, (CLIENT, query("SELECT")), (SERVER, data)]
    command = decode(script, wanted=frozenset({"data"}))[0][0]
    assert (command.returned_rows, command.rows, command.rows_complete) == (1, [], False)
    assert command.complete


@pytest.mark.parametrize("follows", [0, 1])
@pytest.mark.parametrize("deprecate_eof", [False, True])
@pytest.mark.parametrize("flavour", ["mysql", "mariadb"])
@pytest.mark.parametrize("names", [["images_id"], NAMES])
def test_definitions_may_be_left_out(follows: int, deprecate_eof: bool, flavour: str, names: list[str]) -> None:
    count = lenenc(len(names))
    count = bytes([follows]) + count if flavour == "mysql" else count + bytes([follows])
    flags = DEPRECATE_EOF if deprecate_eof else 0
    start = login(OPTIONAL_METADATA, flags) if flavour == "mysql" else login(flags, extended=CACHE_METADATA)
    row = text_row(*("x" for _ in names))
    payloads = result_set(names, [row, row], deprecate_eof=deprecate_eof, count=count, definitions=bool(follows))
    rows, issues, _ = decode(script_of(payloads, start), wanted=WANTED)
    assert (rows[0].returned_rows, rows[0].complete) == (2, True)
    assert (rows[0].rows is not None) is bool(follows)
    assert [issue.kind for issue in issues.rows()] == ["mysql-response-missing"], "of the last query, unanswered"


def test_extended_metadata_stands_before_the_fixed_fields() -> None:
    definitions = [column("id", extended=b"\x00\x04uuid"), column("j", extended=b""), column("s", extended=b"x" * 12)]
    payloads = result_set(definitions, [text_row("1", "2", "3")])
    command = decode(script_of(payloads, login(extended=1 << 3)), wanted=frozenset({"id", "s"}))[0][0]
    assert command.rows == [("1", "3")]


def test_more_than_250_columns() -> None:
    names = [f"c{n}" for n in range(600)]
    payloads = result_set(names, [text_row(*(str(n) for n in range(600)))])
    command = decode(script_of(payloads), wanted=frozenset({"c0", "c599"}))[0][0]
    assert (command.columns, command.rows) == (("c0", "c599"), [("0", "599")])


def test_a_file_is_asked_for_and_its_content_is_not_kept() -> None:
    content = b"secret,row\n" * 50
    script: Script = [
        *LOGIN,
        (CLIENT, query("LOAD DATA LOCAL INFILE '/x' INTO TABLE t")),
        (SERVER, packet(1, b"\xfb/x")),
        *((CLIENT, packet(2 + n, content)) for n in range(300)),
        (CLIENT, packet(302, b"")),
        (SERVER, packet(303, ok(15000))),
        (CLIENT, packet(0, b"\x0e")),
        (SERVER, packet(1, ok())),
    ]
    for entries in (runs(script), list(cut_runs(runs(script), repeat(1000)))):
        rows, issues, _ = decode(entries)
        assert [(r.command, r.affected_rows, r.complete) for r in rows] == [
            ("COM_QUERY", 15000, True),
            ("COM_PING", 0, True),
        ]
        assert rows[0].response_ts == rows[0].ts + 1000
        assert not issues.rows()
        assert "secret" not in repr(rows_of(rows))


def test_a_row_that_contradicts_itself_is_counted_without_values() -> None:
    broken = b"\x20short"
    rows, _, _ = decode(script_of(result_set(["id"], [text_row("1"), broken])), wanted=frozenset({"id"}))
    assert (rows[0].returned_rows, rows[0].rows, rows[0].rows_complete) == (2, [("1",)], False)
    assert rows[0].complete


def test_definitions_are_shared_and_bounded() -> None:
    cache = DefinitionsCache(limit=3)
    for n in range(20):
        payloads = result_set([f"column_{n}", "id"], [text_row(str(n), "i")])
        command = decode(script_of(payloads), wanted=frozenset({"id", "column_7"}), definitions=cache)[0][0]
        assert command.rows == ([("7", "i")] if n == 7 else [("i",)])
    data = packets(1, result_set(["a"], []))
    first = cache.find(data, None)
    assert first is not None
    assert cache.find(data, None) is first
    assert cache.find(data, frozenset({"a"})) is not first
    assert cache.find(data[:20], None) is None


def test_status_flags_with_more_than_one_byte() -> None:
    status = struct.unpack("<H", b"\x03\x20")[0]
    command = decode(script_of(result_set(["a"], [text_row("1")], status=status)))[0][0]
    assert command.status_flags == 0x2003


def test_equal_requests_have_one_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resultset, "_TEXTS", 2)
    cache = DefinitionsCache()
    requests = [b"\x09\0\0\0\x03SELECT " + digit for digit in (b"1", b"2", b"3")]
    one = cache.text(requests[0], 5)
    assert one == "SELECT 1"
    assert cache.texts[bytes(requests[0])] is one
    assert [cache.text(request, 5) for request in requests[1:]] == ["SELECT 2", "SELECT 3"]
    assert len(cache.texts) <= 2
    assert cache.text(b"\x09\0\0\0\x03SELECT \xff", 5) == "SELECT \ufffd"
