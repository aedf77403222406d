"""What a text gave once is what it gives again, whoever sent it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glancetrace import statements
from glancetrace.glance.statement import SqlStatement
from glancetrace.mysql.command import MysqlCommand, MysqlSession
from glancetrace.net.run import Connection
from glancetrace.statements import StatementReader

CONNECTION = Connection(1, ("192.0.2.1", 40000), ("192.0.2.2", 3306), False, 0, 1)
SESSIONS = [MysqlSession(1, user=user) for user in (None, "glance", "keystone", "haproxy_check")]
IMAGE = "11111111-2222-4333-8444-555555555555"
TEXTS = [
    None,
    "ROLLBACK",
    "SELECT 1",
    "SHOW STATUS LIKE 'wsrep_local_state'",
    "SHOW VARIABLES LIKE 'sql_mode'",
    f"SELECT images.id, images.status FROM images WHERE images.id = '{IMAGE}'",
    f"UPDATE images SET status='active' WHERE images.id = '{IMAGE}' AND images.status = 'saving'",
    "UPDATE images SET status=? WHERE images.id = ?",
    "SELECT token.id FROM token WHERE token.id = 'x'",
]
PARAMS = [None, ("active", IMAGE), ("killed", IMAGE)]
COMMANDS = st.builds(
    MysqlCommand,
    st.sampled_from(SESSIONS),
    st.just(1),
    st.sampled_from(["COM_QUERY", "COM_PING", "COM_STMT_PREPARE", "COM_STMT_EXECUTE", "COM_INIT_DB"]),
    st.sampled_from(TEXTS),
    st.sampled_from([None, "glance", "keystone", "other_schema"]),
    *[st.just(1)] * 4,
    params=st.sampled_from(PARAMS),
)


def told(statement: SqlStatement) -> tuple[object, ...]:
    return (
        statement.parsed,
        statement.service,
        statement.kind,
        statement.operation,
        statement.schema,
        statement.image_ids,
        statement.changes,
    )


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(COMMANDS, max_size=30), st.sampled_from(["glance", "keystone", "other"]), st.integers(1, 6))
def test_a_reader_that_remembers_reads_what_a_new_one_reads(
    commands: list[MysqlCommand], default: str, remembered: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statements, "_KNOWN_COUNT", remembered)
        found = StatementReader().read(commands, CONNECTION, default)
    alone = [StatementReader().read([command], CONNECTION, default)[0] for command in commands]
    assert [told(statement) for statement in found] == [told(statement) for statement in alone]
    assert [statement.command for statement in found] == commands


def test_equal_texts_are_taken_apart_once() -> None:
    text = TEXTS[5]
    commands = [MysqlCommand(SESSIONS[1], n, "COM_QUERY", text, "glance", n, n, n, n) for n in range(2)]
    first, second = StatementReader().read(commands, CONNECTION)
    assert first.parsed is second.parsed is not None
    assert first.image_ids == second.image_ids == (IMAGE,)


def test_a_text_that_nobody_understands_is_noted() -> None:
    reader = StatementReader()
    for text, understood in (("SELECT 1", True), ("ROLLBACK", True), ("SELECT FROM WHERE ((", False)):
        reader.read([MysqlCommand(SESSIONS[1], 1, "COM_QUERY", text, "glance", 1, 1, 1, 1)], CONNECTION)
        assert reader.understands_all == understood
