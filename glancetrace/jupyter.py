"""A trace in a notebook: a summary and a timeline drawn as SVG, small enough to be committed with its notebook.

Both give an object that a notebook shows as it is (`_repr_html_`). Everything that comes from the capture is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from glancetrace.glance.call import ApiCall
from glancetrace.timeline.image import ImageStory
from glancetrace.trace import Trace

__all__ = ["Drawing", "draw_timeline", "summarise"]

_COLOURS = {
    "queued": "#9aa5b1",
    "saving": "#e0a030",
    "uploading": "#e0a030",
    "importing": "#c08bd0",
    "active": "#3a9d5d",
    "deactivated": "#5b7db1",
    "pending_delete": "#c9733d",
    "deleted": "#555555",
    "killed": "#c0392b",
}
_UNKNOWN = "#cccccc"

_WIDTH = 860
_LABELS = 190
_LANE = 44
_BAR = 16
_AXIS = 26


@dataclass(frozen=True, slots=True)
class Drawing:
    """HTML that a notebook shows."""

    html: str

    def __repr__(self) -> str:
        return f"<drawing, {len(self.html):,} characters of HTML>"

    def _repr_html_(self) -> str:
        return self.html


def summarise(trace: Trace) -> Drawing:
    """Table of what is in a trace: packets, calls, statements and how many have their call, images, findings."""
    tables = trace.tables
    by_status: dict[str, int] = {}
    for image in tables.images:
        by_status[image.status or "unknown"] = by_status.get(image.status or "unknown", 0) + 1
    own = sum(statement.service == "glance" for statement in tables.statements)
    rows = [
        ("packets", f"{trace.capture.packets:,} in {len(trace.capture.files)} file(s)"),
        ("API calls", f"{len(tables.calls):,}"),
        ("SQL statements", f"{len(tables.statements):,}, of Glance {own:,}; attributed to calls {len(tables.links):,}"),
        ("images", ", ".join(f"{count} {status}" for status, count in sorted(by_status.items())) or "none"),
        ("findings", _by_severity(finding.severity for finding in tables.findings)),
        ("issues of the capture", f"{len(tables.issues)}"),
    ]
    body = "".join(f"<tr><th style='text-align:left'>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in rows)
    return Drawing(f"<table>{body}</table>")


def _by_severity(severities: Iterable[str]) -> str:
    counts: dict[str, int] = {}
    for severity in severities:
        counts[severity] = counts.get(severity, 0) + 1
    return ", ".join(f"{counts[s]} {s}" for s in ("error", "warning", "info") if s in counts) or "none"


def draw_timeline(trace: Trace, images: Sequence[str] | None = None) -> Drawing:
    """A lane per image: its statuses as bars, its API calls as lines below them, with frames in the tooltips.

    Args:
        trace: the result.
        images: ids or names of the images to draw; all of them if None.
    """
    chosen = [i for i in trace.tables.images if images is None or i.id in images or (i.name or "") in images]
    chosen = [image for image in chosen if image.intervals]
    if not chosen:
        return Drawing("<p>no image with a known status</p>")
    calls = {call.id: call for call in trace.tables.calls}
    shown = {image.id: [calls[number] for number in image.call_ids] for image in chosen}
    starts = [image.intervals[0].ts for image in chosen] + [call.ts for group in shown.values() for call in group]
    ends = [image.intervals[-1].ts for image in chosen] + [_end(call) for group in shown.values() for call in group]
    scale = _Scale(min(starts), max(*ends, min(starts) + 1))
    lanes = [_lane(image, shown[image.id], scale, _AXIS + number * _LANE, trace) for number, image in enumerate(chosen)]
    height = _AXIS + _LANE * len(chosen) + 8
    statuses = dict.fromkeys(interval.status for image in chosen for interval in image.intervals)
    return Drawing(
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{_WIDTH}' height='{height}' font-family='sans-serif' "
        f"font-size='11'>{_axis(scale, height)}{''.join(lanes)}</svg><div>{_legend(statuses)}</div>"
    )


def _end(call: ApiCall) -> int:
    return call.ts + (call.dur or 0)


class _Scale:
    """Time (ns) -> x."""

    def __init__(self, first: int, last: int) -> None:
        self.first = first
        self.last = last
        self._factor = (_WIDTH - _LABELS - 12) / (last - first)

    def x(self, ts: int) -> float:
        return round(_LABELS + (min(max(ts, self.first), self.last) - self.first) * self._factor, 1)


def _axis(scale: _Scale, height: int) -> str:
    """Five marks, in ms since the first thing drawn."""
    parts = []
    for step in range(5):
        ts = scale.first + (scale.last - scale.first) * step // 4
        x = scale.x(ts)
        anchor = "end" if step == 4 else "middle"
        parts.append(
            f"<line x1='{x}' y1='16' x2='{x}' y2='{height}' stroke='#e4e4e4'/>"
            f"<text x='{x}' y='12' text-anchor='{anchor}' fill='#666'>+{(ts - scale.first) / 1e6:,.1f} ms</text>"
        )
    return "".join(parts)


def _lane(image: ImageStory, calls: list[ApiCall], scale: _Scale, top: int, trace: Trace) -> str:
    name = escape(_short(trace.redactor.text(image.name or image.id), 28), quote=True)
    parts = [f"<text x='4' y='{top + 13}'>{name}</text>"]
    parts.append(f"<text x='4' y='{top + 27}' fill='#888'>{escape(image.id[:8], quote=True)}</text>")
    frames = {t.ts: (t.frame, t.commit_frame) for t in image.transitions}
    for interval in image.intervals:
        x = scale.x(interval.ts)
        until = scale.last if interval.dur is None else interval.ts + interval.dur
        proof = frames.get(interval.ts)
        told = f", frames {proof[0]} and {proof[1]}" if proof else ""
        lasted = "to the end" if interval.dur is None else f"{interval.dur / 1e6:,.3f} ms"
        parts.append(
            f"<rect x='{x}' y='{top}' width='{max(1.5, round(scale.x(until) - x, 1))}' height='{_BAR}' "
            f"fill='{_COLOURS.get(interval.status, _UNKNOWN)}'>"
            f"<title>{escape(interval.status)}: {lasted}{told}</title></rect>"
        )
    for call in calls:
        x = scale.x(call.ts)
        failed = (call.status_code or 0) >= 400
        shown = f", frames {call.first_frame} to {call.last_frame}" if call.first_frame else ", from a log"
        parts.append(
            f"<rect x='{x}' y='{top + _BAR + 4}' width='{max(1.5, round(scale.x(_end(call)) - x, 1))}' height='5' "
            f"fill='{'#c0392b' if failed else '#4a6fa5'}'><title>{escape(call.operation)}: {call.status_code}, "
            f"{(call.dur or 0) / 1e6:,.3f} ms{shown}</title></rect>"
        )
    return "".join(parts)


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _legend(statuses: Iterable[str]) -> str:
    marks = [
        f"<span style='color:{_COLOURS.get(status, _UNKNOWN)}'>&#9632;</span> {escape(status)}" for status in statuses
    ]
    return " &nbsp; ".join([*marks, "<span style='color:#4a6fa5'>&#9644;</span> API call"])
