"""Hits of a search as text, one per line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from glancetrace.output.clean import clean
from glancetrace.output.page import Page, short_id
from glancetrace.output.search import Hit
from glancetrace.output.table import Cell, Column, render_table
from glancetrace.output.text_lists import image_names
from glancetrace.trace import Trace

__all__ = ["render_hits"]

_COLUMNS = (
    Column("time"),
    Column("frames", right=True, importance=8),
    Column("call", right=True, importance=6),
    Column("image", importance=4, shrinks_to=8, at_most=32, middle=True),
    Column("where", importance=7),
    Column("text", shrinks_to=24),
)


def render_hits(trace: Trace, hits: Sequence[Hit], page: Page) -> Iterator[str]:
    """A line per hit."""
    names = image_names(trace, page)

    def cells(hit: Hit) -> list[Cell]:
        return [
            page.clock.show(hit.ts),
            page.places.span(hit.first_frame, hit.last_frame),
            "" if hit.call_id is None else f"#{hit.call_id}",
            ", ".join(names.get(image) or short_id(page.text(image)) for image in hit.image_ids[:3]),
            hit.where,
            clean(hit.excerpt),
        ]

    yield from render_table(_COLUMNS, [cells(hit) for hit in hits], page.painter, width=page.width, indent="")
