"""The progress bar of a notebook: after a second, replaced in place, gone at the end."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

import glancetrace as gt
from glancetrace.output import notebook_bar
from glancetrace.output.notebook_bar import NotebookBar, in_notebook
from tests.support.samples import capture_path


class Display:
    """What is below the cell."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def __call__(self, shown: Any) -> Display:
        self.update(shown)
        return self

    def update(self, shown: Any) -> None:
        self.shown.append(shown._repr_html_())


def test_nothing_is_shown_of_a_short_wait() -> None:
    display = Display()
    with NotebookBar(now=lambda: 0.0, display=display) as bar:
        bar(1, 2)
    assert display.shown == []


def test_a_long_wait() -> None:
    display, times = Display(), iter(range(9))
    with NotebookBar(now=lambda: float(next(times)), display=display) as bar:
        bar(1 << 20, 4 << 20)
        bar(3 << 20, None)
    first, second, last = display.shown
    assert "value='1048576' max='4194304'" in first
    assert "1.00 MiB of 4.00 MiB" in first
    assert "max=" not in second
    assert last == ""


def test_a_notebook_is_told_by_its_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    for shell, expected in ((None, False), (SimpleNamespace(), False), (SimpleNamespace(kernel=1), True)):
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda shell=shell: shell))
        assert in_notebook() is expected


def test_analyze_shows_it_in_a_notebook_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    class Bar(NotebookBar):
        def __call__(self, read: int, total: int | None) -> None:
            calls.append(read)

    monkeypatch.setattr(notebook_bar, "NotebookBar", Bar)
    shell = SimpleNamespace(kernel=1)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    gt.analyze(capture_path("mariadb-cli"), progress=False)
    assert calls == []
    gt.analyze(capture_path("mariadb-cli"))
    assert calls
