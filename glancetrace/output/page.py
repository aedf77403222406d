"""What every text report needs to know about where it is printed."""

from __future__ import annotations

from dataclasses import dataclass

from glancetrace.output.clean import clean
from glancetrace.output.clock import Clock
from glancetrace.output.paint import Painter
from glancetrace.output.places import Places
from glancetrace.redact import Redactor

__all__ = ["Page", "short_id"]

_UNBOUNDED = 100
_WITH_WHOLE_IDS = 120
_UUID_LEN = 36


@dataclass(frozen=True, slots=True)
class Page:
    """How to print.

    Attributes:
        painter: applies colours. clock: formats times. places: names frames. redactor: hides secrets.
        width: columns of the terminal, at least 60; None in a pipe or file, where lines are not cut.
    """

    painter: Painter
    clock: Clock
    places: Places
    redactor: Redactor
    width: int | None = None

    @property
    def drawing_width(self) -> int:
        """Columns for what has no natural width: bars and running text."""
        return self.width or _UNBOUNDED

    def text(self, text: str) -> str:
        """Captured text as it may be printed: secrets replaced, control characters removed."""
        return clean(self.redactor.text(text))

    def image_name(self, name: str) -> str:
        """An image's name; one that shows nothing stands in quotes."""
        return self.text(name) or '""'

    def image_id(self, image_id: str | None) -> str:
        """An image's id, its first eight digits where there is little room."""
        text = self.text(image_id or "-")
        return text if self.width is None or self.width >= _WITH_WHOLE_IDS else short_id(text)


def short_id(text: str) -> str:
    """The first eight digits of a UUID (`--image` takes them); other ids as they are."""
    return text[:8] if len(text) == _UUID_LEN and text.count("-") == 4 else text
