"""A small trace made by hand: two images, their calls and statements, secrets in every place that may hold one."""

from __future__ import annotations

from glancetrace.correlate.link import Link
from glancetrace.glance.call import ApiCall, Hop
from glancetrace.glance.statement import SqlStatement
from glancetrace.http.exchange import Body, Head, HttpExchange
from glancetrace.issues import Issue
from glancetrace.mysql.command import MysqlCommand, MysqlSession
from glancetrace.net.run import Connection
from glancetrace.redact import Redactor
from glancetrace.sql.statement import Assignment, Predicate, Shape, Statement
from glancetrace.timeline.image import ImageEvent, ImageStory, StatusInterval, Transition
from glancetrace.trace import Accounting, CapturedFile, CaptureSummary, ConnectionRow, Finding, Tables, Trace

__all__ = ["CIRROS", "HOSTILE_NAME", "MS", "PASSWORD", "START", "TOKEN", "handmade_trace"]

START = 1_582_001_395_993_652_000
MS = 1_000_000
CIRROS = "7b1a2c3d-0000-4000-8000-000000000001"
OTHER = "7b1a2c3d-0000-4000-8000-000000000002"
PASSWORD = "labadminpass"
TOKEN = "gAAAAABhandmadehandmadehandmadehandmade"
HOSTILE_NAME = "\x1b[31m=evil\u202e\r\nname"

CLIENT = ("192.0.2.1", 40000)
API = ("192.0.2.2", 9292)
DATABASE = ("192.0.2.3", 3306)


def _call(number: int, at: int, dur: int | None, method: str, target: str, operation: str, code: int | None,
          image: str | None, *, service: str = "glance", headers: tuple[tuple[str, str], ...] = (),
          body: bytes | None = None, answer: bytes | None = None) -> ApiCall:  # fmt: skip
    ts, frame = START + at * MS, number * 10
    end = ts + dur if dur is not None else None
    head = Head(method=method, target=target, headers=(("host", "192.0.2.2:9292"), *headers))
    exchange = HttpExchange(
        1, number, head, ts, frame, Body(content=body, byte_count=len(body or b""), complete=True),
        response=None if code is None else Head(status_code=code, headers=(("content-type", "application/json"),)),
        response_body=Body(content=answer, byte_count=len(answer or b""), complete=True),
        response_end_ts=end, last_frame=frame + 9,
    )  # fmt: skip
    return ApiCall(
        service, method, target, target, "", operation, code, f"req-{number}", ts, frame, frame + 9, CLIENT, API, 1,
        exchange=exchange, id=number, image_id=image, request_end_ts=ts, response_ts=end, dur=dur,
        complete=code is not None, request_frame=frame + 1, response_frame=None if code is None else frame + 9,
        hops=[Hop(CLIENT, API, 1, ts, dur, frame, frame + 9)],
    )  # fmt: skip


def _statement(number: int, at: int, sql: str, shape: Shape, literals: tuple[str, ...], session: MysqlSession,
               connection: Connection, image: str | None, **command: int) -> SqlStatement:  # fmt: skip
    ts, frame = START + at * MS, 100 + number
    row = MysqlCommand(session, number, "COM_QUERY", sql, "glance", ts, frame, ts, frame,
                       response_ts=ts + MS // 2, response_end_ts=ts + MS // 2, response_frame=frame + 1,
                       complete=True, **command)  # type: ignore[arg-type] # fmt: skip
    return SqlStatement(row, Statement(shape, literals), connection, "glance", "request", shape.operation, "glance",
                        number, 1, "committed", ts + MS, frame + 5, (image,) if image else ())  # fmt: skip


def handmade_trace(*, reveal: bool = False, files: int = 1) -> Trace:
    """The trace; the first image becomes active, the second one (whose name is hostile) stays in saving."""
    web = Connection(1, CLIENT, API, False, START, 1, bytes_seen=[5000, 900])
    sql = Connection(2, API, DATABASE, True, START, 2, bytes_seen=[3000, 8000])
    session = MysqlSession(2, "glance", "glance", 7)
    by_id = Predicate("images", "id", "=", (0,))
    select = Shape("aa" * 8, "SELECT", "SELECT", ("images",), predicates=(by_id,))
    update = Shape("bb" * 8, "UPDATE", "UPDATE", ("images",), (), (Assignment("status", 1),), (by_id,))
    written = (Assignment("password", 0),)
    password = Shape("cc" * 8, "UPDATE password SET password=?", "UPDATE", ("password",), (), written)
    commit = Shape("dd" * 8, "COMMIT", "COMMIT")
    auth = b'{"auth": {"identity": {"password": {"user": {"name": "admin", "password": "%s"}}}}}' % PASSWORD.encode()
    token = (("x-auth-token", TOKEN),)
    file = f"/v2/images/{CIRROS}/file"
    calls = [
        _call(1, 0, 120 * MS, "POST", "/v3/auth/tokens", "token-issue", 201, None, service="keystone", body=auth),
        _call(2, 200, 45 * MS, "POST", "/v2/images", "image-create", 201, CIRROS, headers=token,
              body=b'{"name": "cirros"}', answer=b'{"id": "%s", "status": "queued"}' % CIRROS.encode()),
        _call(3, 300, 1500 * MS, "PUT", file, "image-upload", 204, CIRROS, headers=token),
        _call(4, 2000, None, "PUT", f"/v2/images/{OTHER}/file?X-Auth-Token={TOKEN}", "image-upload", None, OTHER,
              headers=token),
        _call(5, 3000, 3 * MS, "GET", "/v2/images/nothing-here", "image-show", 404, None, headers=token),
    ]  # fmt: skip
    statements = [
        _statement(1, 210, f"INSERT INTO images (id, status) VALUES ('{CIRROS}', 'queued')", update,
                   (CIRROS, "queued"), session, sql, CIRROS, affected_rows=1),
        _statement(2, 310, f"UPDATE images SET status='saving' WHERE images.id = '{CIRROS}'", update,
                   (CIRROS, "saving"), session, sql, CIRROS, affected_rows=1),
        _statement(3, 320, "COMMIT", commit, (), session, sql, None),
        _statement(4, 1700, f"UPDATE images SET status='active' WHERE images.id = '{CIRROS}'", update,
                   (CIRROS, "active"), session, sql, CIRROS, affected_rows=1),
        _statement(5, 2100, f"SELECT images.id FROM images WHERE images.id = '{OTHER}'", select, (OTHER,), session,
                   sql, OTHER, returned_rows=1),
        _statement(6, 2500, f"UPDATE password SET password='{PASSWORD}'", password, (PASSWORD,), session, sql, None,
                   affected_rows=1),
    ]  # fmt: skip

    def changed(old: str | None, new: str, at: int, statement: int, call: int) -> Transition:
        frame = 100 + statement
        return Transition(old, new, START + at * MS, "both", "observed", True, statement, call, frame, frame + 5)

    images = [
        ImageStory(
            CIRROS, "cirros", "active", 1_000_000, "00" * 16, first_status_certainty="observed",
            transitions=[changed(None, "queued", 211, 1, 2), changed("queued", "saving", 321, 2, 3),
                         changed("saving", "active", 1701, 4, 3)],
            intervals=[StatusInterval("queued", START + 211 * MS, 110 * MS),
                       StatusInterval("saving", START + 321 * MS, 1380 * MS),
                       StatusInterval("active", START + 1701 * MS, None)],
            events=[ImageEvent("location", START + 1701 * MS, "added file:///images/1", 4, 3, 104)],
            call_ids=[2, 3], first_ts=START + 200 * MS, first_frame=20,
        ),
        ImageStory(
            OTHER, HOSTILE_NAME, "saving", None, None, existed_before=True, first_status_certainty="inferred",
            intervals=[StatusInterval("saving", START + 2000 * MS, None)],
            call_ids=[4], first_ts=START + 2000 * MS, first_frame=40,
        ),
    ]  # fmt: skip
    links = [Link(1, 2, "certain", "in_request", 1.0), Link(2, 3, "certain", "in_request", 1.0),
             Link(3, 3, "certain", "in_request", 1.0), Link(4, 3, "certain", "in_request", 0.9),
             Link(5, 4, "inferred", "in_request", 0.7)]  # fmt: skip
    findings = [
        Finding("call-failed", "warning", "GET /v2/images/nothing-here answered 404", START + 3000 * MS, None, 5, None,
                [50, 59]),
        Finding("image-stuck", "error", f"image {HOSTILE_NAME} is still in saving at the end of the capture",
                START + 4000 * MS, OTHER, 4, None, [40]),
    ]  # fmt: skip
    tables = Tables(
        [ConnectionRow(web, "http"), ConnectionRow(sql, "mysql", session)],
        calls, statements, links, images, findings, [Issue("tcp-gap", 3, 44, 2), Issue("tcp-gap", 1, 40, 1)],
    )  # fmt: skip
    names = [CapturedFile(f"piece{n + 1}.pcap", n * 50 + 1, 50) for n in range(files)] if files > 1 else [
        CapturedFile("handmade.pcap", 1, 120)]  # fmt: skip
    accounting = Accounting(110, 10, 0, 17000, 16900, 0, 100, {"udp": 7, "arp": 3})
    summary = CaptureSummary(names, 120, 34567, START, START + 4000 * MS, [1], 2, accounting)
    return Trace(summary, tables, Redactor(b"handmade", reveal=reveal))
