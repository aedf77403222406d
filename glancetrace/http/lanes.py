"""Work in lanes, done by threads and by whoever would otherwise wait for them.

The jobs of a lane are done one after another, those of different lanes at the same time. There are fewer threads than
cores, and the thread that hands jobs over does some itself when too many wait: three threads that wait for each other
on two cores leave one of them idle while the system moves them about.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Condition, Thread

from glancetrace.cores import usable_cores

__all__ = ["Lanes"]

_Job = Callable[[], None]


class Lanes:
    """Lanes of jobs, and the threads that do them, from the first job to `stop`.

    Args:
        name: the threads' first name.
        waiting: jobs of a lane that may wait.
        failures: exceptions of jobs that are raised again in the thread that hands over or waits.
    """

    def __init__(self, name: str, waiting: int, failures: tuple[type[Exception], ...]) -> None:
        self._name = name
        self._waiting = waiting
        self._failures = failures
        self._jobs: dict[str, deque[_Job]] = {}
        self._busy: set[str] = set()
        self._changed = Condition()
        self._threads: list[Thread] = []
        self._stopped = False
        self._error: Exception | None = None

    def put(self, lane: str, job: _Job) -> None:
        """Hand over a job; does others' work while too many wait."""
        self.check()
        with self._changed:
            jobs = self._jobs.setdefault(lane, deque())
            jobs.append(job)
            self._changed.notify()
        if len(self._threads) < min(len(self._jobs), max(1, usable_cores() - 1)):
            thread = Thread(target=self._work, name=f"{self._name}-{len(self._threads) + 1}", daemon=True)
            self._threads.append(thread)
            thread.start()
        while len(jobs) > self._waiting:
            self._do_next()

    def wait(self) -> None:
        """Until everything handed over so far is done; raises what went wrong."""
        self._finish()
        self.check()

    def check(self) -> None:
        """Raise what went wrong first."""
        if self._error is not None:
            raise self._error

    def stop(self, *, drop: bool) -> None:
        """End the threads; `drop`: without doing what still waits."""
        if not drop:
            self._finish()
        with self._changed:
            self._stopped = True
            self._jobs.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _finish(self) -> None:
        while self._is_at_work():
            self._do_next()

    def _is_at_work(self) -> bool:
        with self._changed:
            return bool(self._busy) or any(self._jobs.values())

    def _work(self) -> None:
        while not self._stopped:
            self._do_next(stay=True)

    def _do_next(self, *, stay: bool = False) -> None:
        """Do a job of the lane where most wait; if there is none, wait for one under way, or with `stay` for any."""
        with self._changed:
            free = [lane for lane, jobs in self._jobs.items() if jobs and lane not in self._busy]
            if not free:
                if self._busy or (stay and not self._stopped):
                    self._changed.wait()
                return
            lane = max(free, key=lambda lane: len(self._jobs[lane]))
            job = self._jobs[lane].popleft()
            self._busy.add(lane)
        try:
            job()
        except self._failures as error:
            self._error = self._error or error  # what follows on it in its lane is broken, too
        finally:
            with self._changed:
                self._busy.discard(lane)
                self._changed.notify_all()
