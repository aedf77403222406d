"""Traces of the sample captures, each analysed once in a process: for tests that only look at them."""

from __future__ import annotations

import functools

from glancetrace.pipeline import analyze
from glancetrace.trace import Trace
from tests.support.samples import SAMPLES, capture_path, keylog_path

__all__ = ["analysed"]


@functools.cache
def analysed(name: str, *, keys: bool = False, log: str | None = None) -> Trace:
    """The trace of a sample, not to be changed; `keys`: with its key log; `log`: with a log of its folder."""
    api_log = None if log is None else SAMPLES / name / log
    return analyze(str(capture_path(name)), keylog=keylog_path(name) if keys else None, api_log=api_log)
