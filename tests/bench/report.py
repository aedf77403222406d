"""How big the page of `glancetrace report` is, and how long headless Chromium takes to show it.

`python -m tests.bench.report`: the concurrent sample (asked: below 6 MB, drawn in less than 2 s), then a made document
of 10 000 calls and 1 000 images: opened, scrolled, searched, sorted, zoomed, an image opened. Medians; the time of an
interaction is until the frame after it. With no other load on the machine.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from glancetrace.check.rules import RULES
from glancetrace.document import render_document
from glancetrace.output.report import Guide, render_html
from glancetrace.pipeline import analyze
from tests.support.browser import Browser, open_browser
from tests.support.documents import many_calls
from tests.support.samples import capture_path

__all__ = ["report"]

_RUNS = 5
_INTERACTIONS = {
    "scroll the images": "document.querySelector('#images-app .grid-table').scrollTop += 5000",
    "scroll the calls": "document.querySelector('#calls-app .grid-table').scrollTop += 50000",
    "search": "const s = document.querySelector('#image-search'); s.value = s.value ? '' : '7';"
    " s.dispatchEvent(new Event('input'))",
    "sort the calls": "[...document.querySelectorAll('#calls-app .grid-head button')].at(-3).click()",
    "zoom": "document.querySelector('.zoom button:nth-child(2)').click()",
    "open an image": "document.querySelector('#images-app .grid-row[data-index]').click()",
}
_TIMED = """async () => {
  const start = performance.now();
  %s;
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  return performance.now() - start;
}"""


def _guides() -> dict[str, Guide]:
    return {rule.name: Guide(rule.title, rule.meaning, rule.remedy) for rule in RULES.values()}


def _load(browser: Browser, path: Path) -> float:
    """Seconds from the request to the first frame after the page has drawn itself."""
    page = browser.new_page()
    start = time.perf_counter()
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    seconds = time.perf_counter() - start
    page.close()
    return seconds


def measure(document: dict[str, Any], folder: Path) -> dict[str, float]:
    """Bytes of the page, seconds to write and to load it, ms of interactions."""
    start = time.perf_counter()
    text = render_html(document, _guides())
    figures = {"write, s": time.perf_counter() - start, "bytes": float(len(text.encode()))}
    path = folder / "report.html"
    path.write_text(text, encoding="utf-8")
    with open_browser() as browser:
        figures["load, s"] = statistics.median(_load(browser, path) for _ in range(_RUNS))
        page = browser.new_page()
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]", state="attached")
        for name, action in _INTERACTIONS.items():
            times = []
            for _ in range(_RUNS):
                times.append(page.evaluate(_TIMED % action))
                page.keyboard.press("Escape")
            figures[f"{name}, ms"] = statistics.median(times)
    return figures


def report() -> None:
    """Print both."""
    documents = {
        "concurrent-16": render_document(analyze(str(capture_path("concurrent-16")))),
        "10 000 calls, 1 000 images": many_calls(10_000, 1_000, statements_per_call=17),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, document in documents.items():
            print(name)
            for what, figure in measure(document, Path(folder)).items():
                print(f"  {what:24} {figure:>12,.2f}")


if __name__ == "__main__":
    report()
