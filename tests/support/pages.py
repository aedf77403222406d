"""Text reports of a trace as a terminal of some width shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from glancetrace.output.clock import Clock
from glancetrace.output.page import Page
from glancetrace.output.paint import Painter
from glancetrace.output.places import Places
from glancetrace.output.search import search_trace
from glancetrace.output.select import compile_pattern
from glancetrace.output.text_analyze import render_report
from glancetrace.output.text_lists import render_calls, render_statements
from glancetrace.output.text_search import render_hits
from glancetrace.output.text_timeline import render_stories
from glancetrace.trace import Trace

__all__ = ["REPORTS", "page_for", "render"]


def page_for(trace: Trace, width: int | None, *, color: bool = False, relative: bool = False) -> Page:
    """A page of a terminal."""
    capture = trace.capture
    clock = Clock(capture.first_ts, capture.last_ts, relative=relative)
    return Page(Painter(color=color), clock, Places(capture.files), trace.redactor, width)


REPORTS: dict[str, Callable[[Trace, Page], Iterator[str]]] = {
    "report": render_report,
    "stories": lambda trace, page: render_stories(trace, trace.tables.images, page),
    "calls": lambda trace, page: render_calls(trace, trace.tables.calls, page),
    "statements": lambda trace, page: render_statements(trace, trace.tables.statements, page),
    "full-statements": lambda trace, page: render_statements(trace, trace.tables.statements, page, whole=True),
    "hits": lambda trace, page: render_hits(trace, search_trace(trace, compile_pattern("images|password")), page),
}
"""Name -> renderer."""


def render(name: str, trace: Trace, width: int | None, *, color: bool = False) -> str:
    """A report as one text."""
    return "".join(f"{line}\n" for line in REPORTS[name](trace, page_for(trace, width, color=color)))
