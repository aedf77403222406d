"""What a shape says: tables, predicates with real names, what holds for every row."""

from __future__ import annotations

import pytest

from glancetrace.sql import Statement, StatementParser

# Statements as Glance 33 and 26 (SQLAlchemy 2.0 and 1.4) send them; column lists shortened.
LIST = (
    "SELECT anon_1.images_id AS anon_1_images_id, anon_1.images_status AS anon_1_images_status, "
    "image_properties_1.id AS image_properties_1_id \nFROM (SELECT images.id AS images_id, images.status AS "
    "images_status, images.created_at AS images_created_at \nFROM images \nWHERE images.os_hidden = false AND "
    "images.deleted = false AND images.status IN ('active', 'queued') AND (images.owner = 'own' OR "
    "images.visibility != 'community') ORDER BY images.created_at DESC, images.id DESC \n LIMIT 20) AS anon_1 LEFT "
    "OUTER JOIN image_properties AS image_properties_1 ON anon_1.images_id = image_properties_1.image_id AND "
    "image_properties_1.deleted = false WHERE anon_1.images_status = 'active' ORDER BY anon_1.images_created_at DESC"
)
UNION = (
    "SELECT anon_1.anon_2_images_id AS anon_1_anon_2_images_id \nFROM (SELECT anon_2.images_id AS anon_2_images_id, "
    "anon_2.images_visibility AS anon_2_images_visibility \nFROM (SELECT images.id AS images_id, images.visibility AS "
    "images_visibility \nFROM images \nWHERE images.deleted = false AND images.status IN ('active', 'saving') AND "
    "(images.visibility = 'public' OR images.visibility = 'community') UNION SELECT images.id AS images_id, "
    "images.visibility AS images_visibility \nFROM images \nWHERE images.owner = 'own' AND images.deleted = false AND "
    "images.status IN ('active', 'saving') UNION SELECT images.id AS images_id, images.visibility AS "
    "images_visibility \nFROM images INNER JOIN image_members ON images.id = image_members.image_id \nWHERE "
    "images.deleted = false AND images.status IN ('active', 'saving') AND image_members.member = 'own') AS anon_2 "
    "INNER JOIN image_tags AS image_tags_2 ON anon_2.images_id = image_tags_2.image_id \nWHERE "
    "anon_2.images_visibility = 'shared' AND image_tags_2.value = 't1' \n LIMIT 25) AS anon_1 LEFT OUTER JOIN "
    "image_properties AS image_properties_1 ON anon_1.anon_2_images_id = image_properties_1.image_id"
)


def parse(sql: str) -> Statement:
    return StatementParser().parse(sql)


def predicates(sql: str) -> list[tuple[str, str, list[object], bool]]:
    statement = parse(sql)
    return [
        (
            f"{p.table}.{p.column}",
            p.operator,
            [statement.literals[slot] for slot in p.slots] if p.slots else [p.constant],
            p.conjunct,
        )
        for p in statement.shape.predicates
    ]


def test_list_of_images_through_a_derived_table() -> None:
    statement = parse(LIST)
    assert statement.shape.tables == ("images", "image_properties")
    assert statement.shape.limit is not None
    assert statement.literals[statement.shape.limit] == 20
    assert predicates(LIST) == [
        ("images.os_hidden", "=", [False], True),
        ("images.deleted", "=", [False], True),
        ("images.status", "IN", ["active", "queued"], True),
        ("images.owner", "=", ["own"], False),
        ("images.visibility", "!=", ["community"], False),
        ("image_properties.deleted", "=", [False], False),
        ("images.status", "=", ["active"], True),
    ]


def test_union_of_three_branches() -> None:
    found = predicates(UNION)
    assert ("images.deleted", "=", [False], True) in found
    assert ("images.status", "IN", ["active", "saving"], True) in found
    assert ("images.owner", "=", ["own"], False) in found
    assert ("image_members.member", "=", ["own"], False) in found
    assert ("images.visibility", "=", ["public"], False) in found
    assert ("images.visibility", "=", ["shared"], True) in found
    assert ("image_tags.value", "=", ["t1"], True) in found
    assert set(parse(UNION).shape.tables) == {"images", "image_members", "image_tags", "image_properties"}
    assert parse(UNION).literals[parse(UNION).shape.limit or 0] == 25


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("'i' = t.a", ("t.a", "=", ["i"], True)),
        ("5 < a", ("t.a", ">", [5], True)),
        ("a <=> 'x'", ("t.a", "=", ["x"], True)),
        ("a <> 'x'", ("t.a", "!=", ["x"], True)),
        ("NOT a = 'x'", ("t.a", "!=", ["x"], True)),
        ("a NOT IN (1, 2)", ("t.a", "NOT IN", [1, 2], True)),
        ("(t.a NOT IN (24))", ("t.a", "NOT IN", [24], True)),
        ("a IS NULL", ("t.a", "IS", [None], True)),
        ("a IS NOT NULL", ("t.a", "IS NOT", [None], True)),
        ("a LIKE 'x%'", ("t.a", "LIKE", ["x%"], True)),
        ("a NOT LIKE 'x%'", ("t.a", "NOT LIKE", ["x%"], True)),
        ("a != false", ("t.a", "!=", [False], True)),
        ("a = -3", ("t.a", "=", [-3], True)),
    ],
)
def test_one_condition(condition: str, expected: tuple[str, str, list[object], bool]) -> None:
    assert predicates(f"SELECT * FROM t WHERE {condition}") == [expected]


def test_between_is_two_bounds() -> None:
    assert predicates("DELETE FROM t WHERE a BETWEEN 1 AND 5") == [
        ("t.a", ">=", [1], True),
        ("t.a", "<=", [5], True),
    ]


@pytest.mark.parametrize("condition", ["a = b", "a = now()", "lower(a) = 'x'", "a + 1 = 2", "a IN (SELECT b FROM u)"])
def test_what_compares_no_column_with_a_literal_is_left_out(condition: str) -> None:
    assert predicates(f"SELECT * FROM t WHERE {condition}") == []


def test_or_holds_for_no_row_alone_and_not_or_for_each() -> None:
    assert [p[3] for p in predicates("SELECT * FROM t WHERE a = 1 OR b = 2")] == [False, False]
    assert predicates("SELECT * FROM t WHERE NOT (a = 1 OR b = 2)") == [
        ("t.a", "!=", [1], True),
        ("t.b", "!=", [2], True),
    ]
    assert [p[3] for p in predicates("SELECT * FROM t WHERE NOT (a = 1 AND b = 2)")] == [False, False]


def test_joins() -> None:
    sql = "SELECT * FROM a {} JOIN b AS c ON a.id = c.a_id AND c.x = 1 WHERE c.y = 2 AND z = 3"
    assert predicates(sql.format("INNER")) == [
        ("b.x", "=", [1], True),
        ("b.y", "=", [2], True),
        (".z", "=", [3], True),
    ]
    assert predicates(sql.format("LEFT"))[0] == ("b.x", "=", [1], False)


def test_subqueries_hold_for_no_row_of_the_result() -> None:
    sql = "SELECT * FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.id = t.id AND u.x = 5) AND t.y = 6"
    assert predicates(sql) == [("u.x", "=", [5], False), ("t.y", "=", [6], True)]
    cte = "WITH c AS (SELECT x FROM t WHERE y = 'a') SELECT * FROM c WHERE c.x = 'b'"
    assert predicates(cte) == [("t.y", "=", ["a"], False), ("t.x", "=", ["b"], True)]
    assert parse(cte).shape.tables == ("t",)


def test_a_derived_table_without_names_is_looked_through() -> None:
    assert predicates("SELECT * FROM (SELECT * FROM t) AS d WHERE d.a = 1") == [("t.a", "=", [1], True)]
    assert predicates("SELECT * FROM (SELECT max(a) AS m FROM t) AS d WHERE d.m = 1") == [(".m", "=", [1], True)]


def test_schemas_are_kept_apart() -> None:
    shape = parse("update glance.images set is_public=1").shape
    assert (shape.tables, shape.schemas, shape.operation) == (("images",), ("glance",), "UPDATE")


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t (a, b) VALUES ('x', now())",
        "INSERT IGNORE INTO t SET a='x', b=now()",
        "REPLACE INTO t (a, b) VALUES ('x', now())",
        "UPDATE t SET a='x', b=now()",
        "UPDATE t INNER JOIN u ON t.id = u.id SET t.a='x', t.b=now()",
    ],
)
def test_assignments(sql: str) -> None:
    statement = parse(sql)
    assert statement.assigned() == {"a": "x"}
    assert [a.column for a in statement.shape.assignments if a.expression] == ["b"]
    assert statement.shape.tables[0] == "t"


def test_insert_without_columns_assigns_nothing() -> None:
    shape = parse("INSERT INTO ports VALUES (uuid(), 'x', 3)").shape
    assert (shape.tables, shape.assignments, shape.parsed) == (("ports",), (), True)


def test_quoted_names_and_reserved_words() -> None:
    sql = "SELECT `group`.id FROM `group` WHERE `group`.domain_id = 'default'"
    assert predicates(sql) == [("group.domain_id", "=", ["default"], True)]


def test_deeply_nested_conditions_do_not_exhaust_the_stack() -> None:
    sql = "SELECT * FROM t WHERE " + "(" * 3000 + "a = 1" + ")" * 3000
    assert parse(sql).shape.operation == "SELECT"
    flat = "SELECT * FROM t WHERE " + " AND ".join(f"a{n} = {n}" for n in range(2000))
    assert parse(flat).shape.operation == "SELECT"
