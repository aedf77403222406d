from __future__ import annotations

import re

import pytest

from glancetrace.errors import UsageError
from glancetrace.output.select import Selection, compile_pattern, find_images, select_calls, select_statements
from tests.support.handmade import CIRROS, HOSTILE_NAME, MS, OTHER, START, handmade_trace


@pytest.mark.parametrize(
    ("selection", "ids"),
    [
        (Selection(), [1, 2, 3, 4, 5]),
        (Selection(images=("cirros",)), [2, 3]),
        (Selection(images=(CIRROS,)), [2, 3]),
        (Selection(images=("cirros", OTHER)), [2, 3, 4]),
        (Selection(operations=("image-*",)), [2, 3, 4, 5]),
        (Selection(operations=("image-show", "TOKEN-issue")), [1, 5]),
        (Selection(statuses=("404",)), [5]),
        (Selection(statuses=("2xx",)), [1, 2, 3]),
        (Selection(statuses=("none", "4XX")), [4, 5]),
        (Selection(statuses=("saving",)), [3]),
        (Selection(tables=("images",)), [2, 3, 4]),
        (Selection(services=("keystone",)), [1]),
        (Selection(grep="post .*images"), [2]),
        (Selection(grep="req-3"), [3]),
        (Selection(since=START + 300 * MS, until=START + 2000 * MS), [3, 4]),
        (Selection(slower_than=100 * MS), [1, 3]),
        (Selection(calls=(2,)), [2]),
        (Selection(operations=("image-*",), statuses=("201",)), [2]),
    ],
)
def test_calls(selection: Selection, ids: list[int]) -> None:
    assert [call.id for call in select_calls(handmade_trace(), selection)] == ids


@pytest.mark.parametrize(
    ("selection", "ids"),
    [
        (Selection(), [1, 2, 3, 4, 5, 6]),
        (Selection(images=("cirros",)), [1, 2, 3, 4]),
        (Selection(operations=("commit",)), [3]),
        (Selection(statuses=("active",)), [4]),
        (Selection(statuses=("committed",)), [1, 2, 3, 4, 5, 6]),
        (Selection(statuses=("rolled_back", "error", "1213")), []),
        (Selection(tables=("pass*",)), [6]),
        (Selection(grep="SET STATUS"), [2, 4]),
        (Selection(since=START + 1000 * MS), [4, 5, 6]),
        (Selection(slower_than=MS), []),
        (Selection(calls=(3,)), [2, 3, 4]),
        (Selection(services=("other",)), []),
    ],
)
def test_statements(selection: Selection, ids: list[int]) -> None:
    assert [statement.id for statement in select_statements(handmade_trace(), selection)] == ids


def test_an_image_is_found_by_id_name_and_first_digits() -> None:
    trace = handmade_trace()
    assert [image.id for image in find_images(trace, CIRROS)] == [CIRROS]
    assert [image.id for image in find_images(trace, HOSTILE_NAME)] == [OTHER]
    assert [image.id for image in find_images(trace, "=evil name")] == [OTHER]
    assert [image.id for image in find_images(trace, "cir*")] == [CIRROS]
    assert [image.id for image in find_images(trace, "7B1A")] == [CIRROS, OTHER]
    with pytest.raises(UsageError, match="no such image in the capture; images: cirros"):
        find_images(trace, "7b1")


@pytest.mark.parametrize("status", ["4x4", "teapot", "999", "committed"])
def test_a_wrong_status_of_a_call(status: str) -> None:
    with pytest.raises(UsageError, match="no status of a call"):
        select_calls(handmade_trace(), Selection(statuses=(status,)))


@pytest.mark.parametrize("status", ["4xx", "gone"])
def test_a_wrong_status_of_a_statement(status: str) -> None:
    with pytest.raises(UsageError, match="no status of a statement"):
        select_statements(handmade_trace(), Selection(statuses=(status,)))


def test_patterns() -> None:
    assert compile_pattern("a.b", regex=False).search("xA.By") is not None
    assert compile_pattern("a.b", regex=False).search("axb") is None
    assert compile_pattern("a.b", case_sensitive=True).search("AxB") is None
    with pytest.raises(UsageError, match=re.escape("not a regular expression")):
        compile_pattern("(")
