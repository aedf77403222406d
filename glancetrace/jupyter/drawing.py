"""The timeline as SVG: a lane per image, small enough to be committed with a notebook, and without any library.

Everything that comes from the capture is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from glancetrace.jupyter.words import CALL, call_colour, colour, duration, safe
from glancetrace.result import Result, Row

__all__ = ["MOST_LANES", "draw_timeline"]

MOST_LANES = 25

_WIDTH = 860
_LABELS = 190
_LANE = 30
_BAR = 16
_AXIS = 26


def draw_timeline(result: Result, images: Sequence[Row] | None = None) -> str:
    """A lane per image: its statuses as bars, its API calls as lines below them, with frames in the tooltips.

    Args:
        result: what is drawn. images: rows of the images (raw times); all of them if None, the first `MOST_LANES`.
    """
    known = [row for row in (result.rows("images", raw_times=True) if images is None else images) if row["intervals"]]
    chosen = known[:MOST_LANES]
    if not chosen:
        return "<p>no image with a known status</p>"
    calls: dict[str, list[Row]] = {row["id"]: [] for row in chosen}
    for call in result.rows("api_calls", raw_times=True):
        calls.get(call["image_id"], []).append(call)
    shown = [call for group in calls.values() for call in group]
    starts = [row["intervals"][0]["ts"] for row in chosen] + [call["ts"] for call in shown]
    ends = [row["intervals"][-1]["ts"] for row in chosen] + [_end(call) for call in shown]
    scale = _Scale(min(starts), max(*ends, min(starts) + 1))
    lanes = [_lane(row, calls[row["id"]], scale, _AXIS + number * _LANE) for number, row in enumerate(chosen)]
    height = _AXIS + _LANE * len(chosen) + 8
    statuses = dict.fromkeys(interval["status"] for row in chosen for interval in row["intervals"])
    rest = f"<div>{len(known) - len(chosen)} more images are not drawn</div>" if len(known) > len(chosen) else ""
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{_WIDTH}' height='{height}' font-family='sans-serif' "
        f"font-size='11' fill='currentColor'>{_axis(scale, height)}{''.join(lanes)}</svg>"
        f"<div>{_legend(statuses)}</div>{rest}"
    )


def _end(call: Row) -> int:
    end: int = call["ts"] + (call["dur"] or 0)
    return end


class _Scale:
    """Time (ns) -> x."""

    def __init__(self, first: int, last: int) -> None:
        self.first = first
        self.last = last
        self._factor = (_WIDTH - _LABELS - 12) / (last - first)

    def x(self, ts: int) -> float:
        return round(_LABELS + (min(max(ts, self.first), self.last) - self.first) * self._factor, 1)

    def width(self, ts: int, end: int) -> float:
        return max(1.5, round(self.x(end) - self.x(ts), 1))


def _axis(scale: _Scale, height: int) -> str:
    """Five marks, in ms since the first thing drawn."""
    parts = []
    for step in range(5):
        ts = scale.first + (scale.last - scale.first) * step // 4
        x = scale.x(ts)
        anchor = "end" if step == 4 else "middle"
        parts.append(
            f"<line x1='{x}' y1='16' x2='{x}' y2='{height}' stroke='#8884'/>"
            f"<text x='{x}' y='12' text-anchor='{anchor}' fill='#888'>+{(ts - scale.first) / 1e6:,.1f} ms</text>"
        )
    return "".join(parts)


def _lane(image: Row, calls: list[Row], scale: _Scale, top: int) -> str:
    name = safe(image["name"] or image["id"], 28)
    parts = [f"<text x='4' y='{top + 13}'>{name}<title>{safe(image['id'])}</title></text>"]
    frames = {t["ts"]: (t["frame"], t["commit_frame"]) for t in image["transitions"]}
    for interval in image["intervals"]:
        until = scale.last if interval["dur"] is None else interval["ts"] + interval["dur"]
        proof = frames.get(interval["ts"])
        told = f", frames {proof[0]} and {proof[1]}" if proof else ""
        parts.append(
            f"<rect x='{scale.x(interval['ts'])}' y='{top}' width='{scale.width(interval['ts'], until)}' "
            f"height='{_BAR}' fill='{colour(interval['status'])}'>"
            f"<title>{safe(interval['status'])}: {duration(interval['dur'])}{told}</title></rect>"
        )
    for call in calls:
        seen = f", frames {call['first_frame']} to {call['last_frame']}" if call["first_frame"] else ", from a log"
        lasted = "no response" if call["dur"] is None else duration(call["dur"])
        parts.append(
            f"<rect x='{scale.x(call['ts'])}' y='{top + _BAR + 4}' width='{scale.width(call['ts'], _end(call))}' "
            f"height='5' fill='{call_colour(call['status_code'])}'><title>{safe(call['operation'])}: "
            f"{call['status_code']}, {lasted}{seen}</title></rect>"
        )
    return "".join(parts)


def _legend(statuses: Iterable[str]) -> str:
    marks = [f"<span style='color:{colour(status)}'>&#9632;</span> {safe(status)}" for status in statuses]
    return " &nbsp; ".join([*marks, f"<span style='color:{CALL}'>&#9644;</span> API call"])
