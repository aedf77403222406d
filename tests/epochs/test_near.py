"""Which calls an epoch is told of, and where it ends."""

from __future__ import annotations

import pytest

from glancetrace.correlate.units import UnitOfWork
from glancetrace.epochs import near
from glancetrace.epochs.near import NearCalls
from glancetrace.glance.call import ApiCall
from tests.support.rows import Rows

SECOND = 1_000_000_000


@pytest.fixture
def rows() -> Rows:
    return Rows()


def unit(rows: Rows, at: float) -> UnitOfWork:
    return UnitOfWork([rows.statement("SELECT 1", at)])


def calls(rows: Rows, *times: tuple[float, float | None], operation: str = "image-show") -> list[ApiCall]:
    made = []
    for start, end in times:
        call = rows.call(operation, None if end is None else 200, start)
        call.dur = None if end is None else int((end - start) * SECOND)
        if end is None:
            call.response_ts = None
        made.append(call)
    return made


def test_few_calls_are_all_near(rows: Rows) -> None:
    own = calls(rows, (0, 1), (5000, 5001))
    assert NearCalls(own).of([unit(rows, 10_000)]) == own


def test_of_many_calls_those_of_its_time_are_near(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near, "_FEW", 0)
    long_ago, before, unanswered, during, later = calls(
        rows, (0, 1), (900, 950), (901, None), (1_000, 1_001), (2_000, 2_001)
    )
    (task,) = calls(rows, (2, 3), operation="image-import")
    found = NearCalls([long_ago, task, before, unanswered, during, later]).of([unit(rows, 1_000)])
    assert found == [task, before, unanswered, during]


def test_epoch_ends_where_nothing_is_under_way(rows: Rows) -> None:
    own = NearCalls(calls(rows, (10, 30), (50, 70)))
    units = [unit(rows, at) for at in (5, 20, 40, 60, 80, 90)]
    starts = [one.ts for one in units]
    assert own.quietest(units, starts[0], starts[3]) == starts[2]
    assert own.quietest(units, starts[3], starts[3]) == starts[3]
    assert own.quietest(units, starts[0], starts[5]) == starts[5]
    assert own.quietest([], starts[0], starts[5]) == starts[5]


def test_what_is_open_when_an_epoch_ends_began_before(rows: Rows) -> None:
    own = NearCalls(calls(rows, (10, 30), (20, 70), (50, 60), (80, 90)))
    begun = own.open_since(unit(rows, 55).ts)
    assert begun == unit(rows, 20).ts
    assert own.open_since(unit(rows, 75).ts) == unit(rows, 75).ts
    assert own.open_since(unit(rows, 20).ts) == unit(rows, 10).ts
