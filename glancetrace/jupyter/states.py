"""State timeline of all images: a lane each, coloured by status, with the calls and the SQL behind it on hover.

Above `MOST_IMAGES` lanes nobody sees anything: then the plot counts how many images were in each status over time.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from glancetrace.jupyter.figure import TimeAxis, bar, figure, label, plotly
from glancetrace.jupyter.words import CALL, FAILED, call_colour, clock, colour, duration, safe
from glancetrace.result import Result, Row

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["MOST_IMAGES", "plot_states"]

MOST_IMAGES = 80
_MOST_CALLS = 4000
_SQL_LEN = 160


def plot_states(result: Result) -> go.Figure:
    """Statuses of all images over time.

    Raises:
        UsageError: plotly is not installed.
    """
    plotly()
    images = [row for row in result.rows("images", raw_times=True) if row["intervals"]]
    images.sort(key=lambda row: row["intervals"][0]["ts"])
    axis = TimeAxis(result)
    return _counted(images, axis) if len(images) > MOST_IMAGES else _lanes(result, images, axis)


def _lanes(result: Result, images: list[Row], axis: TimeAxis) -> go.Figure:
    causes = _causes(result, images)
    by_status: dict[str, list[tuple[str, float, float, str]]] = defaultdict(list)
    for image in images:
        changes = {change["ts"]: change for change in image["transitions"]}
        for interval in image["intervals"]:
            end = axis.last if interval["dur"] is None else interval["ts"] + interval["dur"]
            hover = _hover(image, interval, changes.get(interval["ts"]), causes)
            by_status[interval["status"]].append((label(image), axis.at(interval["ts"]), axis.at(end), hover))
    traces = [bar(safe(status), colour(status), spans, width=0.5) for status, spans in by_status.items()]
    calls, note = _calls(result, images, axis)
    names = [label(image) for image in images]
    return figure(
        traces + calls,
        "Images over time",
        note=note,
        height=140 + 26 * max(len(images), 4),
        barmode="overlay",
        xaxis={"title": {"text": axis.title()}},
        yaxis={"autorange": "reversed", "categoryorder": "array", "categoryarray": names, "automargin": True},
    )


def _causes(result: Result, images: list[Row]) -> dict[str, dict[int, str]]:
    """What is said of the calls and of the statements that changed a status."""
    changes = [change for image in images for change in image["transitions"]]
    calls = {change["call_id"] for change in changes}
    statements = {change["statement_id"] for change in changes}
    return {
        "call": {
            row["id"]: f"call {row['id']}: {safe(row['operation'])}, {row['status_code'] or 'no response'}"
            for row in result.rows("api_calls", raw_times=True) if row["id"] in calls
        },
        "sql": {
            row["id"]: safe(row["sql"] or row["command"], _SQL_LEN)
            for row in result.rows("statements", raw_times=True) if row["id"] in statements
        },
    }  # fmt: skip


def _hover(image: Row, interval: Row, change: Row | None, causes: dict[str, dict[int, str]]) -> str:
    lines = [
        f"<b>{safe(image['name'] or image['id'])}</b>: {safe(interval['status'])} {duration(interval['dur'])}",
        f"since {clock(interval['ts'])}",
    ]
    if change is None:
        return "<br>".join([*lines, "how it came to this status was not captured"])
    lines.append(f"{change['certainty']}, frame {change['frame']}, commit {change['commit_frame']}")
    lines.append(causes["call"].get(change["call_id"], "by no call that is known"))
    return "<br>".join([*lines, *filter(None, [causes["sql"].get(change["statement_id"])])])


def _calls(result: Result, images: list[Row], axis: TimeAxis) -> tuple[list[Any], str]:
    """Calls about the images as thin bars over their lanes; the longest ones where there are too many."""
    names = {image["id"]: label(image) for image in images}
    sql: dict[int, int] = defaultdict(int)
    for link in result.rows("links", raw_times=True):
        sql[link["call_id"]] += 1
    calls = [row for row in result.rows("api_calls", raw_times=True) if row["image_id"] in names]
    note = ""
    if len(calls) > _MOST_CALLS:
        note = f"of {len(calls):,} API calls the {_MOST_CALLS:,} longest are drawn"
        calls = sorted(calls, key=lambda row: -(row["dur"] or 0))[:_MOST_CALLS]
    spans: dict[str, list[tuple[str, float, float, str]]] = {CALL: [], FAILED: []}
    for row in calls:
        hover = (
            f"call {row['id']}: {safe(row['operation'])}, {row['status_code'] or 'no response'}, "
            f"{'no response' if row['dur'] is None else duration(row['dur'])}<br>{sql[row['id']]} statements, "
            f"frames {row['first_frame']} to {row['last_frame']}"
        )
        span = (names[row["image_id"]], axis.at(row["ts"]), axis.at(row["ts"] + (row["dur"] or 0)), hover)
        spans[call_colour(row["status_code"])].append(span)
    named = {CALL: "API call", FAILED: "API call, failed"}
    return [bar(named[c], c, found, width=0.12) for c, found in spans.items() if found], note


def _counted(images: list[Row], axis: TimeAxis) -> go.Figure:
    """How many images are in each status, over time."""
    steps: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for image in images:
        for interval in image["intervals"]:
            steps[interval["status"]].append((interval["ts"], 1))
            if interval["dur"] is not None:
                steps[interval["status"]].append((interval["ts"] + interval["dur"], -1))
    times = sorted({ts for found in steps.values() for ts, _ in found} | {axis.last})
    every = max(1, len(times) // 1000)
    chosen = [*times[:-1:every], times[-1]]
    traces = []
    for status, found in steps.items():
        found.sort()
        counts, at, total = [], 0, 0
        for ts in chosen:
            while at < len(found) and found[at][0] <= ts:
                total += found[at][1]
                at += 1
            counts.append(total)
        traces.append(
            plotly().Scatter(
                name=safe(status), x=[round(axis.at(ts), 6) for ts in chosen], y=counts, stackgroup="images",
                line={"shape": "hv", "width": 0, "color": colour(status)}, fillcolor=colour(status),
            )
        )  # fmt: skip
    return figure(
        traces,
        "Images in each status",
        note=f"{len(images):,} images are too many for a lane each: they are counted",
        xaxis={"title": {"text": axis.title()}},
        yaxis={"title": {"text": "images"}},
    )
