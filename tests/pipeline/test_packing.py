"""Commands that cross from one process to another arrive as they were, however many go at once."""

from __future__ import annotations

from dataclasses import fields

from hypothesis import given, settings
from hypothesis import strategies as st

from glancetrace.mysql.command import MysqlCommand, MysqlError, MysqlSession
from glancetrace.net.run import Connection
from glancetrace.packing import CommandPacker, CommandUnpacker

NUMBER = st.none() | st.integers(0, 2**64 - 1)
TEXT = st.none() | st.text(max_size=5)
VALUES = st.lists(st.tuples(TEXT | st.binary(max_size=3) | st.integers(-5, 2**64)), max_size=3)
COMMANDS = st.builds(
    dict,
    ordinal=st.integers(1, 2**40),
    command=st.sampled_from(("COM_QUERY", "COM_PING")),
    sql=TEXT,
    schema=st.sampled_from((None, "glance")),
    ts=st.integers(0, 2**62),
    first_frame=st.integers(1, 2**40),
    request_end_ts=st.integers(0, 2**62),
    request_frame=st.integers(1, 2**40),
    params=st.none() | st.tuples(TEXT),
    response_ts=st.none() | st.integers(0, 2**62),
    affected_rows=NUMBER,
    last_insert_id=NUMBER,
    error=st.none() | st.builds(MysqlError, st.integers(0, 65535), st.text(max_size=5), st.text(max_size=5)),
    columns=st.none() | st.just(("id",)),
    rows=st.none() | VALUES,
    complete=st.booleans(),
)


def told(command: MysqlCommand) -> list[object]:
    return [getattr(command, field.name) for field in fields(command)][1:]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.tuples(COMMANDS, st.integers(0, 2)), max_size=12), st.integers(1, 12))
def test_commands_arrive_as_they_were(drawn: list[tuple[dict[str, object], int]], at_once: int) -> None:
    sessions = [MysqlSession(number) for number in range(3)]
    connections = [Connection(number, ("a", 1), ("b", 3306), False, 0, 1) for number in range(3)]
    sent = [(MysqlCommand(sessions[at], **given), connections[at]) for given, at in drawn]  # type: ignore[arg-type]
    packer, unpacker = CommandPacker(), CommandUnpacker()
    for start in range(0, len(sent), at_once):
        unpacker.unpack(packer.pack(sent[start : start + at_once]))
    arrived = unpacker.commands(packer.sessions, list(packer.connections))
    assert [(told(command), command.session, connection) for command, connection in arrived] == [
        (told(command), command.session, connection) for command, connection in sent
    ]
