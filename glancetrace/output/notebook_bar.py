"""A progress bar below a notebook's cell, for people who wait: only after a second, and gone at the end.

It is plain HTML in a display that is updated, so it needs no widgets.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib import import_module
from types import TracebackType
from typing import Any, Protocol, Self

from glancetrace.output.units import format_bytes

__all__ = ["NotebookBar", "in_notebook"]

_PATIENCE = 1.0
_REFRESH = 0.25


def in_notebook() -> bool:
    """This Python is the kernel of a notebook."""
    python = sys.modules.get("IPython")
    shell = python.get_ipython() if python is not None else None
    return shell is not None and hasattr(shell, "kernel")


class _Handle(Protocol):
    def update(self, shown: Any) -> None: ...


def _display(shown: Any) -> _Handle:
    show: Callable[..., _Handle] = import_module("IPython.display").display
    return show(shown, display_id=True)


class _Shown:
    """What the notebook shows."""

    def __init__(self, html: str, text: str) -> None:
        self._html = html
        self._text = text

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        return self._html


class NotebookBar:
    """A context manager that takes bytes read and bytes in all (None when not known).

    Args:
        now: clock, seconds. display: shows something below the cell, and gives what can replace it.
    """

    def __init__(
        self, *, now: Callable[[], float] = time.monotonic, display: Callable[[Any], _Handle] = _display
    ) -> None:
        self._now = now
        self._display = display
        self._next = now() + _PATIENCE
        self._handle: _Handle | None = None

    def __enter__(self) -> Self:
        return self

    def __call__(self, read: int, total: int | None) -> None:
        """Tell how far reading has come."""
        if self._now() < self._next:
            return
        self._next = self._now() + _REFRESH
        text = f"reading {format_bytes(read)}" + (f" of {format_bytes(total)}" if total else "")
        place = f" value='{read}' max='{total}'" if total else ""
        shown = _Shown(f"<progress{place} style='width:20em'></progress> {text}", text)
        if self._handle is None:
            self._handle = self._display(shown)
        else:
            self._handle.update(shown)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            self._handle.update(_Shown("", ""))
