"""One image, or one call, as lanes over time: its status, client, API, what services do for each other, the database.

A call is drawn in its three parts: the client sends the request, and waits; the API works; the answer is sent. Every
database connection has a lane, up to `_MOST_CONNECTIONS`; statements too many to be seen apart are drawn together.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from glancetrace.jupyter.figure import TimeAxis, bar, figure, plotly
from glancetrace.jupyter.words import CALL, FAILED, OTHER, SQL, call_colour, colour, duration, safe
from glancetrace.result import Result, Row
from glancetrace.views import CallView, ImageView

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["MOST_STATEMENTS", "plot_lanes"]

MOST_STATEMENTS = 1500
_MOST_CONNECTIONS = 8
_BINS = 400
_SQL_LEN = 160
_WAITS = "#e6eaf1"
_INSIDE = "between services"

_Spans = list[tuple[str, float, float, str]]


def plot_lanes(result: Result, what: ImageView | CallView) -> go.Figure:
    """Lanes of an image or a call.

    Raises:
        UsageError: plotly is not installed.
    """
    plotly()
    image = what.row if isinstance(what, ImageView) else None
    chosen = {what.id} if isinstance(what, CallView) else set(what.calls.index)
    calls = list(result.rows_of("api_calls", sorted(chosen)))
    within = result.calls.index[result.calls["parent_id"].isin(chosen)]
    nested = list(result.rows_of("api_calls", [number for number in within if number not in chosen]))
    statements = list(result.rows_of("statements", what.statements.index))
    rows = [*calls, *nested, *statements, *(image["intervals"] if image else [])]
    axis = TimeAxis(result, min((row["ts"] for row in rows), default=None))
    axis.last = max([row["ts"] + (row["dur"] or 0) for row in rows], default=axis.last)
    traces = _status(image, axis) if image else []
    traces += _requests(calls, axis)
    traces += _hops(calls, nested, axis)
    drawn, note = _statements(result, statements, axis)
    traces += drawn
    names = list(dict.fromkeys(lane for trace in traces for lane in trace.y))
    title = f"Image {safe(image['name'] or what.id, 60)}" if image else f"Call {what.id}: {safe(what.row['operation'])}"
    return figure(
        traces,
        title,
        note=note,
        height=160 + 34 * max(len(names), 3),
        barmode="overlay",
        xaxis={"title": {"text": axis.title()}},
        yaxis={"autorange": "reversed", "categoryorder": "array", "categoryarray": names, "automargin": True},
    )


def _status(image: Row, axis: TimeAxis) -> list[Any]:
    spans: dict[str, _Spans] = defaultdict(list)
    for interval in image["intervals"]:
        end = axis.last if interval["dur"] is None else interval["ts"] + interval["dur"]
        hover = f"{safe(interval['status'])}: {duration(interval['dur'])}"
        spans[interval["status"]].append(("status", axis.at(interval["ts"]), axis.at(max(end, interval["ts"])), hover))
    return [bar(safe(status), colour(status), found) for status, found in spans.items()]


def _requests(calls: list[Row], axis: TimeAxis) -> list[Any]:
    """The calls in parts: what the client sends and gets, and what the API does in between."""
    spans: dict[tuple[str, str], _Spans] = defaultdict(list)
    for row in calls:
        said = (
            f"call {row['id']}: {safe(row['operation'])}, {row['status_code'] or 'no response'}"
            f"<br>{'no response' if row['dur'] is None else duration(row['dur'])}, "
            f"frames {row['first_frame']} to {row['last_frame']}"
        )
        sent = row["request_end_ts"] or row["ts"]
        answered = row["response_ts"] or max(sent, row["ts"] + (row["dur"] or 0))
        end = row["ts"] + row["dur"] if row["dur"] is not None else answered
        failed = call_colour(row["status_code"]) == FAILED
        for lane, name, shade, begin, until in (
            ("client", "request is sent", OTHER, row["ts"], sent),
            ("client", "client waits", _WAITS, sent, answered),
            ("API", "service works, failed" if failed else "service works", FAILED if failed else CALL, sent, answered),
            ("client", "answer is sent", OTHER, answered, end),
        ):
            if until > begin or lane == "API":
                part = f"{said}<br>{name}: {duration(until - begin)}"
                spans[name, shade].append((lane, axis.at(begin), axis.at(until), part))
    return [bar(name, shade, found) for (name, shade), found in spans.items()]


def _hops(calls: list[Row], nested: list[Row], axis: TimeAxis) -> list[Any]:
    """What is behind: the inner legs of the calls, and the calls that services made to each other."""
    spans: _Spans = []
    for row in calls:
        for hop in row["hops"][1:]:
            hover = (
                f"call {row['id']} behind the proxy: {duration(hop['dur'] or 0)}<br>{hop['client']} → {hop['server']}"
            )
            spans.append((_INSIDE, axis.at(hop["ts"]), axis.at(hop["ts"] + (hop["dur"] or 0)), hover))
    for row in nested:
        hover = f"call {row['id']}: {safe(row['service'])} {safe(row['operation'])}, {duration(row['dur'] or 0)}"
        spans.append((_INSIDE, axis.at(row["ts"]), axis.at(row["ts"] + (row["dur"] or 0)), hover))
    return [bar(_INSIDE, "#4f9d9d", spans)] if spans else []


def _statements(result: Result, statements: list[Row], axis: TimeAxis) -> tuple[list[Any], str]:
    busiest = Counter(row["connection_id"] for row in statements).most_common(_MOST_CONNECTIONS)
    known = {number for number, _ in busiest}
    notes = []
    rows = [(f"database {row['connection_id']}" if row["connection_id"] in known else "database", row)
            for row in statements]  # fmt: skip
    if any(lane == "database" for lane, _ in rows):
        notes.append(f"the busiest {_MOST_CONNECTIONS} database connections have a lane of their own")
    if len(statements) > MOST_STATEMENTS:
        notes.append(f"{len(statements):,} statements, those close to each other drawn as one")
        spans = _merged(rows, axis)
    else:
        classes = dict(zip(result.links["statement_id"], result.links["class"], strict=True))
        spans = [(lane, *_one(row, classes, axis)) for lane, row in rows]
    return ([bar("SQL", SQL, spans)] if spans else []), "; ".join(notes)


def _one(row: Row, classes: dict[int, str], axis: TimeAxis) -> tuple[float, float, str]:
    hover = (
        f"statement {row['id']}: {duration(row['dur'] or 0)}, link {classes.get(row['id'], 'none')}, "
        f"frame {row['first_frame']}<br>{safe(row['sql'] or row['command'], _SQL_LEN)}"
    )
    return axis.at(row["ts"]), axis.at(row["ts"] + (row["dur"] or 0)), hover


def _merged(rows: list[tuple[str, Row]], axis: TimeAxis) -> _Spans:
    """Statements of a lane with less than a bin between them as one bar."""
    gap = (axis.last - axis.first) // _BINS
    open_: dict[str, list[int]] = {}
    spans: _Spans = []

    def close(lane: str) -> None:
        begin, end, count, spent = open_.pop(lane)
        spans.append((lane, axis.at(begin), axis.at(end), f"{count:,} statements, {duration(spent)} of SQL"))

    for lane, row in rows:
        dur = row["dur"] or 0
        if lane in open_ and row["ts"] - open_[lane][1] > gap:
            close(lane)
        begin, end, count, spent = open_.get(lane, [row["ts"], row["ts"], 0, 0])
        open_[lane] = [begin, max(end, row["ts"] + dur), count + 1, spent + dur]
    for lane in list(open_):
        close(lane)
    return spans
