"""An image's time in each status as a bar: which cells of a line belong to which status."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from glancetrace.timeline.image import ImageStory, StatusInterval

__all__ = ["Piece", "choose_view", "draw_axis", "lay_out_bar"]

_GONE = frozenset({"deleted"})
_BUSY = frozenset({"saving", "uploading", "importing", "pending_delete"})


class Piece(NamedTuple):
    """`length` cells from `start` on show `status`."""

    status: str
    start: int
    length: int


def choose_view(images: Sequence[ImageStory], last_ts: int) -> tuple[int, int]:
    """The time that is worth drawing, ns: from the first interval to a little after the last change of any image, to
    the end of the capture where one is still busy then. Every image has an interval."""
    start = min(image.intervals[0].ts for image in images)
    changed = max(image.intervals[-1].ts for image in images)
    if changed == start or any(image.intervals[-1].status in _BUSY for image in images):
        return start, max(last_ts, start + 1)
    return start, max(min(last_ts, changed + (changed - start) // 6), changed + 1)


def lay_out_bar(intervals: Sequence[StatusInterval], first_ts: int, last_ts: int, width: int) -> list[Piece]:
    """Cells of a bar of `width` cells that stands for the time from `first_ts` to `last_ts` (ns).

    Every interval gets a cell, however short it was, as long as there is room to the right: cells are exact to within
    the number of short intervals before them. An image that is deleted ends with one cell.
    """
    span = max(1, last_ts - first_ts)
    pieces: list[Piece] = []
    cursor = 0
    for index, interval in enumerate(intervals):
        if cursor >= width:
            break
        left = len(intervals) - index - 1
        start = max(cursor, min(width - 1 - left, (interval.ts - first_ts) * width // span))
        if pieces and start > cursor:
            pieces[-1] = pieces[-1]._replace(length=start - pieces[-1].start)
        end = last_ts if interval.dur is None else interval.ts + interval.dur
        stop = max(start + 1, min(width, (end - first_ts) * width // span))
        stop = max(start + 1, min(stop, width - left))
        if interval.status in _GONE and interval.dur is None:
            stop = start + 1
        pieces.append(Piece(interval.status, start, stop - start))
        cursor = stop
    return pieces


def draw_axis(labels: Sequence[str], width: int) -> tuple[str, str]:
    """Two lines of `width` cells: labels at equal distances, and their ticks. Labels that do not fit are left out."""
    text = [" "] * width
    ticks = ["─"] * width
    free = 0
    for index, label in enumerate(labels):
        place = index * (width - 1) // max(1, len(labels) - 1)
        start = max(0, min(place - len(label) // 2 if index else 0, width - len(label)))
        ticks[place] = "┬" if 0 < place < width - 1 else "├" if place == 0 else "┤"
        if start >= free:
            text[start : start + len(label)] = label
            free = start + len(label) + 1
    return "".join(text[:width]).rstrip(), "".join(ticks)
