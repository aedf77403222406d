"""The compressed protocol: frames of either algorithm, joined in the middle, damaged."""

from __future__ import annotations

from itertools import repeat

import pytest

from tests.support.mysql_wire import (
    CLIENT,
    SERVER,
    Script,
    compressed,
    cut_runs,
    decode,
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

FLAGS = {"zlib": 1 << 5, "zstd": 1 << 26}
SQL = "SELECT images.id FROM images WHERE images.status = 'saving' " + "/* padding */ " * 20
ROWS = [text_row(f"image-{n}", "saving") for n in range(400)]
WANTED = frozenset({"images_id"})


def session(algorithm: str) -> Script:
    """Two queries, the first with a result that two frames hold in pieces that are no packets, a ping, a goodbye."""
    answer = packets(1, result_set(["images_id", "images_status"], ROWS))
    middle = len(answer) // 2 + 3
    return [
        (CLIENT, compressed(0, query(SQL), algorithm)),
        (SERVER, compressed(1, answer[:middle], algorithm)),
        (SERVER, compressed(2, answer[middle:], algorithm)),
        (CLIENT, compressed(0, packet(0, b"\x0e"), "")),
        (SERVER, compressed(1, packet(1, ok()), "")),
        (CLIENT, compressed(0, query(SQL), algorithm)),
        (SERVER, compressed(1, packet(1, ok(4)), "")),
        (CLIENT, compressed(0, packet(0, b"\x01"), "")),
    ]


@pytest.mark.parametrize("algorithm", ["zlib", "zstd"])
@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("size", [1, 7, 1000, 1_000_000])
def test_a_compressed_session(algorithm: str, joined: bool, size: int) -> None:
    start = [] if joined else login(FLAGS[algorithm])
    rows, issues, decoder = decode(
        cut_runs(runs([*start, *session(algorithm)]), repeat(size)), wanted=WANTED, joined=joined
    )
    assert [(r.command, r.returned_rows, r.affected_rows, r.complete) for r in rows] == [
        ("COM_QUERY", 400, None, True),
        ("COM_PING", None, 0, True),
        ("COM_QUERY", None, 4, True),
        ("COM_QUIT", None, None, True),
    ]
    assert rows[0].sql == SQL
    assert rows[0].rows == [(f"image-{n}",) for n in range(400)]
    assert decoder.session.compressed == algorithm
    first = len(start) + 1
    assert (rows[0].first_frame, rows[0].response_frame, rows[1].first_frame) == (first, first + 2, first + 3)
    assert [i.kind for i in issues.rows()] == (["mysql-resynchronised"] if joined else [])


def test_a_request_in_several_frames() -> None:
    data = query("INSERT INTO ld VALUES " + ",".join(f"({n},'w{n}')" for n in range(5000)))
    pieces = [data[start : start + 16384] for start in range(0, len(data), 16384)]
    script: Script = [*login(FLAGS["zlib"])]
    script += [(CLIENT, compressed(n, piece)) for n, piece in enumerate(pieces)]
    count = len(pieces)
    script += [(SERVER, compressed(count, packet(count, ok(5000)), ""))]
    rows, issues, _ = decode(script)
    assert [(r.sql, r.affected_rows, r.complete) for r in rows] == [(data[5:].decode(), 5000, True)]
    assert not issues.rows()


def test_a_frame_that_cannot_be_decompressed_costs_its_command_only() -> None:
    script = [*login(FLAGS["zlib"]), *session("zlib")]
    frame = bytearray(script[4][1])
    frame[12:30] = bytes(18)
    script[4] = (SERVER, bytes(frame))
    rows, issues, _ = decode(script)
    assert [(r.command, r.complete) for r in rows] == [
        ("COM_QUERY", False),
        ("COM_PING", True),
        ("COM_QUERY", True),
        ("COM_QUIT", True),
    ]
    assert "mysql-compression-undecodable" in {i.kind for i in issues.rows()}


@pytest.mark.parametrize("lost", range(3, 11))
def test_after_a_lost_run_the_next_commands_are_right(lost: int) -> None:
    script = [*login(FLAGS["zlib"]), *session("zlib"), *session("zlib")]
    whole = rows_of(decode(script, wanted=WANTED)[0])
    kept = runs(script)
    missing = kept.pop(lost)
    for run in kept[lost:]:
        if run.direction == missing.direction:
            run.gap = len(missing.data)
            break
    rows = decode(kept, wanted=WANTED)[0]
    exact = {row["first_frame"]: row for row in whole}
    assert rows[-1].first_frame == whole[-1]["first_frame"]
    for row in rows_of(rows):
        row["ordinal"] = exact[row["first_frame"]]["ordinal"]
        for name in ("status_before", "after_gap"):
            row[name] = exact[row["first_frame"]][name]
        assert row == exact[row["first_frame"]] or not row["complete"]
    assert sum(r.complete for r in rows) >= len(whole) - 2


def test_a_count_of_frames_that_is_broken_is_noticed() -> None:
    script = [*login(FLAGS["zlib"]), *session("zlib")]
    del script[4]
    rows, issues, _ = decode(script)
    assert [r.complete for r in rows] == [False, True, True, True]
    assert "mysql-malformed" in {i.kind for i in issues.rows()}


def test_other_algorithms_bytes_are_not_guessed() -> None:
    script: Script = [(CLIENT, b"\x20\x00\x00\x00\x40\x00\x00" + b"\xaa" * 32)] * 3
    rows, issues, _ = decode(script, joined=True)
    assert rows == []
    assert [i.kind for i in issues.rows()] == ["protocol-unknown"]


@pytest.mark.parametrize("size", [1, 5, 1_000_000])
@pytest.mark.parametrize("together", [True, False])
def test_what_follows_an_answer_unasked_is_nobodys_wherever_frames_are_cut(size: int, together: bool) -> None:
    insert = query("INSERT INTO images VALUES " + "('x')," * 500)
    answers = compressed(1, packet(1, ok(5)), ""), compressed(2, packet(2, ok(7)), "")
    script: Script = [(CLIENT, compressed(0, query("COMMIT"), "")), (CLIENT, compressed(0, insert[:900], ""))]
    script += [(SERVER, b"".join(answers))] if together else [(SERVER, answer) for answer in answers]
    script += [(CLIENT, compressed(0, query("SELECT 1"), "")), (SERVER, compressed(1, packet(1, ok(9)), ""))]
    rows = decode(cut_runs(runs([*login(FLAGS["zlib"]), *script]), repeat(size)))[0]
    assert [((row.sql or "")[:6], row.complete, row.affected_rows) for row in rows] == [
        ("COMMIT", True, 5),
        ("INSERT", False, 9),
    ]


def test_a_frame_that_ends_with_the_head_of_a_request_is_not_looked_at_beyond() -> None:
    frame = compressed(0, b"\x28\0\0\0\x03", "")
    rows, _, _ = decode(runs([(CLIENT, frame), (SERVER, packet(1, ok())), (CLIENT, frame)]), joined=True)
    assert rows == []
