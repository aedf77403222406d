"""Colours: one place that says what is drawn how, and one that applies it or does not."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["STATUS_FILLS", "Painter", "Styled", "code_style", "severity_style", "status_fill", "status_style"]

_STYLES: dict[str, dict[str, Any]] = {
    "title": {"bold": True},
    "head": {"dim": True},
    "dim": {"dim": True},
    "good": {"fg": "green"},
    "busy": {"fg": "yellow"},
    "waiting": {"fg": "cyan"},
    "bad": {"fg": "red"},
    "gone": {"fg": "bright_black"},
    "off": {"fg": "magenta"},
    "call": {"fg": "blue", "bold": True},
    "match": {"fg": "red", "bold": True},
}

_STATUS_STYLES = {
    "queued": "waiting",
    "saving": "busy",
    "uploading": "busy",
    "importing": "busy",
    "active": "good",
    "deactivated": "off",
    "killed": "bad",
    "deleted": "gone",
    "pending_delete": "gone",
}

STATUS_FILLS = {
    "queued": "·",
    "saving": "▒",
    "uploading": "░",
    "importing": "▓",
    "active": "█",
    "deactivated": "▄",
    "killed": "×",  # noqa: RUF001 - a cross is meant
    "deleted": "_",
    "pending_delete": "~",
}
"""Status -> the character that its time is drawn with: a bar can be read without colours."""


class Styled(NamedTuple):
    """Text and the name of its style."""

    text: str
    style: str


class Painter:
    """Applies styles where `color` is on, else leaves the text alone."""

    def __init__(self, *, color: bool) -> None:
        self.color = color

    def paint(self, text: str, style: str) -> str:
        """`text` in a style; "" is no style."""
        if not self.color or not style or not text:
            return text
        import click

        return click.style(text, **_STYLES[style])


def status_style(status: str | None) -> str:
    """Style of an image status."""
    return _STATUS_STYLES.get(status or "", "")


def status_fill(status: str) -> str:
    """Character that the time in a status is drawn with."""
    return STATUS_FILLS.get(status, "?")


def code_style(status_code: int | None) -> str:
    """Style of an HTTP status code."""
    if status_code is None:
        return "bad"
    return "bad" if status_code >= 400 else ""


def severity_style(severity: str) -> str:
    """Style of a finding's or issue's severity."""
    return {"error": "bad", "warning": "busy"}.get(severity, "dim")
