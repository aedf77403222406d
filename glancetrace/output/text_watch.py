"""Rows of `watch` as lines for people, one each; the summary as a few.

A line begins with `~`: it is provisional. Times are times of day; a line with the date stands before the first and
before every other day.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import tzinfo
from typing import Any

from glancetrace.output.clean import clean
from glancetrace.output.clock import Clock
from glancetrace.output.page import short_id
from glancetrace.output.paint import Painter, code_style, severity_style, status_style
from glancetrace.output.units import format_bytes, format_duration, plural

__all__ = ["WatchText"]

Row = Mapping[str, Any]
_KIND_WIDTH = 7


class WatchText:
    """Renders rows in the order in which they come.

    Args:
        painter: applies colours. zone: time zone; None is the system's. relative: times since the first row.
    """

    def __init__(self, painter: Painter, *, zone: tzinfo | None, relative: bool) -> None:
        self._painter = painter
        self._zone = zone
        self._relative = relative
        self._first_ts: int | None = None
        self._clock: Clock | None = None
        self._day = ""

    def render(self, row: Row) -> Iterator[str]:
        """Lines of one row."""
        if row["kind"] == "summary":
            yield from self._summary(row)
            return
        yield from self._new_day(row["ts"])
        kind, style, text = self._told(row)
        head = self._painter.paint(f"{kind:<{_KIND_WIDTH}}", style)
        assert self._clock is not None
        yield "  ".join(filter(None, (f"~ {self._clock.show(row['ts'])}", head, _image(row), text, _frames(row))))

    def _new_day(self, ts: int) -> Iterator[str]:
        """The date, where it is another; with it comes a new clock, for a clock remembers every second it has shown."""
        if self._first_ts is None:
            self._first_ts = ts
        clock = self._clock or Clock(self._first_ts, self._first_ts, zone=self._zone, relative=self._relative)
        day, _, rest = clock.date(ts).partition(" ")
        self._clock = clock
        if day != self._day:
            self._day = day
            self._clock = Clock(self._first_ts, self._first_ts, zone=self._zone, relative=self._relative)
            yield self._painter.paint(f"{day} {rest.partition(' ')[2]}".rstrip(), "head")

    def _told(self, row: Row) -> tuple[str, str, str]:
        """What kind of line, its style, and what it says."""
        if row["kind"] == "status":
            notes = [] if row["certainty"] == "observed" else [row["certainty"]]
            notes += [] if row["source"] == "sql" else ["by a response"]
            after = self._painter.paint(clean(row["to"]), status_style(row["to"]))
            return "status", "title", f"{clean(row['from'] or '(new)')} → {after}" + _noted(notes)
        if row["kind"] == "call":
            return "call", severity_style(row["severity"]) if row["rule"] else "call", self._call(row)
        message = clean(row["message"] or "")
        style = severity_style(row["severity"])
        return (
            ("issue", style, message)
            if row["kind"] == "issue"
            else (row["severity"], style, f"{row['rule']}: {message}")
        )

    def _call(self, row: Row) -> str:
        code = self._painter.paint(str(row["status_code"]), code_style(row["status_code"]))
        parts = [f"{code} {row['operation']}"]
        if row["image_id"] is None or row["rule"] == "client-error":
            parts.append(clean(f"{row['method']} {row['target']}"))
        if row["request_body_bytes"] and row["operation"] in ("image-upload", "image-stage"):
            parts.append(format_bytes(row["request_body_bytes"]))
        parts.append(format_duration(row["dur"]))
        if row["rule"] == "call-slow":
            parts.append(f"slow: answered after {format_duration(row['waited'])}")
        return ", ".join(parts)

    def _summary(self, row: Row) -> Iterator[str]:
        paint = self._painter.paint
        if row["first_ts"] is None:
            yield paint("Summary  no packets", "title")
            return
        span = format_duration(row["last_ts"] - row["first_ts"])
        yield paint(f"Summary  {plural(row['packets'], 'packet')} in {span}", "title")
        calls = sum(row["calls"].values())
        by_service = f" ({_counts(row['calls'])})" if calls else ""
        yield f"  {plural(row['connections'], 'connection')}, {plural(calls, 'API call')}{by_service}"
        images = f"; images now: {_counts(row['images'])}" if row["images"] else ""
        yield f"  {plural(row['status_changes'], 'status change')}{images}"
        for title, counts in (("findings", row["rules"]), ("issues with the capture", row["issues"])):
            if counts:
                yield f"  {title}: {_counts(counts)}"
        yield "  all of it provisional: 'glancetrace analyze' over the whole capture may know better"


def _image(row: Row) -> str:
    if row["image_id"] is None:
        return clean(row["image_name"] or "")
    return f"{clean(row['image_name'] or '')} {clean(short_id(row['image_id']))}".lstrip()


def _frames(row: Row) -> str:
    frames = row["frames"]
    return f"(frame{'s' if len(frames) > 1 else ''} {', '.join(map(str, frames))})" if frames else ""


def _noted(notes: list[str]) -> str:
    return f" ({', '.join(notes)})" if notes else ""


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())
