"""Whole results against what was true while the samples were recorded."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

import pytest

from glancetrace.document import render_document
from glancetrace.pipeline import analyze
from tests.support.evaluate import Figures, evaluate
from tests.support.samples import TRUTHS, capture_path, keylog_path
from tests.support.truth import read_truth

ARTICLES = ("article", "article-old", "article-proxied-foreign", "article-tls12", "article-tls13")

FAREWELL = {"failures": 1}
"""Calls that the client itself logged otherwise: it read "100 Continue" and did not wait for the final 204."""

PRECISION = {"failures": 0.995, "mixed-64": 0.999}
"""What attribution reaches where calls were made at once that little tells apart; 1.0 elsewhere."""


@lru_cache(maxsize=2)
def document(name: str) -> dict[str, Any]:
    return render_document(analyze(capture_path(name), keylog=keylog_path(name)))


@cache
def figures(name: str) -> Figures:
    return evaluate(TRUTHS[name], document(name))


@pytest.mark.parametrize("name", sorted(TRUTHS))
class TestEverySample:
    def test_every_call_with_its_status(self, name: str) -> None:
        known = figures(name)
        assert known["calls_right"] == known["calls_truth"] - FAREWELL.get(name, 0)

    def test_every_statement_and_no_other(self, name: str) -> None:
        known = figures(name)
        assert known["statements_matched"] == known["statements_truth"]
        assert known["statements_surplus"] == 0

    def test_every_status_change_and_no_other(self, name: str) -> None:
        known = figures(name)
        assert known["timelines_right"] == known["timelines_truth"] > 0
        assert known["timelines_invented"] == 0
        assert known["illegal"] == 0

    def test_final_statuses_are_the_database_s(self, name: str) -> None:
        known = figures(name)
        assert known["final_status_right"] == known["final_status_truth"] > 0

    def test_hashes_of_the_wire_are_the_recorded_ones(self, name: str) -> None:
        known = figures(name)
        assert known["wire_hash_right"] == known["wire_hashes"] > 0

    def test_statements_go_to_the_right_calls(self, name: str) -> None:
        known = figures(name)
        assert known["glance_precision"] >= PRECISION.get(name, 1.0)
        assert known["glance_recall"] >= PRECISION.get(name, 1.0)
        right, of = map(int, known["glance_by_class"]["certain"].split("/"))
        assert right == of

    def test_later_work_is_chained_and_no_other_work_adopted(self, name: str) -> None:
        known = figures(name)
        assert known["glance_async_right"] == known["glance_async_truth"]
        assert known["glance_background_adopted"] == 0
        assert known["foreign_linked"] == 0


@pytest.mark.parametrize("name", ARTICLES)
class TestArticle:
    def test_three_images_become_active(self, name: str) -> None:
        images = document(name)["images"]
        assert [image["name"] for image in images] == [
            "overcloud-full-vmlinuz",
            "overcloud-full-initrd",
            "overcloud-full",
        ]
        for image in images:
            steps = [(t["from"], t["to"]) for t in image["transitions"]]
            assert steps == [(None, "queued"), ("queued", "saving"), ("saving", "active")]
            assert all(t["legal"] and t["certainty"] == "observed" for t in image["transitions"])
            assert [i["status"] for i in image["intervals"]] == ["queued", "saving", "active"]
            assert image["intervals"][-1]["dur"] is None

    def test_each_change_names_statement_call_and_commit(self, name: str) -> None:
        calls = {call["id"]: call for call in document(name)["api_calls"]}
        statements = {statement["id"]: statement for statement in document(name)["statements"]}
        for image in document(name)["images"]:
            operations = [calls[t["call_id"]]["operation"] for t in image["transitions"]]
            assert operations == ["image-create", "image-upload", "image-upload"]
            for transition in image["transitions"]:
                statement = statements[transition["statement_id"]]
                assert image["id"] in statement["image_ids"]
                assert statement["operation"] == ("INSERT" if transition["from"] is None else "UPDATE")
                assert statement["outcome"] == "committed"
                assert statement["first_frame"] <= transition["frame"] < transition["commit_frame"]
                assert statement["commit_frame"] == transition["commit_frame"]

    def test_rows_and_hashes_are_the_database_s(self, name: str) -> None:
        rows = {row["id"]: row for row in read_truth(TRUTHS[name]).final["images"]}
        for image in document(name)["images"]:
            row = rows[image["id"]]
            for column in ("name", "status", "size", "checksum", "os_hash_algo", "os_hash_value"):
                assert image[column] == row[column], column
            wire = image["wire_checksum"]
            assert wire["complete"]
            assert (wire["md5"], wire["sha512"], wire["bytes"]) == (row["checksum"], row["os_hash_value"], row["size"])

    def test_lookup_by_name_belongs_to_the_image_created_later(self, name: str) -> None:
        for image in document(name)["images"]:
            lookups = [event for event in image["events"] if event["kind"] == "lookup"]
            assert len(lookups) == 1
            assert lookups[0]["ts"] < image["transitions"][0]["ts"]


class TestProxy:
    def test_statements_are_seen_once_with_both_legs(self) -> None:
        proxied = document("article-proxied-foreign")
        own = [s for s in proxied["statements"] if s["service"] in ("glance", "keystone")]
        assert len(own) == figures("article-proxied-foreign")["statements_truth"]
        assert all(len(s["hops"]) == 2 for s in own)
        assert {s["server"] for s in own} == {"127.0.0.20:3306"}
        assert {s["hops"][1]["server"] for s in own} == {"127.0.0.30:3306"}

    def test_other_services_are_counted_and_left_alone(self) -> None:
        proxied = document("article-proxied-foreign")
        foreign = [s for s in proxied["statements"] if s["service"] == "other"]
        linked = {link["statement_id"] for link in proxied["links"]}
        assert len(foreign) > 500
        assert not linked & {s["id"] for s in foreign}


@pytest.mark.parametrize(
    ("name", "era"), [("article", 3), ("failures", 3), ("article-old", 1), ("concurrent-old-8", 1)]
)
def test_era_of_the_release_is_told_by_its_sql(name: str, era: int) -> None:
    eras = document(name)["capture"]["glance_eras"]
    assert [(row["host"], row["era"]) for row in eras] == [("127.0.0.1", era)]
