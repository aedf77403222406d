from __future__ import annotations

from datetime import UTC

import pytest

from glancetrace.errors import UsageError
from glancetrace.output.clock import Clock, parse_duration, parse_zone

START = 1_582_001_395_993_652_000
S = 1_000_000_000


def test_time_of_day_with_microseconds() -> None:
    assert Clock(START, START + S).show(START) == "04:49:55.993652"
    assert Clock(START, START + S).date(START) == "2020-02-18 04:49:55.993652 UTC"


def test_nanoseconds_where_the_capture_has_them() -> None:
    assert Clock(START + 1, START + S).show(START + 1) == "04:49:55.993652001"


def test_the_date_is_shown_when_the_capture_has_several_days() -> None:
    assert Clock(START, START + 86_400 * S).show(START) == "2020-02-18 04:49:55.993652"


def test_relative_times() -> None:
    clock = Clock(START, START + S, relative=True)
    assert clock.show(START + 1_234_567_000) == "+1.234567"
    assert clock.show(START - 1_000) == "-0.000001"


def test_named_zone() -> None:
    clock = Clock(START, START + S, zone=parse_zone("Europe/Berlin"))
    assert clock.show(START) == "05:49:55.993652"
    assert clock.date(START).endswith(" CET")


def test_no_packets() -> None:
    assert Clock(None, None).show(None) == "-"


@pytest.mark.parametrize("name", ["Mars/Base", "", "/etc/passwd", "../../etc/passwd", "Europe", "a\x00b"])
def test_a_wrong_zone_is_a_usage_error(name: str) -> None:
    with pytest.raises(UsageError, match="no time zone"):
        parse_zone(name)


def test_utc_and_local() -> None:
    assert parse_zone("utc") is UTC
    assert parse_zone("local") is None


@pytest.mark.parametrize(
    ("text", "ts"),
    [
        ("2020-02-18T04:49:55Z", START - 993_652_000),
        ("2020-02-18 04:49:55.993652", START),
        ("2020-02-18T05:49:55.993652+01:00", START),
        ("2020-02-18T04:49:55.993652123Z", START + 123),
        ("04:49:56", START + 6_348_000),
        ("+1.5s", START + 1_500_000_000),
        ("+250ms", START + 250_000_000),
        ("+2", START + 2 * S),
    ],
)
def test_times_that_users_write(text: str, ts: int) -> None:
    assert Clock(START, START + S).parse(text) == ts


def test_a_time_without_zone_is_in_the_zone_that_is_shown() -> None:
    clock = Clock(START, START + S, zone=parse_zone("Europe/Berlin"))
    assert clock.parse("2020-02-18T05:49:55.993652") == START
    assert clock.parse(clock.show(START)) == START


@pytest.mark.parametrize("text", ["", "yesterday", "25:99", "+", "+1y", "2020-13-01", "99999-01-01"])
def test_a_wrong_time_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        Clock(START, START + S).parse(text)


@pytest.mark.parametrize(
    ("text", "dur"),
    [("100ms", 100_000_000), ("1.5s", 1_500_000_000), ("2", 2 * S), (".5 s", S // 2), ("3min", 180 * S), ("7us", 7000)],
)
def test_durations(text: str, dur: int) -> None:
    assert parse_duration(text) == dur


@pytest.mark.parametrize("text", ["", "fast", "-1s", "1 parsec", "1.2.3s", "٣s"])
def test_a_wrong_duration_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="no duration"):
        parse_duration(text)
