"""How much goes on at once: open API calls by service, statements under way, over time.

The count is exact; where it changes more often than `_BINS` times, the plot has the highest count of each bin.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from glancetrace.capture.blocks import Int64Array
from glancetrace.jupyter.figure import TimeAxis, figure, plotly
from glancetrace.jupyter.words import CALL, SQL, safe
from glancetrace.result import Result

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["count_open", "plot_concurrency"]

_BINS = 600
_SHADES = {"glance": CALL, "keystone": "#4f9d9d", "swift": "#c9733d", "registry": "#888888", "SQL": SQL}


def plot_concurrency(result: Result) -> go.Figure:
    """Calls and statements that are under way at the same time.

    Raises:
        UsageError: plotly is not installed.
    """
    graph = plotly()
    axis = TimeAxis(result)
    spans: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for row in result.rows("api_calls", raw_times=True):
        spans[row["service"]].append((row["ts"], row["ts"] + (row["dur"] or 0)))
    spans["SQL"] = [(row["ts"], row["ts"] + (row["dur"] or 0)) for row in result.rows("statements", raw_times=True)]
    traces, note = [], ""
    for name, own in spans.items():
        times, counts = count_open(own)
        if len(times) > _BINS:
            note = f"the highest count in each of {_BINS} parts of the time"
            times, counts = _highest(times, counts)
        x = np.round((times - axis.first) / 1e9, 6).tolist()
        line = {"shape": "hv", "width": 1.5, "color": _SHADES.get(name, "#888888")}
        title = "SQL statements" if name == "SQL" else f"calls to {safe(name)}"
        traces.append(graph.Scatter(name=title, x=x, y=counts.tolist(), mode="lines", line=line))
    return figure(
        traces,
        "What is under way at the same time",
        note=note,
        xaxis={"title": {"text": axis.title()}},
        yaxis={"title": {"text": "at once"}},
    )


def count_open(spans: list[tuple[int, int]]) -> tuple[Int64Array, Int64Array]:
    """How many spans (first, last) are open from each time on: times in ns, ascending, and counts."""
    if not spans:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    begins, ends = np.array(spans, np.int64).T
    times, where = np.unique(np.concatenate([begins, np.maximum(ends, begins + 1)]), return_inverse=True)
    change = np.zeros(len(times), np.int64)
    np.add.at(change, where[: len(begins)], 1)
    np.add.at(change, where[len(begins) :], -1)
    return times, np.cumsum(change)


def _highest(times: Int64Array, counts: Int64Array) -> tuple[Int64Array, Int64Array]:
    """The highest count of each bin, at its beginning; nothing is under way after the last."""
    edges = np.linspace(times[0], times[-1], _BINS + 1).astype(np.int64)
    place = np.clip(np.searchsorted(edges, times, side="right") - 1, 0, _BINS - 1)
    best = np.zeros(_BINS, np.int64)
    np.maximum.at(best, place, counts)
    # What was open when a bin begins is open in it.
    carried = counts[np.clip(np.searchsorted(times, edges[:-1], side="right") - 1, 0, None)]
    return np.append(edges[:-1], times[-1]), np.append(np.maximum(best, carried), 0)
