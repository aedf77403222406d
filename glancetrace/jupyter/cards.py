"""What a trace, an image and a call show of themselves in a notebook: a short HTML card each.

Everything that comes from the capture is escaped; there is no script in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from glancetrace.jupyter.drawing import draw_timeline
from glancetrace.jupyter.words import clock, duration, safe, severities
from glancetrace.result import Result, Row
from glancetrace.views import CallView, ImageView

__all__ = ["call_card", "image_card", "trace_card", "trace_line"]

_ROWS = 12
_LEFT = "style='text-align:left'"


def trace_line(result: Result) -> str:
    """A trace in one line of text."""
    names = ", ".join(file["name"] for file in result.capture_row()["files"])
    return (
        f"<trace of {names}: {result.count('api_calls'):,} API calls, {result.count('statements'):,} SQL statements, "
        f"{result.count('images'):,} images>"
    )


def trace_card(result: Result) -> str:
    """What is in a trace, and the timeline of its images."""
    capture = result.capture_row(raw_times=True)
    statements = Counter(row["service"] for row in result.rows("statements"))
    statuses = Counter(row["status"] or "unknown" for row in result.rows("images"))
    facts = [
        ("capture", ", ".join(file["name"] for file in capture["files"])),
        ("packets", f"{capture['packets']:,}{_span(capture)}"),
        ("API calls", f"{result.count('api_calls'):,}"),
        (
            "SQL statements",
            f"{statements.total():,}, of Glance {statements['glance']:,}; with their call {result.count('links'):,}",
        ),
        ("images", ", ".join(f"{count} {status}" for status, count in sorted(statuses.items())) or "none"),
        ("findings", severities(row["severity"] for row in result.rows("findings"))),
        ("issues of the capture", severities(row["severity"] for row in result.rows("issues"))),
    ]
    return _facts(facts) + draw_timeline(result)


def _span(capture: Row) -> str:
    if capture["first_ts"] is None:
        return ""
    return f" from {clock(capture['first_ts'])} UTC, {duration(capture['last_ts'] - capture['first_ts'])} long"


def image_card(image: ImageView) -> str:
    """An image: what is known of it, its timeline as a drawing, its status changes with their proof."""
    wire = image.row["wire_checksum"]
    agrees = "" if wire is None or image.checksum is None else _agreement(wire, image.checksum)
    facts = [
        ("image", f"{image.name or 'without a name'} ({image.id})"),
        ("status", image.status or "unknown"),
        ("size", "unknown" if image.size is None else f"{image.size:,} bytes{agrees}"),
        ("calls, statements", f"{len(image.calls):,}, {len(image.statements):,}"),
        ("findings", "; ".join(map(str, image.findings["message"])) or "none"),
    ]
    rows = [
        (clock(t["ts"]), f"{t['from'] or '·'} → {t['to']}", t["certainty"], t["call_id"], t["frame"], t["commit_frame"])
        for t in image.row["transitions"]
    ]
    table = _table(("UTC", "status", "certainty", "call", "frame", "commit frame"), rows)
    return _facts(facts) + draw_timeline(image.result, [image.row]) + table


def _agreement(wire: Row, checksum: str) -> str:
    if not wire.get("complete") or "md5" not in wire:
        return ""
    return ", md5 as it passed" if wire["md5"] == checksum else ", md5 is NOT that of what passed"


def call_card(call: CallView) -> str:
    """A call: request, answer, times, frames, and the SQL that it ran."""
    row = call.row
    spent = sum(int(dur.value) for dur in call.statements["dur"].dropna())
    facts = [
        ("call", f"{call.id}: {call.operation}"),
        ("request", f"{call.method} {call.target}"),
        ("answer", str(call.status_code or "none")),
        ("time", f"{clock(row['ts'])} UTC, {'no answer' if row['dur'] is None else duration(row['dur'])}"),
        ("who", f"{row['client']} → {row['server']}"),
        ("frames", f"{row['first_frame']} to {row['last_frame']}" if row["first_frame"] else "none: from a log"),
        ("SQL", f"{len(call.statements):,} statements, {duration(spent)}"),
        ("calls within", ", ".join(map(str, call.nested["operation"])) or "none"),
    ]
    classes = dict(zip(call.links["statement_id"], call.links["class"], strict=True))
    rows = [
        (number, " ".join(str(sql).split()), duration(int(dur.value)) if dur == dur else "", classes[number], frame)
        for number, sql, dur, frame in zip(
            call.statements.index, call.statements["sql"].fillna(call.statements["command"]), call.statements["dur"],
            call.statements["first_frame"], strict=True,
        )
    ]  # fmt: skip
    return _facts(facts) + _table(("id", "SQL", "time", "class", "frame"), rows)


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    body = "".join(f"<tr><th {_LEFT}>{safe(k)}</th><td {_LEFT}>{safe(v, 400)}</td></tr>" for k, v in facts)
    return f"<table>{body}</table>"


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th {_LEFT}>{safe(name)}</th>" for name in heads)
    body = "".join(
        "<tr>" + "".join(f"<td {_LEFT}>{'' if cell is None else safe(cell)}</td>" for cell in row) + "</tr>"
        for row in rows[:_ROWS]
    )
    rest = f"<div>and {len(rows) - _ROWS} more</div>" if len(rows) > _ROWS else ""
    return f"<table><tr>{head}</tr>{body}</table>{rest}"
