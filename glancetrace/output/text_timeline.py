"""The `timeline` report as text: the events of images, one per line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from glancetrace.output.clean import clean
from glancetrace.output.page import Page, short_id
from glancetrace.output.paint import Styled, status_style
from glancetrace.output.story import StoryLine, tell_story
from glancetrace.output.table import Cell, Column, cell_width, fit, render_table
from glancetrace.output.units import format_bytes, format_duration
from glancetrace.timeline.image import ImageStory
from glancetrace.trace import Trace

__all__ = ["render_stories"]

_COLUMNS = (
    Column("time"),
    Column("frames", right=True, importance=5),
    Column("took", right=True, importance=4),
    Column("what"),
    Column("", shrinks_to=18),
)


def _row(line: StoryLine, page: Page) -> list[Cell]:
    kind_style = {"call": "call", "sql": "dim"}.get(line.kind, "title")
    text_style = "dim" if line.kind == "sql" else status_style(line.status)
    text = clean(line.text)
    if page.width is not None:  # whose story it is stands above
        text = text.replace(line.image_id, short_id(line.image_id))
    if line.kind == "status":
        frames = page.places.several(sorted({f for f in (line.first_frame, line.last_frame) if f is not None}))
    else:
        frames = page.places.span(line.first_frame, line.last_frame)
    return [
        page.clock.show(line.ts),
        frames,
        format_duration(line.dur) if line.dur is not None else "",
        Styled(clean(line.kind), kind_style),
        Styled(text, "bad" if line.failed else text_style),
    ]


def _title(image: ImageStory, page: Page) -> Iterator[str]:
    """Name, id, status and size, on two lines where one is too narrow."""
    name = page.image_name(image.name) if image.name is not None else "(no name)"
    status = clean(image.status or "unknown")
    image_id = page.text(image.id)
    size = f", {format_bytes(image.size)}" if image.size is not None else ""
    rest = f"{image_id}  {page.painter.paint(status, status_style(image.status))}{size}"
    if page.width is None or cell_width(f"{name}  {image_id}  {status}{size}") <= page.width:
        yield f"{page.painter.paint(name, 'title')}  {rest}"
        return
    yield page.painter.paint(fit(name, page.width), "title")
    yield f"  {rest}"


def render_stories(trace: Trace, images: Sequence[ImageStory], page: Page, *, with_sql: bool = True) -> Iterator[str]:
    """Lines of the stories of `images`."""
    for index, image in enumerate(images):
        if index:
            yield ""
        yield from _title(image, page)
        rows = [_row(line, page) for line in tell_story(trace, image, with_sql=with_sql)]
        yield from render_table(_COLUMNS, rows, page.painter, width=page.width)
