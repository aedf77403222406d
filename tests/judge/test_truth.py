"""Results on the samples, held against what was true when they were recorded."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import glancetrace
from glancetrace.document import render_document
from tests.support.evaluate import Figures, judge
from tests.support.samples import CAPTURES, TRUTHS, capture_path, keylog_path
from tests.support.truth import read_truth

ARTICLES = ("article", "article-allports", "article-old", "article-proxied-foreign")
RECORDED = sorted(name for name, path in CAPTURES.items() if path.parent.name in TRUTHS)

ACCEPTED_CALLS = {"failures": [("PUT", "status 204 for 100")]}
"""The client's log has the interim status of an upload with Expect: 100-continue, the result the final one."""


def truth_folder(name: str) -> Path:
    """Folder with the truth of a capture."""
    return CAPTURES[name].parent


@cache
def document(name: str) -> dict[str, Any]:
    """Result document of a sample, as `--format json` gives it."""
    trace = glancetrace.analyze(capture_path(name), keylog=keylog_path(name))
    parsed: dict[str, Any] = json.loads(json.dumps(render_document(trace)))
    return parsed


@cache
def figures(name: str) -> Figures:
    """Figures of a sample."""
    return judge(read_truth(truth_folder(name)), document(name))


@pytest.mark.parametrize("name", RECORDED)
def test_every_call_and_statement_is_there_once(name: str) -> None:
    seen = figures(name)
    wrong = [(method, difference) for method, _, difference in seen.get("calls_wrong_examples", [])]
    assert wrong == ACCEPTED_CALLS.get(name, [])
    assert seen["calls_right"] + len(wrong) == seen["calls_truth"] > 0
    assert seen["statements_matched"] == seen["statements_truth"] > 0
    assert seen["statements_surplus"] == 0


@pytest.mark.parametrize("name", RECORDED)
def test_every_status_change_is_told_and_none_invented(name: str) -> None:
    seen = figures(name)
    assert seen["timelines_right"] == seen["timelines_truth"] > 0
    assert seen["timelines_invented"] == seen["illegal"] == 0
    assert seen["final_status_right"] == seen["final_status_truth"] > 0


@pytest.mark.parametrize("name", RECORDED)
def test_bytes_on_the_wire_have_the_recorded_checksums(name: str) -> None:
    seen = figures(name)
    assert seen["wire_hash_right"] == seen["wire_hashes"] > 0


@pytest.mark.parametrize("name", ARTICLES)
def test_every_statement_of_the_articles_belongs_to_its_call(name: str) -> None:
    seen = figures(name)
    for share in ("precision", "recall", "exact_calls"):
        assert seen[f"glance_{share}"] == 1.0
    assert seen["glance_background_adopted"] == 0


@pytest.mark.parametrize("name", RECORDED)
def test_a_certain_link_is_right(name: str) -> None:
    """Certainty is a promise."""
    for kind in ("exact", "certain"):
        right, linked = map(int, figures(name)["glance_by_class"].get(kind, "0/0").split("/"))
        assert right == linked


@pytest.mark.parametrize("name", RECORDED)
def test_statements_of_other_services_are_never_linked(name: str) -> None:
    assert figures(name)["foreign_linked"] == 0
    assert bool(figures(name)["foreign_statements"]) == (name == "article-proxied-foreign")


@pytest.mark.parametrize("name", ARTICLES)
def test_final_rows_equal_the_dump_of_the_database(name: str) -> None:
    rows = {row["id"]: row for row in read_truth(truth_folder(name)).final["images"]}
    images = {image["id"]: image for image in document(name)["images"]}
    assert images.keys() == rows.keys()
    for image_id, row in rows.items():
        image = images[image_id]
        assert (image["name"], image["status"], image["size"]) == (row["name"], row["status"], row["size"])
        assert image["checksum"] == row["checksum"] == image["wire_checksum"]["md5"]
        assert image["wire_checksum"]["sha512"] == row["os_hash_value"]


@pytest.mark.parametrize("name", ARTICLES)
def test_each_image_of_the_articles_has_statement_and_call_of_each_step(name: str) -> None:
    calls = {call["id"]: call["operation"] for call in document(name)["api_calls"]}
    statements = {row["id"]: row for row in document(name)["statements"]}
    assert len(document(name)["images"]) == 3
    for image in document(name)["images"]:
        steps = [(step["from"], step["to"], calls[step["call_id"]]) for step in image["transitions"]]
        assert steps == [
            (None, "queued", "image-create"),
            ("queued", "saving", "image-upload"),
            ("saving", "active", "image-upload"),
        ]
        for step in image["transitions"]:
            assert step["legal"]
            assert statements[step["statement_id"]]["outcome"] == "committed"
            assert step["commit_frame"] == statements[step["statement_id"]]["commit_frame"]


def test_a_proxy_and_other_services_change_nothing() -> None:
    plain, proxied = figures("article"), figures("article-proxied-foreign")
    assert plain["glance_n"] == proxied["glance_n"]
    assert plain["keystone_n"] == proxied["keystone_n"]
    assert plain["glance_by_class"] == proxied["glance_by_class"]


def test_every_packet_and_every_byte_is_accounted_for() -> None:
    for name in RECORDED:
        capture = document(name)["capture"]
        sums = capture["accounting"]
        packets = sums["packets_decoded"] + sums["packets_ignored"] + sums["packets_malformed"]
        stream = sums["stream_bytes_decoded"] + sums["stream_bytes_skipped"] + sums["stream_bytes_missing"]
        assert packets == capture["packets"]
        assert stream == sums["stream_bytes"] > 0
