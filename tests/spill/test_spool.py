"""What is spilled comes back as it was, leaves nothing behind, and cannot be read by anybody else."""

from __future__ import annotations

import errno
import os
import pickle
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glancetrace.errors import GlancetraceError
from glancetrace.mysql.command import MysqlCommand, MysqlError, MysqlSession
from glancetrace.net.run import Connection
from glancetrace.spill import commands as spilling
from glancetrace.spill.commands import Owned, Spill, SpooledCommands, order_of
from glancetrace.spill.rows import SpooledRows
from glancetrace.spill.spool import Spool
from glancetrace.statements import ServiceVotes


@given(st.lists(st.binary(max_size=100), max_size=20))
def test_blocks_come_back(blocks: list[bytes]) -> None:
    spool = Spool()
    places = [spool.add(block) for block in blocks]
    assert [spool.read(place) for place in reversed(places)] == blocks[::-1]


def test_file_has_no_name_and_no_plain_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    spool = Spool()
    secret = b"gAAAAABeS2" + b"q" * 90
    spool.add(secret * 10)
    spool.add(secret * 10)
    assert not list(tmp_path.iterdir())
    written = os.pread(spool._file, spool.size, 0)
    assert len(written) > 1900
    assert b"gAAAA" not in written
    assert written[:1000] != written[1008:2008]


def test_full_disk_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(GlancetraceError, match=r"temporary file cannot be used: No space left on device; .*TMPDIR"):
        spool.add(b"x")


def test_no_place_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(GlancetraceError, match="gone: a temporary file cannot be used: No such file"):
        Spool()


def test_short_writes_are_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    spool, write = Spool(), os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: write(fd, bytes(data[:3]), at))
    place = spool.add(b"0123456789")
    assert spool.read(place) == b"0123456789"


@given(st.lists(st.integers(0, 9), max_size=40), st.integers(1, 7), st.integers(-45, 45))
def test_rows_on_disk_are_as_a_list(rows: list[int], block_rows: int, index: int) -> None:
    table: SpooledRows[int] = SpooledRows(Spool(), list, list, block_rows)
    table.extend(rows[:20])
    table.flush()
    table.extend(rows[20:])
    assert list(table) == rows
    assert len(table) == len(rows)
    assert table[3:index] == rows[3:index]
    if -len(rows) <= index < len(rows):
        assert table[index] == rows[index]
    else:
        with pytest.raises(IndexError):
            table[index]


def connection(number: int) -> Connection:
    return Connection(number, ("10.0.0.1", number), ("10.0.0.2", 3306), False, 0, number)


def command(session: MysqlSession, ordinal: int, ts: int) -> MysqlCommand:
    sql = f"SELECT * FROM images WHERE id = {ts}"
    row = MysqlCommand(session, ordinal, "COM_QUERY", sql, "glance", ts, 100 + ts, ts + 1, 100 + ts)
    if ordinal % 3 == 0:
        row.error, row.rows, row.columns = MysqlError(1213, "40001", "Deadlock"), [("a", None, 1)], ("id", "x", "y")
    return row


def owned(count: int) -> list[Owned]:
    ends = [connection(number) for number in (1, 2, 3)]
    sessions = [MysqlSession(end.id, user="glance") for end in ends]
    return [(command(sessions[n % 3], n // 3 + 1, 10 * n), ends[n % 3]) for n in range(count)]


@given(st.integers(0, 80), st.integers(1, 30), st.randoms(use_true_random=False))
def test_commands_come_in_order_of_time(count: int, pieces: int, chance: random.Random) -> None:
    """They come a little out of order, as responses do, and one comes last that was sent first."""
    expected = owned(count)
    came = sorted(expected, key=lambda pair: pair[0].ts + chance.randrange(60) + 10**6 * (pair[0].ts == 0))
    spooled = SpooledCommands(ServiceVotes(), Spool())
    for start in range(0, count, pieces):
        spooled.take(came[start : start + pieces])
    assert len(spooled) == count
    read = [pair for piece in spooled.pieces() for pair in piece]
    assert read == expected
    assert all(one[0].session is other[0].session for one, other in zip(read, expected, strict=True))
    assert read == sorted(expected, key=order_of)


def test_what_another_process_wrote_is_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows come through a pipe, all but the file, which both have."""
    monkeypatch.setattr(spilling, "WHOLE", 20)
    expected = owned(60)
    mine, other = Spill(ServiceVotes()).share_out(2)
    own = [pair for pair in expected if pair[1].id == 1]
    theirs = [pair for pair in expected if pair[1].id != 1]
    other.look(theirs, last=True)
    assert theirs == []
    sent = pickle.loads(pickle.dumps(other.spooled))
    mine.join(own, [(other, sent)])
    assert own == []
    assert mine.spooled is not None
    read = [pair for piece in mine.spooled.pieces() for pair in piece]
    assert [pair[0].ts for pair in read] == [pair[0].ts for pair in expected]
    assert [pair[1].id for pair in read] == [pair[1].id for pair in expected]
    votes = mine.spooled.votes
    assert isinstance(votes, ServiceVotes)
    assert {votes.of(pair[1]) for pair in read} == {"glance"}


def test_few_in_all_stay_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of two processes may write half as many as are too many, and together they are not."""
    monkeypatch.setattr(spilling, "WHOLE", 50)
    expected = owned(42)
    mine, other = Spill(ServiceVotes()).share_out(2)
    own = [pair for pair in expected if pair[1].id == 1]
    theirs = [pair for pair in expected if pair[1].id != 1]
    other.look(theirs, last=True)
    assert theirs == []
    mine.join(own, [(other, pickle.loads(pickle.dumps(other.spooled)))])
    assert mine.spooled is None
    assert sorted(pair[0].ts for pair in own) == [pair[0].ts for pair in expected]
