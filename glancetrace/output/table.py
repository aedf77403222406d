"""Tables of text that fit: rows in, lines out.

A table is as wide as its content. Where that is too much, columns of free text shrink (with an ellipsis), then the
columns that matter least are left out, whole: an id or a number is never cut or wrapped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from glancetrace.output.paint import Painter, Styled

__all__ = ["Cell", "Column", "cell_width", "fit", "fit_middle", "render_table"]

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
        middle: cut in the middle: names often differ at their end.
    """

    title: str
    right: bool = False
    importance: int = 9
    shrinks_to: int | None = None
    at_most: int | None = None
    middle: bool = False


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


def fit_middle(text: str, width: int) -> str:
    """`text` cut to `width` columns in its middle."""
    if cell_width(text) <= width:
        return text
    tail = fit(text[::-1], max(width // 2, 1))[-2::-1]
    return fit(text, width - cell_width(tail)) + tail


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
    sizes = [[cell_width(_text(cell)) for cell in row] for row in rows]
    heading = [cell_width(column.title) for column in columns]
    natural = [max(size) for size in zip(heading, *sizes, strict=True)]
    for index, column in enumerate(columns):
        if column.at_most is not None:
            natural[index] = min(natural[index], column.at_most)
    kept = [i for i, column in enumerate(columns) if column.importance == 9 or any(size[i] for size in sizes)]
    room = None if width is None else width - len(indent)
    widths = choose_widths([columns[i] for i in kept], [natural[i] for i in kept], room)
    shown = [(i, w, columns[i]) for i, w in zip(kept, widths, strict=True) if w is not None]

    def line(cells: Sequence[Cell], taken: Sequence[int]) -> str:
        parts = []
        for index, size, column in shown:
            cell, used = cells[index], taken[index]
            text = _text(cell)
            if used > size:
                text = fit_middle(text, size) if column.middle else fit(text, size)
                used = cell_width(text)
            painted = text if isinstance(cell, str) else painter.paint(text, cell.style)
            padding = " " * (size - used)
            parts.append(padding + painted if column.right else painted + padding)
        return indent + _GAP.join(parts).rstrip()

    yield line([Styled(column.title, "head") for column in columns], heading)
    for row, taken in zip(rows, sizes, strict=True):
        yield line(row, taken)
