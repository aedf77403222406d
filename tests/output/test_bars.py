from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from glancetrace.output.bars import Piece, choose_view, draw_axis, lay_out_bar
from glancetrace.timeline.image import ImageStory, StatusInterval


def story(*changes: tuple[str, int]) -> list[StatusInterval]:
    """Intervals from (status, since when); the last one is open."""
    ends = [ts for _, ts in changes[1:]]
    closed = [StatusInterval(status, ts, end - ts) for (status, ts), end in zip(changes, ends, strict=False)]
    return [*closed, StatusInterval(*changes[-1], None)]


def test_a_bar_to_scale() -> None:
    intervals = [
        StatusInterval("queued", 100, 100),
        StatusInterval("saving", 200, 300),
        StatusInterval("active", 500, None),
    ]
    assert lay_out_bar(intervals, 0, 1000, 100) == [
        Piece("queued", 10, 10),
        Piece("saving", 20, 30),
        Piece("active", 50, 50),
    ]


def test_short_intervals_are_still_seen() -> None:
    intervals = story(("queued", 10), ("saving", 11), ("active", 12))
    assert [(p.status, p.length >= 1) for p in lay_out_bar(intervals, 0, 1_000_000, 20)] == [
        ("queued", True),
        ("saving", True),
        ("active", True),
    ]


def test_changes_at_the_very_end_still_have_room() -> None:
    intervals = [
        StatusInterval("queued", 0, 998),
        StatusInterval("saving", 998, 1),
        StatusInterval("active", 999, None),
    ]
    assert [p.status for p in lay_out_bar(intervals, 0, 1000, 10)] == ["queued", "saving", "active"]


def test_a_deleted_image_ends() -> None:
    intervals = story(("active", 0), ("deleted", 500))
    assert lay_out_bar(intervals, 0, 1000, 10)[-1] == Piece("deleted", 5, 1)


@given(
    st.lists(st.integers(0, 10**12), min_size=1, max_size=30),
    st.integers(0, 10**12),
    st.integers(1, 200),
)
def test_pieces_never_overlap_or_leave_the_line(times: list[int], last: int, width: int) -> None:
    times.sort()
    intervals = story(*(("s", ts) for ts in times))
    cursor = 0
    for piece in lay_out_bar(intervals, times[0], max(last, times[-1]), width):
        assert piece.start >= cursor
        assert piece.length >= 1
        cursor = piece.start + piece.length
    assert cursor <= width


def test_axis() -> None:
    labels, ticks = draw_axis(["0", "1 s", "2 s"], 21)
    assert labels == "0        1 s      2 s"
    assert ticks == "├─────────┬─────────┤"


def test_the_view_ends_a_little_after_the_last_change() -> None:
    settled = ImageStory("a", intervals=story(("queued", 100), ("active", 160)))
    assert choose_view([settled], 10_000) == (100, 170)
    assert choose_view([settled], 165) == (100, 165)


def test_the_view_goes_to_the_end_where_an_image_is_busy() -> None:
    settled = ImageStory("a", intervals=story(("queued", 100), ("active", 160)))
    busy = ImageStory("b", intervals=story(("queued", 110), ("saving", 120)))
    assert choose_view([settled, busy], 10_000) == (100, 10_000)


def test_an_image_that_never_changed() -> None:
    assert choose_view([ImageStory("a", intervals=story(("queued", 100)))], 500) == (100, 500)
    assert choose_view([ImageStory("a", intervals=story(("queued", 100)))], 100) == (100, 101)
