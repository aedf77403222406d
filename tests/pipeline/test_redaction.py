"""Secrets in SQL: by what they look like, and by the column that they stand beside."""

from __future__ import annotations

import pytest

from glancetrace.glance.statement import SqlStatement
from glancetrace.mysql.command import MysqlCommand, MysqlSession
from glancetrace.net.run import Connection
from glancetrace.redact import Redactor, may_hold_secret
from glancetrace.shown_sql import shown_sql
from glancetrace.sql.parser import StatementParser

TOKEN = "gAAAAABn" + "x" * 60


def show(sql: str, *, reveal: bool = False) -> str | None:
    command = MysqlCommand(MysqlSession(1), 1, "COM_QUERY", sql, "keystone", 1, 1, 1, 1)
    connection = Connection(1, ("192.0.2.1", 40000), ("192.0.2.2", 3306), False, 1, 1)
    statement = SqlStatement(command, StatementParser().parse(sql), connection, "keystone", "request", "QUERY")
    return shown_sql(statement, Redactor(b"key", reveal=reveal))


@pytest.mark.parametrize(
    ("sql", "secret"),
    [
        ("INSERT INTO local (id, password) VALUES (1, 'hunter2')", "hunter2"),
        ("UPDATE user SET password='hunter2' WHERE user.id = 'a'", "hunter2"),
        ("SELECT id FROM ec2 WHERE secret = 'hunter2'", "hunter2"),
        ("INSERT INTO password (password_hash) VALUES ('$2b$12$0123456789abcdefghijkl')", "0123456789abcdefghijkl"),
        (f"SELECT id FROM t WHERE t.x = '{TOKEN}'", TOKEN),
        ("UPDATE image_locations SET value='swift+https://me:hunter2@host/c/o' WHERE id = 1", "hunter2"),
        ("SET PASSWORD = PASSWORD('hunter2')", "hunter2"),
        ("CREATE USER me IDENTIFIED BY 'hunter2'", "hunter2"),
        ('INSERT INTO task_info (input) VALUES (\'{"password": "hunter2"}\')', "hunter2"),
    ],
)
def test_secrets_are_hidden_unless_revealed(sql: str, secret: str) -> None:
    shown = show(sql)
    assert shown is not None
    assert secret not in shown
    assert show(sql, reveal=True) == sql


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT images.id FROM images WHERE images.id = 'b4fd358a-c90b-4c96-b129-1f6a3a853662'",
        "INSERT INTO image_properties (name, value) VALUES ('os_secure_boot', 'required')",
        "COMMIT",
    ],
)
def test_other_statements_are_shown_as_they_are(sql: str) -> None:
    assert show(sql) == sql


def test_equal_secrets_stay_recognisably_equal() -> None:
    redactor = Redactor(b"of this capture")
    assert redactor.secret(TOKEN) == redactor.secret(TOKEN) != redactor.secret(TOKEN + "y")
    assert redactor.secret(TOKEN) != Redactor(b"of another").secret(TOKEN)
    assert redactor.text(f"X-Auth-Token: {TOKEN}") == f"X-Auth-Token: {redactor.secret(TOKEN)}"


def test_headers_and_urls() -> None:
    redactor = Redactor(b"k")
    assert "opaque" not in redactor.header("X-Auth-Token", "opaque")
    assert "opaque" not in redactor.text("GET /v1/x?temp_url_sig=opaque&temp_url_expires=1")
    assert redactor.header("Content-Type", "application/json") == "application/json"
    assert not may_hold_secret("/v2/images?limit=20")


@pytest.mark.parametrize(
    "text",
    [
        "password=hunter2&user=me",
        "grant_type=x&passwd=hunter2",
        "Authorization: Basic hunter2",
        "cookie: session=hunter2",
        '{"os_password": "hunter2"}',
        '{"user": {"original_password": "hunter2", "password": "hunter2"}}',
        '[{"op": "add", "path": "/os_password", "value": "hunter2"}]',
        '[{"value": "hunter2", "op": "replace", "path": "/os_password"}]',
        "INSERT INTO image_properties (image_id, name, value) VALUES ('id', 'os_password', 'hunter2')",
        'UPDATE user SET password="hunter2"',
        "added os_password = hunter2 and more",
        "CHANGE MASTER TO MASTER_PASSWORD='hunter2'",
        "SET PASSWORD FOR 'me'@'%' = 'hunter2'",
        "CREATE USER me IDENTIFIED VIA mysql_native_password USING 'hunter2'",
    ],
)
def test_secrets_by_the_name_that_stands_beside_them(text: str) -> None:
    assert "hunter2" not in Redactor(b"k").text(text)
    assert Redactor(b"k", reveal=True).text(text) == text


def test_a_password_that_is_a_number() -> None:
    assert Redactor(b"k").text('{"passcode": 123456}') == '{"passcode": "<redacted>"}'


@pytest.mark.parametrize("name", ["X-Auth-Key", "X-Storage-Pass", "X-Image-Meta-Property-os_password"])
def test_headers_with_secrets_by_name(name: str) -> None:
    assert "hunter2" not in Redactor(b"k").header(name, "hunter2")
    assert Redactor(b"k", reveal=True).header(name, "hunter2") == "hunter2"


@pytest.mark.parametrize(
    "text",
    [
        '{"token": {"methods": ["password"], "expires_at": "2020"}}',
        '{"cinder_encryption_key_id": "b4fd358a", "img_signature_key_type": "RSA-PSS"}',
        "SELECT password.id AS password_id FROM password WHERE password.local_user_id = 'a'",
        "UPDATE token_provider SET password_expires_at='2020-02-18'",
    ],
)
def test_what_is_beside_a_secret_stays(text: str) -> None:
    assert Redactor(b"k").text(text) == text
