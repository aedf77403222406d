"""Plots by operation: how long calls take and how much of it is SQL, and how many statements they run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from glancetrace.jupyter.figure import figure, plotly
from glancetrace.jupyter.words import OTHER, SQL, safe
from glancetrace.result import Result

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["plot_latency", "plot_statements"]


def _in_request(result: Result) -> tuple[dict[int, int], dict[int, int]]:
    """Time of the statements that each call ran while it was open, ns; and how many it ran."""
    links = {row["statement_id"]: row for row in result.rows("links", raw_times=True)}
    spent: dict[int, int] = defaultdict(int)
    count: dict[int, int] = defaultdict(int)
    for row in result.rows("statements", raw_times=True):
        link = links.get(row["id"])
        if link is not None:
            count[link["call_id"]] += 1
            if link["relation"] == "in_request":
                spent[link["call_id"]] += row["dur"] or 0
    return spent, count


def _unattributed(result: Result) -> str:
    """What is said of statements that some call must have run, nobody knows which."""
    count = sum(1 for row in result.rows("statements", raw_times=True) if row["kind"] == "unattributed")
    return f"{count:,} statements have no call that is known: they are missing here" if count else ""


def plot_latency(result: Result) -> go.Figure:
    """Mean time per call of each operation, its SQL apart, with median and 95th percentile.

    Calls without an answer are left out.

    Raises:
        UsageError: plotly is not installed.
    """
    graph = plotly()
    spent, _ = _in_request(result)
    times: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for row in result.rows("api_calls", raw_times=True):
        if row["dur"] is not None:
            times[_name(row["service"], row["operation"])].append(
                (row["dur"], min(spent.get(row["id"], 0), row["dur"]))
            )
    names = sorted(times, key=lambda name: float(np.mean([dur for dur, _ in times[name]])))
    mean = {name: float(np.mean([dur for dur, _ in times[name]])) / 1e6 for name in names}
    sql = {name: float(np.mean([own for _, own in times[name]])) / 1e6 for name in names}
    hovers = [
        f"{name}: {len(times[name]):,} calls, mean {mean[name]:,.2f} ms, of it SQL {sql[name]:,.2f} ms "
        f"({100 * sql[name] / mean[name] if mean[name] else 0:.0f} %)"
        for name in names
    ]
    traces = [
        graph.Bar(name=title, orientation="h", y=names, x=[round(v, 3) for v in values], marker={"color": shade},
                  hovertext=hovers, hoverinfo="text")
        for title, shade, values in (
            ("SQL", SQL, [sql[name] for name in names]),
            ("everything else", OTHER, [mean[name] - sql[name] for name in names]),
        )
    ]  # fmt: skip
    for title, symbol, share in (("median", "line-ns-open", 50), ("95th percentile", "diamond-open", 95)):
        values = [round(float(np.percentile([dur for dur, _ in times[name]], share)) / 1e6, 3) for name in names]
        marker = {"symbol": symbol, "size": 11, "color": "#333333"}
        traces.append(graph.Scatter(name=title, y=names, x=values, mode="markers", marker=marker))
    return figure(
        traces,
        "Time per call, and its share of SQL",
        note=_unattributed(result),
        height=160 + 26 * max(len(names), 3),
        barmode="stack",
        xaxis={"title": {"text": "ms"}},
        yaxis={"automargin": True},
    )


def plot_statements(result: Result) -> go.Figure:
    """How many SQL statements the calls of each operation run: least, quartiles, most.

    Raises:
        UsageError: plotly is not installed.
    """
    graph = plotly()
    _, count = _in_request(result)
    counts: dict[str, list[int]] = defaultdict(list)
    for row in result.rows("api_calls", raw_times=True):
        counts[_name(row["service"], row["operation"])].append(count.get(row["id"], 0))
    names = sorted(counts, key=lambda name: float(np.median(counts[name])))
    box = graph.Box(orientation="h", y=names, marker={"color": SQL}, showlegend=False, **_quartiles(counts, names))
    return figure(
        [box],
        "SQL statements per call",
        note=_unattributed(result),
        height=140 + 26 * max(len(names), 3),
        xaxis={"title": {"text": "statements, pings and transactions included"}},
        yaxis={"automargin": True},
    )


def _quartiles(counts: Mapping[str, Sequence[int]], names: Sequence[str]) -> dict[str, list[float]]:
    """Five numbers per operation: the plot's size does not grow with the calls."""
    named = {"lowerfence": 0, "q1": 25, "median": 50, "q3": 75, "upperfence": 100}
    return {key: [float(np.percentile(counts[name], share)) for name in names] for key, share in named.items()}


def _name(service: str, operation: str) -> str:
    return safe(f"{service} {operation}")
