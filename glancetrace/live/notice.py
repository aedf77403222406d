"""What `watch` tells: one notice per thing that happened, a line of text or a row of JSON.

Five kinds: `status` (an image's status changed), `call` (an API call of interest is over), `finding` (something that a
person should look at), `issue` (something is wrong with the capture, told once per kind) and `summary` (at the end). A
notice holds captured text as it came; secrets are replaced when a row is made of it, the one way out. Every row but the
summary is provisional: it is told before the future is known, and `analyze` over the whole capture may know better.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from glancetrace.redact import Redactor

__all__ = ["SEVERITIES", "Emit", "Notice"]

SEVERITIES: Mapping[str, str] = {
    "call-slow": "warning",
    "client-error": "warning",
    "download-aborted": "warning",
    "image-stuck": "error",
    "lookup-not-found": "info",
    "lost-race": "warning",
    "response-missing": "warning",
    "server-error": "error",
    "sql-deadlock": "warning",
    "sql-error": "warning",
    "status-illegal": "error",
    "upload-aborted": "warning",
}
"""Rule -> severity; the rules are those of `glancetrace.check.rules` that need no future."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that happened.

    Attributes:
        kind: status, call, finding, issue or summary.
        ts: when, ns. rule: what was found, None for what is nothing but news; see `SEVERITIES`.
        message: in words, for findings and issues. image_id, image_name: of which image, None if of none or unknown.
        frames: what proves it. details: the columns that only this kind has.
    """

    kind: str
    ts: int
    rule: str | None = None
    message: str | None = None
    image_id: str | None = None
    image_name: str | None = None
    frames: tuple[int, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    def row(self, redactor: Redactor) -> dict[str, Any]:
        """All of it as a row, secrets replaced; `ts` stays ns."""

        def shown(value: Any) -> Any:
            return redactor.text(value) if isinstance(value, str) else value

        return {
            "kind": self.kind,
            "ts": self.ts,
            "rule": self.rule,
            "severity": SEVERITIES[self.rule] if self.rule is not None else "info",
            "image_id": self.image_id,
            "image_name": shown(self.image_name),
            **{name: shown(value) for name, value in self.details.items()},
            "message": shown(self.message),
            "frames": list(self.frames),
            "provisional": self.kind != "summary",
        }


Emit = Callable[[Notice], None]
"""Takes notices as they come."""
