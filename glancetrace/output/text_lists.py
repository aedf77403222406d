"""Lists of calls and of statements as text, one per line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from glancetrace.glance.call import ApiCall
from glancetrace.glance.statement import SqlStatement
from glancetrace.output.clean import clean
from glancetrace.output.gist import describe_result, describe_statement
from glancetrace.output.page import Page, short_id
from glancetrace.output.paint import Styled, code_style
from glancetrace.output.table import Cell, Column, render_table
from glancetrace.output.units import format_duration
from glancetrace.shown_sql import shown_sql
from glancetrace.trace import Trace

__all__ = ["image_names", "render_calls", "render_statements"]

_CALL_COLUMNS = (
    Column("call", right=True),
    Column("time"),
    Column("frames", right=True, importance=6),
    Column("service", importance=2),
    Column("operation", importance=7),
    Column("code", right=True),
    Column("took", right=True, importance=8),
    Column("SQL", right=True, importance=4),
    Column("image", importance=5, shrinks_to=8, at_most=32, middle=True),
    Column("request", importance=3, shrinks_to=16),
)

_STATEMENT_COLUMNS = (
    Column("time"),
    Column("frames", right=True, importance=7),
    Column("service", importance=2),
    Column("call", right=True, importance=6),
    Column("took", right=True, importance=5),
    Column("result", importance=8),
    Column("outcome", importance=1),
    Column("statement", shrinks_to=20),
)


def image_names(trace: Trace, page: Page) -> dict[str, str]:
    """Image id -> its name, or the first digits of its id where it has none."""
    return {
        image.id: short_id(page.text(image.id)) if image.name is None else page.image_name(image.name)
        for image in trace.tables.images
    }


def render_calls(trace: Trace, calls: Sequence[ApiCall], page: Page) -> Iterator[str]:
    """A line per call."""
    names = image_names(trace, page)
    statements: dict[int, int] = {}
    for link in trace.tables.links:
        statements[link.call_id] = statements.get(link.call_id, 0) + 1

    def cells(call: ApiCall) -> list[Cell]:
        image = call.image_id
        code = "-" if call.status_code is None else str(call.status_code)
        return [
            f"#{call.id}",
            page.clock.show(call.ts),
            page.places.span(call.first_frame, call.last_frame),
            clean(call.service),
            clean(call.operation),
            Styled(code, code_style(call.status_code)),
            format_duration(call.dur),
            str(statements.get(call.id, 0)),
            "" if image is None else names.get(image) or short_id(page.text(image)),
            page.text(f"{call.method} {call.target}"),
        ]

    yield from render_table(_CALL_COLUMNS, [cells(call) for call in calls], page.painter, width=page.width, indent="")


def render_statements(
    trace: Trace, statements: Sequence[SqlStatement], page: Page, *, whole: bool = False
) -> Iterator[str]:
    """A line per statement: its gist, or with `whole` its text."""

    def cells(statement: SqlStatement) -> list[Cell]:
        command = statement.command
        link = trace.link_of.get(statement.id)
        end = command.response_end_ts
        sql = shown_sql(statement, page.redactor) if whole else None
        text = describe_statement(statement, page.redactor) if sql is None else sql
        return [
            page.clock.show(command.ts),
            page.places.span(command.first_frame, command.response_frame or command.request_frame),
            clean(statement.service),
            Styled(statement.kind, "dim") if link is None else f"#{link.call_id}",
            format_duration(None if end is None else end - command.ts),
            Styled(describe_result(statement), "bad" if command.error is not None else ""),
            Styled(statement.outcome, "bad" if statement.outcome == "rolled_back" else "dim"),
            clean(text),
        ]

    rows = [cells(statement) for statement in statements]
    yield from render_table(_STATEMENT_COLUMNS, rows, page.painter, width=page.width, indent="")
