"""What a trace, an image and a call show of themselves, and the drawing in it."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from glancetrace.jupyter.drawing import MOST_LANES, draw_timeline
from glancetrace.redact import Redactor
from glancetrace.trace import Finding, Tables, Trace
from tests.support.rows import IMAGE_ID, START, Rows, story

HOSTILE = "<script>alert('x')</script>&\"'\x1b[31m"
TOKEN = "gAAAAABeS2" + "q" * 90


@pytest.fixture
def trace() -> Trace:
    rows = Rows()
    call = rows.call("image-upload", 409, 1, 2, target=f"/v2/images/<b>?token={TOKEN}")
    rows.statement("UPDATE images SET name='<img src=x onerror=alert(1)>'", 1.5, call=call)
    rows.tables.images.append(
        story((None, "queued", 0.0), ("queued", "saving", 1.0), ("saving", "active", 2.0), name=HOSTILE)
    )
    rows.tables.findings.append(Finding("client-error", "warning", f"refused: {HOSTILE}", START, image_id=IMAGE_ID))
    return Trace(rows.capture(), rows.tables, Redactor(b"key"))


def svg(html: str) -> ElementTree.Element:
    found = re.search(r"<svg.*</svg>", html, re.DOTALL)
    assert found is not None
    return ElementTree.fromstring(found[0])


def test_bars_follow_the_intervals(trace: Trace) -> None:
    bars = svg(draw_timeline(trace)).iter("{http://www.w3.org/2000/svg}rect")
    titles = [bar[0].text or "" for bar in bars]
    assert [title.split(":")[0] for title in titles] == ["queued", "saving", "active", "image-upload"]
    assert "1.000 s, frames 100 and 101" in titles[0]
    assert "to the end" in titles[2]
    assert "409" in titles[3]


def test_text_of_the_capture_is_escaped_and_holds_no_secret(trace: Trace) -> None:
    for html in (trace._repr_html_(), trace.image(IMAGE_ID)._repr_html_(), trace.call(1)._repr_html_()):
        for hostile in ("<script", "<img", "<b>", "\x1b", TOKEN):
            assert hostile not in html
    assert "&lt;script&gt;" in trace._repr_html_()
    assert "&lt;img" in trace.call(1)._repr_html_()


def test_cards_tell_what_is_there(trace: Trace) -> None:
    assert "1 active" in trace._repr_html_()
    assert "10 from" in trace._repr_html_()
    assert "1 warning" in trace._repr_html_()
    image = trace.image(IMAGE_ID)._repr_html_()
    assert "queued → saving" in image
    assert "refused" in image
    call = trace.call(1)._repr_html_()
    assert "image-upload" in call
    assert "certain" in call


def test_many_lanes_are_cut_and_that_is_said() -> None:
    rows = Rows()
    for number in range(MOST_LANES + 3):
        rows.tables.images.append(story((None, "queued", float(number)), id=f"{number:08d}-0000"))
    html = draw_timeline(Trace(rows.capture(), rows.tables, Redactor(b"key")))
    assert "3 more images are not drawn" in html
    assert html.count("<rect") == MOST_LANES


def test_nothing_to_draw() -> None:
    trace = Trace(Rows().capture(), Tables(), Redactor(b"key"))
    assert "no image" in draw_timeline(trace)
    assert ">none</td>" in trace._repr_html_()


def test_jupyter_gets_the_forms_that_it_wants(trace: Trace) -> None:
    for shown in (trace, trace.image(IMAGE_ID), trace.call(1)):
        both = {"text/plain": repr(shown), "text/html": shown._repr_html_()}
        assert shown._repr_mimebundle_() == both
        assert shown._repr_mimebundle_(include=["text/html"]).keys() == {"text/html"}
        assert shown._repr_mimebundle_(exclude={"text/html"}).keys() == {"text/plain"}
