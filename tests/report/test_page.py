"""The file as text: what it allows the browser, what is in it and what is not, and that it is always the same."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from glancetrace.cli import main
from glancetrace.document import render_document
from glancetrace.output.report import Guide, render_html
from tests.support.documents import ATTACKS, hostile_document
from tests.support.handmade import CIRROS, PASSWORD, TOKEN, handmade_trace
from tests.support.samples import capture_path
from tests.support.traces import analysed

GUIDES = {"image-stuck": Guide("Image stuck half-way", "it is saving and nothing works on it", "repeat the upload")}


class Elements(HTMLParser):
    """Start tags with attributes, and the text of style and script elements."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, list[str]] = {"style": [], "script": []}
        self._open = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag
        if tag in self.inside:
            self.inside[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open in self.inside:
            self.inside[self._open][-1] += data


def render(document: dict[str, Any] | None = None, **settings: Any) -> str:
    return render_html(document or render_document(handmade_trace()), GUIDES, **settings)


def policy_of(elements: Elements) -> dict[str, list[str]]:
    content = next(a["content"] for tag, a in elements.tags if a.get("http-equiv") == "Content-Security-Policy")
    return {name: values for name, *values in (part.split() for part in str(content).split("; "))}


def digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_only_its_own_style_and_script_are_allowed_by_their_hashes() -> None:
    elements = Elements(render())
    policy = policy_of(elements)
    data, script = elements.inside["script"]
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == [digest(script)]
    assert policy["style-src"] == [digest(elements.inside["style"][0])]
    assert policy["img-src"] == ["data:"]
    assert "unsafe" not in str(policy)
    assert data.startswith('{"base":')


def test_the_policy_stands_before_everything_that_it_governs() -> None:
    tags = [
        tag
        for tag, attributes in Elements(render()).tags
        if tag in ("style", "script", "link") or "content" in attributes
    ]
    assert tags[0] == "meta"


@pytest.mark.parametrize("attack", ["", *ATTACKS])
def test_no_text_of_a_capture_becomes_an_element_or_an_attribute(attack: str) -> None:
    """The page of a hostile capture has the elements of the harmless one, and no attribute that runs or loads."""
    harmless = Elements(render(hostile_document("name")))
    elements = Elements(render(hostile_document(attack or "name"), title=attack or "name"))
    assert [tag for tag, _ in elements.tags] == [tag for tag, _ in harmless.tags]
    for tag, attributes in elements.tags:
        assert not {name for name in attributes if name.startswith("on") or name in ("src", "srcdoc", "style")}, tag
        target = attributes.get("href")
        assert target is None or target.startswith(("#", "data:image/svg+xml,")), target


def test_secrets_are_not_in_the_page_unless_revealed() -> None:
    page = render()
    assert PASSWORD not in page
    assert TOKEN not in page
    assert "Passwords and tokens were replaced" in page
    shown = render_html(render_document(handmade_trace(reveal=True)), GUIDES, revealed=True)
    assert TOKEN in shown
    assert "do not pass this page on" in shown


def test_folders_are_not_in_the_page() -> None:
    document = render_document(handmade_trace())
    document["capture"]["files"][0]["name"] = "/home/me/acme-corp/one.pcap"
    page = render(document)
    assert "one.pcap" in page
    assert "acme-corp" not in page


def test_the_same_capture_gives_the_same_bytes(tmp_path: Path) -> None:
    pages = [tmp_path / name for name in ("one.html", "two.html")]
    for page, jobs in zip(pages, ("1", "2"), strict=True):
        with pytest.raises(SystemExit) as done:
            main(["report", str(capture_path("article")), "--jobs", jobs, "--no-progress", "-o", str(page)])
        assert done.value.code == 0
    assert pages[0].read_bytes() == pages[1].read_bytes()


def test_it_can_be_read_without_a_script() -> None:
    """Summary, findings with what they mean, issues with what to do, and a table of the images."""
    text = re.sub(r"<(script|style).*?</\1>", "", render(), flags=re.DOTALL)
    for said in (
        "2 images and 5 API calls, 2 of them refused or failed. 1 finding to look into first.",
        "Image stuck half-way", "It is saving and nothing works on it.", "Repeat the upload.",
        "tcp-gap", "dropped by kernel", CIRROS, "saving 1.38 s → active 2.30 s+", "110 decoded", "7 udp",
    ):  # fmt: skip
        assert said in text, said


def test_a_capture_without_anything_says_so() -> None:
    document = render_document(handmade_trace())
    for table in ("connections", "api_calls", "statements", "links", "images", "findings", "issues"):
        document[table] = []
    text = render(document)
    assert "The capture shows no image and no API call." in text
    assert "There is no image in this capture." in text


def test_calls_that_stay_encrypted_are_told() -> None:
    page = render(render_document(analysed("article-tls13")))
    assert "3 images, and no API call that could be read." in page
    assert "No API call could be read: 2 connections stayed encrypted (no secrets given)." in page


def test_a_rule_that_nobody_explains_is_shown_by_its_name() -> None:
    assert "<strong>call-failed</strong>" in render()


def test_frames_of_several_files_are_those_of_their_files() -> None:
    page = render(render_document(handmade_trace(files=3)))
    assert "frames piece1.pcap:50, piece2.pcap:9" in page


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "Missing option '-o'"),
        (["-o", ""], "-o needs a name"),
        (["-o", "/nonexistent/page.html"], "cannot be written"),
    ],
)
def test_wrong_usage_is_told_in_a_line(args: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["report", str(capture_path("article")), *args])
    assert done.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_the_capture_is_not_overwritten(tmp_path: Path) -> None:
    capture = tmp_path / "c.pcap.gz"
    capture.write_bytes(capture_path("article").read_bytes())
    with pytest.raises(SystemExit) as done:
        main(["report", str(capture), "-o", str(capture)])
    assert done.value.code == 2
    assert capture.read_bytes() == capture_path("article").read_bytes()
