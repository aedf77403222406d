"""What all plots have in common: plotly, imported when one is made, a time axis in seconds, and a plain look.

Times are seconds since the first packet, which a float holds to the nanosecond; tooltips tell the time of day. What a
plot leaves out, because there is too much of it, stands in its title.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from glancetrace.errors import UsageError
from glancetrace.jupyter.words import clock, safe
from glancetrace.result import Result, Row

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["TimeAxis", "bar", "figure", "label", "plotly"]

_MARGIN = {"l": 10, "r": 10, "t": 60, "b": 10}


def plotly() -> Any:
    """`plotly.graph_objects`.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import plotly.graph_objects
    except ImportError:
        raise UsageError("plotly is not installed", action="pip install 'glancetrace[notebook]'") from None
    return plotly.graph_objects


class TimeAxis:
    """Seconds since the first packet of the capture (of what is drawn, if `first` is given)."""

    def __init__(self, result: Result, first: int | None = None) -> None:
        capture = result.capture_row(raw_times=True)
        calls = (row["ts"] for row in result.rows("api_calls", raw_times=True))
        known = capture["first_ts"] if capture["first_ts"] is not None else next(calls, 0)
        self.first: int = known if first is None else first
        self.last: int = capture["last_ts"] if capture["last_ts"] is not None else self.first

    def at(self, ts: int) -> float:
        """A time, ns."""
        return (ts - self.first) / 1e9

    def title(self) -> str:
        """What the axis shows."""
        return f"seconds since {clock(self.first)} UTC"


def bar(
    name: str, colour: str, spans: Iterable[tuple[str, float, float, str]], *, width: float = 0.7, legend: bool = True
) -> Any:
    """Horizontal bars of one kind: lane, start, end (seconds), tooltip. What is too short to be seen has a rim."""
    lanes, starts, ends, hovers = _columns(spans)
    return plotly().Bar(
        name=name,
        orientation="h",
        y=lanes,
        base=starts,
        x=[end - start for start, end in zip(starts, ends, strict=True)],
        width=width,
        marker={"color": colour, "line": {"color": colour, "width": 1}},
        hovertext=hovers,
        hoverinfo="text",
        showlegend=legend,
    )


def _columns(spans: Iterable[tuple[str, float, float, str]]) -> tuple[list[str], list[float], list[float], list[str]]:
    rows = list(spans)
    return [r[0] for r in rows], [round(r[1], 9) for r in rows], [round(r[2], 9) for r in rows], [r[3] for r in rows]


def figure(traces: Sequence[Any], title: str, *, note: str = "", height: int = 380, **layout: Any) -> go.Figure:
    """A figure of these traces; `note` says below the title what was left out."""
    shown = f"{title}<br><sup>{note}</sup>" if note else title
    drawn: go.Figure = plotly().Figure(
        data=list(traces),
        layout={"title": {"text": shown}, "template": "plotly_white", "height": height, "margin": _MARGIN, **layout},
    )
    return drawn


def label(image: Row) -> str:
    """Name of an image's lane; equal names are told apart by their ids."""
    return f"{safe(image['name'] or 'without a name', 32)} {image['id'][:8]}"
