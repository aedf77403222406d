"""The gate: three outcomes, and nothing that cannot be seen passes."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glancetrace.check.gate.judge import judge
from glancetrace.check.gate.reading import parse_rules
from glancetrace.check.gate.starter import render_starter, toml_text
from glancetrace.check.gate.times import judge_times, p95
from glancetrace.document import render_document
from glancetrace.pipeline import analyze
from glancetrace.verdict import CANNOT_JUDGE, FAILED, PASSED, Outcome
from tests.support.doctor import Doctored
from tests.support.results import document_of
from tests.support.samples import capture_path

Document = dict[str, Any]
IMAGE = "overcloud-full"
UPLOADED = '[[image]]\nname = "overcloud-full"\n'


@pytest.fixture(scope="module")
def article() -> Document:
    return document_of("article")


@pytest.fixture(scope="module")
def encrypted() -> Document:
    return document_of("article-tls13", keys=False)


def outcomes(document: Document, text: str, rule: str) -> list[Outcome]:
    return [o for o in judge(document, parse_rules(text, "rules.toml")).outcomes if o.rule == rule]


def verdicts(document: Document, text: str, rule: str) -> list[str]:
    return [outcome.verdict for outcome in outcomes(document, text, rule)]


def image_of(document: Document) -> dict[str, Any]:
    return next(image for image in document["images"] if image["name"] == IMAGE)


@pytest.mark.parametrize(
    ("key", "verdict"),
    [
        ('statuses = ["queued", "saving", "active"]', PASSED),
        ('statuses = ["queued", "active"]', FAILED),
        ('statuses = ["queued", "saving", "active", "deleted"]', FAILED),
        ('contains = ["queued", "active"]', PASSED),
        ('contains = ["active", "queued"]', FAILED),
        ('forbidden = ["killed"]', PASSED),
        ('forbidden = ["saving"]', FAILED),
    ],
)
def test_the_way_of_an_image(article: Document, key: str, verdict: str) -> None:
    assert verdicts(article, UPLOADED + key, "expected-statuses") == [verdict]


def test_a_way_that_lost_packets_may_explain_is_not_judged(article: Document) -> None:
    document = copy.deepcopy(article)
    image_of(document)["intervals"].pop(1)
    image_of(document)["transitions"].pop(1)
    expected = UPLOADED + 'statuses = ["queued", "saving", "active"]'
    assert verdicts(document, expected, "expected-statuses") == [FAILED]
    connection = next(s["connection_id"] for s in document["statements"] if s["service"] == "glance")
    document["issues"].append({"kind": "tcp-gap", "connection_id": connection, "first_frame": 7})
    document["capture"]["accounting"]["stream_bytes_missing"] = 100
    assert verdicts(document, expected, "expected-statuses") == [CANNOT_JUDGE]
    assert verdicts(document, UPLOADED + 'statuses = ["queued", "killed"]', "expected-statuses") == [FAILED]
    good = UPLOADED + 'contains = ["queued", "active"]'
    assert verdicts(document, good, "expected-statuses") == [PASSED]


def test_tolerated_loss_lets_pass_what_was_seen(article: Document) -> None:
    document = copy.deepcopy(article)
    connection = next(s["connection_id"] for s in document["statements"] if s["service"] == "glance")
    document["issues"].append({"kind": "tcp-gap", "connection_id": connection, "first_frame": 7})
    document["capture"]["accounting"]["stream_bytes_missing"] = 100
    expected = UPLOADED + 'statuses = ["queued", "saving", "active"]'
    assert verdicts(document, expected, "expected-statuses") == [CANNOT_JUDGE]
    assert verdicts(document, f'{expected}\n[capture]\nmax_loss = "1 %"', "expected-statuses") == [PASSED]
    assert judge(document).exit_code == 3
    assert judge(document, parse_rules('[capture]\nmax_loss = "1 %"', "rules.toml")).exit_code == 0


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('[[image]]\nname = "other"', "expected-image"),
        ('[[call]]\noperation = "image-upload"\ncount = 3', "expected-calls"),
        ('[[call]]\noperation = "image-upload"\nmax_duration = "1s"', "expected-call-time"),
        ('[[call]]\noperation = "image-upload"\nmax_statements = 50', "expected-statements"),
        ("[errors]", "unexpected-error"),
        ("[capture]\nmax_undecrypted = 0", "capture-quality"),
    ],
)
def test_what_is_encrypted_never_passes(encrypted: Document, text: str, rule: str) -> None:
    found = verdicts(encrypted, text, rule)
    if rule == "expected-image":  # its SQL is in plain: an image that is not there is not there
        assert found == [FAILED]
    else:
        assert CANNOT_JUDGE in found
        assert FAILED not in found
    assert judge(encrypted, parse_rules(text, "rules.toml")).exit_code != 0


def test_status_changes_show_in_the_sql_of_an_encrypted_capture(encrypted: Document) -> None:
    expected = UPLOADED + 'statuses = ["queued", "saving", "active"]'
    assert verdicts(encrypted, expected, "expected-statuses") == [PASSED]


def test_a_call_whose_end_is_not_there_has_no_duration(article: Document) -> None:
    document = copy.deepcopy(article)
    upload = next(call for call in document["api_calls"] if call["operation"] == "image-upload")
    upload.update(dur=None, complete=False, response_ts=None, response_frame=None, status_code=None)
    text = '[[call]]\noperation = "image-upload"\nmax_duration = "1s"'
    (outcome,) = outcomes(document, text, "expected-call-time")
    assert outcome.verdict == CANNOT_JUDGE
    assert "1 without a response in the capture" in outcome.message
    assert upload["first_frame"] in outcome.frames
    assert verdicts(document, text.replace("1s", "1ms"), "expected-call-time") == [FAILED]


def test_a_log_that_is_not_exact_enough_does_not_judge(article: Document) -> None:
    document = copy.deepcopy(article)
    for call in document["api_calls"]:
        call["uncertainty"] = 10_000_000
    longest = max(c["dur"] for c in document["api_calls"] if c["operation"] == "image-upload")
    text = f'[[call]]\noperation = "image-upload"\nmax_duration = "{longest // 1_000_000 + 1}ms"'
    assert verdicts(document, text, "expected-call-time") == [CANNOT_JUDGE]


def test_statements_of_a_guessed_call_are_not_counted_as_sure(article: Document) -> None:
    document = copy.deepcopy(article)
    text = '[[call]]\noperation = "image-upload"\nstatements = 32'
    assert verdicts(document, text, "expected-statements") == [PASSED]
    upload = next(call for call in document["api_calls"] if call["operation"] == "image-upload")
    link = next(link for link in document["links"] if link["call_id"] == upload["id"])
    link["class"] = "inferred"
    found = outcomes(document, text, "expected-statements")
    assert [outcome.verdict for outcome in found] == [CANNOT_JUDGE, PASSED]
    assert found[0].call_id == upload["id"]


def test_ignored_and_allowed_findings_do_not_fail(article: Document) -> None:
    document = copy.deepcopy(article)
    upload = next(call for call in document["api_calls"] if call["operation"] == "image-upload")
    finding = dict(document["findings"][0], rule="server-error", severity="error", call_id=upload["id"])
    document["findings"].append(finding)
    upload["status_code"] = 503
    assert judge(document).exit_code == 1
    allowing = """[errors]
allow = [{ operation = "image-upload", status = "5xx" }, { operation = "image-show", status = 404 }]"""
    for text in ("[ignore]\nserver-error = 'full'", "[ignore]\nGT017 = 'full'", allowing):
        verdict = judge(document, parse_rules(text, "rules.toml"))
        assert verdict.exit_code == 0, text
        assert any(row["rule"] == "server-error" for row, _ in verdict.notes)


def test_an_allowance_can_be_used_up(article: Document) -> None:
    text = '[errors]\nallow = [{{ operation = "image-show", status = [404], max = {} }}]'
    assert verdicts(article, text.format(3), "unexpected-error") == [PASSED]
    (outcome,) = outcomes(article, text.format(2), "unexpected-error")
    assert (outcome.verdict, len(outcome.frames)) == (FAILED, 1)


def test_a_capture_that_ends_during_an_upload_does_not_judge_it(article: Document) -> None:
    document = copy.deepcopy(article)
    image = image_of(document)
    image["intervals"].pop()
    image["transitions"].pop()
    image["status"] = "saving"
    document["findings"].append(dict(document["findings"][0], rule="upload-running", image_id=image["id"]))
    expected = UPLOADED + 'statuses = ["queued", "saving", "active"]'
    assert verdicts(document, expected, "expected-statuses") == [CANNOT_JUDGE]


def test_nothing_at_all_cannot_be_judged(article: Document) -> None:
    document = {key: [] if isinstance(value, list) else value for key, value in article.items()}
    verdict = judge(document, parse_rules("\n".join(render_starter(article)), "rules.toml"))
    assert verdict.exit_code == 3
    assert {o.verdict for o in verdict.outcomes if o.rule not in ("capture-quality",)} == {CANNOT_JUDGE}


@pytest.mark.parametrize("lost", [1, 5, 30])
def test_lost_packets_fail_nothing_that_passed(article: Document, lost: int, tmp_path: Path) -> None:
    capture = Doctored(capture_path("article"))
    capture.drop(*random.Random(lost).sample(capture.packets, lost))
    document = render_document(analyze(capture.write(tmp_path / "lost.pcap")))
    verdict = judge(document, parse_rules("\n".join(render_starter(article)), "rules.toml"))
    assert [outcome for outcome in verdict.outcomes if outcome.verdict == FAILED] == []


@pytest.mark.parametrize("name", ["failures", "concurrent-16", "pymysql-basic"])
def test_a_first_rules_file_passes_on_its_capture(name: str) -> None:
    document = document_of(name)
    verdict = judge(document, parse_rules("\n".join(render_starter(document)), "rules.toml"))
    assert verdict.exit_code == (3 if name == "pymysql-basic" else 0)
    assert verdict.count(FAILED) == 0


@given(st.text())
def test_every_name_survives_the_rules_file(name: str) -> None:
    import tomllib

    read = tomllib.loads(f"name = {toml_text(name)}")["name"]
    assert read == "".join("\ufffd" if 0xD800 <= ord(c) <= 0xDFFF else c for c in name)


@given(st.lists(st.integers(1, 10**12), min_size=1), st.integers(1, 10**12))
def test_durations_pass_when_all_are_within(durations: list[int], most: int) -> None:
    verdict, _, culprit = judge_times(durations, (), most, None, "", "")
    assert (verdict == PASSED) == (max(durations) <= most)
    assert culprit == max(durations)
    assert judge_times(durations, (), most, None, "", "hidden")[0] != PASSED
    assert judge_times((), durations, most, None, "cut", "")[0] != PASSED
    assert sum(duration <= p95(durations) for duration in durations) >= 0.95 * len(durations)
