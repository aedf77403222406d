"""An upload, byte by byte: how fast the client sent, where it stalled, how long the service took afterwards.

The result keeps no time per packet, so the packets of the call's connection are read again from the capture. A stall is
a time without data from the client that is longer than `STALL` and than a fiftieth of the upload.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from glancetrace.errors import UsageError
from glancetrace.jupyter.figure import TimeAxis, figure, plotly
from glancetrace.jupyter.words import CALL, FAILED, OTHER, safe
from glancetrace.packets import Segments, read_segments
from glancetrace.views import CallView

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["STALL", "find_stalls", "plot_throughput"]

STALL = 20_000_000
"""ns"""
_BINS = 200


def find_stalls(segments: Segments) -> list[tuple[int, int]]:
    """Times (ns, from, to) in which the client sent nothing."""
    if len(segments.ts) < 2:
        return []
    least = max(STALL, int(segments.ts[-1] - segments.ts[0]) // 50)
    rows = np.flatnonzero(np.diff(segments.ts) > least)
    return [(int(segments.ts[row]), int(segments.ts[row + 1])) for row in rows]


def plot_throughput(call: CallView) -> go.Figure:
    """Rate and sum of what the client of a call sent, over time.

    Raises:
        UsageError: plotly is not installed, the capture cannot be read again, or nothing was sent.
        InputError: the capture cannot be read.
    """
    graph = plotly()
    segments = read_segments(call)
    if not len(segments.ts):
        raise UsageError(f"call {call.id} has no packets", action="choose an upload that the capture shows")
    axis = TimeAxis(call.result, call.row["ts"])
    last = max(int(segments.ts[-1]) + 1, call.row["response_ts"] or 0)
    edges = np.linspace(segments.ts[0], last, _BINS + 1)
    reached = np.searchsorted(segments.ts, edges, side="right")
    sent = np.concatenate(([0], segments.end))[reached]
    steps = np.diff(np.concatenate(([0], segments.end)))
    rate = np.histogram(segments.ts, edges, weights=steps)[0] / (np.diff(edges) / 1e9) / 1e6
    seconds = np.round((edges - axis.first) / 1e9, 6)
    traces = [
        graph.Bar(name="MB/s", x=seconds[:-1].tolist(), y=np.round(rate, 4).tolist(), marker={"color": CALL}, offset=0,
                  width=float(seconds[1] - seconds[0])),
        graph.Scatter(name="MB sent", x=seconds.tolist(), y=np.round(sent / 1e6, 6).tolist(), yaxis="y2",
                      line={"color": "#333333", "width": 1.5, "shape": "hv"}),
    ]  # fmt: skip
    stalls = find_stalls(segments)
    shapes = [_shade(axis.at(begin), axis.at(end), FAILED) for begin, end in stalls]
    if call.row["response_ts"] is not None and call.row["request_end_ts"] is not None:
        shapes.append(_shade(axis.at(call.row["request_end_ts"]), axis.at(call.row["response_ts"]), OTHER))
    lost = sum(end - begin for begin, end in stalls) / 1e9
    return figure(
        traces,
        f"Call {call.id}: {safe(call.operation)}, {call.row['request_body_bytes'] or 0:,} bytes",
        note=f"{len(stalls)} stalls, {lost:,.3f} s together (red); grey: everything is sent, the service works",
        xaxis={"title": {"text": axis.title()}},
        yaxis={"title": {"text": "MB/s"}, "rangemode": "tozero"},
        yaxis2={
            "title": {"text": "MB sent"},
            "overlaying": "y",
            "side": "right",
            "rangemode": "tozero",
            "tickmode": "auto",
            "showgrid": False,
        },
        shapes=shapes,
        legend={"orientation": "h", "x": 0, "y": -0.2, "yanchor": "top"},
    )


def _shade(begin: float, end: float, shade: str) -> dict[str, Any]:
    return {
        "type": "rect", "xref": "x", "yref": "paper", "x0": begin, "x1": end, "y0": 0, "y1": 1,
        "fillcolor": shade, "opacity": 0.15, "line": {"width": 0}, "layer": "below",
    }  # fmt: skip
