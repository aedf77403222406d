"""Jobs of a lane keep their order, whoever does them; whoever hands over too many does some."""

from __future__ import annotations

import threading

import pytest

from glancetrace.http.lanes import Lanes


def _main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@pytest.mark.parametrize("processors", [1, 2, 8])
def test_every_job_is_done_once_and_in_the_order_of_its_lane(processors: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(processors))
    lanes = Lanes("test", 4, ())
    done: dict[str, list[int]] = {"a": [], "b": [], "c": []}
    for number in range(300):
        for lane, own in done.items():
            lanes.put(lane, lambda own=own, number=number: own.append(number))
        if number % 3 == 0:
            lanes.wait()
            assert all(own[-1] == number for own in done.values())
    lanes.wait()
    lanes.stop(drop=False)
    assert all(own == list(range(300)) for own in done.values())


def test_whoever_hands_over_too_much_works_instead_of_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(2))  # one thread
    lanes = Lanes("test", 2, ())
    release, begun = threading.Event(), threading.Event()
    by_main: list[bool] = []

    def block() -> None:
        begun.set()
        release.wait(30)

    lanes.put("held", block)
    assert begun.wait(30)
    for _ in range(40):
        lanes.put("free", lambda: by_main.append(_main_thread()))
    assert any(by_main)
    release.set()
    lanes.wait()
    lanes.stop(drop=False)
    assert len(by_main) == 40


def test_a_failure_comes_back_and_what_waits_is_dropped_by_stop() -> None:
    lanes = Lanes("test", 100, (ValueError,))

    def fail() -> None:
        raise ValueError("broken job")

    lanes.put("a", fail)
    with pytest.raises(ValueError, match="broken job"):
        lanes.wait()
    with pytest.raises(ValueError, match="broken job"):
        lanes.put("a", fail)
    lanes.stop(drop=True)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("test-")]
