from __future__ import annotations

from glancetrace.output.places import Places
from glancetrace.trace import CapturedFile


def test_one_file() -> None:
    places = Places([CapturedFile("a.pcap", 1, 100)])
    assert places.span(7, 9) == "7-9"
    assert places.span(7, 7) == "7"
    assert places.span(7, None) == "7"
    assert places.frame(None) == "-"
    assert places.several([1, 2, 3, 4, 5, 6, 7]) == "1, 2, 3, 4, 5, and 2 more"


def test_several_files_count_from_one_each() -> None:
    places = Places([CapturedFile("d/a.pcap", 1, 100), CapturedFile("d/b.pcap", 101, 50)])
    assert places.frame(100) == "a.pcap:100"
    assert places.span(101, 103) == "b.pcap:1-3"
    assert places.span(99, 102) == "a.pcap:99-b.pcap:2"


def test_equal_names_are_told_apart() -> None:
    places = Places([CapturedFile("one/a.pcap", 1, 100), CapturedFile("two/a.pcap", 101, 50)])
    assert places.frame(101) == "two/a.pcap:1"


def test_files_without_packets_do_not_count() -> None:
    places = Places([CapturedFile("a.pcap", 1, 100), CapturedFile("empty.pcap", 0, 0)])
    assert places.frame(5) == "5"


def test_merged_captures_have_one_numbering() -> None:
    places = Places([CapturedFile("a.pcap", 1, 100), CapturedFile("b.pcap", 4, 50)])
    assert places.frame(120) == "120"


def test_names_are_cleaned() -> None:
    places = Places([CapturedFile("\x1b[31ma.pcap", 1, 1), CapturedFile("b.pcap", 2, 1)])
    assert places.frame(1) == "a.pcap:1"
