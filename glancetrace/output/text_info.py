"""The `info` report: what a capture holds, as rows for JSON and as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from glancetrace.conversations import QuickLook
from glancetrace.net.run import render_endpoint
from glancetrace.output.clean import clean
from glancetrace.output.page import Page
from glancetrace.output.paint import Styled
from glancetrace.output.summary import sum_issues
from glancetrace.output.table import Cell, Column, render_table
from glancetrace.output.text_analyze import name_counts, name_link_types, render_issues
from glancetrace.output.units import format_bytes, format_count, format_duration, plural
from glancetrace.rfc3339 import rfc3339
from glancetrace.schema import SCHEMA

__all__ = ["describe_look", "render_look"]

_CONVERSATION_COLUMNS = (
    Column("server"),
    Column("service"),
    Column("clients", right=True, importance=4),
    Column("connections", right=True, importance=5),
    Column("packets", right=True, importance=6),
    Column("payload", right=True),
    Column("from", importance=3),
    Column("long", right=True, importance=2),
)


def describe_look(look: QuickLook) -> dict[str, Any]:
    """A document of what was seen."""
    return {
        "schema": SCHEMA,
        "capture": {
            "files": [{"name": f.name, "first_frame": f.first_frame, "packets": f.packets} for f in look.files],
            "packets": look.packets,
            "bytes": look.bytes,
            "first_ts": rfc3339(look.first_ts),
            "last_ts": rfc3339(look.last_ts),
            "link_types": look.link_types,
            "segments": look.segments,
            "packets_ignored": sum(look.ignored.values()),
            "packets_malformed": look.malformed,
            "ignored_reasons": look.ignored,
        },
        "conversations": [
            {
                "server": render_endpoint(row.server),
                "service": row.service,
                "clients": row.clients,
                "connections": row.connections,
                "packets": row.packets,
                "bytes": row.bytes,
                "first_ts": rfc3339(row.first_ts),
                "last_ts": rfc3339(row.last_ts),
            }
            for row in look.conversations
        ],
        "issues": [
            {"kind": row.kind, "severity": row.severity, "count": row.count, "meaning": row.meaning,
             "remedy": row.remedy, "first_frame": row.first_frame}
            for row in sum_issues(look.issues)
        ],
    }  # fmt: skip


def _rate(count: int, span: int) -> float:
    """Per second; `span` in ns, not 0."""
    return count * 1_000_000_000 / max(span, 1)


def _capture(look: QuickLook, page: Page) -> Iterator[str]:
    for file in look.files:
        note = f"{plural(file.packets, 'packet')}, from frame {file.first_frame:,}" if len(look.files) > 1 else ""
        yield f"{page.painter.paint(clean(file.name), 'title')}{'  ' if note else ''}{note}"
    line = f"  {plural(look.packets, 'packet')}, {format_bytes(look.bytes)}"
    if look.link_types:
        line += f", {name_link_types(look.link_types)}"
    yield line
    if look.first_ts is None or look.last_ts is None:
        return
    span = look.last_ts - look.first_ts
    yield f"  from  {page.clock.date(look.first_ts)}"
    yield f"  to    {page.clock.date(look.last_ts)}"
    yield f"  {format_duration(span)} long" + (
        f", {_rate(look.packets, span):,.0f} packets/s, {format_bytes(round(_rate(look.bytes, span)))}/s"
        if span
        else ""
    )
    rest = f", {sum(look.ignored.values()):,} other ({name_counts(look.ignored)})" if look.ignored else ""
    bad = f", {look.malformed:,} malformed" if look.malformed else ""
    yield f"  {look.segments:,} TCP{rest}{bad}"


def render_look(look: QuickLook, page: Page) -> Iterator[str]:
    """Lines of the report."""
    yield from _capture(look, page)
    yield ""
    yield page.painter.paint("Conversations", "title") + ("" if look.conversations else "  none")
    if look.conversations:
        rows: list[list[Cell]] = [
            [
                render_endpoint(row.server),
                row.service or Styled("-", "dim"),
                format_count(row.clients),
                format_count(row.connections),
                format_count(row.packets),
                format_bytes(row.bytes),
                page.clock.show(row.first_ts),
                format_duration(row.last_ts - row.first_ts),
            ]
            for row in look.conversations
        ]
        yield from render_table(_CONVERSATION_COLUMNS, rows, page.painter, width=page.width)
    lines = list(render_issues(sum_issues(look.issues), page))
    yield ""
    yield from lines or [page.painter.paint("Issues with the capture", "title") + "  none"]
