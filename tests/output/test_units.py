from __future__ import annotations

import pytest

from glancetrace.output.units import format_bytes, format_count, format_duration, plural

MS, S = 1_000_000, 1_000_000_000


@pytest.mark.parametrize(
    ("dur", "text"),
    [
        (None, "-"),
        (0, "0 ns"),
        (999, "999 ns"),
        (1_234, "1.23 µs"),
        (999_999, "1.00 ms"),
        (1_234_567, "1.23 ms"),
        (12_345_678, "12.3 ms"),
        (999_499_999, "999 ms"),
        (999_600_000, "1.00 s"),
        (4_500_000_000, "4.50 s"),
        (59_949_000_000, "59.9 s"),
        (59_999_000_000, "1 min 00 s"),
        (60 * S, "1 min 00 s"),
        (185 * S, "3 min 05 s"),
        (3_599_900_000_000, "1 h 00 min"),
        (2 * 3600 * S + 7 * 60 * S, "2 h 07 min"),
        (100 * 3600 * S, "4 d 04 h"),
        (-5 * MS, "-5.00 ms"),
    ],
)
def test_durations_have_the_unit_that_people_use(dur: int | None, text: str) -> None:
    assert format_duration(dur) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "-"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.00 KiB"),
        (1024 * 1023, "1.00 MiB"),
        (5 << 30, "5.00 GiB"),
        (1 << 80, "1048576 EiB"),
    ],
)
def test_sizes(count: int | None, text: str) -> None:
    assert format_bytes(count) == text


def test_counts() -> None:
    assert format_count(1234567) == "1,234,567"
    assert format_count(None) == "-"
    assert [plural(1, "call"), plural(0, "call"), plural(2, "query", "queries")] == ["1 call", "0 calls", "2 queries"]
