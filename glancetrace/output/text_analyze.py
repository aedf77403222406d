"""The `analyze` report as text: the capture, calls, images, a timeline, findings, issues."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from glancetrace.correlate.units import ERA_RELEASES
from glancetrace.output.bars import choose_view, draw_axis, lay_out_bar
from glancetrace.output.clean import clean
from glancetrace.output.page import Page, short_id
from glancetrace.output.paint import Styled, severity_style, status_fill, status_style
from glancetrace.output.summary import (
    ImageRow,
    IssueRow,
    count_attribution,
    explain_no_calls,
    rank_findings,
    sort_statuses,
    sum_issues,
    summarise_images,
    summarise_operations,
)
from glancetrace.output.table import Cell, Column, cell_width, fit, fit_middle, render_table
from glancetrace.output.units import format_bytes, format_count, format_duration, plural
from glancetrace.timeline.image import ImageStory
from glancetrace.trace import Trace

__all__ = ["describe_clock", "name_counts", "name_link_types", "render_issues", "render_report"]

_LINK_TYPES = {0: "NULL", 1: "Ethernet", 12: "RAW", 101: "RAW", 108: "LOOP", 113: "SLL", 228: "IPv4", 229: "IPv6",
               276: "SLL2"}  # fmt: skip
_NAMED_FILES = 3
_WITH_TIMES = 20
_FINDINGS_PER_RULE = 8


def _paragraph(text: str, page: Page, first: str, rest: str) -> Iterator[str]:
    """Text wrapped to the page, `first` before its first line, `rest` before the others."""
    yield from textwrap.wrap(
        text,
        page.drawing_width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _title(page: Page, text: str, note: str = "") -> str:
    return page.painter.paint(text, "title") + (f"  {page.painter.paint(note, 'dim')}" if note else "")


def name_link_types(link_types: list[int]) -> str:
    """`Ethernet`, `Ethernet and SLL`, `link type 147`."""
    return " and ".join(_LINK_TYPES.get(number, f"link type {number}") for number in link_types)


def name_counts(counts: dict[str, int]) -> str:
    """`7 udp, 3 arp`, the largest first."""
    return ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items(), key=lambda item: -item[1]))


def describe_clock(offset: int, uncertainty: int) -> str:
    """`clock 37.0 s behind, ± 2.4 ms`; `clock right` within what can be told."""
    within = f"± {format_duration(uncertainty)}"
    if abs(offset) <= uncertainty:
        return f"clock right {within}"
    return f"clock {format_duration(abs(offset))} {'behind' if offset > 0 else 'ahead'} {within}"


def _capture(trace: Trace, page: Page) -> Iterator[str]:
    capture, accounting = trace.capture, trace.capture.accounting
    names = [clean(file.name) for file in capture.files[:_NAMED_FILES]]
    if len(capture.files) > _NAMED_FILES:
        names.append(f"and {len(capture.files) - _NAMED_FILES} more")
    yield _title(page, "Capture", fit(", ".join(names), page.drawing_width - 9))
    line = f"{plural(capture.packets, 'packet')}, {format_bytes(capture.bytes)}"
    if capture.link_types:
        line += f", {name_link_types(capture.link_types)}"
    yield f"  {line}"
    if capture.first_ts is None or capture.last_ts is None:
        return
    yield f"  from {page.clock.date(capture.first_ts)}, {format_duration(capture.last_ts - capture.first_ts)} long"
    protocols: dict[str, int] = {}
    for row in trace.tables.connections:
        protocols[row.protocol] = protocols.get(row.protocol, 0) + 1
    connections = plural(capture.connections, "connection")
    yield f"  {connections}{': ' if protocols else ''}{name_counts(protocols)}"
    packets = f"packets: {accounting.packets_decoded:,} decoded"
    if accounting.packets_ignored:
        packets += f", {accounting.packets_ignored:,} ignored ({name_counts(accounting.ignored_reasons)})"
    if accounting.packets_malformed:
        packets += f", {accounting.packets_malformed:,} malformed"
    yield from _paragraph(packets, page, "  ", "    ")
    streams = f"streams: {format_bytes(accounting.stream_bytes)}"
    for what, count in (("skipped", accounting.stream_bytes_skipped), ("missing", accounting.stream_bytes_missing)):
        streams += f", {format_bytes(count) if count else 'none'} {what}"
    yield from _paragraph(streams, page, "  ", "    ")
    for log in capture.api_logs:
        text = f"log: {clean(log.name)} ({log.format}), {log.used:,} of {plural(log.calls, 'call')}"
        if log.offset is not None and log.uncertainty is not None:
            text += f", {describe_clock(log.offset, log.uncertainty)}"
        yield from _paragraph(text, page, "  ", "    ")
    for attribution in count_attribution(trace):
        text = f"SQL: {plural(attribution.statements, 'statement')} of {clean(attribution.service)}"
        yield from _paragraph(f"{text} ({name_counts(attribution.kinds)}), {attribution.linked:,} attributed", page,
                              "  ", "    ")  # fmt: skip
    releases = {ERA_RELEASES[era] for era in capture.glance_eras.values()}
    if releases:
        yield f"  Glance {' and '.join(sorted(releases))}, by its SQL"


def _operations(trace: Trace, page: Page) -> Iterator[str]:
    rows = summarise_operations(trace)
    calls = sum(row.calls for row in rows)
    yield _title(page, "API calls", "" if calls else "none")
    if not rows:
        yield from _paragraph(explain_no_calls(trace), page, "  ", "  ")
        return
    columns = [
        Column("service", importance=4),
        Column("operation"),
        Column("calls", right=True),
        Column("errors", right=True),
        Column("unanswered", right=True, importance=3),
        Column("p50", right=True, importance=6),
        Column("p95", right=True, importance=7),
        Column("SQL/call", right=True, importance=5),
    ]
    cells: list[list[Cell]] = [
        [
            row.service,
            clean(row.operation),
            format_count(row.calls),
            Styled(format_count(row.errors), "bad" if row.errors else "dim"),
            Styled(format_count(row.unanswered), "bad" if row.unanswered else "dim"),
            format_duration(row.p50),
            format_duration(row.p95),
            f"{row.statements_per_call:.1f}",
        ]
        for row in rows
    ]
    if not any(row.unanswered for row in rows):
        del columns[4]
        for line in cells:
            del line[4]
    yield from render_table(columns, cells, page.painter, width=page.width)


def _image_row(row: ImageRow, statuses: list[str], page: Page) -> list[Cell]:
    times: list[Cell] = []
    for status in statuses:
        if status not in row.times:
            times.append("")
        elif status == row.open_status:
            times.append(Styled(f"{format_duration(row.times[status])}+", status_style(status)))
        else:
            times.append(Styled(format_duration(row.times[status]), status_style(status)))
    return [
        page.image_name(row.name) if row.name is not None else Styled("-", "dim"),
        page.image_id(row.id),
        Styled(clean(row.status or "unknown"), status_style(row.status)),
        format_bytes(row.size),
        *times,
    ]


def _images(trace: Trace, page: Page) -> Iterator[str]:
    rows = summarise_images(trace)
    yield _title(page, "Images", "time in each status; + is still going on" if rows else "none")
    if not rows:
        return
    seen = {status for row in rows for status in row.times}
    statuses = sort_statuses(seen)
    columns = [
        Column("name", shrinks_to=10, at_most=40, middle=True),
        Column("id"),
        Column("status"),
        Column("size", right=True, importance=3),
        *(Column(clean(status), right=True, importance=4 if status in ("deleted", "active") else 6)
          for status in statuses),
    ]  # fmt: skip
    yield from render_table(columns, [_image_row(row, statuses, page) for row in rows], page.painter, width=page.width)


def _story_line(image: ImageStory, page: Page, width: int) -> str:
    """`04:49:56.204652 queued 1.2 s → saving 3.4 s → active`; the time is left out where it does not fit."""
    parts = []
    for interval in image.intervals:
        status = clean(interval.status)
        parts.append(status if interval.dur is None else f"{status} {format_duration(interval.dur)}")
    story = " → ".join(parts)
    dated = f"{page.clock.show(image.intervals[0].ts)} {story}"
    return dated if cell_width(dated) <= width else fit_middle(story, width)


def _timeline(trace: Trace, page: Page) -> Iterator[str]:
    images = [image for image in trace.tables.images if image.intervals]
    capture = trace.capture
    if not images or capture.first_ts is None or capture.last_ts is None:
        return
    names = [short_id(page.text(i.id)) if i.name is None else page.image_name(i.name) for i in images]
    room = page.drawing_width - 2
    label_width = min(max(map(cell_width, names)), 24, room // 4)
    width = room - label_width - 2
    margin = " " * (label_width + 4)
    first_ts, last_ts = choose_view(images, capture.last_ts)
    span, whole = last_ts - first_ts, capture.last_ts - capture.first_ts
    note = f"{format_duration(span)} from {page.clock.show(first_ts)}, of {format_duration(whole)}"
    yield _title(page, "Timeline", note)
    quarters = 4 if width >= 60 else 2
    labels, ticks = draw_axis([format_duration(span * n // quarters) if n else "0" for n in range(quarters + 1)], width)
    yield page.painter.paint(f"{margin}{labels}", "dim")
    yield page.painter.paint(f"{margin}{ticks}", "dim")
    seen: set[str] = set()
    for image, name in zip(images, names, strict=True):
        bar, cursor = "", 0
        for status, start, length in lay_out_bar(image.intervals, first_ts, last_ts, width):
            bar += " " * (start - cursor) + page.painter.paint(status_fill(status) * length, status_style(status))
            cursor = start + length
            seen.add(status)
        label = fit_middle(name, label_width)
        yield f"  {label}{' ' * (label_width - cell_width(label))}  {bar}".rstrip()
        if len(images) <= _WITH_TIMES:
            yield page.painter.paint(f"{margin}{_story_line(image, page, width)}", "dim")
    yield from _legend(sort_statuses(seen), page, margin)


def _legend(statuses: Sequence[str], page: Page, margin: str) -> Iterator[str]:
    """What the characters of the bars mean, on as many lines as it takes."""
    line, used = margin, len(margin)
    for status in statuses:
        taken = len(clean(status)) + 4
        if used + taken > page.drawing_width + 2 and used > len(margin):
            yield line.rstrip()
            line, used = margin, len(margin)
        line += f"{page.painter.paint(status_fill(status), status_style(status))} {clean(status)}  "
        used += taken
    yield line.rstrip()


def _findings(trace: Trace, page: Page) -> Iterator[str]:
    findings = rank_findings(trace)
    yield _title(page, "Findings", "" if findings else "none")
    shown: dict[str, int] = {}
    for finding in findings:
        shown[finding.rule] = shown.get(finding.rule, 0) + 1
        if shown[finding.rule] > _FINDINGS_PER_RULE:
            continue
        head = f"{finding.severity} {finding.rule}"
        where = f" ({'frame' if len(finding.frames) == 1 else 'frames'} {page.places.several(finding.frames)})"
        lines = list(_paragraph(f"{head}: {page.text(finding.message)}{where if finding.frames else ''}", page,
                                "  ", "    "))  # fmt: skip
        lines[0] = lines[0].replace(head, page.painter.paint(head, severity_style(finding.severity)), 1)
        yield from lines
    for rule, count in shown.items():
        if count > _FINDINGS_PER_RULE:
            more = f"and {count - _FINDINGS_PER_RULE:,} more of {rule} (all: --format csv --table findings)"
            yield from _paragraph(more, page, "  ", "    ")


def _issues(trace: Trace, page: Page) -> Iterator[str]:
    return render_issues(sum_issues(trace.tables.issues), page)


def render_issues(rows: Sequence[IssueRow], page: Page) -> Iterator[str]:
    """Lines of the issues; none without issues."""
    if not rows:
        return
    yield _title(page, "Issues with the capture")
    for row in rows:
        head = f"{row.severity} {row.kind}"
        where = f" on {plural(row.connections, 'connection')}" if row.connections else ""
        frame = f", first in frame {page.places.frame(row.first_frame)}" if row.first_frame is not None else ""
        frame = f", first in {page.text(row.where)}" if row.where is not None else frame
        count = "once" if row.count == 1 else f"{row.count:,} times"
        lines = list(_paragraph(f"{head}: {count}{where}{frame}: {row.meaning}", page, "  ", "    "))
        lines[0] = lines[0].replace(head, page.painter.paint(head, severity_style(row.severity)), 1)
        yield from lines
        yield from (page.painter.paint(line, "dim") for line in _paragraph(row.remedy, page, "    to do: ", "    "))


def render_report(trace: Trace, page: Page) -> Iterator[str]:
    """Lines of the report."""
    for index, section in enumerate((_capture, _operations, _images, _timeline, _findings, _issues)):
        lines = list(section(trace, page))
        if lines and index:
            yield ""
        yield from lines
