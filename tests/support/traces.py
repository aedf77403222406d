"""Traces of the sample captures, each analysed once in a process: for tests that only look at them."""

from __future__ import annotations

import functools
from pathlib import Path

from glancetrace.pipeline import analyze
from glancetrace.trace import Trace
from tests.support.samples import SAMPLES, capture_path, keylog_path

__all__ = ["analysed"]


def analysed(name: str, *, keys: bool = False, log: str | None = None) -> Trace:
    """The trace of a sample, not to be changed; `keys`: with its key log, if it has one; `log`: one of its folder."""
    return _analysed(name, keylog_path(name) if keys else None, None if log is None else SAMPLES / name / log)


@functools.cache
def _analysed(name: str, keylog: Path | None, api_log: Path | None) -> Trace:
    return analyze(str(capture_path(name)), keylog=keylog, api_log=api_log)
