"""Every rule on a capture that was doctored for it: it fires there, and on no good sample.

The base is the recorded article capture, whose packets are changed; nothing else is wrong with it. Two rules have no
doctored packets: unread TLS is recorded as it is, and no good sample is without lookups by name, since clients do that.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from glancetrace.check.gate.judge import judge
from glancetrace.check.gate.reading import parse_rules
from glancetrace.check.gate.rules import ALL_RULES, EXPECTATIONS
from glancetrace.check.gate.starter import render_starter
from glancetrace.check.rules import RULES
from glancetrace.document import render_document
from glancetrace.pipeline import analyze
from glancetrace.verdict import CANNOT_JUDGE, FAILED, PASSED
from tests.support.doctor import AUTOCOMMIT, Doctored, error_packet, ok_packet, query
from tests.support.results import document_of
from tests.support.samples import capture_path

Document = dict[str, Any]
Mutation = Callable[[Doctored], None]

GOOD = ("article", "article-allports", "article-old", "article-proxied-foreign", "article-tls13", "openstack-cli")
CLIENTS_DO_THAT = {"lookup-not-found"}
"""Rules that fire on good samples, rightly: they say so themselves."""

SQL, API = 3306, 13292
IMAGE = b"773aa24b-21a2-47ca-a161-c3cabffe4cd2"
"""overcloud-full, the last of the three uploads."""
UPLOAD = b"PUT /v2/images/" + IMAGE + b"/file HTTP/1.1\r\n"
PATCH = b"PATCH /v2/images/" + IMAGE
SHOW = b"GET /v2/images/" + IMAGE + b" HTTP/1.1"
HEADERS = b"User-Agent: python-glanceclient\r\nAccept-Encoding: gzip, deflate\r\nAccept: */*\r\n"
OCTETS = b"Content-Type: application/octet-stream\r\n"


def _save(capture: Doctored, status_from: bytes) -> Any:
    """The UPDATE that takes the image out of a status."""
    return capture.find(b"WHERE images.id = '" + IMAGE + b"' AND images.status = '" + status_from + b"'", -1)


def _status(capture: Doctored, status_from: bytes, status: bytes) -> None:
    old = {b"queued": b"saving", b"saving": b"active"}[status_from]
    capture.replace(_save(capture, status_from), b"status='" + old + b"'", b"status='" + status + b"'")


def _rows(capture: Doctored, since: Any, old: bytes, new: bytes) -> None:
    """Rows of the image that are read from then on show another status; all are of one length."""
    for packet in capture.packets[capture.packets.index(since) :]:
        if packet.flow[2] == SQL and IMAGE in packet.payload:
            packet.payload = packet.payload.replace(b"\x06" + old, b"\x06" + new)


def _after_upload(capture: Doctored) -> None:
    """Nothing passes after the answer to the upload."""
    capture.cut_after(capture.after(capture.find(UPLOAD), b"HTTP/1.1 ", reply=True))


def _stuck(capture: Doctored) -> None:
    """The UPDATE to active leaves the image saving."""
    _rows(capture, _save(capture, b"saving"), b"active", b"saving")
    _status(capture, b"saving", b"saving")
    _after_upload(capture)


def _running(capture: Doctored) -> None:
    """The capture ends before the upload's data do."""
    capture.cut_after(capture.after(capture.after(_save(capture, b"queued"), b"COMMIT"), reply=True))
    last = _body(capture, 20)
    rest = capture.packets[capture.packets.index(last) + 1 :]
    capture.drop(*(packet for packet in rest if API in packet.flow[2:]))


def _body(capture: Doctored, number: int) -> Any:
    packet = capture.find(UPLOAD)
    for _ in range(number):
        packet = capture.after(packet)
    return packet


def _illegal(capture: Doctored) -> None:
    _status(capture, b"queued", b"killed")


def _answer(text: bytes, old: bytes, new: bytes, nth: int = 0) -> Mutation:
    """Another text in the answer to the nth request that holds `text`."""

    def change(capture: Doctored) -> None:
        capture.replace(capture.after(capture.find(text, nth), old, reply=True), old, new)

    return change


def _rolled_back(capture: Doctored) -> None:
    """The transaction of the UPDATE to active ends in a ROLLBACK."""
    save = _save(capture, b"saving")
    _rows(capture, save, b"active", b"saving")
    capture.rewrite(capture.after(save, b"COMMIT"), query("ROLLBACK"))
    _after_upload(capture)


def _flip(capture: Doctored) -> None:
    packet = _body(capture, 10)
    middle = len(packet.payload) // 2
    packet.payload = packet.payload[:middle] + bytes([packet.payload[middle] ^ 1]) + packet.payload[middle + 1 :]


def _header(new: bytes, old: bytes = HEADERS) -> Mutation:
    return lambda capture: capture.replace(capture.find(UPLOAD), old, new)


def _download_reset(capture: Doctored) -> None:
    """The answer to a listing becomes the first bytes of a download."""
    capture.replace(capture.find(SHOW, -1), SHOW, b"GET /v2/images/" + IMAGE + b"/file HTTP/1.1")
    answer = capture.after(capture.find(b"/file HTTP/1.1", -1), b"HTTP/1.1 200 OK", reply=True)
    length = answer.payload.lower().index(b"content-length: ") + 16
    capture.rewrite(answer, answer.payload[:length] + b"9" + answer.payload[length:])
    capture.reset(answer)


def _sql_by_hand(capture: Doctored) -> None:
    rollback = capture.find(query("ROLLBACK"), -1)
    done = capture.after(rollback, reply=True)
    text = f"UPDATE glance.images SET visibility='public' WHERE id='{IMAGE.decode()}'"
    changed = capture.exchange(done, query(text), ok_packet(1))
    capture.exchange(changed, query("COMMIT"), ok_packet())


def _lost_race(capture: Doctored) -> None:
    answer = capture.after(_save(capture, b"saving"), reply=True)
    answer.payload = answer.payload[:5] + b"\x00" + answer.payload[6:]


def _failed_statement(code: int, state: str) -> Mutation:
    def change(capture: Doctored) -> None:
        select = capture.find(b"FROM image_tags", -1)
        last = capture.after(select, reply=True)
        capture.exchange(last, query("SELECT images.id FROM images WHERE images.id = 'x'"),
                         error_packet(code, state, "no"))  # fmt: skip

    return change


def _repeated(times: int) -> Mutation:
    """So many more SELECTs in the last PATCH."""

    def change(capture: Doctored) -> None:
        patch = capture.find(PATCH)
        start = capture.packets.index(patch)
        done = next(p for p in capture.packets[start:] if p.flow[2] == SQL and p.payload.startswith(ok_packet()[:4]))
        for number in range(times):
            text = f"SELECT image_tags.id FROM image_tags WHERE image_tags.id = {number}"
            done = capture.exchange(done, query(text), ok_packet())

    return change


def _slow(capture: Doctored) -> None:
    capture.delay(capture.after(capture.find(SHOW, -1), reply=True), 3)


def _paused(capture: Doctored) -> None:
    capture.delay(_body(capture, 20), 3)


def _long(capture: Doctored) -> None:
    for number in range(5, 40, 5):
        capture.delay(_body(capture, number), 0.4)


def _lost_update(capture: Doctored) -> None:
    capture.drop(_save(capture, b"queued"))


def _lost_reply(capture: Doctored) -> None:
    select = capture.find(b"FROM image_tags", -1)
    capture.drop(capture.after(select, reply=True))


def _no_sql(capture: Doctored) -> None:
    capture.drop_port(SQL)


def _renamed(capture: Doctored) -> None:
    assert capture.replace_all(b"overcloud-full-initrd", b"undercloud-full-inird") > 2


def _without_saving(capture: Doctored) -> None:
    """The transition to saving is gone: the UPDATE writes what was there."""
    _rows(capture, _save(capture, b"queued"), b"saving", b"queued")
    _status(capture, b"queued", b"queued")
    capture.replace(_save(capture, b"saving"), b"AND images.status = 'saving'", b"AND images.status = 'queued'")


def _autocommit(capture: Doctored) -> None:
    """An UPDATE on a session that commits by itself."""
    done = capture.after(capture.find(query("ROLLBACK"), -1), reply=True)
    text = f"UPDATE images SET min_ram=1 WHERE images.id = '{IMAGE.decode()}'"
    on = capture.exchange(done, query("SET AUTOCOMMIT = 1"), ok_packet(status=AUTOCOMMIT))
    capture.exchange(on, query(text), ok_packet(1, AUTOCOMMIT))


def _full_scan(capture: Doctored) -> None:
    done = capture.after(capture.find(query("ROLLBACK"), -1), reply=True)
    capture.exchange(done, query("SELECT images.id FROM images WHERE images.name = 'x'"), ok_packet())


def _delete(capture: Doctored) -> None:
    done = capture.after(capture.find(query("ROLLBACK"), -1), reply=True)
    capture.exchange(done, query("DELETE FROM image_tags WHERE id = 5"), ok_packet())


MUTATIONS: dict[str, Mutation | None] = {
    "image-stuck": _stuck,
    "upload-running": _running,
    "status-illegal": _illegal,
    "status-not-committed": _answer(SHOW, b'"status": "active"', b'"status": "killed"', -1),
    "status-outdated": _answer(SHOW, b'"status": "active"', b'"status": "saving"', -1),
    "success-not-committed": _rolled_back,
    "failure-committed": _answer(UPLOAD, b"204 No Content", b"503 No Content"),
    "upload-hash-differs": _flip,
    "upload-size-differs": _header(HEADERS + b"x-openstack-image-size: 7\r\n"),
    "upload-base64": _header(HEADERS + b"Content-Transfer-Encoding: base64\r\n"),
    "upload-newlines-stripped": _header(b"Content-Type: application/x-www-form-urlencoded\r\n", OCTETS),
    "upload-aborted": lambda capture: capture.reset(_body(capture, 20)),
    "download-aborted": _download_reset,
    "transfer-paused": _paused,
    "image-changed-outside": _sql_by_hand,
    "lost-race": _lost_race,
    "server-error": _answer(PATCH, b"200 OK", b"500 OK"),
    "client-error": _answer(PATCH, b"200 OK", b"403 OK"),
    "lookup-not-found": lambda capture: None,
    "response-missing": lambda capture: capture.reset(capture.find(PATCH)),
    "sql-error": _failed_statement(1064, "42000"),
    "sql-deadlock": _failed_statement(1213, "40001"),
    "statement-repeated": _repeated(12),
    "call-slow": _slow,
    "transfer-long": _long,
    "claim-uncertain": _lost_update,
    "claim-inferred": _no_sql,
    "api-encrypted": None,
    "capture-incomplete": _lost_reply,
    "expected-image": _renamed,
    "expected-statuses": _without_saving,
    "expected-status-time": _paused,
    "expected-calls": lambda capture: capture.reset(capture.find(b"POST /v2/images HTTP", 0)),
    "expected-call-time": _slow,
    "expected-statements": _repeated(5),
    "unexpected-error": _answer(PATCH, b"200 OK", b"403 OK"),
    "unexpected-image": _renamed,
    "capture-quality": _lost_reply,
    "sql-full-scan": _full_scan,
    "sql-outside-transaction": _autocommit,
    "sql-forbidden": _delete,
}
"""Rule -> what is done to the article capture; None: the recorded TLS capture without its key log."""

STRICT = '\n[[sql.forbid]]\npattern = "^DELETE FROM image_tags"\nreason = "Glance deletes softly"\n'


@cache
def starter(name: str = "article") -> str:
    """The rules that `check --init` writes for a good sample, made strict."""
    text = "\n".join(render_starter(document_of(name)))
    return text.replace("unexpected = true", "unexpected = false") + STRICT


@pytest.fixture(scope="module")
def mutated(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Document]:
    @cache
    def make(rule: str) -> Document:
        mutation = MUTATIONS[rule]
        if mutation is None:
            return document_of("article-tls13", keys=False)
        capture = Doctored(capture_path("article"))
        mutation(capture)
        return render_document(analyze(capture.write(tmp_path_factory.mktemp(rule) / "capture.pcap")))

    return make


def fired(document: Document) -> set[str]:
    return {finding["rule"] for finding in document["findings"]}


def test_every_rule_has_a_mutation() -> None:
    assert list(MUTATIONS) == list(ALL_RULES)


@pytest.mark.parametrize("rule", RULES)
def test_a_built_in_rule_fires_on_its_mutation(rule: str, mutated: Callable[[str], Document]) -> None:
    document = mutated(rule)
    assert rule in fired(document)
    verdict = judge(document, parse_rules(f'fail_on = "{RULES[rule].severity}"', "rules.toml"))
    assert FAILED in {outcome.verdict for outcome in verdict.outcomes if outcome.rule == rule}
    assert verdict.exit_code == 1


@pytest.mark.parametrize("rule", EXPECTATIONS)
def test_an_expectation_fires_on_its_mutation(rule: str, mutated: Callable[[str], Document]) -> None:
    verdict = judge(mutated(rule), parse_rules(starter(), "rules.toml"))
    wanted = CANNOT_JUDGE if rule == "capture-quality" else FAILED
    outcomes = [outcome for outcome in verdict.outcomes if outcome.rule == rule and outcome.verdict == wanted]
    assert outcomes
    assert all(outcome.line for outcome in outcomes)


@pytest.mark.parametrize("name", GOOD)
def test_no_rule_fires_on_a_good_sample(name: str) -> None:
    assert fired(document_of(name)) <= CLIENTS_DO_THAT
    verdict = judge(document_of(name), parse_rules(starter(name), "rules.toml"))
    assert {outcome.verdict for outcome in verdict.outcomes} == {PASSED}
    assert {outcome.rule for outcome in verdict.outcomes} >= set(EXPECTATIONS)
    assert verdict.exit_code == 0


def test_a_doctored_capture_without_a_change_is_the_capture(tmp_path: Path) -> None:
    document = render_document(analyze(Doctored(capture_path("article")).write(tmp_path / "same.pcap")))
    for table in ("api_calls", "images", "links", "findings"):
        assert document[table] == document_of("article")[table]
