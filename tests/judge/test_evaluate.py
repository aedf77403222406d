"""The judge itself: a perfect document is judged perfect, and each kind of damage shows in its own figure."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.evaluate import Figures, judge
from tests.support.samples import TRUTHS
from tests.support.truth import Truth, perfect_document, read_truth

SHARES = ("precision", "recall", "precision_up_to_twins", "exact_calls")


@pytest.fixture
def truth() -> Truth:
    return read_truth(TRUTHS["article"])


@pytest.fixture
def document(truth: Truth) -> dict[str, Any]:
    return perfect_document(truth)


def assert_perfect(figures: Figures) -> None:
    for part in ("calls_right", "timelines_right", "final_status_right"):
        assert figures[part] == figures[part.replace("right", "truth")] > 0
    assert figures["statements_matched"] == figures["statements_truth"] > 0
    assert figures["glance_async_right"] == figures["glance_async_truth"]
    for share in SHARES:
        assert figures[f"glance_{share}"] == 1.0
    for nothing in ("statements_surplus", "timelines_invented", "illegal", "foreign_linked"):
        assert figures[nothing] == 0


@pytest.mark.parametrize("name", sorted(TRUTHS))
def test_a_perfect_document_is_judged_perfect(name: str) -> None:
    known = read_truth(TRUTHS[name])
    assert_perfect(judge(known, perfect_document(known)))


def test_a_wrong_status_code_is_a_wrong_call(truth: Truth, document: dict[str, Any]) -> None:
    document["api_calls"][3]["status_code"] = 500
    assert judge(truth, document)["calls_right"] == len(document["api_calls"]) - 1


def test_a_missing_statement_costs_only_itself(truth: Truth, document: dict[str, Any]) -> None:
    del document["statements"][10]
    figures = judge(truth, document)
    assert figures["statements_matched"] == figures["statements_truth"] - 1


def test_a_wrong_link_costs_precision_and_recall(truth: Truth, document: dict[str, Any]) -> None:
    for link in document["links"]:
        link["call_id"] = document["api_calls"][0]["id"]
    figures = judge(truth, document)
    assert figures["glance_precision"] < 0.5
    assert figures["glance_recall"] < 0.5


def test_an_exchange_of_one_text_is_told_from_another_mistake(truth: Truth, document: dict[str, Any]) -> None:
    ran = sorted(truth.commands, key=lambda row: int(row["start_ns"]))
    links = [(link, ran[link["statement_id"] - 1]) for link in document["links"]]
    own = [(link, row["sql"], row["pid"]) for link, row in links if row["service"] == "glance" and row["sql"]]
    pairs = [(one, other) for one in own for other in own if one[0]["call_id"] < other[0]["call_id"]]
    same = next(pair for pair in pairs if pair[0][1:] == pair[1][1:])
    exchange(same[0][0], same[1][0])
    figures = judge(truth, document)
    assert (figures["glance_wrong"], figures["glance_exchanged"]) == (2, 2)
    exchange(same[0][0], same[1][0])
    unlike = next(pair for pair in pairs if pair[0][1] != pair[1][1] and pair[0][1].startswith("INSERT"))
    exchange(unlike[0][0], unlike[1][0])
    figures = judge(truth, document)
    assert (figures["glance_wrong"], figures["glance_exchanged"]) == (2, 0)


def exchange(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Let two links trade their calls."""
    one["call_id"], other["call_id"] = other["call_id"], one["call_id"]


def test_an_invented_transition_is_seen(truth: Truth, document: dict[str, Any]) -> None:
    document["images"][0]["transitions"].append({"from": "active", "to": "deleted", "source": "sql", "legal": False})
    figures = judge(truth, document)
    assert figures["timelines_right"] == figures["timelines_truth"] - 1
    assert figures["illegal"] == 1


def test_a_wrong_hash_is_seen(truth: Truth, document: dict[str, Any]) -> None:
    document["images"][0]["wire_checksum"] = {"md5": "0" * 32, "complete": True}
    figures = judge(truth, document)
    assert (figures["wire_hashes"], figures["wire_hash_right"]) == (1, 0)
