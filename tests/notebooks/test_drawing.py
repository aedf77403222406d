"""The summary and the timeline that a notebook shows."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from glancetrace.jupyter import draw_timeline, summarise
from glancetrace.redact import Redactor
from glancetrace.trace import Tables, Trace
from tests.support.rows import Rows, story

HOSTILE = "<script>alert('x')</script>&\"'"


@pytest.fixture
def trace() -> Trace:
    rows = Rows()
    call = rows.call("image-upload", 409, 1, 2)
    image = story((None, "queued", 0.0), ("queued", "saving", 1.0), ("saving", "active", 2.0), name=HOSTILE)
    image.call_ids = [call.id]
    rows.tables.images.append(image)
    return Trace(rows.capture(), rows.tables, Redactor(b"key"))


def svg(html: str) -> ElementTree.Element:
    found = re.search(r"<svg.*</svg>", html, re.DOTALL)
    assert found is not None
    return ElementTree.fromstring(found[0])


def test_bars_follow_the_intervals(trace: Trace) -> None:
    titles = [
        title.text or "" for title in svg(draw_timeline(trace)._repr_html_()).iter("{http://www.w3.org/2000/svg}title")
    ]
    assert [title.split(":")[0] for title in titles] == ["queued", "saving", "active", "image-upload"]
    assert "1,000.000 ms, frames 100 and 101" in titles[0]
    assert "to the end" in titles[2]
    assert "409" in titles[3]


def test_text_of_the_capture_is_escaped(trace: Trace) -> None:
    html = draw_timeline(trace)._repr_html_() + summarise(trace)._repr_html_()
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_images_are_chosen_by_name_or_id(trace: Trace) -> None:
    image_id = trace.tables.images[0].id
    assert draw_timeline(trace, [image_id]) == draw_timeline(trace, [HOSTILE]) == draw_timeline(trace)
    assert "no image" in draw_timeline(trace, ["another"]).html


def test_nothing_to_draw() -> None:
    trace = Trace(Rows().capture(), Tables(), Redactor(b"key"))
    assert "no image" in draw_timeline(trace).html
    assert "<td>none</td>" in summarise(trace).html


def test_summary_counts(trace: Trace) -> None:
    html = summarise(trace).html
    assert "1 active" in html
    assert "10 in 1 file(s)" in html
