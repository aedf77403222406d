"""The page in headless Chromium, on real captures: drawn without an error, a request or a dialog, and of use."""

from __future__ import annotations

import functools
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from glancetrace.check.rules import RULES
from glancetrace.document import render_document
from glancetrace.output.report import Guide, render_html
from tests.support.browser import Watched, open_browser, open_page
from tests.support.documents import ATTACKS, hostile_document, many_calls
from tests.support.handmade import CIRROS, handmade_trace
from tests.support.samples import capture_path
from tests.support.traces import analysed

GUIDES = {rule.name: Guide(rule.title, rule.meaning, rule.remedy) for rule in RULES.values()}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


@functools.cache
def document_of(sample: str) -> dict[str, Any]:
    return render_document(analysed(sample))


def write(folder: Path, name: str, document: dict[str, Any]) -> Path:
    """The page of a document, written once."""
    path = folder / f"{name}.html"
    if not path.exists():
        path.write_text(render_html(document, GUIDES), encoding="utf-8")
    return path


@pytest.fixture
def article(browser: Browser, folder: Path) -> Iterator[Watched]:
    """The article's page; at the end nothing has happened that must not."""
    with open_page(browser, write(folder, "article", document_of("article"))) as watched:
        yield watched
        watched.assert_quiet()


def rows(page: Page, section: str) -> Any:
    return page.locator(f"#{section}-app .grid-row[data-index]")


def open_first_image(page: Page) -> Any:
    rows(page, "images").first.click(position={"x": 20, "y": 20})
    detail = page.locator("#detail")
    expect(detail).to_be_visible()
    return detail


@pytest.mark.parametrize("sample", ["article", "concurrent-16", "failures"])
def test_it_is_drawn(browser: Browser, folder: Path, sample: str) -> None:
    """Whole and without an error, on a desk and on a phone, where nothing is wider than the screen."""
    document = document_of(sample)
    path = write(folder, sample, document)
    with open_page(browser, path) as watched:
        page = watched.page
        expect(page.locator("#image-count")).to_have_text(f"{len(document['images'])} images")
        expect(page.locator("#call-count")).to_have_text(f"{len(document['api_calls'])} calls")
        assert rows(page, "images").count() > 0
        assert page.locator("#images-app .bars rect").count() > 0
        detail = open_first_image(page)
        expect(detail.locator(".item").first).to_be_visible()
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate("document.querySelector('#detail').scrollWidth") <= width
        watched.assert_quiet()
    assert path.stat().st_size < 6_000_000


def test_an_image_tells_its_story(article: Watched) -> None:
    page = article.page
    detail = open_first_image(page)
    image = document_of("article")["images"][0]
    expect(detail.locator("#detail-title")).to_have_text(image["name"])
    expect(detail.locator("dl")).to_contain_text("same on the wire")
    expect(page).to_have_url(re.compile(f"#image={image['id']}$"))
    assert [lane.inner_text() for lane in detail.locator(".lane-name").all()] == [
        "Time", "Status", "Client calls", "API inside", "Database",
    ]  # fmt: skip
    assert [change.inner_text().replace("→", " → ").split() for change in detail.locator(".change .what").all()] == [
        ["new", "→", "queued"], ["queued", "→", "saving"], ["saving", "→", "active"],
    ]  # fmt: skip
    upload = detail.locator(".item.call", has_text="image-upload")
    upload.locator("summary").first.click()
    expect(upload.locator(".facts")).to_contain_text("137 KiB sent")
    assert upload.locator(".statement").count() == 32
    update = upload.locator(".statement.sql-write").first
    update.locator("summary").click()
    expect(update.locator(".statement-body .t-keyword").first).to_have_text("UPDATE")
    expect(update.locator(".statement-body .t-string", has_text="saving")).to_have_count(1)
    evidence = upload.locator(".evidence").first
    evidence.locator("summary").click()
    expect(evidence).to_contain_text("For it image id")


def test_a_bar_leads_to_what_it_stands_for(browser: Browser, folder: Path) -> None:
    """From the lanes to the statement, with its call or, where the calls are encrypted, without."""
    for sample, opened in (
        ("article", ".item.call[open] .statement[open]"),
        ("article-tls13", ".loose .statement[open]"),
    ):
        with open_page(browser, write(folder, sample, document_of(sample))) as watched:
            detail = open_first_image(watched.page)
            detail.locator(".lanes .sql-write").first.click()
            expect(detail.locator(opened)).to_have_count(1)
            expect(detail.locator(f"{opened} .statement-body")).to_contain_text("INSERT INTO images")
            watched.assert_quiet()


def test_rejected_calls_are_told(browser: Browser, folder: Path) -> None:
    document = document_of("concurrent-16")
    link = next(link for link in document["links"] if len(link["rejected"]) > 2)
    path = write(folder, "concurrent-16", document)
    with open_page(browser, path, fragment=f"#call={link['call_id']}") as watched:
        page = watched.page
        for summary in page.locator("#detail .evidence > summary").all():
            summary.click()
        told = page.locator("#detail .evidence li").all_inner_texts()
        assert {f"call {row['call_id']} {row['reason']}" for row in link["rejected"]} <= set(told)
        watched.assert_quiet()


def test_the_filter_shows_in_wireshark_what_the_page_says(article: Watched) -> None:
    article.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = article.page
    detail = open_first_image(page)
    detail.locator(".filter", has_text="Calls and status changes").get_by_role("button", name="Copy filter").click()
    expect(page.locator("#live")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    tshark = ["tshark", "-r", str(capture_path("article")), "-Y", copied, "-T", "fields", "-e", "frame.number"]
    shown = subprocess.run(tshark, capture_output=True, text=True, check=True).stdout.split()
    document = document_of("article")
    image = document["images"][0]
    proving = {change[key] for change in image["transitions"] for key in ("frame", "commit_frame")}
    proving |= {call["response_frame"] for call in document["api_calls"] if call["image_id"] == image["id"]}
    assert proving <= set(map(int, shown))
    assert f"{len(shown)} frames" in detail.inner_text()


def test_search_filter_and_sort(browser: Browser, folder: Path) -> None:
    document = document_of("concurrent-16")
    with open_page(browser, write(folder, "concurrent-16", document)) as watched:
        page = watched.page
        names = rows(page, "images").locator(".name")
        page.keyboard.press("/")
        expect(page.locator("#image-search")).to_be_focused()
        page.keyboard.type("img-c08-1")
        matching = [image for image in document["images"] if "img-c08-1" in image["name"]]
        expect(names).to_have_count(len(matching))
        page.keyboard.press("Escape")
        expect(page.locator("#image-count")).to_have_text("89 images")
        page.locator(".chip[data-status=deactivated]").click()
        expect(rows(page, "images").locator(".pill").first).to_have_text("deactivated")
        expect(page.locator("#image-count")).to_have_text("10 of 89 images")
        page.locator(".chip[data-status=deactivated]").click()
        page.get_by_role("button", name="Size").click()
        page.get_by_role("button", name="Size").click()
        largest = max(document["images"], key=lambda image: image["size"] or 0)
        expect(names.first).to_have_text(largest["name"])
        page.get_by_role("button", name="Refused or failed").click()
        failed = sum(call["status_code"] is None or call["status_code"] >= 400 for call in document["api_calls"])
        expect(page.locator("#call-count")).to_have_text(f"{failed} of 501 calls")
        watched.assert_quiet()


def test_it_needs_no_mouse(article: Watched) -> None:
    page = article.page
    page.locator("#image-search").focus()
    page.keyboard.press("ArrowDown")
    grid = page.locator("#images-app .grid-table")
    expect(grid).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("End")
    page.keyboard.press("ArrowUp")
    active = page.locator("#images-app .grid-row.active")
    expect(active.locator(".name")).to_have_text("overcloud-full-initrd")
    expect(grid).to_have_attribute("aria-activedescendant", active.get_attribute("id") or "")
    page.keyboard.press("Enter")
    expect(page.locator("#detail-title")).to_have_text("overcloud-full-initrd")
    expect(page.locator("#detail-title")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).not_to_be_visible()
    expect(grid).to_be_focused()
    expect(page).not_to_have_url(re.compile("#"))


def test_bars_need_no_mouse(article: Watched) -> None:
    """The arrows reach every bar of every lane, Enter opens what a click opens, and what is said is what is shown."""
    page = article.page
    detail = open_first_image(page)
    lanes = detail.locator(".lanes")
    lanes.focus()
    current = lanes.locator("rect.current")

    def press(key: str) -> str:
        page.keyboard.press(key)
        page.evaluate("new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
        expect(lanes).to_have_attribute("aria-activedescendant", current.get_attribute("id") or "")
        said = current.get_attribute("aria-label") or ""
        expect(detail.locator(".lane-note")).to_have_text(said)
        return said

    statuses = [press("ArrowRight") for _ in range(4)]
    assert [said.split(",")[0].split()[-1] for said in statuses] == ["queued", "saving", "active", "active"]
    expect(current).to_have_attribute("role", "img")
    page.keyboard.press("Enter")
    expect(detail.locator(".item[open]")).to_have_count(0)
    press("ArrowDown")
    assert " image-show 404" in press("Home")
    expect(current).to_have_attribute("role", "button")
    for _ in range(2):
        press("ArrowDown")
    seen = [press("Home")]
    while (said := press("ArrowRight")) != seen[-1]:
        seen.append(said)
    assert len(seen) == lanes.locator(".lane").last.locator(".bars rect").count()
    assert press("End") == seen[-1]
    for _ in range(3):
        page.keyboard.press("+")
    assert press("Home").split()[0] == seen[0].split()[0]  # it was out of sight
    while " INSERT" not in press("ArrowRight"):
        pass
    page.keyboard.press("Enter")
    opened = detail.locator(".item.call[open] .statement[open]")
    expect(opened.locator(".statement-body")).to_contain_text("INSERT INTO images")
    expect(opened.locator("summary")).to_be_focused()


def ruler(page: Page) -> list[str]:
    return page.locator("#images-app .ruler text").all_text_contents()


def test_the_timelines_zoom_and_pan(article: Watched) -> None:
    page = article.page
    whole = ruler(page)
    page.locator("#images-app .grid-table").focus()
    page.keyboard.press("+")
    page.wait_for_function(
        "before => document.querySelector('#images-app .ruler').textContent !== before", arg="".join(whole)
    )
    zoomed = ruler(page)
    page.keyboard.press("Shift+ArrowLeft")
    page.wait_for_function(
        "before => document.querySelector('#images-app .ruler').textContent !== before", arg="".join(zoomed)
    )
    page.get_by_role("button", name="Show all of it").first.click()
    page.wait_for_function(
        "before => document.querySelector('#images-app .ruler').textContent === before", arg="".join(whole)
    )
    box = page.locator("#images-app .bars").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] - 20, box["y"] + 10)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    page.wait_for_function(
        "before => document.querySelector('#images-app .ruler').textContent !== before", arg="".join(whole)
    )


def test_light_and_dark(browser: Browser, folder: Path) -> None:
    path = write(folder, "article", document_of("article"))
    background = "getComputedStyle(document.body).backgroundColor"
    colours = {}
    for scheme in ("light", "dark"):
        with open_page(browser, path, color_scheme=scheme) as watched:
            colours[scheme] = watched.page.evaluate(background)
            watched.page.locator("#theme").click()
            colours[f"not {scheme}"] = watched.page.evaluate(background)
            watched.page.emulate_media(media="print")
            assert (
                watched.page.evaluate("getComputedStyle(document.querySelector('.card')).backgroundColor")
                == "rgb(255, 255, 255)"
            )
    assert colours["light"] == colours["not dark"] != colours["dark"] == colours["not light"]


def test_paper_shows_every_row(browser: Browser, folder: Path) -> None:
    with open_page(browser, write(folder, "concurrent-16", document_of("concurrent-16"))) as watched:
        page = watched.page
        in_sight = rows(page, "images").count()
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert rows(page, "images").count() == 89 > in_sight
        expect(page.locator("#calls-app .print-note")).to_have_text("The first 500 of 501 rows")
        assert page.locator("main details:not([open])").count() == 0
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert rows(page, "images").count() == in_sight
        assert page.locator("main details:not([open])").count() > 0
        watched.assert_quiet()


def test_times_as_wanted(article: Watched) -> None:
    page = article.page
    first = rows(page, "calls").first.locator("time")
    expect(first).to_have_text("19:25:51.708779")
    page.locator("#clock").select_option("relative")
    expect(first).to_have_text("+0.000148")


def test_a_link_leads_there(browser: Browser, folder: Path) -> None:
    path = write(folder, "handmade", render_document(handmade_trace()))
    with open_page(browser, path) as watched:
        for fragment, title in (
            (f"#image={CIRROS}", "cirros"),
            (f"#image={CIRROS[:8]}", "cirros"),
            ("#image=cirros", "cirros"),
            ("#call=3", "image-upload 204"),
            ("#image=none", "none"),
        ):
            watched.page.goto("about:blank")  # or the page would stay, and only be told
            watched.page.goto(path.as_uri() + fragment)
            expect(watched.page.locator("#detail-title")).to_have_text(title)
        watched.assert_quiet()


def test_frames_of_several_files(browser: Browser, folder: Path) -> None:
    path = write(folder, "pieces", render_document(handmade_trace(files=3)))
    with open_page(browser, path, fragment=f"#image={CIRROS}") as watched:
        filters = watched.page.locator("#detail .filter", has_text="Calls and status changes").all_inner_texts()
    assert [re.sub(r"\s+", " ", text) for text in filters] == [
        "Calls and status changes in piece1.pcap · 6 frames frame.number in {20..21, 29..31, 39} Copy filter",
        "Calls and status changes in piece3.pcap · 6 frames frame.number in {1..2, 4, 6..7, 9} Copy filter",
    ]


@pytest.mark.parametrize("turn", range(3))
def test_hostile_text_is_text(browser: Browser, folder: Path, turn: int) -> None:
    """Nothing of it runs, wherever it is shown: in the tables, in the sheet of the image, in its calls and SQL."""
    document = hostile_document(*ATTACKS[4 * turn :], *ATTACKS[: 4 * turn])
    with open_page(browser, write(folder, f"hostile-{turn}", document)) as watched:
        page = watched.page
        detail = open_first_image(page)
        for item in detail.locator(".item.call > summary, .evidence > summary").all():
            item.click()
        for row in detail.locator(".statement > summary").all():
            row.click()
        for command in detail.locator("code", has_text="glancetrace extract").all_inner_texts():
            assert len(shlex.split(command)) == 7, "hostile words of a command are quoted, or there is none"
        assert page.evaluate("window.hacked") is None
        assert page.locator("img, iframe, object, embed, form, a[href^='javascript']").count() == 0
        watched.assert_quiet()


def test_the_policy_stops_what_might_be_injected(browser: Browser, folder: Path) -> None:
    """Should a text ever become an element: no script of it runs, nothing is fetched."""
    with open_page(browser, write(folder, "handmade", render_document(handmade_trace()))) as watched:
        blocked = watched.page.evaluate("""async () => {
            const seen = [];
            document.addEventListener("securitypolicyviolation", (event) => seen.push(event.effectiveDirective));
            const script = document.createElement("script");
            try { script.text = "window.hacked = 1"; } catch { seen.push("trusted types"); }
            const image = document.createElement("img");
            image.src = "https://192.0.2.1/x.png";
            document.body.append(script, image);
            try { document.body.innerHTML += "<b>x</b>"; } catch { seen.push("no HTML"); }
            await fetch("https://192.0.2.1/").catch(() => seen.push("no fetch"));
            await new Promise((done) => setTimeout(done));
            return seen;
        }""")
        assert {"trusted types", "no HTML", "no fetch", "img-src", "connect-src"} <= set(blocked)
        assert watched.page.evaluate("window.hacked") is None
        assert watched.requests == []


def test_only_the_rows_in_sight_are_in_the_page(browser: Browser, folder: Path) -> None:
    path = write(folder, "many", many_calls(1_500, 300, statements_per_call=1))
    with open_page(browser, path) as watched:
        page = watched.page
        assert rows(page, "calls").count() < 40
        page.locator("#calls-app .grid-table").evaluate("grid => { grid.scrollTop = grid.scrollHeight; }")
        expect(rows(page, "calls").locator(".k-id", has_text="1500")).to_be_visible()
        assert rows(page, "calls").count() < 40
        page.locator("#images-app .grid-table").focus()
        page.keyboard.press("End")
        page.keyboard.press("Enter")
        expect(page.locator("#detail-title")).to_have_text("image-299")
        watched.assert_quiet()


def test_a_browser_without_scripts_shows_the_images(browser: Browser, folder: Path) -> None:
    with open_page(browser, write(folder, "article", document_of("article")), java_script_enabled=False) as watched:
        expect(watched.page.locator("noscript table")).to_contain_text("overcloud-full-vmlinuz")
