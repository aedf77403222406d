"""Result documents of the samples, each made once in a process: for tests that only look at them, or take a copy."""

from __future__ import annotations

from functools import cache
from typing import Any

from glancetrace.document import render_document
from tests.support.traces import analysed

__all__ = ["document_of"]


@cache
def document_of(name: str, *, keys: bool = True) -> dict[str, Any]:
    """The document of a sample; `keys`: with its key log, if it has one."""
    return render_document(analysed(name, keys=keys))
