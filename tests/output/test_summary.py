from __future__ import annotations

import pytest

from glancetrace.output.summary import (
    OperationRow,
    count_attribution,
    quantile,
    rank_findings,
    sum_issues,
    summarise_images,
    summarise_operations,
)
from tests.support.handmade import MS, handmade_trace


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([], 0.5, None), ([7], 0.95, 7), ([1, 2], 0.5, 1), ([1, 2, 3], 0.5, 2), (list(range(1, 101)), 0.95, 95)],
)
def test_nearest_rank(values: list[int], share: float, expected: int | None) -> None:
    assert quantile(values, share) == expected


def test_operations() -> None:
    assert summarise_operations(handmade_trace()) == [
        OperationRow("glance", "image-create", 1, 0, 0, 45 * MS, 45 * MS, 1.0),
        OperationRow("glance", "image-upload", 2, 0, 1, 1500 * MS, 1500 * MS, 2.0),
        OperationRow("glance", "image-show", 1, 1, 0, 3 * MS, 3 * MS, 0.0),
        OperationRow("keystone", "token-issue", 1, 0, 0, 120 * MS, 120 * MS, 0.0),
    ]


def test_time_in_each_status_counts_the_open_one_up_to_the_end() -> None:
    first, second = summarise_images(handmade_trace())
    assert first.times == {"queued": 110 * MS, "saving": 1380 * MS, "active": 2299 * MS}
    assert (first.open_status, second.open_status) == ("active", "saving")
    assert second.times == {"saving": 2000 * MS}


def test_attribution() -> None:
    (row,) = count_attribution(handmade_trace())
    assert (row.service, row.statements, row.linked, row.kinds) == ("glance", 6, 5, {"request": 6})


def test_the_worst_finding_is_first() -> None:
    assert [finding.severity for finding in rank_findings(handmade_trace())] == ["error", "warning"]


def test_issues_are_summed_over_connections() -> None:
    (row,) = sum_issues(handmade_trace().tables.issues)
    assert (row.kind, row.count, row.connections, row.first_frame) == ("tcp-gap", 4, 2, 40)
