"""Whose statement it is, what it is for, and which result columns are wanted."""

from __future__ import annotations

import pytest

from glancetrace.glance.service import kind_of_statement, service_of, wanted_columns
from glancetrace.sql import StatementParser

PARSER = StatementParser()


@pytest.mark.parametrize(
    ("sql", "user", "schema", "expected"),
    [
        ("SELECT 1", "glance", None, "glance"),
        ("SELECT 1", None, "glanceold", "glance"),
        ("SELECT * FROM user", "keystone", "keystone", "keystone"),
        ("SELECT * FROM instances WHERE image_ref='x'", None, "nova_cell0", "other"),
        ("SELECT * FROM images", "root", "mysql", "other"),
        ("update glance.images set is_public=1", "root", None, "glance"),
        ("update glance.images set is_public=1", "root", "mysql", "glance"),
        ("SELECT * FROM images", None, None, "glance"),
        ("SELECT * FROM images", "app", "openstack", "glance"),
        ("SELECT * FROM task_info", None, None, "glance"),
        ("SELECT * FROM local_user", None, None, "keystone"),
        ("SELECT * FROM ports", None, None, "other"),
        ("SELECT * FROM tasks", None, None, None),
        ("SELECT * FROM services", None, None, None),
        ("SELECT * FROM user", None, None, None),
        ("SELECT * FROM alembic_version", None, None, None),
        ("ROLLBACK", None, None, None),
        ("ROLLBACK", "root", "app", None),
    ],
)
def test_service(sql: str, user: str | None, schema: str | None, expected: str | None) -> None:
    assert service_of(PARSER.parse(sql).shape, user, schema) == expected


def test_service_of_a_command_without_text() -> None:
    assert service_of(None, "glance", None) == "glance"
    assert service_of(None, None, None) is None


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1", "ping"),
        ("select 1", "ping"),
        ("SET NAMES utf8mb4", "setup"),
        ("SET AUTOCOMMIT = 0", "setup"),
        ("SET SESSION sql_mode = 'TRADITIONAL'", "setup"),
        ("SHOW VARIABLES LIKE 'sql_mode'", "setup"),
        ("SELECT VERSION()", "setup"),
        ("SELECT DATABASE()", "setup"),
        ("SELECT @@tx_isolation", "setup"),
        ("SELECT CAST('test plain returns' AS CHAR(60)) AS anon_1", "setup"),
        ("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'glance'", "setup"),
        ("SHOW STATUS LIKE 'wsrep_local_state'", "health"),
        ("COMMIT", "transaction"),
        ("ROLLBACK", "transaction"),
        ("BEGIN", "transaction"),
        ("START TRANSACTION", "transaction"),
        ("SAVEPOINT sa_savepoint_1", "transaction"),
        ("SELECT images.id FROM images", "request"),
        ("UPDATE images SET status='x'", "request"),
        ("nonsense", "request"),
    ],
)
def test_kind(sql: str, expected: str) -> None:
    assert kind_of_statement("COM_QUERY", PARSER.parse(sql), "glance") == expected


def test_kind_of_commands_without_text() -> None:
    assert kind_of_statement("COM_PING", None) == "ping"
    assert kind_of_statement("COM_INIT_DB", None) == "setup"
    assert kind_of_statement("COM_CHANGE_USER", None) == "setup"
    assert kind_of_statement("COM_STMT_EXECUTE", None) == "request"
    assert kind_of_statement("COM_PING", None, "haproxy_check") == "health"


IMG = (
    "SELECT images.id AS images_id, images.name AS images_name, images.status AS images_status, "
    "image_properties_1.name AS image_properties_1_name \nFROM images LEFT OUTER JOIN image_properties AS "
    "image_properties_1 ON images.id = image_properties_1.image_id \nWHERE images.id = 'x'"
)


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        (IMG, {"images_id", "images_name", "images_status", "image_properties_1_name"}),
        ("SELECT images.id \nFROM images \nWHERE images.id = 'x'", {"id"}),
        ("SELECT anon_1.images_id AS anon_1_images_id \nFROM (SELECT", {"anon_1_images_id", "anon_1_images_status"}),
        ("SELECT anon_1.anon_2_images_id AS anon_1_anon_2_images_id \nFROM", {"anon_1_anon_2_images_id"}),
        ("SELECT image_tags.value AS image_tags_value \nFROM image_tags", {"image_tags_value"}),
        ("SELECT tasks.id AS tasks_id \nFROM tasks", {"tasks_id", "tasks_status", "tasks_request_id"}),
        ("select * from `images`", {"id", "status", "checksum"}),
    ],
)
def test_rows_of_images_are_wanted(sql: str, names: set[str]) -> None:
    for schema in (None, "glance", "openstack"):
        wanted = wanted_columns(sql, schema)
        assert wanted is not None
        assert names <= wanted
    assert wanted_columns(sql, "nova") is None


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT project.id AS project_id FROM project",
        "SELECT anon_1.role_id AS anon_1_role_id FROM (SELECT",
        "UPDATE images SET status='x'",
        "SELECT 1",
        "COMMIT",
        "",
    ],
)
def test_other_rows_are_not_wanted(sql: str) -> None:
    assert wanted_columns(sql, None) is None


def test_contents_of_images_are_not_wanted() -> None:
    wanted = wanted_columns(IMG, None)
    assert wanted is not None
    assert not wanted & {"images_min_disk", "image_locations_1_meta_data", "task_info_input"}
