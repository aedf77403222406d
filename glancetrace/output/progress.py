"""A progress bar on standard error, for people who wait: on a terminal only, and only after a second."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["ProgressBar"]

_PATIENCE = 1.0
_REFRESH = 0.1


class ProgressBar:
    """A context manager that takes bytes read and bytes in all (None when not known).

    Args:
        enabled: False shows nothing.
        now: clock, seconds.
    """

    def __init__(self, *, enabled: bool = True, now: Callable[[], float] = time.monotonic) -> None:
        self.enabled = enabled and sys.stderr is not None and sys.stderr.isatty()
        self._now = now
        self._next = now() + _PATIENCE
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        return self

    def __call__(self, read: int, total: int | None) -> None:
        """Tell how far reading has come."""
        if not self.enabled or self._now() < self._next:
            return
        self._next = self._now() + _REFRESH
        if self._bar is None:
            self._bar, self._task = _start(total)
        assert self._task is not None
        self._bar.update(self._task, completed=read, total=total, refresh=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


def _start(total: int | None) -> tuple[Progress, TaskID]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    bar = Progress(
        TextColumn("reading"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        auto_refresh=False,
    )
    bar.start()
    return bar, bar.add_task("reading", total=total)
