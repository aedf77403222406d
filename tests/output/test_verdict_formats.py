"""Verdicts in the formats of CI systems: valid by their schemas, whatever a capture says."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
import xmlschema
from hypothesis import given, settings
from hypothesis import strategies as st

from glancetrace.check.gate.rules import ALL_RULES
from glancetrace.output.annotations import render_annotations
from glancetrace.output.junit import render_junit
from glancetrace.output.paint import Painter
from glancetrace.output.sarif import sarif_document
from glancetrace.output.verdict_json import verdict_document
from glancetrace.output.verdict_text import render_verdict
from glancetrace.verdict import CANNOT_JUDGE, FAILED, PASSED, Files, Outcome, Verdict

SCHEMAS = Path(__file__).resolve().parents[1] / "check" / "schemas"
HOSTILE = "\x1b[31mimage ]]> <b>&\"'\r\n::error::forged\u202e \ud800 100%"

OUTCOMES = (
    Outcome("image-stuck", "built-in rule", FAILED, f"{HOSTILE} is still saving", [7, 9], image_id="5fe95869"),
    Outcome("expected-statuses", f"image {HOSTILE}", CANNOT_JUDGE, "expected queued > active", [3], line=12),
    Outcome("expected-calls", "calls of image-upload", PASSED, "3 seen", line=20),
    Outcome("server-error", "built-in rule", PASSED, "nothing found"),
)


@cache
def junit_schema() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(SCHEMAS / "junit-10.xsd")


@cache
def sarif_validator() -> jsonschema.Draft4Validator:
    return jsonschema.Draft4Validator(json.loads((SCHEMAS / "sarif-2.1.0.json").read_text()))


@pytest.fixture
def verdict() -> Verdict:
    finding = {"rule": "lookup-not-found", "message": HOSTILE, "frames": [1]}
    return Verdict(Files(["capture one.pcap"]), "rules/a,b:c.toml", OUTCOMES, [(finding, "severity info, error fails")])


def test_junit(verdict: Verdict) -> None:
    text = render_junit(verdict, ALL_RULES)
    junit_schema().validate(text)
    suites = ElementTree.fromstring(text.encode("utf-8"))
    assert (suites.get("tests"), suites.get("failures"), suites.get("errors")) == ("4", "1", "1")
    failure = suites.find(".//failure")
    assert failure is not None
    assert "frame.number in {7, 9}" in (failure.text or "")
    assert len(suites.findall(".//testcase")) == 4
    assert suites.find(".//skipped") is None


def test_sarif(verdict: Verdict) -> None:
    document = sarif_document(verdict, ALL_RULES, "1.2.3")
    sarif_validator().validate(document)
    (run,) = document["runs"]
    assert [result["kind"] for result in run["results"]] == ["fail", "open", "pass", "pass"]
    assert [result["level"] for result in run["results"]] == ["error", "none", "none", "none"]
    place = run["results"][1]["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "rules/a%2Cb%3Ac.toml"}, "region": {"startLine": 12}}
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]


def test_github(verdict: Verdict) -> None:
    lines = list(render_annotations(verdict, ALL_RULES))
    assert lines[0].startswith("::error title=GT001 Image stuck half-way::")
    assert lines[1].startswith("::warning file=rules/a%2Cb%3Ac.toml,line=12,title=GT102 ")
    assert "100%25" in lines[0]
    assert len(lines) == 3
    assert not any("\n" in line or "\r" in line or "\x1b" in line for line in lines)
    assert lines[2] == "1 failed, 1 cannot be judged, 2 passed"


def test_text(verdict: Verdict) -> None:
    lines = list(render_verdict(verdict, ALL_RULES, Painter(color=False)))
    text = "\n".join(lines)
    assert text.index("FAILED GT001") < text.index("CANNOT JUDGE GT102") < text.index("passed GT104")
    assert "rules/a,b:c.toml:12" in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert lines[-1] == "FAILED  1 failed, 1 cannot be judged, 2 passed"


def test_json(verdict: Verdict) -> None:
    found = verdict_document(verdict, ALL_RULES)["check"]
    assert (found["verdict"], found["exit_code"]) == (FAILED, 1)
    assert [row["number"] for row in found["outcomes"]] == ["GT001", "GT102", "GT104", "GT017"]
    assert found["notes"][0]["why"] == "severity info, error fails"


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [((), 0), ((PASSED,), 0), ((PASSED, CANNOT_JUDGE), 3), ((CANNOT_JUDGE, FAILED, PASSED), 1)],
)
def test_the_worst_verdict_counts(verdicts: tuple[str, ...], code: int) -> None:
    rows = [Outcome("server-error", "x", verdict, "y") for verdict in verdicts]
    assert Verdict(Files(), None, rows).exit_code == code


_OUTCOMES = st.builds(
    Outcome, st.sampled_from(sorted(ALL_RULES)), st.text(max_size=20), st.sampled_from([PASSED, FAILED, CANNOT_JUDGE]),
    st.text(max_size=40), st.lists(st.integers(1, 99), max_size=3), image_id=st.none() | st.text(max_size=5),
    line=st.none() | st.integers(1, 99),
)  # fmt: skip


@settings(max_examples=40)
@given(st.lists(_OUTCOMES, max_size=3), st.text(max_size=10), st.none() | st.text(max_size=10))
def test_any_text_gives_valid_files(rows: list[Outcome], name: str, rules_file: str | None) -> None:
    verdict = Verdict(Files([name]), rules_file, rows)
    junit_schema().validate(render_junit(verdict, ALL_RULES))
    document: Any = sarif_document(verdict, ALL_RULES, "0.1.0")
    sarif_validator().validate(document)
    for line in render_annotations(verdict, ALL_RULES):
        assert len(line.splitlines()) == 1


def test_frames_of_several_files_are_those_of_wireshark() -> None:
    pieces = [{"name": f"ring/piece{n}.pcap", "first_frame": 100 * n + 1, "packets": 100} for n in range(3)]
    files = Files.of({"files": pieces})
    assert files.text([7, 150, 201]) == " (frames piece0.pcap:7, piece1.pcap:50, piece2.pcap:1)"
    assert files.filter([150, 7, 151]) == "piece0.pcap: frame.number in {7}; piece1.pcap: frame.number in {50, 51}"
    merged = Files.of({"files": [{**piece, "first_frame": 1} for piece in pieces]})
    assert merged.text([7]) == " (frame 7)"
    assert merged.filter([]) == ""
