from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glancetrace.output.paint import Painter, Styled
from glancetrace.output.table import Cell, Column, cell_width, fit, fit_middle, render_table

PLAIN = Painter(color=False)
ID = "7b1a2c3d-0000-4000-8000-000000000001"
COLUMNS = (
    Column("name", shrinks_to=6),
    Column("id"),
    Column("size", right=True, importance=3),
    Column("note", importance=2),
)
ROWS = [["a name that is rather long", ID, "12", "first"], ["b", ID, "1,234", "second"]]


def lines(width: int | None) -> list[str]:
    return list(render_table(COLUMNS, ROWS, PLAIN, width=width, indent=""))


def test_natural_width() -> None:
    assert lines(None) == [
        "name                        id                                     size  note",
        f"a name that is rather long  {ID}     12  first",
        f"b                           {ID}  1,234  second",
    ]


def test_free_text_shrinks_first() -> None:
    assert lines(70)[1] == f"a name that is r…  {ID}     12  first"


def test_the_least_important_column_goes_first_and_the_room_is_given_back() -> None:
    assert lines(52)[1] == f"a name…  {ID}     12"
    assert lines(47)[1] == f"a name t…  {ID}"
    assert ID in lines(46)[1]
    assert "12" not in lines(46)[1].replace(ID, "")


@given(st.integers(20, 200))
def test_an_id_is_never_cut(width: int) -> None:
    assert all(ID in line for line in lines(width)[1:])


@pytest.mark.parametrize("width", [60, 80, 200])
def test_lines_fit(width: int) -> None:
    assert all(cell_width(line) <= width for line in lines(width))


def test_wide_characters_count_twice() -> None:
    rendered = list(
        render_table((Column("a"), Column("b")), [["中文", "x"], ["abc", "y"]], PLAIN, width=None, indent="")
    )
    assert rendered == ["a     b", "中文  x", "abc   y"]
    assert fit("中文中文", 5) == "中文…"
    assert cell_width(fit("中文中文", 4)) <= 4


def test_colours_do_not_change_the_layout() -> None:
    rows: list[list[Cell]] = [[Styled("red", "bad"), "x"]]
    (_, line) = render_table((Column("colour"), Column("b")), rows, Painter(color=True), width=None, indent="")
    assert line == "\x1b[31mred\x1b[0m     x"


def test_an_empty_column_that_may_go_goes() -> None:
    (head, _) = render_table((Column("a"), Column("b", importance=3)), [["x", ""]], PLAIN, width=None, indent="")
    assert head == "a"


def test_a_column_is_at_most_so_wide() -> None:
    (_, line) = render_table((Column("a", at_most=4), Column("b")), [["x" * 99, "y"]], PLAIN, width=None, indent="")
    assert line == "xxx…  y"


def test_names_are_cut_in_the_middle() -> None:
    assert fit_middle("overcloud-full-vmlinuz", 14) == "overclo…mlinuz"
    assert fit_middle("short", 14) == "short"
    assert cell_width(fit_middle("中文" * 20, 11)) <= 11
