"""What a rules file may expect: plain data, filled in by `glancetrace.check.gate.reading`.

`line` is where an expectation stands in its file. Durations are ns; names are patterns (fnmatch).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

__all__ = [
    "AllowedError",
    "CallExpectation",
    "Expectations",
    "ForbiddenSql",
    "ImageExpectation",
    "Quality",
    "Range",
    "Source",
]


@dataclass(frozen=True, slots=True)
class Range:
    """From `least` to `most`, both included; `most` None is without bound."""

    least: int
    most: int | None

    def __str__(self) -> str:
        if self.least == self.most:
            return str(self.least)
        if self.most is None:
            return f"{self.least} or more"
        return f"{self.most} or fewer" if not self.least else f"{self.least} to {self.most}"


@dataclass(frozen=True, slots=True)
class Source:
    """[capture], first half: what to read when the command line names no capture; paths as resolved."""

    files: tuple[str, ...] = ()
    keylogs: tuple[str, ...] = ()
    rsa_keys: tuple[str, ...] = ()
    api_logs: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Quality:
    """[capture], second half: how poor a capture may be. `max_loss` is a share of the stream bytes (0 to 1).

    `max_undecrypted`, `max_started_before`: connections; None: does not matter in itself.
    """

    max_loss: float = 0.0
    max_undecrypted: int | None = None
    max_started_before: int | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class ImageExpectation:
    """[[image]]: images by name or id, how many, and the way they go."""

    line: int
    name: str | None
    id: str | None
    count: Range = Range(1, None)
    statuses: tuple[str, ...] | None = None
    contains: tuple[str, ...] = ()
    forbidden: frozenset[str] = frozenset()
    max_duration: dict[str, int] = field(default_factory=dict)
    p95_duration: dict[str, int] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """How outcomes name it."""
        return f"image {self.name or self.id}"

    def matches(self, image_id: str, name: str | None) -> bool:
        """The image is one of those meant."""
        if self.id is not None and not fnmatchcase(image_id, self.id):
            return False
        return self.name is None or (name is not None and fnmatchcase(name, self.name))


@dataclass(frozen=True, slots=True)
class CallExpectation:
    """[[call]]: calls of operations, how many, how long, with how many statements each."""

    line: int
    operation: str
    service: str | None = None
    count: Range | None = None
    statements: Range | None = None
    max_duration: int | None = None
    p95_duration: int | None = None

    @property
    def subject(self) -> str:
        """How outcomes name it."""
        return f"calls of {self.operation}" + (f" ({self.service})" if self.service else "")

    def matches(self, service: str, operation: str) -> bool:
        """A call is one of those meant."""
        return fnmatchcase(operation, self.operation) and self.service in (None, service)


@dataclass(frozen=True, slots=True)
class AllowedError:
    """One entry of [errors] allow: statuses such as "404" or "5xx"; `most` calls, None without bound."""

    operation: str
    statuses: tuple[str, ...]
    most: int | None = None

    def matches(self, operation: str, status: str) -> bool:
        """It allows this answer."""
        return fnmatchcase(operation, self.operation) and any(s in (status, f"{status[:1]}xx") for s in self.statuses)


@dataclass(frozen=True, slots=True)
class ForbiddenSql:
    """[[sql.forbid]]: statements by a regular expression over their normalised text, or by digest."""

    line: int
    pattern: re.Pattern[str] | None
    digest: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Expectations:
    """A whole rules file; the default is what holds without one: the built-in rules of severity error."""

    path: str | None = None
    fail_on: str = "error"
    source: Source = Source()
    quality: Quality = Quality()
    ignored: dict[str, str] = field(default_factory=dict)
    images: tuple[ImageExpectation, ...] = ()
    unexpected_images: bool = True
    images_line: int | None = None
    calls: tuple[CallExpectation, ...] = ()
    errors_line: int | None = None
    allowed_errors: tuple[AllowedError, ...] = ()
    full_scan_line: int | None = None
    autocommit_line: int | None = None
    forbidden_sql: tuple[ForbiddenSql, ...] = ()
