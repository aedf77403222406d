"""The fast way to a statement gives what the exact way gives; digests are equal exactly when they should be."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glancetrace.sql import StatementParser
from glancetrace.sql.tokens import LITERALS, tokenize

UPDATE = (
    "UPDATE images SET id='{id}', name='{name}', size={size}, virtual_size=NULL, status='active', min_disk=0, "
    "protected=false WHERE images.id = '{id}' AND images.status = 'saving'"
)


def exact_literals(sql: str) -> tuple[object, ...]:
    return tuple(token.value for token in tokenize(sql)[0] if token.kind in LITERALS)


def update(name: str = "n", size: int = 1, image_id: str = "a") -> str:
    return UPDATE.format(id=image_id, name=name, size=size)


def test_one_digest_for_all_values_of_an_update() -> None:
    parser = StatementParser()
    first, second = parser.parse(update("one", 5)), parser.parse(update("two's".replace("'", "\\'"), 123456))
    assert first.shape is second.shape
    assert first.assigned() == {
        "id": "a", "name": "one", "size": 5, "virtual_size": None, "status": "active", "min_disk": 0,
        "protected": False,
    }  # fmt: skip
    assert second.assigned()["name"] == "two's"
    assert second.assigned()["size"] == 123456
    assert second.equal_to("images", "status") == ("saving",)


def test_white_space_and_list_length_do_not_change_the_digest() -> None:
    parser = StatementParser()
    short = parser.parse("SELECT * FROM images WHERE id IN ('a') AND status='x'")
    long = parser.parse("SELECT *\nFROM images  WHERE id IN ( 'a','b' , 'c') AND status = 'y'")
    assert short.shape.digest == long.shape.digest
    assert short.equal_to("images", "id") == ("a",)
    assert long.equal_to("images", "id") == ("a", "b", "c")
    assert long.equal_to("images", "status") == ("y",)


def test_names_operators_and_nulls_change_the_digest() -> None:
    parser = StatementParser()
    texts = [
        "UPDATE t SET a=1 WHERE b=2",
        "UPDATE t SET a=NULL WHERE b=2",
        "UPDATE t SET a=1 WHERE b!=2",
        "UPDATE t SET a=1 WHERE c=2",
        "UPDATE u SET a=1 WHERE b=2",
        "UPDATE t SET a=1 WHERE b IN (2)",
    ]
    assert len({parser.parse(text).shape.digest for text in texts}) == len(texts)


def test_rows_of_an_insert_are_told_apart() -> None:
    parser = StatementParser()
    one = parser.parse("INSERT INTO image_tags (image_id, value) VALUES ('i', 't1')")
    three = parser.parse("INSERT INTO image_tags (image_id, value) VALUES ('i', 't1'), ('i', 't2'), ('j', 't3')")
    assert [three.assigned(row)["value"] for row in range(3)] == ["t1", "t2", "t3"]
    assert three.assigned(2)["image_id"] == "j"
    assert one.assigned(1) == {}
    mixed = parser.parse("INSERT INTO t (a, b) VALUES (1, NULL), (NULL, 2) ON DUPLICATE KEY UPDATE a=3")
    assert [mixed.assigned(row) for row in range(2)] == [{"a": 1, "b": None}, {"a": None, "b": 2}]


def test_rows_before_a_list_shift_its_slots() -> None:
    statement = StatementParser().parse(
        "INSERT INTO t (a) VALUES (1), (2), (3) ON DUPLICATE KEY UPDATE a=IF(a IN (7,8), 9, a)"
    )
    assert [statement.assigned(row) for row in range(3)] == [{"a": 1}, {"a": 2}, {"a": 3}]
    assert statement.literals == (1, 2, 3, 7, 8, 9)


def test_placeholders_take_the_bound_values() -> None:
    parser = StatementParser()
    sql = "UPDATE images SET status=?, size=? WHERE images.id = ? AND images.status IN (?, 'saving')"
    for _ in range(2):
        statement = parser.parse(sql, ("active", 7, "i", "queued"))
        assert statement.assigned() == {"status": "active", "size": 7}
        assert statement.equal_to("images", "status") == ("queued", "saving")
    assert parser.parse(sql).literals == (None, None, None, None, "saving")
    assert parser.parse(sql, ("active",)).assigned() == {"status": "active", "size": None}
    assert parser.parse(sql, ("a",) * 9).literals == ("a", "a", "a", "a", "saving")


def test_a_comment_is_no_part_of_the_shape() -> None:
    parser = StatementParser()
    plain = parser.parse("SELECT * FROM images WHERE id='i'")
    for number in range(3):
        said = parser.parse(f"SELECT * FROM images WHERE id='i' /* traceparent='00-{number}' */")
        assert said.shape is plain.shape
        assert said.comment == f"traceparent='00-{number}'"
        assert said.literals == ("i",)


@pytest.mark.parametrize("operation", ["COMMIT", "ROLLBACK", "SET NAMES utf8", "SHOW VARIABLES LIKE 'x'", "BEGIN"])
def test_statements_without_rows_are_known_by_their_first_word(operation: str) -> None:
    shape = StatementParser().parse(operation).shape
    assert shape.operation == operation.partition(" ")[0]
    assert shape.parsed
    assert shape.tables == ()


def test_start_transaction_is_begin() -> None:
    assert StatementParser().parse("start transaction").shape.operation == "BEGIN"


@pytest.mark.parametrize("sql", ["SELECT * FROM FROM WHERE", "UPDATE SET", "INSERT INTO", "DELETE x y z"])
def test_what_cannot_be_parsed_says_so(sql: str) -> None:
    shape = StatementParser().parse(sql).shape
    assert not shape.parsed
    assert shape.operation == sql.partition(" ")[0]


def test_a_very_long_text_is_known_by_its_first_word() -> None:
    shape = StatementParser().parse("INSERT INTO t (a) VALUES ('" + "x" * 2_000_000 + "')").shape
    assert (shape.operation, shape.parsed) == ("INSERT", False)


def test_more_code_texts_than_the_caches_hold() -> None:
    parser = StatementParser()
    for number in range(9000):
        statement = parser.parse(f"UPDATE t SET a='x' WHERE id = {number}")
        assert statement.equal_to("t", "id") == (number,)


def test_what_stands_for_a_number_in_the_caches_is_no_number() -> None:
    parser = StatementParser()
    parser.parse("SET autocommit = 0")
    for _ in range(2):
        assert parser.parse("SET autocommit = \0") == StatementParser().parse("SET autocommit = \0")


QUOTED = st.sampled_from(["'a'", "'it''s'", "'b\\'c'", "''", '"dq"', "'x;y'", "'/* no */'", "'-- no'", "X'41'", "?"])
CODE = st.sampled_from(
    [
        "a=1",
        "b IN (1,2)",
        "`c`",
        "`it's`",
        " AND ",
        " -- q'\n",
        "/* c' */",
        "t.x1",
        "-5",
        "#'\n",
        ", ",
        "(",
        ")",
        "0x41",
        ";",
    ]
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.one_of(QUOTED, CODE), max_size=12), st.lists(st.one_of(QUOTED, CODE), max_size=12))
def test_a_parser_that_has_seen_other_texts_reads_as_a_new_one(before: list[str], pieces: list[str]) -> None:
    used = StatementParser()
    used.parse("SET " + " ".join(before))
    sql = "SET " + " ".join(pieces)
    for _ in range(2):
        statement = used.parse(sql)
        assert statement == StatementParser().parse(sql)
        assert statement.literals == exact_literals(sql)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.text(max_size=80),
    st.sampled_from(["", "SELECT ", "UPDATE images SET ", "INSERT INTO t VALUES (", "DELETE FROM "]),
)
def test_random_text_never_raises(text: str, start: str) -> None:
    parser = StatementParser()
    assert parser.parse(start + text) == parser.parse(start + text)


WORDS = st.sampled_from(
    [
        "SELECT", "FROM", "WHERE", "images", "id", "=", "'x'", "5", "(", ")", ",", "AND", "OR", "NOT", "IN", "UNION",
        "JOIN", "ON", "AS", "a", ".", "*", "LIMIT", "LIKE", "BETWEEN", "NULL", "IS", "SET",
    ]
)  # fmt: skip


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(WORDS, max_size=25), st.sampled_from(["SELECT * FROM images ", "UPDATE images SET a = 1 "]))
def test_words_of_sql_in_any_order_never_raise(words: list[str], start: str) -> None:
    statement = StatementParser().parse(start + " ".join(words))
    for predicate in statement.shape.predicates:
        assert all(0 <= slot < len(statement.literals) for slot in predicate.slots)
    for assignment in statement.shape.assignments:
        assert assignment.slot is None or 0 <= assignment.slot < len(statement.literals)
