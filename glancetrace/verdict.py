"""What a check says: the words that `glancetrace.check` computes and `glancetrace.output` writes.

An `Outcome` has one of three verdicts. "cannot-judge" is what keeps "not visible" from being "passed": it stands where
the capture does not show what would be needed, and says why.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "CANNOT_JUDGE",
    "EXIT_CODES",
    "FAILED",
    "PASSED",
    "Change",
    "Comparison",
    "Files",
    "Outcome",
    "Rule",
    "Verdict",
]

PASSED, FAILED, CANNOT_JUDGE = "passed", "failed", "cannot-judge"

EXIT_CODES = {PASSED: 0, FAILED: 1, CANNOT_JUDGE: 3}
"""Verdict -> exit code of a command that ends with it."""


_SHOWN_FRAMES = 8


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a capture, by which frames are named as Wireshark numbers them.

    `starts`: frame of the first packet of each, over the whole input; empty where frames are those of the one file, or
    of what `mergecap` makes of several of the same time.
    """

    names: Sequence[str] = ()
    starts: Sequence[int] = ()

    @classmethod
    def of(cls, capture: dict[str, Any]) -> Files:
        """Those of a result: `capture` is that of its document."""
        files = sorted((file for file in capture["files"] if file["packets"]), key=lambda file: file["first_frame"])
        starts = [file["first_frame"] for file in files]
        ends = [file["first_frame"] + file["packets"] for file in files]
        one_after_another = len(files) > 1 and starts[1:] == ends[:-1]
        names = [file["name"] for file in (files if one_after_another else capture["files"])]
        return cls(names, starts if one_after_another else [])

    def locate(self, frame: int) -> tuple[str, int]:
        """Name of a frame's file ("" where there is one), and its number in Wireshark."""
        if not self.starts:
            return "", frame
        index = max(bisect_right(self.starts, frame) - 1, 0)
        return os.path.basename(self.names[index]), frame - self.starts[index] + 1

    def text(self, frames: Sequence[int]) -> str:
        """` (frames 1, 2)`, the first few of them; "" without frames."""
        if not frames:
            return ""
        more = f" and {len(frames) - _SHOWN_FRAMES} more" if len(frames) > _SHOWN_FRAMES else ""
        places = [f"{name}:{number}" if name else str(number) for name, number in map(self.locate, frames)]
        listed = ", ".join(places[:_SHOWN_FRAMES])
        return f" ({'frame' if len(frames) == 1 else 'frames'} {listed}{more})"

    def filter(self, frames: Sequence[int]) -> str:
        """Wireshark's display filter that shows these frames, one for each file; "" without any."""
        groups: dict[str, list[int]] = {}
        for name, number in map(self.locate, sorted(set(frames))):
            groups.setdefault(name, []).append(number)
        return "; ".join(
            f"{f'{name}: ' if name else ''}frame.number in {{{', '.join(map(str, numbers))}}}"
            for name, numbers in groups.items()
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that can be found: `number` is stable, `severity` is info, warning or error; the rest is for people.

    `needs`: what must be visible before nothing found means that nothing was there: "calls", "sql".
    """

    number: str
    name: str
    severity: str
    title: str
    meaning: str
    remedy: str
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one check came to.

    Attributes:
        rule: name of the rule. subject: what was judged ("image overcloud-full"). verdict, message: and why.
        frames: that prove it. ts: RFC 3339, of the event; None without one. image_id, call_id, statement_id: concerned.
        line: of the rules file, None for a built-in rule.
    """

    rule: str
    subject: str
    verdict: str
    message: str
    frames: Sequence[int] = ()
    ts: str | None = None
    image_id: str | None = None
    call_id: int | None = None
    statement_id: int | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcomes of all checks over one capture.

    `notes` are findings (rows of the result document) that do not fail: too mild, allowed or ignored; `why` of each
    stands beside it. `files`: the captures. `rules_file`: its path, None without one.
    """

    files: Files
    rules_file: str | None
    outcomes: Sequence[Outcome]
    notes: Sequence[tuple[dict[str, Any], str]] = field(default=())

    def count(self, verdict: str) -> int:
        """Outcomes with a verdict."""
        return sum(outcome.verdict == verdict for outcome in self.outcomes)

    @property
    def verdict(self) -> str:
        """One failed check fails the whole; else one that cannot be judged keeps it from passing."""
        found = {outcome.verdict for outcome in self.outcomes}
        return next((verdict for verdict in (FAILED, CANNOT_JUDGE) if verdict in found), PASSED)

    @property
    def exit_code(self) -> int:
        """0, 1 or 3."""
        return EXIT_CODES[self.verdict]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two results.

    Attributes:
        part: "calls", "answers", "statements", "time", "images" or "findings". subject: what of it.
        kind: "new", "gone", "more", "fewer", "slower", "faster", "calls", "unclear" (too few calls to
            judge), or the status of answers.
        before, after: in words. what: what is counted. regression: it is worse, and not by chance.
        frames: where the new result shows it.
    """

    part: str
    subject: str
    kind: str
    before: str
    after: str
    what: str
    regression: bool = False
    frames: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two results compared.

    `base`, `new`: their names. `unsure`: why one of them may not show everything. `files`: those of the new one.
    """

    base: str
    new: str
    verdict: str
    changes: Sequence[Change]
    unsure: Sequence[str] = ()
    files: Files = Files()

    @property
    def exit_code(self) -> int:
        """0, 1 or 3."""
        return EXIT_CODES[self.verdict]
