"""Commands that are spilled come back as they were, in order of time, whoever wrote them."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterable
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glancetrace.mysql.command import MysqlCommand, MysqlError, MysqlSession
from glancetrace.net.run import Connection
from glancetrace.spill import commands as spilling
from glancetrace.spill.command_table import PlacedCommand
from glancetrace.spill.commands import Owned, Spill, SpooledCommands, order_of
from glancetrace.spill.file import TableFile
from glancetrace.statements import ServiceVotes


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


def plain(pairs: Iterable[Owned]) -> list[Owned]:
    """Without the places that those have which were read."""
    names = [field.name for field in fields(MysqlCommand)]
    return [(MysqlCommand(*(getattr(row, name) for name in names)), end) for row, end in pairs]


@given(st.integers(0, 80), st.integers(1, 30), st.randoms(use_true_random=False))
def test_commands_come_in_order_of_time(count: int, pieces: int, chance: random.Random) -> None:
    """They come a little out of order, as responses do, and one comes last that was sent first."""
    expected = owned(count)
    came = sorted(expected, key=lambda pair: pair[0].ts + chance.randrange(60) + 10**6 * (pair[0].ts == 0))
    spooled = SpooledCommands(ServiceVotes(), TableFile())
    for start in range(0, count, pieces):
        spooled.take(came[start : start + pieces])
    assert len(spooled) == count
    read = [pair for piece in spooled.pieces() for pair in piece]
    assert plain(read) == expected
    assert all(one[0].session is other[0].session for one, other in zip(read, expected, strict=True))
    assert read == sorted(read, key=order_of)


@given(st.integers(1, 60), st.randoms(use_true_random=False), st.data())
def test_commands_are_found_again(count: int, chance: random.Random, data: st.DataObject) -> None:
    """By their places, in any order, from several row groups."""
    came = owned(count)
    chance.shuffle(came)
    spooled = SpooledCommands(ServiceVotes(), TableFile())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spilling, "_GROUP_ROWS", 16)
        patch.setattr(spilling, "_BLOCK_ROWS", 5)
        spooled.take(came)
        read = [pair for piece in spooled.pieces() for pair in piece]
    wanted = data.draw(st.lists(st.sampled_from(read), unique_by=id))
    assert spooled.at([row.place for row, _ in wanted if isinstance(row, PlacedCommand)]) == wanted


def shared_out(pairs: list[Owned]) -> tuple[Spill, Spill, list[Owned]]:
    """Two processes, of which the other has written all that is not of the first connection, and what is."""
    mine, other = Spill(ServiceVotes()).share_out([0.5, 0.5])
    theirs = [pair for pair in pairs if pair[1].id != 1]
    other.look(theirs, last=True)
    assert theirs == []
    return mine, other, [pair for pair in pairs if pair[1].id == 1]


def test_what_another_process_wrote_is_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows come through a pipe, all but the file, which both have."""
    monkeypatch.setattr(spilling, "WHOLE", 20)
    expected = owned(60)
    mine, other, own = shared_out(expected)
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
    assert mine.spooled.at([row.place for row, _ in read if isinstance(row, PlacedCommand)]) == read


def test_few_in_all_stay_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of two processes may write half as many as are too many, and together they are not."""
    monkeypatch.setattr(spilling, "WHOLE", 50)
    expected = owned(42)
    mine, other, own = shared_out(expected)
    mine.join(own, [(other, pickle.loads(pickle.dumps(other.spooled)))])
    assert mine.spooled is None
    assert sorted(pair[0].ts for pair in own) == [pair[0].ts for pair in expected]
