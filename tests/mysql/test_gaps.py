"""Missing bytes: what is known stays, certainty falls, and the next commands are right."""

from __future__ import annotations

from itertools import cycle, repeat
from typing import Any

import pytest

from glancetrace.net.run import Run
from tests.support.mysql_wire import (
    CLIENT,
    LOGIN,
    SERVER,
    Script,
    column,
    cut_runs,
    decode,
    eof,
    lenenc,
    ok,
    packet,
    packets,
    query,
    result_set,
    rows_of,
    runs,
    text_row,
)

WANTED = frozenset({"images_id", "images_status"})


def work() -> Script:
    """A unit of work: reads of several sizes, a write, COMMIT, a ping."""
    small = packets(1, result_set(["images_id", "images_status"], [text_row("a1", "queued")]))
    large = packets(1, result_set(["images_id", "images_name"], [text_row(f"id-{n}", "n" * 700) for n in range(6)]))
    return [
        (CLIENT, query("SELECT images.id, images.status FROM images WHERE images.id = 'a1'")),
        (SERVER, small),
        (CLIENT, query("SELECT images.id, images.name FROM images")),
        (SERVER, large[:1400]),
        (SERVER, large[1400:2800]),
        (SERVER, large[2800:]),
        (CLIENT, query("UPDATE images SET status='saving' WHERE id='a1' " + "/* long */ " * 200)[:1400]),
        (CLIENT, query("UPDATE images SET status='saving' WHERE id='a1' " + "/* long */ " * 200)[1400:]),
        (SERVER, packet(1, ok(1, 1))),
        (CLIENT, query("COMMIT")),
        (SERVER, packet(1, ok(0, 0))),
        (CLIENT, packet(0, b"\x0e")),
        (SERVER, packet(1, ok(0, 0))),
    ]


SESSION = [*LOGIN, *work(), *work(), *work()]
EXACT = {row["first_frame"]: row for row in rows_of(decode(SESSION, wanted=WANTED)[0])}


def without(lost: set[int]) -> list[Run]:
    """Runs of the session without those at the places `lost`; the next of their direction says what is missing."""
    missing = [0, 0]
    kept = []
    for place, run in enumerate(runs(SESSION)):
        if place in lost:
            missing[run.direction] += len(run.data)
            continue
        run.gap, missing[run.direction] = missing[run.direction], 0
        kept.append(run)
    return kept


def comparable(row: dict[str, Any]) -> dict[str, Any]:
    """Without what a loss before it may change."""
    changes = ("ordinal", "schema", "status_before", "after_gap")
    return {name: value for name, value in row.items() if name not in changes}


def check(rows: list[dict[str, Any]]) -> int:
    """Complete rows are as they were without loss; others claim nothing new. Gives the number of complete ones."""
    for row in rows:
        exact = EXACT.get(row["first_frame"])
        if row["cut"]:
            continue
        assert exact is not None
        if row["complete"]:
            assert comparable(row) == comparable(exact)
        else:
            assert row["sql"] == exact["sql"]
            assert row["affected_rows"] in (None, exact["affected_rows"])
            assert row["status_flags"] in (None, exact["status_flags"])
            assert (row["returned_rows"] or 0) <= (exact["returned_rows"] or 0)
    return sum(row["complete"] for row in rows)


@pytest.mark.parametrize("lost", range(3, len(SESSION)))
def test_any_one_run_may_be_lost(lost: int) -> None:
    rows = decode(without({lost}), wanted=WANTED)[0]
    assert check(rows_of(rows)) >= len(EXACT) - 2
    gaps = [run.frames[0] for run in without({lost}) if run.gap and run.direction == CLIENT and run.data]
    next_rows = [min(row.first_frame for row in rows if row.first_frame >= frame) for frame in gaps]
    assert [row.first_frame for row in rows if row.after_gap] == next_rows
    bytewise = decode(cut_runs(without({lost}), repeat(1)), wanted=WANTED)[0]
    assert rows_of(bytewise) == rows_of(rows)


@pytest.mark.parametrize("lost", range(3, len(SESSION) - 4))
@pytest.mark.parametrize("distance", [1, 2, 3, 5])
def test_any_two_runs_may_be_lost(lost: int, distance: int) -> None:
    rows = decode(without({lost, lost + distance}), wanted=WANTED)[0]
    assert check(rows_of(rows)) >= len(EXACT) - 4


def test_a_start_that_is_lost() -> None:
    for lost in range(1, 12):
        rows = decode(without(set(range(lost))), wanted=WANTED)[0]
        assert check(rows_of(rows)) >= len(EXACT) - 5


def test_a_request_cut_in_the_middle_keeps_its_start_and_its_answer() -> None:
    sql = "INSERT INTO images VALUES " + "('x')," * 1000
    data = query(sql)
    script: Script = [*LOGIN, (CLIENT, data[:2000]), (CLIENT, data[3000:]), (SERVER, packet(1, ok(7)))]
    script += [(CLIENT, query("COMMIT")), (SERVER, packet(1, ok(0, 0)))]
    rows, issues, _ = decode(script, gaps={4: 1000})
    assert (rows[0].sql, rows[0].cut, rows[0].complete, rows[0].affected_rows) == (sql[:1995], True, False, 7)
    assert (rows[1].sql, rows[1].complete) == ("COMMIT", True)
    assert not issues.rows()


def test_bytes_missing_within_a_row_do_not_lose_the_response() -> None:
    rows_ = [text_row("a1", "x" * 5000), text_row("b2", "y")]
    data = packets(1, result_set(["images_id", "images_name"], rows_))
    at = data.index(b"xxxx") + 100
    script: Script = [*LOGIN, (CLIENT, query("SELECT")), (SERVER, data[:at]), (SERVER, data[at + 3000 :])]
    script += [(CLIENT, query("COMMIT")), (SERVER, packet(1, ok(0, 0)))]
    for wanted, expected in ((WANTED, [("b2",)]), (None, None)):
        rows, _, _ = decode(script, gaps={5: 3000}, wanted=wanted)
        assert (rows[0].returned_rows, rows[0].status_flags, rows[0].complete) == (2, 2, False)
        assert (rows[0].rows, rows[0].rows_complete) == (expected, False)
        assert (rows[1].sql, rows[1].complete) == ("COMMIT", True)
        bytewise = decode(cut_runs(runs(script, {5: 3000}), cycle((1, 5, 3))), wanted=wanted)[0]
        assert rows_of(bytewise) == rows_of(rows)


def test_bytes_missing_within_a_row_of_16_mib() -> None:
    big = packet(5, text_row("z" * 0x1000010, "1"))
    data = packets(1, [lenenc(2), column("images_name"), column("images_id"), eof()]) + big + packet(7, eof())
    for wanted in (WANTED, None):
        for start, gap in ((5000, 100_000), (len(data) - 20, 5)):
            script: Script = [*LOGIN, (CLIENT, query("SELECT")), (SERVER, data[:start]), (SERVER, data[start + gap :])]
            rows, _, _ = decode(script, gaps={5: gap}, wanted=wanted)
            assert (rows[0].returned_rows, rows[0].status_flags, rows[0].complete) == (1, 2, False)


def test_a_gap_at_the_end_and_a_gap_over_everything() -> None:
    script: Script = [*LOGIN, (CLIENT, query("SELECT 1")), (SERVER, b"")]
    rows, issues, _ = decode(script, gaps={4: 50})
    assert [(r.sql, r.complete, r.response_ts) for r in rows] == [("SELECT 1", False, None)]
    assert [i.kind for i in issues.rows()] == ["mysql-response-missing"]
    rows, _, _ = decode(runs([(CLIENT, b""), (SERVER, b"")], {0: 10, 1: 10}))
    assert rows == []


def test_one_direction_only() -> None:
    requests = [run for run in runs(SESSION)[3:] if run.direction == CLIENT]
    rows = decode(requests, joined=True)[0]
    assert [r.sql for r in rows if r.sql == "COMMIT"] == ["COMMIT"] * 3
    assert not any(r.complete for r in rows)
    many: Script = [(CLIENT, query(f"SELECT {n}")) for n in range(2000)]
    assert len(decode(many, joined=True)[0]) == 2000
    responses = [run for run in runs(SESSION) if run.direction == SERVER]
    assert decode(responses, joined=True)[0] == []


def test_a_response_whose_request_is_lost_is_nobody_elses() -> None:
    """The answer to the lost ROLLBACK must not become that of the COMMIT, whose own answer is lost, too."""
    script: Script = [
        *LOGIN,
        (CLIENT, query("COMMIT")),
        (SERVER, packet(1, ok(5, 0))),
        (CLIENT, query("SELECT 1")),
        (SERVER, packet(1, ok(9, 1))),
    ]
    rows = decode(script, gaps={4: 11, 5: 13})[0]
    assert [(r.sql, r.complete, r.affected_rows) for r in rows] == [("COMMIT", False, None), ("SELECT 1", True, 9)]
    pending: Script = [
        *LOGIN,
        (CLIENT, packet(0, b"\x0e") + query("SELECT id FROM image_tags")),
        (SERVER, packet(1, ok(0, 0))),
        (CLIENT, query("COMMIT")),
        (SERVER, packet(1, ok(0, 0))),
    ]
    rows = decode(pending, gaps={4: 107, 5: 13})[0]
    assert [(r.command, r.complete, r.affected_rows) for r in rows] == [
        ("COM_PING", False, None),
        ("COM_QUERY", False, None),
        ("COM_QUERY", True, 0),
    ]
    believed = decode(pending, gaps={4: 107})[0]
    assert [r.complete for r in believed] == [False, True, True]


def test_the_first_answer_of_a_joined_session_may_be_missing() -> None:
    """Nothing tells that: a stream that began before the capture has no gap before its first byte."""
    ping = packet(0, b"\x0e")
    script: Script = [(CLIENT, ping), (CLIENT, query("SELECT id FROM images"))]
    script += [(SERVER, packets(1, result_set(["id"], [text_row("a1")])))]
    script += [(CLIENT, query("COMMIT")), (SERVER, packet(1, ok(0, 0))), (CLIENT, ping), (SERVER, packet(1, ok()))]
    rows = decode(script, joined=True)[0]
    assert [(r.complete, r.returned_rows, r.affected_rows) for r in rows] == [
        (False, None, None),
        (True, 1, None),
        (True, None, 0),
        (True, None, 0),
    ]
    at_once: Script = [(CLIENT, ping + query("SELECT id FROM images"))]
    at_once += [(SERVER, packet(1, ok()) + script[2][1]), *script[3:]]
    assert [r.complete for r in decode(at_once, joined=True)[0]] == [True] * 4


def test_a_request_whose_end_is_missing_was_answered_before_that_is_known() -> None:
    """What is missing of the client is told with its next bytes, which come after the answer."""
    long = query("INSERT INTO images VALUES " + "('x')," * 500)
    script: Script = [
        *LOGIN,
        (CLIENT, packet(0, b"\x0e")),
        (CLIENT, long[:1448]),
        (SERVER, packet(1, ok(500))),
        (CLIENT, query("ROLLBACK")),
        (SERVER, packet(1, ok(0, 0))),
        (CLIENT, query("SELECT 1")),
        (SERVER, packet(1, ok(9))),
    ]
    rows = decode(script, gaps={5: 11, 6: len(long) - 1448})[0]
    assert [(r.complete, r.affected_rows) for r in rows] == [(False, None), (False, None), (True, 0), (True, 9)]


def test_a_server_that_goes_on_unasked_has_answered_what_is_missing() -> None:
    script: Script = [*LOGIN, (CLIENT, query("COMMIT")), (SERVER, packet(1, ok(5))), (CLIENT, query("SELECT 1"))]
    script += [(SERVER, packet(1, ok(6)) + packet(1, ok(7)))]
    rows = decode(script, gaps={4: 11, 6: 11})[0]
    assert [(r.complete, r.affected_rows) for r in rows] == [(False, None), (False, None)]


def test_bytes_that_are_no_response_are_not_seen_before_their_request() -> None:
    """The place of the last byte that was read is that of an older response, or of none at all."""
    script: Script = [*LOGIN, (CLIENT, query("SELECT 1")), (SERVER, packet(1, ok(1)))]
    script += [(CLIENT, query("COMMIT")), (SERVER, packet(9, ok(0, 0))), (CLIENT, query("SELECT 2"))]
    rows = decode(script)[0]
    assert (rows[1].sql, rows[1].complete) == ("COMMIT", False)
    assert rows[1].request_frame < (rows[1].response_frame or 0)
    assert rows[1].ts < (rows[1].response_end_ts or 0)
    assert rows_of(decode(cut_runs(runs(script), repeat(1)))[0]) == rows_of(rows)


def test_the_request_after_a_cut_one_is_after_a_gap_and_no_other() -> None:
    data = query("INSERT INTO images VALUES " + "('x')," * 1000)
    script: Script = [*LOGIN, (CLIENT, data[:2000]), (CLIENT, data[3000:]), (SERVER, packet(1, ok(7)))]
    for sql in ("COMMIT", "ROLLBACK"):
        script += [(CLIENT, query(sql)), (SERVER, packet(1, ok(0, 0)))]
    session = runs(script, gaps={4: 1000})
    for cut in (session, cut_runs(session, repeat(1))):
        assert [row.after_gap for row in decode(cut)[0]] == [False, True, False]


def test_the_end_of_what_is_dropped_does_not_depend_on_runs() -> None:
    data = packets(1, result_set(["images_id", "images_name"], [text_row("a1", "x" * 50)]))
    at = data.index(b"x" * 50)
    data = data[: at - 8] + b"\xff\x7f" + data[at - 6 :]
    *first, last = runs([*LOGIN, (CLIENT, query("SELECT")), (SERVER, data)])
    for count in (2, 3, 5):
        places = range(count)
        offsets = [len(data) * number // count for number in places]
        run = Run(SERVER, data, offsets, [last.ts[0] + n for n in places], [last.frames[0] + n for n in places])
        whole = decode([*first, run])[0]
        assert rows_of(decode(cut_runs([*first, run], repeat(1)))[0]) == rows_of(whole)
        assert whole[0].response_frame == run.frames[-1]


def test_what_follows_an_answer_unasked_is_nobodys_in_the_same_run_as_in_the_next() -> None:
    answers = packet(1, ok(5)), packet(1, ok(7))
    script: Script = [*LOGIN, (CLIENT, query("COMMIT")), (CLIENT, query("INSERT INTO images" + " " * 2000)[:900])]
    later: Script = [(CLIENT, query("SELECT 1")), (SERVER, packet(1, ok(9)))]
    parts: list[Script] = [[(SERVER, answers[0]), (SERVER, answers[1])], [(SERVER, b"".join(answers))]]
    for part in parts:
        session = runs([*script, *part, *later])
        for cut in (session, cut_runs(session, repeat(1))):
            rows = decode(cut)[0]
            assert [(row.sql or "")[:6] for row in rows] == ["COMMIT", "INSERT"]
            assert [(row.complete, row.affected_rows) for row in rows] == [(True, 5), (False, 9)]


@pytest.mark.parametrize("wanted", [WANTED, None])
def test_a_row_out_of_sequence_is_of_no_response_in_whole_runs_too(wanted: frozenset[str] | None) -> None:
    data = packets(1, result_set(["images_id", "images_status"], [text_row("a1", "queued"), text_row("b2", "active")]))
    at = data.index(b"\x02b2") - 1
    script: Script = [*LOGIN, (CLIENT, query("SELECT")), (SERVER, data[:at] + b"\x66" + data[at + 1 :])]
    rows = rows_of(decode(script, wanted=wanted)[0])
    assert [(row["complete"], row["returned_rows"]) for row in rows] == [(False, 1)]
    assert rows_of(decode(cut_runs(runs(script), repeat(1)), wanted=wanted)[0]) == rows


@pytest.mark.parametrize("seen", [1, 2, 3, 4, 5])
def test_an_answer_that_is_cut_off_in_its_head_was_seen_until_then_wherever_runs_end(seen: int) -> None:
    script: Script = [*LOGIN, (CLIENT, query("COMMIT")), (SERVER, packet(1, ok(5))[:seen])]
    script += [(SERVER, packet(1, ok(5))), (CLIENT, query("SELECT 1")), (SERVER, packet(1, ok(1)))]
    session = runs(script, gaps={5: 20})
    rows = rows_of(decode(session)[0])
    assert [row["response_frame"] for row in rows] == [5, 8]
    assert rows_of(decode(cut_runs(session, repeat(1)))[0]) == rows
