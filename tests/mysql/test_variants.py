"""Real sessions of several clients against what the client did and what the server logged.

Every command of the server's general log is a row with its text, in order, by session; rows, bound values, counts and
errors are those that the client saw.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from itertools import cycle
from typing import Any

import pytest

from glancetrace.capture.index import PacketIndex
from glancetrace.capture.inputs import open_captures
from glancetrace.issues import IssueLog
from glancetrace.mysql.command import MysqlCommand, Value
from glancetrace.mysql.decoder import MysqlDecoder
from glancetrace.mysql.resultset import DefinitionsCache
from glancetrace.net.reassemble import TcpReassembler
from glancetrace.net.run import Connection, Run
from glancetrace.net.verdict import Verdict
from tests.support.mysql_wire import cut_runs, rows_of
from tests.support.samples import SAMPLES

FOLDER = SAMPLES / "mysql-variants"
PLAIN = ["connector-misc-commands", "connector-pure-prepared", "mariadb-cli", "mariadb-cli-compress"]
PLAIN += ["pymysql-basic", "pymysql-multi"]


class Everything(frozenset[str]):
    """A set that every name is in."""

    def __contains__(self, name: object) -> bool:
        return True

    def __bool__(self) -> bool:
        return True


class Recorder:
    """Keeps the runs of a connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.runs: list[Run] = []
        self.feed = self.runs.append

    def close(self, ts: int, frame: int, how: str) -> None:
        """Nothing is left to do."""


def sessions_of(name: str) -> list[Recorder]:
    recorders: list[Recorder] = []

    def consumer(connection: Connection) -> Recorder:
        recorders.append(Recorder(connection))
        return recorders[-1]

    issues = IssueLog()
    reassembler = TcpReassembler(consumer, issues, server_ports=frozenset({3306}), judge=lambda *_: Verdict.SKIP)
    index = PacketIndex(issues)
    for block in open_captures([str(FOLDER / f"{name}.pcap.gz")], issues):
        reassembler.push(index.index(block))
    index.finish()
    reassembler.finish()
    return recorders


def decode_sample(name: str, sizes: tuple[int, ...] | None = None) -> tuple[list[MysqlCommand], IssueLog]:
    rows: list[MysqlCommand] = []
    issues = IssueLog()
    definitions = DefinitionsCache()
    for recorder in sessions_of(name):
        decoder = MysqlDecoder(recorder.connection, rows.append, issues, lambda sql, schema: Everything(), definitions)
        for run in recorder.runs if sizes is None else cut_runs(recorder.runs, cycle(sizes)):
            decoder.feed(run)
        decoder.close(0, 0, "")
    return rows, issues


@pytest.fixture(scope="module")
def decoded() -> dict[str, tuple[list[MysqlCommand], IssueLog]]:
    return {name: decode_sample(name) for name in PLAIN}


Decoded = dict[str, tuple[list[MysqlCommand], IssueLog]]

LOGGED = {
    "COM_QUERY": "Query",
    "COM_STMT_PREPARE": "Prepare",
    "COM_STMT_EXECUTE": "Execute",
    "COM_STMT_CLOSE": "Close stmt",
    "COM_STMT_RESET": "Reset stmt",
    "COM_INIT_DB": "Init DB",
    "COM_CHANGE_USER": "Change user",
    "COM_STATISTICS": "Statistics",
    "COM_FIELD_LIST": "Field List",
    "COM_QUIT": "Quit",
}


def general_log(name: str) -> list[tuple[int, str, str]]:
    """(thread id, command, argument); an argument that spans lines is joined."""
    entries: list[tuple[int, str, str]] = []
    for line in (FOLDER / f"{name}.general.log").read_text("utf-8", "surrogateescape").splitlines()[3:]:
        found = re.match(r"^(?:\d{6} +\d?\d:\d\d:\d\d)?\t+ *(\d+) ([A-Z][A-Za-z]*(?: [a-zA-Z]+)?)\t(.*)$", line)
        if found:
            entries.append((int(found[1]), found[2], found[3]))
        elif entries:
            thread, command, argument = entries[-1]
            entries[-1] = (thread, command, f"{argument}\n{line}")
    return entries


def shape(text: str | None) -> str:
    """Text without white space and other than ASCII characters: the log escapes some of them."""
    return re.sub(r"[^!-~]|\\", "", text or "")[:2000]


@pytest.mark.parametrize("name", PLAIN)
def test_every_entry_of_the_general_log_is_a_row(name: str, decoded: Decoded) -> None:
    rows, issues = decoded[name]
    assert not issues.rows()
    assert all(row.complete and not row.cut for row in rows)
    threads = {row.session.thread_id for row in rows}
    logged: dict[int, list[tuple[str, str]]] = {}
    for thread, command, argument in general_log(name):
        if command in LOGGED.values() and thread in threads and not argument.startswith("Access denied"):
            text = "" if command in ("Change user", "Close stmt", "Field List") else shape(argument)
            logged.setdefault(thread, []).append((command, text if command != "Execute" else ""))
    seen: dict[int, list[tuple[str, str]]] = {}
    for row in rows:
        refused = row.error is not None and row.command in ("COM_STMT_PREPARE", "COM_INIT_DB")
        if row.command in LOGGED and row.session.thread_id is not None and not refused:
            text = "" if row.command == "COM_STMT_EXECUTE" else shape(row.sql)
            seen.setdefault(row.session.thread_id, []).append((LOGGED[row.command], text))
    unlogged = UNLOGGED[name]
    for thread, entries in logged.items():
        assert [e for e in seen[thread] if e[0] not in unlogged] == [e for e in entries if e[0] not in unlogged]


UNLOGGED = {name: {"Close stmt"} if name.startswith("connector") else set() for name in PLAIN}
"""The server does not log the closing of a statement whose preparation failed."""


def truth(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / f"{name}.truth.jsonl").read_text().splitlines()]


def as_text(value: Any) -> str | None:
    """A value of the truth as the text protocol shows it."""
    if isinstance(value, dict):
        return bytes.fromhex(value["hex"]).decode("utf-8", "replace")
    return None if value is None else str(value)


def equal(ours: Value, theirs: Any) -> bool:
    """Numbers by value, times however many digits they are written with, the rest by text."""
    if ours is None or theirs is None:
        return ours is theirs
    if isinstance(ours, bytes):
        return ours == bytes.fromhex(theirs["hex"])
    if isinstance(theirs, int | float):
        return type(theirs)(ours) == theirs
    return ours == as_text(theirs) or times(theirs) in (times(ours), FLAWED_TIMES.get(ours))


FLAWED_TIMES = {"-140:03:00.000012": -359819.999988, "-99:56:59.999988": -331380.000012}
"""mysql-connector writes and reads the days and the time of a negative TIME as if both were negative; the server's
log has `TIME'-140:03:00.000012'` for what it sent."""


def times(value: Any) -> float | None:
    """Seconds of a TIME, as MySQL ("-98:59:59.5") and as Python ("-5 days, 20:03:00.000012") write it."""
    found = re.fullmatch(r"(?:(-?\d+) days?, )?(-?)(\d+):(\d\d):(\d\d(?:\.\d+)?)", str(value))
    if not found:
        return None
    seconds = int(found[3]) * 3600 + int(found[4]) * 60 + float(found[5])
    return round(int(found[1] or 0) * 86400 + (-seconds if found[2] else seconds), 6)


@pytest.mark.parametrize("name", ["pymysql-basic", "connector-pure-prepared", "connector-misc-commands"])
def test_rows_values_and_errors_are_those_that_the_client_saw(name: str, decoded: Decoded) -> None:
    commands = iter(row for row in decoded[name][0] if row.command in ("COM_QUERY", "COM_STMT_EXECUTE"))
    compared = 0
    for expected in truth(name):
        if "sql" not in expected or "nosuch" in expected["sql"]:
            continue
        row = next(row for row in commands if shape(row.sql) == shape(expected["sql"]))
        compared += 1
        if expected.get("params") and row.command == "COM_STMT_EXECUTE":
            assert row.params is not None
            assert all(equal(a, b) for a, b in zip(row.params, expected["params"], strict=True)), row.params
        if isinstance(expected.get("rows"), list) and row.rows is not None:
            assert row.rows_complete
            assert row.returned_rows == len(expected["rows"])
            for ours, theirs in zip(row.rows, expected["rows"], strict=True):
                assert all(equal(a, b) for a, b in zip(ours, theirs, strict=True)), (ours, theirs)
        elif isinstance(expected.get("rows"), int):
            assert row.returned_rows == expected["rows"]
        elif row.error is None and name == "pymysql-basic" and expected.get("affected") is not None:
            assert expected["affected"] == row.affected_rows
        if "error" in expected and "IndexError" not in expected["error"]:
            assert row.error is not None
            assert str(row.error.code) in str(expected["error"])
    assert compared >= {"pymysql-basic": 28, "connector-pure-prepared": 18, "connector-misc-commands": 1}[name]


def test_several_results_and_a_file(decoded: Decoded) -> None:
    rows = {shape(row.sql): row for row in decoded["pymysql-multi"][0] if row.sql}
    for expected in truth("pymysql-multi"):
        row = rows.get(shape(expected["sql"])) or rows[shape("CALL `two`(@`_two_0`)")]
        if "results" in expected:
            counts = [len(result) for result in expected["results"] if isinstance(result, list)]
            assert row.returned_rows == sum(counts)
            assert (row.error is not None) is ("error" in expected)
        elif isinstance(expected.get("rows"), int):
            assert row.returned_rows == expected["rows"]
        elif expected.get("affected") is not None and expected.get("rows") is None:
            assert row.affected_rows == expected["affected"]


def test_the_compressed_session_shows_what_its_client_printed(decoded: Decoded) -> None:
    rows = decoded["mariadb-cli-compress"][0]
    select, insert = truth("mariadb-cli-compress")
    assert [row.sql for row in rows[:4]] == select["sql"].split("; ")
    assert [row.returned_rows for row in rows[:4]] == [4, 1, 2000, None]
    assert rows[1].rows == [("z" * 100000,)]
    assert rows[2].rows is not None
    assert rows[2].rows[-1] == ("2000", hashlib.md5(b"2000", usedforsecurity=False).hexdigest())
    text = next(row.sql for row in rows if row.sql and row.sql.startswith("insert"))
    assert (len(text), hashlib.sha256(text.encode()).hexdigest()) == (insert["sql_len"], insert["sql_sha256"])
    assert {row.session.compressed for row in rows} == {"zlib"}


@pytest.mark.parametrize("name", ["pymysql-tls12", "pymysql-tls13"])
def test_an_encrypted_session_claims_nothing(name: str) -> None:
    rows, issues = decode_sample(name)
    assert rows == []
    assert [issue.kind for issue in issues.rows()] == ["tls-not-decrypted"]


@pytest.mark.parametrize("name", PLAIN)
def test_rows_of_real_sessions_do_not_depend_on_the_cut(name: str, decoded: Decoded) -> None:
    for sizes in ((1,), (3, 1448, 17, 5)):
        rows, issues = decode_sample(name, sizes)
        assert rows_of(rows) == rows_of(decoded[name][0])
        assert not issues.rows()


def test_passwords_are_in_no_row(decoded: Decoded) -> None:
    raw = gzip.decompress((FOLDER / "connector-misc-commands.pcap.gz").read_bytes())
    assert raw.count(b"mysql_native_password") > 2
    for rows, _ in decoded.values():
        assert "mysql_native_password" not in repr(rows)
