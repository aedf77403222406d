"""Each finder on rows made by hand: what it raises, and what it leaves alone."""

from __future__ import annotations

import random

import pytest

from glancetrace.check.agreement import find_outcome_disagreement, find_status_disagreement
from glancetrace.check.answers import find_refusals, find_server_errors, find_unanswered
from glancetrace.check.database import find_deadlocks, find_outside_changes, find_sql_errors
from glancetrace.check.evidence import Evidence
from glancetrace.check.findings import find
from glancetrace.check.slowness import find_repeated, find_slow, time_shares
from glancetrace.check.stuck import find_illegal, find_missing_bytes, find_stuck, find_uncertain
from glancetrace.check.uploads import find_aborted, find_altered, find_pauses
from glancetrace.glance.call import ApiCall
from glancetrace.http.exchange import Body
from glancetrace.issues import Issue
from glancetrace.net.run import Connection
from glancetrace.trace import ConnectionRow, Finding
from tests.support.rows import IMAGE_ID, SECOND, START, Rows, story

CREATED = (None, "queued", 0.0)
SAVING = ("queued", "saving", 1.0)
ACTIVE = ("saving", "active", 2.0)
READ = f"SELECT images.id FROM images WHERE images.id = '{IMAGE_ID}'"


def one(findings: object) -> Finding:
    (finding,) = findings
    return finding


def rules(findings: object) -> list[str]:
    return [finding.rule for finding in findings]


@pytest.fixture
def rows() -> Rows:
    return Rows()


def test_stuck_in_saving(rows: Rows) -> None:
    rows.tables.images.append(story(CREATED, SAVING))
    finding = one(find_stuck(Evidence(rows.tables, rows.capture(lasts=61))))
    assert (finding.rule, finding.severity, finding.frames) == ("image-stuck", "error", [200, 201])
    assert "60.00 s after it began" in finding.message


def test_staged_and_never_imported(rows: Rows) -> None:
    rows.tables.images.append(story(CREATED, ("queued", "uploading", 1.0)))
    assert rules(find_stuck(Evidence(rows.tables, rows.capture()))) == ["image-stuck"]


def test_import_at_work_is_not_stuck(rows: Rows) -> None:
    rows.tables.images.append(story(CREATED, ("queued", "importing", 1.0)))
    rows.statement(READ, 57)
    assert rules(find_stuck(Evidence(rows.tables, rows.capture(lasts=60)))) == ["upload-running"]
    assert rules(find_stuck(Evidence(rows.tables, rows.capture(lasts=70)))) == ["image-stuck"]


def test_finished_images_are_not_stuck(rows: Rows) -> None:
    rows.tables.images.append(story(CREATED, SAVING, ACTIVE))
    assert not list(find_stuck(Evidence(rows.tables, rows.capture())))


def test_illegal_transition(rows: Rows) -> None:
    image = story(CREATED, ("queued", "deactivated", 1.0))
    image.transitions[1].legal = False
    rows.tables.images.append(image)
    finding = one(find_illegal(Evidence(rows.tables, rows.capture())))
    assert "from queued to deactivated" in finding.message
    assert finding.frames == [200, 201]


@pytest.mark.parametrize(("read", "stale"), [(1.5, True), (2.5, False), (0.5, False)])
def test_an_illegal_change_that_wrote_back_what_was_over_says_so(rows: Rows, read: float, stale: bool) -> None:
    image = story(CREATED, SAVING, ACTIVE, ("active", "saving", 3.0))
    tagging = rows.call("image-tag-add", 204, 0.4, lasts=3)
    select = rows.statement(READ, read, call=tagging)
    image.transitions[3].legal = False
    image.transitions[3].call_id = tagging.id
    rows.tables.images.append(image)
    finding = one(find_illegal(Evidence(rows.tables, rows.capture())))
    text = ": image-tag-add (call 1) wrote back what it had read 499 ms before it was active"
    assert finding.message == f"overcloud-full ({IMAGE_ID}) went from active to saving{text if stale else ''}"
    assert (select.command.request_frame in finding.frames) is stale


def test_of_all_that_was_read_before_it_counts_what_was_written_back(rows: Rows) -> None:
    image = story(CREATED, SAVING, ACTIVE, ("active", "deactivated", 3.0), ("deactivated", "saving", 4.0))
    tagging = rows.call("image-tag-add", 204, 0.4, lasts=4)
    stale, _ = rows.statement(READ, 1.5, call=tagging), rows.statement(READ, 2.5, call=tagging)
    image.transitions[4].legal = False
    image.transitions[4].call_id = tagging.id
    rows.tables.images.append(image)
    finding = one(find_illegal(Evidence(rows.tables, rows.capture())))
    assert "wrote back what it had read 1.50 s before it was deactivated" in finding.message
    assert stale.command.request_frame in finding.frames


def test_an_inferred_change_proves_nothing_where_packets_are_missing(rows: Rows) -> None:
    image = story(CREATED, ("queued", "deactivated", 1.0), certainty="inferred")
    image.transitions[1].legal = False
    rows.tables.images.append(image)
    assert rules(find_illegal(Evidence(rows.tables, rows.capture()))) == ["status-illegal"]
    assert not list(find_illegal(Evidence(rows.tables, rows.capture(missing=10))))


def test_an_upload_whose_end_was_lost_is_not_stuck(rows: Rows) -> None:
    rows.tables.images.append(story(CREATED, SAVING))
    rows.call("image-upload", 204, 0.9, lasts=2)
    assert rules(find_stuck(Evidence(rows.tables, rows.capture()))) == ["image-stuck"]
    assert not list(find_stuck(Evidence(rows.tables, rows.capture(missing=10))))


def shows(rows: Rows, status: str, seconds: float, lasts: float = 0.01) -> ApiCall:
    document = {"id": IMAGE_ID, "status": status}
    return rows.call("image-show", 200, seconds, lasts, response_json=document)


def test_status_that_was_never_committed(rows: Rows) -> None:
    rows.tables.images.append(story(CREATED, SAVING))
    call = shows(rows, "active", 3)
    finding = one(find_status_disagreement(Evidence(rows.tables, rows.capture())))
    assert (finding.rule, finding.call_id, finding.image_id) == ("status-not-committed", call.id, IMAGE_ID)


def test_lost_packets_speak_for_the_database(rows: Rows) -> None:
    rows.tables.images.append(story(CREATED, SAVING))
    shows(rows, "active", 3)
    rows.call("image-upload", 204, 1, 2)
    evidence = Evidence(rows.tables, rows.capture(missing=1))
    assert rules(find_status_disagreement(evidence)) == ["claim-uncertain"]
    assert rules(find_outcome_disagreement(evidence)) == ["claim-uncertain"]


def test_status_that_was_over(rows: Rows) -> None:
    rows.tables.images.append(story(CREATED, SAVING, ACTIVE))
    shows(rows, "saving", 3)
    finding = one(find_status_disagreement(Evidence(rows.tables, rows.capture())))
    assert finding.rule == "status-outdated"
    assert "had it as active" in finding.message


@pytest.mark.parametrize("status", ["queued", "saving", "active"])
def test_a_read_that_races_with_writes_is_no_finding(rows: Rows, status: str) -> None:
    rows.tables.images.append(story(CREATED, SAVING, ACTIVE))
    shows(rows, status, 0.5, lasts=2)
    assert not list(find_status_disagreement(Evidence(rows.tables, rows.capture())))


def test_statuses_known_from_responses_only_are_not_judged(rows: Rows) -> None:
    rows.tables.images.append(story(CREATED, SAVING, source="api"))
    shows(rows, "active", 3)
    assert not list(find_status_disagreement(Evidence(rows.tables, rows.capture())))


def test_success_without_commit(rows: Rows) -> None:
    rows.tables.images.append(story(CREATED, SAVING))
    rows.call("image-upload", 204, 1, 2)
    assert rules(find_outcome_disagreement(Evidence(rows.tables, rows.capture()))) == ["success-not-committed"]


def test_failure_with_commit(rows: Rows) -> None:
    rows.tables.images.append(story(CREATED, SAVING, ACTIVE))
    call = rows.call("image-upload", 503, 1, 2)
    rows.tables.images[0].transitions[-1].call_id = call.id
    finding = one(find_outcome_disagreement(Evidence(rows.tables, rows.capture())))
    assert finding.rule == "failure-committed"
    assert {300, 301} <= set(finding.frames)


def test_failed_upload_that_went_back_is_no_finding(rows: Rows) -> None:
    rows.tables.images.append(story(CREATED, SAVING, ("saving", "queued", 2.0)))
    call = rows.call("image-upload", 413, 1, 2)
    rows.tables.images[0].transitions[-1].call_id = call.id
    assert not list(find_outcome_disagreement(Evidence(rows.tables, rows.capture())))


def test_hash_of_another_algorithm_is_not_compared(rows: Rows) -> None:
    rows.call("image-upload", 204, 1, request_body_bytes=5)
    image = story(CREATED, SAVING, ACTIVE, checksum="A" * 32, os_hash_algo="sha256", os_hash_value="b" * 64, size=5)
    image.wire_checksum, image.wire_bytes, image.wire_complete = {"md5": "a" * 32, "sha512": "c" * 128}, 5, True
    rows.tables.images.append(image)
    assert not list(find_altered(Evidence(rows.tables, rows.capture())))
    image.checksum = "d" * 32
    assert rules(find_altered(Evidence(rows.tables, rows.capture()))) == ["upload-hash-differs"]
    image.wire_complete = False
    assert not list(find_altered(Evidence(rows.tables, rows.capture())))


def test_size_is_compared_when_all_bytes_were_counted(rows: Rows) -> None:
    call = rows.call("image-upload", 204, 1, request_body_bytes=5)
    image = story(CREATED, SAVING, ACTIVE, size=9)
    image.wire_checksum, image.wire_bytes, image.wire_complete = {}, 5, True
    rows.tables.images.append(image)
    assert rules(find_altered(Evidence(rows.tables, rows.capture()))) == ["upload-size-differs"]
    assert call.exchange is not None
    call.exchange.request_body.complete = False
    assert not list(find_altered(Evidence(rows.tables, rows.capture())))


def test_a_response_behind_missing_bytes_says_nothing_about_an_upload(rows: Rows) -> None:
    image = story(CREATED, SAVING, ACTIVE, size=9)
    image.wire_checksum, image.wire_bytes, image.wire_complete = {}, 5, True
    rows.tables.images.append(image)
    rows.call("image-upload", 204, 1, request_body_bytes=5, end="gap")
    assert not list(find_altered(Evidence(rows.tables, rows.capture(missing=10))))


def test_announced_size_differs(rows: Rows) -> None:
    rows.tables.images.append(story(CREATED, SAVING, ACTIVE))
    rows.call("image-upload", 204, 1, request_body_bytes=5, headers=[("x-openstack-image-size", "7")])
    finding = one(find_altered(Evidence(rows.tables, rows.capture())))
    assert "7 bytes were announced, 5 passed" in finding.message


def test_aborted_download(rows: Rows) -> None:
    body = Body(byte_count=10, expected=1500, last_ts=START)
    rows.call("image-download", 200, 1, end="reset", response_body=body)
    finding = one(find_aborted(Evidence(rows.tables, rows.capture())))
    assert finding.rule == "download-aborted"
    assert "was reset after 10 bytes of 1,500" in finding.message


def test_body_cut_by_lost_packets_is_not_aborted(rows: Rows) -> None:
    rows.call("image-download", 200, 1, end="closed", response_body=Body(byte_count=10, missing=5))
    assert not list(find_aborted(Evidence(rows.tables, rows.capture())))


def test_pauses_of_a_second(rows: Rows) -> None:
    rows.call("image-download", 200, 1, response_body=Body(complete=True, longest_pause=SECOND))
    rows.call("image-download", 200, 2, response_body=Body(complete=True, longest_pause=SECOND - 1))
    assert one(find_pauses(Evidence(rows.tables, rows.capture()))).call_id == 1


def test_server_errors_are_told_one_by_one(rows: Rows) -> None:
    first = rows.call("image-create", 500, 1)
    rows.call("image-create", 503, 2)
    rows.statement("INSERT INTO images (id) VALUES ('x')", 1, call=first, error=1054)
    findings = list(find_server_errors(Evidence(rows.tables, rows.capture())))
    assert rules(findings) == ["server-error", "server-error"]
    assert "SQL error 1054" in findings[0].message
    assert findings[0].statement_id == 1


def test_refusals_are_grouped(rows: Rows) -> None:
    for seconds in range(3):
        rows.call("image-upload", 409, seconds)
    rows.call("image-show", 404, 4, path_ids={"image_id": "overcloud-full"}, image_id=None)
    rows.call("image-show", 404, 5, path_ids={"image_id": IMAGE_ID})
    findings = list(find_refusals(Evidence(rows.tables, rows.capture())))
    assert rules(findings) == ["client-error", "client-error", "lookup-not-found"]
    assert "3 calls of image-upload with 409" in findings[0].message
    assert len(findings[0].frames) == 3
    assert findings[2].severity == "info"


def test_refusal_within_a_call_that_succeeded_is_left_out(rows: Rows) -> None:
    parent = rows.call("image-upload", 204, 1)
    child = rows.call("container-show", 404, 1, service="swift", parent_id=parent.id)
    assert not list(find_refusals(Evidence(rows.tables, rows.capture())))
    parent.status_code = 503
    assert one(find_refusals(Evidence(rows.tables, rows.capture()))).call_id == child.id


@pytest.mark.parametrize(("end", "told"), [("reset", True), ("closed", True), ("capture-end", False), ("gap", False)])
def test_calls_without_a_response(rows: Rows, end: str, told: bool) -> None:
    call = rows.call("image-update", None, 1, end=end)
    rows.statement("COMMIT", 1, call=call)
    findings = list(find_unanswered(Evidence(rows.tables, rows.capture())))
    assert bool(findings) is told
    if told:
        assert "1 COMMIT" in findings[0].message


def test_sql_errors_are_grouped_by_shape(rows: Rows) -> None:
    for number in range(3):
        rows.statement(f"INSERT INTO images (id) VALUES ('{number}')", number, error=1062)
    rows.statement("SELECT 1 FROM nova.x", 4, error=1146, service="other")
    finding = one(find_sql_errors(Evidence(rows.tables, rows.capture())))
    assert "1062, 3 times" in finding.message


def test_deadlock_that_was_not_tried_again(rows: Rows) -> None:
    rows.statement(f"UPDATE images SET status='active' WHERE images.id = '{IMAGE_ID}'", 1, error=1213)
    rows.statement(f"UPDATE images SET status='active' WHERE images.id = '{IMAGE_ID[:-1]}0'", 2)
    assert "was not tried again" in one(find_deadlocks(Evidence(rows.tables, rows.capture()))).message


BY_HAND = f"UPDATE images SET visibility='public' WHERE images.id = '{IMAGE_ID}'"


def with_own_work(rows: Rows) -> Rows:
    call = rows.call("image-update", 200, 1)
    rows.statement(f"UPDATE images SET name='x' WHERE images.id = '{IMAGE_ID}'", 1, call=call)
    return rows


def test_change_by_another_user(rows: Rows) -> None:
    with_own_work(rows).statement(BY_HAND, 5, user="root", affected=1)
    finding = one(find_outside_changes(Evidence(rows.tables, rows.capture())))
    assert "by MySQL user root" in finding.message
    assert "1 row changed" in finding.message


def test_change_with_the_schema_named(rows: Rows) -> None:
    with_own_work(rows).statement(BY_HAND.replace(" images ", " glance.images "), 5, user=None, schema=None)
    assert "glance.images" in one(find_outside_changes(Evidence(rows.tables, rows.capture()))).message


@pytest.mark.parametrize(
    "fields",
    [{}, {"user": None}, {"user": "root", "outcome": "rolled_back"}, {"user": "nova", "schema": "nova"}],
    ids=["own background work", "unknown user", "rolled back", "another service's table"],
)
def test_changes_that_are_nobody_elses(rows: Rows, fields: dict[str, str | None]) -> None:
    with_own_work(rows).statement(BY_HAND, 5, **fields)
    assert not list(find_outside_changes(Evidence(rows.tables, rows.capture())))


def test_time_shares_add_up_and_overlaps_count_once(rows: Rows) -> None:
    body = Body(complete=True, first_ts=START, last_ts=START + 2 * SECOND)
    call = rows.call("image-upload", 204, 0, 10, request_body=body)
    rows.statement(READ, 1, 3, call=call)
    rows.statement(READ, 3.5, 1, call=call)
    rows.statement(READ, 30, 1, call=call, relation="async")
    rows.call("object-create", 201, 4, 2, service="swift", parent_id=call.id)
    shares = time_shares(Evidence(rows.tables, rows.capture()), call)
    assert {name: ns / SECOND for name, ns in shares.items()} == {
        "transfer": 2, "sql": 2.5, "nested": 1.5, "elsewhere": 4
    }  # fmt: skip


def test_slow_calls_say_where_the_time_went(rows: Rows) -> None:
    slow = rows.call("image-list", 200, 0, 4)
    statement = rows.statement(READ, 0.5, 3, call=slow)
    rows.call("image-list", 200, 5, 0.9)
    finding = one(find_slow(Evidence(rows.tables, rows.capture())))
    assert (finding.rule, finding.call_id, finding.statement_id) == ("call-slow", slow.id, statement.id)
    assert "3.00 s (75 %) SQL (1 statement), 1.00 s (25 %) waiting" in finding.message


def test_slow_calls_are_grouped_by_operation(rows: Rows) -> None:
    for seconds in (1, 3, 2):
        rows.call("token-issue", 201, 10 * seconds, seconds, service="keystone")
    finding = one(find_slow(Evidence(rows.tables, rows.capture())))
    assert finding.message.startswith("3 calls of token-issue (keystone)")
    assert finding.call_id == 2


def test_statements_repeated_ten_times(rows: Rows) -> None:
    busy, calm = rows.call("image-list", 200, 0), rows.call("image-list", 200, 1)
    for number in range(10):
        rows.statement(f"SELECT value FROM image_tags WHERE image_id = '{number}'", 0, call=busy)
        rows.statement("ROLLBACK", 0, call=calm)
    for number in range(9):
        rows.statement(f"SELECT value FROM image_tags WHERE image_id = '{number}'", 0, call=calm)
    finding = one(find_repeated(Evidence(rows.tables, rows.capture())))
    assert "1 call of image-list" in finding.message
    assert "SELECT of image_tags, 10 times" in finding.message


def test_statements_whose_call_is_a_guess_are_no_repetition(rows: Rows) -> None:
    busy = rows.call("image-list", 200, 0)
    for number in range(20):
        rows.statement(f"SELECT value FROM image_tags WHERE image_id = '{number}'", 0, call=busy)
    for link in rows.tables.links:
        link.link_class = "inferred"
    assert not list(find_repeated(Evidence(rows.tables, rows.capture())))


def test_lost_packets_make_claims_uncertain(rows: Rows) -> None:
    rows.tables.images.append(story(CREATED, SAVING, certainty="inferred"))
    assert rules(find_uncertain(Evidence(rows.tables, rows.capture()))) == ["claim-inferred"]
    finding = one(find_uncertain(Evidence(rows.tables, rows.capture(missing=10))))
    assert finding.rule == "claim-uncertain"
    assert "queued to saving (inferred)" in finding.message


def test_missing_bytes_are_told_once(rows: Rows) -> None:
    for number in (1, 2):
        connection = Connection(number, ("192.0.2.1", number), ("192.0.2.2", 3306), False, START, number)
        connection.bytes_missing = [0, 700 * number]
        rows.tables.connections.append(ConnectionRow(connection, "mysql"))
    rows.tables.issues.append(Issue("tcp-gap", 2, 55, 1))
    finding = one(find_missing_bytes(Evidence(rows.tables, rows.capture())))
    assert "2,100 bytes of 2 connections (mysql)" in finding.message
    assert finding.frames == [55]


def test_an_empty_result_has_no_findings(rows: Rows) -> None:
    assert find(rows.tables, rows.capture()) == []


def test_order_is_by_time_whatever_finds_it(rows: Rows) -> None:
    generator = random.Random(7)
    for _ in range(40):
        operation = generator.choice(["image-show", "image-create", "image-upload"])
        rows.call(operation, generator.choice([404, 409, 500, 503]), generator.random() * 60)
    findings = find(rows.tables, rows.capture())
    assert len(findings) > 20
    assert [f.ts for f in findings] == sorted(f.ts for f in findings)
    assert findings == find(rows.tables, rows.capture())
    assert rows.tables.findings == []
