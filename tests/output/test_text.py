"""Rendered reports: how they look is kept in `snapshots`, what must always hold is checked for every width."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from glancetrace.output.table import cell_width
from glancetrace.redact import Redactor
from glancetrace.trace import Accounting, CaptureSummary, Tables, Trace
from tests.support.handmade import CIRROS, PASSWORD, TOKEN, handmade_trace
from tests.support.pages import REPORTS, render

SNAPSHOTS = Path(__file__).parent / "snapshots"
WIDTHS = (60, 80, 200)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", REPORTS)
def test_snapshot(name: str, width: int) -> None:
    assert render(name, handmade_trace(), width) == (SNAPSHOTS / f"{name}-{width}.txt").read_text("utf-8")


@pytest.mark.parametrize("width", [60, 61, 72, 80, 99, 100, 132])
@pytest.mark.parametrize("name", REPORTS)
def test_no_line_is_wider_than_the_terminal(name: str, width: int) -> None:
    too_wide = [line for line in render(name, handmade_trace(), width).splitlines() if cell_width(line) > width]
    assert not too_wide


@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize("name", REPORTS)
def test_captured_controls_never_reach_the_terminal(name: str, color: bool) -> None:
    text = render(name, handmade_trace(), 80, color=color)
    without_colours = re.sub(r"\x1b\[[0-9;]*m", "", text) if color else text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", without_colours)


@pytest.mark.parametrize("name", REPORTS)
def test_colours_change_nothing_but_colours(name: str) -> None:
    coloured = render(name, handmade_trace(), 100, color=True)
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == render(name, handmade_trace(), 100)


@pytest.mark.parametrize("width", [60, None])
@pytest.mark.parametrize("name", REPORTS)
def test_secrets_stay_inside(name: str, width: int | None) -> None:
    text = render(name, handmade_trace(), width)
    assert PASSWORD not in text
    assert TOKEN not in text


def test_reveal_shows_them() -> None:
    trace = handmade_trace(reveal=True)
    assert PASSWORD in render("statements", trace, None)
    assert TOKEN in render("calls", trace, None)


def test_in_a_pipe_nothing_is_cut() -> None:
    text = render("stories", handmade_trace(), None)
    assert f"/v2/images/{CIRROS}/file (req-3)" in text
    assert f"{CIRROS}'\n" in render("full-statements", handmade_trace(), None)


def test_several_files_are_named() -> None:
    assert "piece1.pcap:20-29" in render("calls", handmade_trace(files=2), None)
    assert "piece2.pcap:1-10" not in render("calls", handmade_trace(files=2), None)
    assert "piece1.pcap, piece2.pcap" in render("report", handmade_trace(files=2), 80)


def test_an_empty_trace() -> None:
    capture = CaptureSummary([], 0, 24, None, None, [1], 0, Accounting())
    trace = Trace(capture, Tables(), Redactor(b""))
    text = render("report", trace, 60)
    assert "0 packets, 24 B, Ethernet" in text
    assert "API calls  none\n  the capture holds no packets\n" in text
    for name in ("stories", "calls", "statements", "hits"):
        assert len(render(name, trace, 60).splitlines()) <= 1


def test_many_findings_of_a_rule_are_counted() -> None:
    trace = handmade_trace()
    trace.tables.findings *= 20
    text = render("report", trace, 80)
    assert text.count("error image-stuck") == 8
    assert "and 12 more of image-stuck" in text
