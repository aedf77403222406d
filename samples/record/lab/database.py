"""MariaDB: a server of the lab's own, its schemas, and triggers that copy every committed change of Glance's rows.

The triggers write in the transaction of the change, so a change that is rolled back leaves no trace; time and
connection are the server's own words for them (`sysdate(6)`, `connection_id()`).
"""

import datetime
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymysql
from pymysql.cursors import DictCursor

from lab import place
from lab.processes import run, start, wait_for

LOGGED_TABLES = ("images", "image_properties", "image_locations", "image_tags", "image_members", "tasks")
FINAL_TABLES = (*LOGGED_TABLES, "task_info")
DATA = place.ROOT / "mysql"
# Without TLS, which PyMySQL would use if it were offered, and in UTC.
SERVER = (
    f"mariadbd --no-defaults --user=mysql --bind-address={place.DATABASE} --port={place.MYSQL} --skip-ssl"
    " --skip-name-resolve --max-connections=1000 --default-time-zone=+00:00 --innodb-log-file-size=32M"
)
# What changes with every save says nothing.
UNREMARKABLE = {"updated_at"}


def create() -> None:
    """An empty server's files."""
    DATA.mkdir()
    shutil.chown(DATA, "mysql", "mysql")
    run(
        "mariadb-install-db",
        f"mariadb-install-db --no-defaults --innodb-log-file-size=32M --user=mysql --datadir={DATA} --skip-test-db"
        " --auth-root-authentication-method=normal".split(),
    )


def launch() -> subprocess.Popen[bytes]:
    place.ROOT.chmod(0o777)  # for the socket
    files = [f"--datadir={DATA}", f"--socket={place.SOCKET}", f"--pid-file={place.ROOT / 'mysqld.pid'}"]
    server = start("mariadb", [*SERVER.split(), *files])
    wait_for("MariaDB", place.SOCKET.exists, 60, server)
    wait_for("MariaDB", answers, 60, server)
    return server


def answers() -> bool:
    try:
        with session():
            return True
    except pymysql.OperationalError:
        return False


@contextmanager
def session(schema: str | None = None) -> Iterator[DictCursor]:
    """A cursor of the administrator's, over the server's Unix socket: none of it is on the network."""
    connection = pymysql.connect(
        unix_socket=str(place.SOCKET), user="root", database=schema, autocommit=True, cursorclass=DictCursor
    )
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def create_schema(name: str) -> None:
    with session() as cursor:
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8")
        cursor.execute(f"GRANT ALL ON {name}.* TO '{name}'@'%' IDENTIFIED BY '{place.DATABASE_PASSWORD}'")


def url(schema: str, address: str) -> str:
    login = f"{schema}:{place.DATABASE_PASSWORD}"
    return f"mysql+pymysql://{login}@{address}:{place.MYSQL}/{schema}?charset=utf8"


def columns(cursor: DictCursor, schema: str, table: str) -> list[str]:
    cursor.execute(
        "SELECT column_name AS name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
        " ORDER BY ordinal_position",
        (schema, table),
    )
    return [row["name"] for row in cursor.fetchall()]


def log_changes(schema: str) -> None:
    """Creates the change log and the triggers that fill it."""
    with session() as cursor:
        cursor.execute("CREATE DATABASE change_log CHARACTER SET utf8mb4")
        cursor.execute(
            "CREATE TABLE change_log.changes (id INT AUTO_INCREMENT PRIMARY KEY, ts DATETIME(6), conn INT,"
            " tbl VARCHAR(64), op VARCHAR(8), image_id VARCHAR(64), old_row LONGTEXT, new_row LONGTEXT)"
        )
        cursor.execute(f"GRANT INSERT ON change_log.* TO '{schema}'@'%'")
        for table in LOGGED_TABLES:
            names = columns(cursor, schema, table)
            key = "id" if table == "images" else "image_id" if "image_id" in names else None
            for op in ("INSERT", "UPDATE", "DELETE"):
                old = "NULL" if op == "INSERT" else json_row("OLD", names)
                new = "NULL" if op == "DELETE" else json_row("NEW", names)
                image = f"{'OLD' if op == 'DELETE' else 'NEW'}.{key}" if key else "NULL"
                cursor.execute(
                    f"CREATE TRIGGER {schema}.log_{op.lower()}_{table} AFTER {op} ON {schema}.{table} FOR EACH ROW"
                    " INSERT INTO change_log.changes (ts, conn, tbl, op, image_id, old_row, new_row)"
                    f" VALUES (sysdate(6), connection_id(), '{table}', '{op}', {image}, {old}, {new})"
                )


def json_row(row: str, names: list[str]) -> str:
    return "JSON_OBJECT(" + ", ".join(f"'{name}', {row}.`{name}`" for name in names) + ")"


def forget_changes() -> None:
    with session() as cursor:
        cursor.execute("TRUNCATE change_log.changes")


def connections() -> list[dict[str, Any]]:
    """The connections that are open over the network now."""
    with session() as cursor:
        cursor.execute(
            "SELECT id, user, host, db FROM information_schema.processlist WHERE host LIKE '127.%' ORDER BY id DESC"
        )
        return [{key.lower(): value for key, value in row.items()} for row in cursor.fetchall()]


def final_rows(schema: str) -> dict[str, list[dict[str, Any]]]:
    tables = {}
    with session(schema) as cursor:
        for table in FINAL_TABLES:
            cursor.execute(f"SELECT * FROM {table} ORDER BY {columns(cursor, schema, table)[0]}")
            tables[table] = [{name: plain(value) for name, value in row.items()} for row in cursor.fetchall()]
    return tables


def plain(value: Any) -> Any:
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    return value.decode("utf8", "replace") if isinstance(value, bytes) else value
