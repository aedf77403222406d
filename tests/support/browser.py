"""Headless Chromium for pages from files, with everything written down that a page must not do.

Debian's `chromium` is used (Playwright brings the protocol, not the browser). There is no network: the context is
offline, and a request for anything but the page itself is refused and counted.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Dialog, Page, Route, sync_playwright

__all__ = ["Browser", "Watched", "find_chromium", "open_browser", "open_page"]

_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


def find_chromium() -> str:
    """Path of the browser.

    Raises:
        AssertionError: there is none.
    """
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    assert path is not None, "these tests need Chromium: apt-get install chromium"
    return path


@contextmanager
def open_browser() -> Iterator[Browser]:
    """A browser, closed at the end. Its own sandbox is off: it shows our own pages, often as root in a container."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass(slots=True)
class Watched:
    """A page, and what happened on it: errors of the console and of scripts, requests, dialogs."""

    page: Page
    context: BrowserContext
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def assert_quiet(self) -> None:
        """Nothing happened that must not."""
        assert (self.errors, self.requests, self.dialogs) == ([], [], [])


@contextmanager
def open_page(browser: Browser, path: Path, *, fragment: str = "", **settings: Any) -> Iterator[Watched]:
    """The page of a file, drawn; `settings` of the context (viewport, color_scheme ...)."""
    context = browser.new_context(offline=True, **{"viewport": {"width": 1280, "height": 900}, **settings})
    watched = Watched(context.new_page(), context)
    page = watched.page

    def refuse(route: Route) -> None:
        url = route.request.url
        if url.partition("#")[0] == path.as_uri() or url.startswith("data:"):
            route.continue_()
        else:
            watched.requests.append(url)
            route.abort()

    def dismiss(dialog: Dialog) -> None:
        watched.dialogs.append(dialog.message)
        dialog.dismiss()

    page.route("**/*", refuse)
    page.on("console", lambda message: watched.errors.append(message.text) if message.type != "log" else None)
    page.on("pageerror", lambda error: watched.errors.append(str(error)))
    page.on("dialog", dismiss)
    try:
        page.goto(path.as_uri() + fragment)
        yield watched
    finally:
        context.close()
