"""Sessions that began before the capture, other protocols, junk, and any cut of the bytes."""

from __future__ import annotations

import random
from itertools import repeat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glancetrace.mysql.recognise import looks_like_mysql
from glancetrace.net.run import Run
from tests.support.mysql_wire import (
    CLIENT,
    LOGIN,
    MORE_RESULTS,
    SERVER,
    Script,
    column,
    compressed,
    cut_runs,
    decode,
    eof,
    err,
    execute,
    lenenc,
    login,
    new_decoder,
    ok,
    packet,
    packets,
    prepare_ok,
    query,
    result_set,
    rows_of,
    runs,
    text_row,
)

WANTED = frozenset({"id", "status"})
COLUMNS = [column("id"), column("status")]

CONVERSATION: Script = [
    *LOGIN,
    (CLIENT, query("SELECT id, status FROM images")),
    (SERVER, packets(1, result_set(["id", "status"], [text_row("a1", "queued"), text_row("b2", None)]))),
    (CLIENT, query("CALL two(1)")),
    (SERVER, packets(1, [*result_set(["id"], [text_row("1")], status=2 | MORE_RESULTS), ok(1)])),
    (CLIENT, packet(0, b"\x16SELECT id, status FROM images WHERE id > ?")),
    (SERVER, packets(1, prepare_ok(1, 1, COLUMNS))),
    (CLIENT, execute(1, [(253, 0)], [lenenc(b"a")])),
    (SERVER, packets(1, [lenenc(2), *COLUMNS, eof(), b"\x00\x00" + lenenc(b"z") + lenenc(b"active"), eof(0x22)])),
    (CLIENT, packet(0, b"\x19\x01\x00\x00\x00") + packet(0, b"\x0e")),
    (SERVER, packet(1, ok())),
    (CLIENT, query("LOAD DATA LOCAL INFILE 'x' INTO TABLE t")),
    (SERVER, packet(1, b"\xfbx")),
    (CLIENT, packet(2, b"1,2\n" * 30) + packet(3, b"")),
    (SERVER, packet(4, ok(30))),
    (CLIENT, packet(0, b"\x02other")),
    (SERVER, packet(1, ok())),
    (CLIENT, query("selec")),
    (SERVER, packet(1, err(1064, "near 'selec'"))),
    (CLIENT, query("UPDATE images SET status='saving'")),
    (SERVER, packet(1, ok(1, 1, insert_id=70000))),
    (CLIENT, query("COMMIT")),
    (SERVER, packet(1, ok(0, 0))),
    (CLIENT, packet(0, b"\x01")),
]
WHOLE = rows_of(decode(CONVERSATION, wanted=WANTED)[0])


def test_the_conversation_is_understood() -> None:
    assert [row["complete"] for row in WHOLE] == [True] * 12
    assert [row["rows"] for row in WHOLE[:4]] == [
        [("a1", "queued"), ("b2", None)],
        [("1",)],
        None,
        [("z", "active")],
    ]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=8))
def test_rows_do_not_depend_on_the_cut(sizes: list[int]) -> None:
    def repeated() -> list[int]:
        return sizes * 3000

    rows, issues, _ = decode(cut_runs(runs(CONVERSATION), iter(repeated())), wanted=WANTED)
    assert rows_of(rows) == WHOLE
    assert not issues.rows()


def test_rows_do_not_depend_on_runs_being_joined() -> None:
    """Neighbouring runs of one direction as one run; the places of the bytes stay."""
    script: Script = [*LOGIN, (CLIENT, query("a")), (CLIENT, query("b")), (SERVER, packet(1, ok(1)))]
    script += [(SERVER, packet(1, ok(2))), (CLIENT, query("c")), (SERVER, packet(1, ok(3)))]
    separate = runs(script)
    joined: list[Run] = []
    for run in separate:
        if joined and joined[-1].direction == run.direction:
            last = joined[-1]
            offsets = [*last.offsets, len(last.data)]
            joined[-1] = Run(run.direction, last.data + run.data, offsets, last.ts + run.ts, last.frames + run.frames)
        else:
            joined.append(run)
    assert rows_of(decode(joined)[0]) == rows_of(decode(separate)[0])


@pytest.mark.parametrize("capture", ["plain", "compressed"])
def test_a_session_joined_at_any_byte(capture: str) -> None:
    """Nothing raises, nothing is invented, and from the third turn of the client on everything is there."""
    script = CONVERSATION
    if capture == "compressed":
        script = login(1 << 5)
        for n in range(6):
            script += [(CLIENT, compressed(0, query(f"SELECT {n} " + "x" * 50 * n), "zlib" if n % 2 else ""))]
            script += [(SERVER, compressed(1, packets(1, result_set(["id"], [text_row(str(n))]))))]
    exact = {row["first_frame"]: row for row in rows_of(decode(script, wanted=WANTED)[0])}
    whole = runs(script)
    for place, run in enumerate(whole):
        turns = [later.frames[0] for later in whole[place + 1 :] if later.direction == CLIENT]
        for start in range(0, len(run.data), 1 if len(run.data) < 150 else 7):
            first = Run(run.direction, run.data[start:], run.offsets, run.ts, run.frames)
            rows, _, _ = decode([first, *whole[place + 1 :]], wanted=WANTED, joined=True)
            for row in rows_of(rows):
                if not row["complete"] or row["command"] in ("COM_STMT_EXECUTE", "COM_STMT_CLOSE"):
                    continue
                assert row["first_frame"] in exact
                if row["first_frame"] > run.frames[0]:
                    expected = exact[row["first_frame"]]
                    assert (row["sql"], row["rows"]) == (expected["sql"], expected["rows"])
            seen = {row.first_frame for row in rows if row.complete}
            assert seen >= {frame for frame in turns[3:] if frame in exact}


def test_an_earlier_session_knows_status_flags_but_not_who_it_is() -> None:
    rows, issues, decoder = decode(CONVERSATION[3:5] + CONVERSATION[-3:], joined=True)
    assert [(r.command, r.complete) for r in rows] == [("COM_QUERY", True), ("COM_QUERY", True), ("COM_QUIT", True)]
    session = decoder.session
    assert (session.user, session.schema, session.thread_id, session.capabilities) == (None, None, None, None)
    assert [r.status_before for r in rows] == [None, 2, 0]
    assert [(i.kind, i.count) for i in issues.rows()] == [("mysql-resynchronised", 1)]


HTTP: Script = [
    (CLIENT, b"GET /v2/images HTTP/1.1\r\nHost: glance\r\n\r\n"),
    (SERVER, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
] * 100
TLS: Script = [
    (CLIENT, b"\x16\x03\x01\x02\x00\x01\x00" + bytes(300)),
    (SERVER, b"\x16\x03\x03\x00\x7a\x02" + bytes(200)),
    (CLIENT, b"\x17\x03\x03\x00\x20" + bytes(32)),
]
X_PROTOCOL: Script = [
    (CLIENT, b"\x01\x00\x00\x00\x01"),
    (SERVER, b"\x05\x00\x00\x00\x0b\x08\x05\x1a\x00"),
    (CLIENT, b"\x05\x00\x00\x00\x0c\x01\x02\x03\x04"),
]
AMQP: Script = [(CLIENT, b"AMQP\x00\x00\x09\x01"), (SERVER, b"\x01\x00\x00\x00\x00\x01\xff\x00\x0a\x00\x0a")] * 100


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("first", [CLIENT, SERVER])
@pytest.mark.parametrize(
    "script",
    [HTTP, AMQP],
    ids=["http", "amqp"],
)
def test_another_protocol_gives_one_issue_and_no_rows(script: Script, first: int, joined: bool) -> None:
    entries = script if first == CLIENT else script[1:]
    for pieces in (runs(entries), cut_runs(runs(entries), repeat(1))):
        rows, issues, _ = decode(pieces, joined=joined)
        assert rows == []
        assert [(i.kind, i.count) for i in issues.rows()] == [("protocol-unknown", 1)]


def test_tls_in_the_middle_of_a_session() -> None:
    for script in (TLS, TLS[1:], TLS[2:]):
        rows, issues, decoder = decode(script, joined=True)
        assert rows == []
        assert decoder.session.tls
        assert [(i.kind, i.count) for i in issues.rows()] == [("tls-not-decrypted", 1)]


def test_x_protocol_is_no_issue() -> None:
    for script in (X_PROTOCOL, X_PROTOCOL[1:]):
        rows, issues, _ = decode(script)
        assert rows == []
        assert not issues.rows()


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from((CLIENT, SERVER)), st.binary(max_size=80)), max_size=12), st.booleans())
def test_junk_raises_nothing(script: Script, joined: bool) -> None:
    whole = decode(script, joined=joined)
    bytewise = decode(cut_runs(runs(script), repeat(1)), joined=joined)
    assert rows_of(bytewise[0]) == rows_of(whole[0])
    assert len(whole[1].rows()) <= 3


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.integers(0, 2**31), st.integers(1, 25))
def test_a_valid_start_and_junk_raise_nothing(seed: int, errors: int) -> None:
    """Flipped bytes anywhere behind the login; a command stays a command or is lost, and the session goes on."""
    rng = random.Random(seed)
    script = list(CONVERSATION)
    for _ in range(errors):
        place = rng.randrange(3, len(script))
        data = bytearray(script[place][1])
        data[rng.randrange(len(data))] = rng.randrange(256)
        script[place] = (script[place][0], bytes(data))
    rows, _, _ = decode(script, wanted=WANTED)
    assert len(rows) <= 2 * len(WHOLE)
    decode(cut_runs(runs(script), repeat(1)), wanted=WANTED)


def test_lengths_are_not_trusted() -> None:
    """A huge length announces bytes that never come: nothing is held back or allocated for it."""
    script: Script = [
        *LOGIN,
        (CLIENT, query("SELECT 1")),
        (SERVER, b"\xfe\xff\xff\x01" + b"\x05rest"),
        (CLIENT, query("COMMIT")),
        (SERVER, packet(1, ok())),
    ]
    rows = decode(script)[0]
    assert [(r.sql, r.complete) for r in rows] == [("SELECT 1", False), ("COMMIT", True)]


def test_a_server_that_goes_away_on_its_own() -> None:
    killed = packet(0, err(4031, "The client was disconnected by the server because of inactivity."))
    rows, issues, _ = decode([*CONVERSATION[:5], (SERVER, killed)])
    assert [r.complete for r in rows] == [True]
    assert not issues.rows()


def test_an_answer_before_the_request_is_complete() -> None:
    """max_allowed_packet exceeded: the server does not wait for the rest."""
    data = query("INSERT INTO t VALUES ('" + "x" * 5000)
    script: Script = [*LOGIN, (CLIENT, data[:3000]), (SERVER, packet(1, err(1153, "Got a packet bigger")))]
    rows, _, _ = decode(script)
    assert [(r.cut, r.complete, r.error is not None) for r in rows] == [(True, False, True)]


def test_a_session_may_end_anywhere() -> None:
    whole = runs(CONVERSATION)
    for place in range(len(whole)):
        for end in (1, len(whole[place].data) // 2):
            run = whole[place]
            last = Run(run.direction, run.data[:end], run.offsets, run.ts, run.frames)
            rows = rows_of(decode([*whole[:place], last], wanted=WANTED)[0])
            for row, exact in zip(rows, WHOLE, strict=False):
                if row["complete"]:
                    assert row == exact
                else:
                    assert row["first_frame"] == exact["first_frame"]


def test_nothing_comes_after_the_end() -> None:
    decoder, rows, issues = new_decoder()
    for run in runs(CONVERSATION):
        decoder.feed(run)
    count = len(rows)
    decoder.close(0, 0, "rst")
    for run in runs(CONVERSATION):
        decoder.feed(run)
    decoder.close(0, 0, "")
    assert len(rows) == count
    assert not issues.rows()


GREETING = LOGIN[0][1]


@pytest.mark.parametrize(
    ("client", "server", "expected"),
    [
        (b"", GREETING, True),
        (LOGIN[1][1], GREETING, True),
        (b"", GREETING[:4], None),
        (b"", b"", None),
        (query("SELECT 1"), b"", None),
        (query("SELECT 1"), packet(1, ok()), True),
        (query("SELECT 1"), packet(2, ok()), False),
        (query("SELECT 1")[:3], b"", None),
        (compressed(0, query("SELECT " + "x" * 90)), compressed(1, packet(1, ok()), ""), True),
        (HTTP[0][1], b"", False),
        (HTTP[0][1], HTTP[1][1], False),
        (b"", b"SSH-2.0-OpenSSH_9.2\r\n", None),
        (b"SSH-2.0-OpenSSH_9.2\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", False),
        (TLS[0][1], TLS[1][1], False),
        (bytes(64), bytes(64), False),
    ],
)
def test_recognising_mysql_by_its_first_bytes(client: bytes, server: bytes, expected: bool | None) -> None:
    assert looks_like_mysql(client[:64], server[:64]) is expected


@pytest.mark.parametrize("joined_in_one_run", [True, False])
def test_an_answer_captured_before_its_request_costs_only_itself(joined_in_one_run: bool) -> None:
    first, second = query("COMMIT"), query("UPDATE t SET a = 1")
    asked: Script = [(CLIENT, first + second)] if joined_in_one_run else [(CLIENT, first), (CLIENT, second)]
    script: Script = [
        (SERVER, packet(1, ok())),
        *asked,
        (SERVER, packet(1, ok(7))),
        (CLIENT, query("ROLLBACK")),
        (SERVER, packet(1, ok())),
    ]
    rows, issues, _ = decode(script, joined=True)
    assert [(row.sql, row.complete, row.affected_rows) for row in rows] == [
        ("COMMIT", False, None),
        ("UPDATE t SET a = 1", True, 7),
        ("ROLLBACK", True, 0),
    ]
    assert "mysql-response-missing" in {issue.kind for issue in issues.rows()}
