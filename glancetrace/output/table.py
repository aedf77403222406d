"""Tables of text that fit: rows in, lines out.

A table is as wide as its content. Where that is too much, columns of free text shrink (with an ellipsis), then the
columns that matter least are left out, whole: an id or a number is never cut or wrapped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from glancetrace.output.paint import Painter, Styled

__all__ = ["Cell", "Column", "cell_width", "fit", "render_table"]

Cell = str | Styled
_GAP = "  "


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        title: its heading. right: numbers stand at the right.
        importance: columns with the lowest are left out first; 9 never.
        shrinks_to: narrowest width of free text, None for a column that is never cut.
        at_most: widest that it gets, also where there is room.
    """

    title: str
    right: bool = False
    importance: int = 9
    shrinks_to: int | None = None
    at_most: int | None = None


def cell_width(text: str) -> int:
    """Columns that `text` takes on a terminal (wide characters take two)."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def fit(text: str, width: int) -> str:
    """`text` cut to `width` columns, with an ellipsis where something is missing."""
    if cell_width(text) <= width:
        return text
    if text.isascii():
        return text[: max(width - 1, 0)] + "…"
    kept, used = [], 0
    for character in text:
        used += cell_width(character)
        if used > width - 1:
            break
        kept.append(character)
    return "".join(kept) + "…"


def _text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell.text


def choose_widths(columns: Sequence[Column], natural: Sequence[int], width: int | None) -> list[int | None]:
    """Width of each column, None for one that is left out."""
    widths: list[int | None] = list(natural)
    if width is None:
        return widths

    def excess() -> int:
        shown = [w for w in widths if w is not None]
        return sum(shown) + len(_GAP) * (len(shown) - 1) - width

    def shrink() -> None:
        while excess() > 0:
            room = [
                (w - max(c.shrinks_to, cell_width(c.title)), i)
                for i, (c, w) in enumerate(zip(columns, widths, strict=True))
                if w is not None and c.shrinks_to is not None
            ]
            spare, index = max(room, default=(0, 0))
            if spare <= 0:
                return
            current = widths[index]
            assert current is not None
            widths[index] = current - min(spare, excess())

    while True:
        shrink()
        candidates = [(c.importance, -i) for i, c in enumerate(columns) if widths[i] is not None and c.importance < 9]
        if excess() <= 0 or not candidates:
            return widths
        widths[-min(candidates)[1]] = None
        for index, column in enumerate(columns):  # the room that became free goes back to the texts
            if widths[index] is not None and column.shrinks_to is not None:
                widths[index] = natural[index]


def render_table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[Cell]],
    painter: Painter,
    *,
    width: int | None,
    indent: str = "  ",
) -> Iterator[str]:
    """Lines of a table with a heading; columns that may be left out are, when they are empty.

    Args:
        width: columns of the terminal; None for as wide as it takes.
        indent: stands before every line.
    """
    natural = [cell_width(column.title) for column in columns]
    for row in rows:
        for index, cell in enumerate(row):
            size = cell_width(_text(cell))
            if size > natural[index]:
                natural[index] = size
    for index, column in enumerate(columns):
        if column.at_most is not None:
            natural[index] = min(natural[index], column.at_most)
    kept = [i for i, column in enumerate(columns) if column.importance == 9 or any(_text(row[i]) for row in rows)]
    room = None if width is None else width - len(indent)
    widths = choose_widths([columns[i] for i in kept], [natural[i] for i in kept], room)
    shown = [(i, w, columns[i].right) for i, w in zip(kept, widths, strict=True) if w is not None]

    def line(cells: Sequence[Cell]) -> str:
        parts = []
        for index, size, right in shown:
            cell = cells[index]
            text = fit(_text(cell), size)
            painted = text if isinstance(cell, str) else painter.paint(text, cell.style)
            padding = " " * (size - cell_width(text))
            parts.append(padding + painted if right else painted + padding)
        return indent + _GAP.join(parts).rstrip()

    yield line([Styled(column.title, "head") for column in columns])
    for row in rows:
        yield line(row)
