"""What a service really did, written while it does it: requests, SQL commands, pool traffic, one JSON object a line.

Runs inside Keystone and Glance, of any of the recorded releases. Each process writes a file of its own,
`$LAB_TRUTH/<service>-<pid>.jsonl`, a line per `write` call, so that a killed process loses nothing.

Whose work a statement is, is kept in a context variable (threads and eventlet's greenlets alike have their own):
the request being answered, or, inside a task that a request handed to a thread pool, the request that did so.
oslo.context is noted but not relied on: it outlives its request on a thread that serves the next one.
"""

import contextvars
import functools
import itertools
import json
import os
import threading
import time

NOBODY = (None, None)
# (request being answered, request that started this background task); at most one of them is set.
OWNER = contextvars.ContextVar("owner", default=NOBODY)

_files = {}
_about = {"service": "unknown"}  # this process


def write(row):
    pid = os.getpid()
    if pid not in _files:
        path = os.path.join(os.environ["LAB_TRUTH"], f"{_about['service']}-{pid}.jsonl")
        _files[pid] = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    row.update(_about, pid=pid, thread=threading.current_thread().name)
    os.write(_files[pid], json.dumps(row).encode() + b"\n")


def owner():
    """The fields that say whose work is being done; none of them when it is nobody's."""
    wsgi, origin = OWNER.get()
    if wsgi:
        return {"wsgi": wsgi, "ctx_request_id": _context_request_id()}
    if origin:
        return {"origin": origin, "ctx_request_id": None}
    return {}


def _context_request_id():
    from oslo_context import context

    current = context.get_current()
    return current.request_id if current else None


# Requests


def record_requests(service, application):
    """`application` of `service` such that every request it answers is recorded, and owns what is done for it."""
    _about["service"] = service
    numbers = itertools.count(1)

    def recorded(environ, start_response):
        row = {
            "wsgi": f"{service}-{os.getpid()}-{next(numbers)}",
            "method": environ["REQUEST_METHOD"],
            "path": environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""),
            "query": environ.get("QUERY_STRING", ""),
            "peer_port": str(environ.get("REMOTE_PORT", "")),
        }
        for field, header in (("xff", "HTTP_X_FORWARDED_FOR"), ("in_request_id", "HTTP_X_OPENSTACK_REQUEST_ID")):
            if header in environ:
                row[field] = environ[header]
        row["start_ns"] = time.time_ns()
        OWNER.set((row["wsgi"], None))

        def start(status, headers, exc_info=None):
            row["status"], row["headers_ns"] = status, time.time_ns()
            for name, value in headers:
                if name.lower() == "x-openstack-request-id":
                    row["request_id"] = value
            return start_response(status, headers, exc_info)

        try:
            return Body(application(environ, start), row)
        except BaseException:
            end_request(row)
            raise

    return recorded


class Body:
    """A response's body; its request is over when the server closes it."""

    def __init__(self, body, row):
        self.body, self.row = body, row

    def __iter__(self):
        return iter(self.body)

    def close(self):
        try:
            if hasattr(self.body, "close"):
                self.body.close()
        finally:
            end_request(self.row)


def end_request(row):
    OWNER.set(NOBODY)
    write({**row, "end_ns": time.time_ns(), "kind": "wsgi"})


# Work that a request hands over


def follow_tasks(executor):
    """Tasks submitted to pools of the class `executor` belong to the request that submitted them, and so do theirs."""
    submit = executor.submit

    @functools.wraps(submit)
    def submit_owned(self, fn, *args, **kwargs):
        wsgi, origin = OWNER.get()
        if not (wsgi or origin):
            return submit(self, fn, *args, **kwargs)
        return submit(self, run_for, wsgi or origin, fn, *args, **kwargs)

    executor.submit = submit_owned


def run_for(origin, fn, *args, **kwargs):
    OWNER.set((None, origin))
    try:
        return fn(*args, **kwargs)
    finally:
        OWNER.set(NOBODY)


# SQL

COMMANDS = {1: "QUIT", 2: "INIT_DB", 3: "QUERY", 14: "PING"}


def record_sql():
    """Every command PyMySQL sends from now on is recorded, with its answer, as are logins."""
    from pymysql.connections import Connection

    execute, read_result = Connection._execute_command, Connection._read_query_result
    read_packet, authenticate = Connection._read_packet, Connection._request_authentication

    def recorded_authenticate(self):
        self._lab_number, self._lab_sent, self._lab_in_result = 0, None, False
        row = {
            "kind": "db_connect",
            "db_thread": self.server_thread_id[0],
            "client_port": client_port(self),
            "server": list(self._sock.getpeername()[:2]),
            "user": str(self.user),
            "start_ns": time.time_ns(),
        }
        authenticate(self)
        write({**row, "end_ns": time.time_ns(), **owner()})

    def recorded_execute(self, command, sql):
        if self._lab_sent:
            end_command(self)
        if self._sock is None:  # closed: let PyMySQL say so
            return execute(self, command, sql)
        self._lab_number += 1
        self._lab_sent = {
            "kind": "sql",
            "cmd": COMMANDS.get(command, str(command)),
            "db_thread": self.server_thread_id[0],
            "client_port": client_port(self),
            "n": self._lab_number,
            "sql": sql.decode("utf8", "surrogateescape") if isinstance(sql, (bytes, bytearray)) else sql,
            "start_ns": time.time_ns(),
            **owner(),
        }
        return execute(self, command, sql)

    def recorded_read_result(self, unbuffered=False):
        self._lab_in_result = True
        try:
            affected = read_result(self, unbuffered=unbuffered)
        except Exception as error:
            end_command(self, error=list(error.args))
            raise
        finally:
            self._lab_in_result = False
        rows = self._result.rows
        end_command(self, affected=affected, rows=None if rows is None else len(rows))
        return affected

    def recorded_read_packet(self, *args, **kwargs):
        packet = read_packet(self, *args, **kwargs)
        if self._lab_sent and not self._lab_in_result:
            end_command(self)
        return packet

    Connection._lab_sent, Connection._lab_in_result = None, False
    Connection._request_authentication = recorded_authenticate
    Connection._execute_command = recorded_execute
    Connection._read_query_result = recorded_read_result
    Connection._read_packet = recorded_read_packet


def client_port(connection):
    return connection._sock.getsockname()[1]


def end_command(connection, **answer):
    sent, connection._lab_sent = connection._lab_sent, None
    if sent:
        write({**sent, "end_ns": time.time_ns(), **answer})


def record_pool():
    """Checkouts and check-ins of every SQLAlchemy pool made from now on."""
    from sqlalchemy import event
    from sqlalchemy.pool import Pool

    def record(what, connection):
        if connection is not None and connection._sock is not None:
            row = {"kind": "pool", "what": what, "client_port": client_port(connection), "start_ns": time.time_ns()}
            write({**row, **owner()})

    event.listen(Pool, "checkout", lambda connection, record_, proxy: record("checkout", connection))
    event.listen(Pool, "checkin", lambda connection, record_: record("checkin", connection))
