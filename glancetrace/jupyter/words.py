"""How things are said and coloured in a notebook: text of the capture escaped, times, a colour per status."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from html import escape

__all__ = ["CALL", "FAILED", "OTHER", "SQL", "call_colour", "clock", "colour", "duration", "safe", "severities"]

_COLOURS: Mapping[str, str] = {
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
CALL, FAILED, SQL, OTHER = "#4a6fa5", "#c0392b", "#7a5ba6", "#b8c4d6"
"""An API call, one that failed, SQL, everything else."""


def colour(status: str) -> str:
    """Colour of an image's status."""
    return _COLOURS.get(status, _UNKNOWN)


def call_colour(status_code: int | None) -> str:
    """Colour of a call: whether it was answered without an error."""
    return CALL if status_code is not None and status_code < 400 else FAILED


def safe(text: object, length: int = 120) -> str:
    """Text of the capture for HTML, and for plotly, whose texts are HTML too: escaped, one line, cut to a length."""
    line = "".join(c if c.isprintable() else " " for c in str(text))
    return escape(line if len(line) <= length else line[: length - 1] + "…", quote=True)


def clock(ts: int) -> str:
    """A time (ns) of day, UTC, with microseconds."""
    return datetime.fromtimestamp(ts // 1_000_000_000, UTC).strftime("%H:%M:%S") + f".{ts % 1_000_000_000 // 1000:06d}"


def duration(dur: int | None) -> str:
    """Nanoseconds in the unit that fits."""
    if dur is None:
        return "to the end"
    if abs(dur) >= 1_000_000_000:
        return f"{dur / 1e9:,.3f} s"
    return f"{dur / 1e6:,.3f} ms"


def severities(found: Iterable[str]) -> str:
    """How many of each severity."""
    counts: dict[str, int] = {}
    for severity in found:
        counts[severity] = counts.get(severity, 0) + 1
    return ", ".join(f"{counts[s]} {s}" for s in ("error", "warning", "info") if s in counts) or "none"
