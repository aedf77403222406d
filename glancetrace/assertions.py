"""Assertions over a result, for tests: they fail with what was seen, where, and the filter that shows it in Wireshark.

They are the checks of the gate (`glancetrace.check.gate`), so what cannot be seen fails here, too: an assertion passes
only where the capture shows that it holds.
"""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NoReturn

from glancetrace.check.gate.calls import judge_calls
from glancetrace.check.gate.expectations import CallExpectation, Expectations, ImageExpectation, Quality, Range
from glancetrace.check.gate.facts import Facts
from glancetrace.check.gate.images import judge_images
from glancetrace.check.gate.judge import judge
from glancetrace.check.gate.reading import OPERATIONS, read_rules
from glancetrace.check.gate.rules import ALL_RULES
from glancetrace.check.rules import RULES
from glancetrace.duration import parse_duration
from glancetrace.glance.status import STATUSES
from glancetrace.issues import SEVERITIES
from glancetrace.output.clean import clean
from glancetrace.verdict import CANNOT_JUDGE, FAILED, PASSED, Files, Outcome

if TYPE_CHECKING:
    from glancetrace.result import Result

__all__ = ["CheckedImage", "CheckedTrace", "describe"]

_ANY = Range(0, None)


_WORDS = {FAILED: "failed", CANNOT_JUDGE: "cannot be judged"}
_WIDTH = 72
"""What pytest leaves of 80 columns."""
_HEAD = " " * len("AssertionError: ")
_SHOWN_FRAMES = 6


def _wrapped(text: str, head: str) -> list[str]:
    """Lines of a text whose first one stands behind `head`."""
    wrapped = textwrap.wrap(
        text, _WIDTH, initial_indent=head, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
    return [line.removeprefix(head) for line in wrapped]


def describe(outcomes: Iterable[Outcome], files: Files) -> str:
    """Outcomes that did not pass, a few lines each; rules that say the same are told together."""
    groups: dict[tuple[str, str, str, tuple[int, ...]], list[str]] = {}
    for outcome in outcomes:
        key = outcome.subject, outcome.verdict, outcome.message, tuple(outcome.frames)
        groups.setdefault(key, []).append(f"{ALL_RULES[outcome.rule].number} {outcome.rule}")
    lines: list[str] = []
    for (subject, verdict, message, frames), rules in groups.items():
        text = clean(f"{', '.join(dict.fromkeys(rules))}: {subject}: {_WORDS[verdict]}: {message}")
        head = "" if lines else _HEAD
        lines += _wrapped(text, head)
        shown = files.filter(frames[:_SHOWN_FRAMES])
        if shown:
            more = f" and {len(frames) - _SHOWN_FRAMES} more" if len(frames) > _SHOWN_FRAMES else ""
            lines.append(f"    Wireshark: {shown}{more}")
    return "\n".join(lines)


def _known_statuses(statuses: Iterable[str]) -> None:
    """A misspelt status would never be met.

    Raises:
        ValueError: one is none of Glance's.
    """
    unknown = set(statuses) - set(STATUSES)
    if unknown:
        raise ValueError(f"no status of an image: {', '.join(sorted(unknown))}; there are: {', '.join(STATUSES)}")


def _known_operation(pattern: str) -> None:
    """A misspelt operation would be met by no call.

    Raises:
        ValueError: no operation fits.
    """
    if not any(fnmatchcase(operation, pattern) for operation in OPERATIONS):
        near = difflib.get_close_matches(pattern, OPERATIONS, 1)
        raise ValueError(f"no operation is called {pattern!r}{f'; did you mean {near[0]}?' if near else ''}")


def _demand(outcomes: Iterable[Outcome], files: Files) -> None:
    """All passed.

    Raises:
        AssertionError: with those that did not.
    """
    __tracebackhide__ = True
    bad = [outcome for outcome in outcomes if outcome.verdict != PASSED]
    if bad:
        raise AssertionError(describe(bad, files))


def _fail(message: str) -> NoReturn:
    __tracebackhide__ = True
    raise AssertionError("\n".join(_wrapped(message, _HEAD)))


class CheckedTrace:
    """A result with assertions; everything else of it (`calls`, `images`, `plot()`) is the `Trace`'s own.

    Args:
        name: the capture's, for messages. document: of the result. result: None where only the document is known.
        max_loss: share of the stream bytes that may be missing (0 to 1).
    """

    def __init__(self, name: str, document: dict[str, Any], result: Result | None = None, max_loss: float = 0) -> None:
        self.name = name
        self.document = document
        self.result = result
        self.max_loss = max_loss
        self.looked_at: list[str] = []
        self._facts = Facts(document)
        self._files = Files.of(self._facts.capture)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or self.result is None:
            raise AttributeError(f"{type(self).__name__} of {self.name} has no attribute {name!r}")
        return getattr(self.result, name)

    def __repr__(self) -> str:
        return f"<trace of {self.name}>"

    def _rules(self, **fields: Any) -> Expectations:
        return Expectations(quality=Quality(max_loss=self.max_loss), **fields)

    def image(self, name_or_id: str) -> CheckedImage:
        """One image, by its id, its name, or the first digits of its id.

        Raises:
            AssertionError: there is none, or more than one.
        """
        __tracebackhide__ = True
        images = self.document["images"]
        found = [i for i in images if name_or_id in (i["id"], i["name"])]
        found = found or [i for i in images if len(name_or_id) >= 4 and i["id"].startswith(name_or_id)]
        if len(found) != 1:
            names = ", ".join(sorted({i["name"] or i["id"] for i in images})[:10]) or "none"
            _fail(clean(f"{len(found)} images {name_or_id!r} in {self.name}; there are: {names}"))
        self.looked_at.append(found[0]["id"])
        return CheckedImage(self, found[0])

    def assert_no_findings(self, severity: str = "warning", *, ignore: Sequence[str] = ()) -> None:
        """Nothing was found of this severity or worse, and everything that could have been is visible."""
        __tracebackhide__ = True
        if severity not in SEVERITIES:
            raise ValueError(f"severity is one of {', '.join(SEVERITIES)}")
        unknown = set(ignore) - set(RULES)
        if unknown:
            raise ValueError(f"no such rule: {', '.join(sorted(unknown))}")
        ignored = dict.fromkeys(ignore, "ignored by the test")
        verdict = judge(self.document, self._rules(fail_on=severity, ignored=ignored))
        self.looked_at += [o.image_id for o in verdict.outcomes if o.verdict != PASSED and o.image_id]
        _demand(verdict.outcomes, self._files)

    def assert_calls(
        self, operation: str, count: int | None = None, *, least: int = 1, most: int | None = None
    ) -> None:
        """So many calls of an operation (a pattern) were made: exactly `count`, or from `least` to `most`."""
        __tracebackhide__ = True
        wanted = Range(least, most) if count is None else Range(count, count)
        self._demand_calls(CallExpectation(0, operation, count=wanted))

    def assert_statements(self, operation: str, count: int | None = None, *, most: int | None = None) -> None:
        """Every call of an operation ran `count` statements, or at most `most`."""
        __tracebackhide__ = True
        wanted = Range(0, most) if count is None else Range(count, count)
        self._demand_calls(CallExpectation(0, operation, statements=wanted))

    def assert_duration(self, operation: str, most: str | None = None, *, p95: str | None = None) -> None:
        """No call of an operation took longer than `most` ("1.5s"), and 95 % of them no longer than `p95`."""
        __tracebackhide__ = True
        bounds = [None if bound is None else parse_duration(bound) for bound in (most, p95)]
        self._demand_calls(CallExpectation(0, operation, max_duration=bounds[0], p95_duration=bounds[1]))

    def _demand_calls(self, expected: CallExpectation) -> None:
        __tracebackhide__ = True
        _known_operation(expected.operation)
        _demand(judge_calls(self._facts, self._rules(calls=(expected,))), self._files)

    def assert_rules(self, path: str) -> None:
        """The rules file passes."""
        __tracebackhide__ = True
        _demand(judge(self.document, read_rules(path)).outcomes, self._files)

    def timeline(self) -> list[str]:
        """Lines about the images that were looked at, or all if there were none; for reports of failures."""
        images = [i for i in self.document["images"] if i["id"] in self.looked_at] or self.document["images"][:10]
        return [line for image in images for line in _story(image, self._facts)]


def _story(image: dict[str, Any], facts: Facts) -> list[str]:
    day = next((change["ts"][:10] for change in image["transitions"]), "")
    lines = [clean(f"image {image['name'] or '(no name)'} ({image['id']})"),
             f"  {image['status'] or 'status unknown'}{f', {day}, UTC' if day else ''}"]  # fmt: skip
    frames: list[int] = []
    for change in image["transitions"]:
        call = facts.call_of.get(change["call_id"] or 0)
        by = f", {call['operation']} (call {call['id']})" if call is not None else ""
        sure = "" if change["certainty"] == "observed" else f", {change['certainty']}"
        lines.append(
            f"  {_time(change['ts'])}  {change['from'] or '(new)'} -> {change['to']}  frame {change['frame']}{by}{sure}"
        )
        frames += [frame for frame in (change["frame"], change["commit_frame"]) if frame]
    for finding in facts.findings:
        if finding["image_id"] == image["id"]:
            text = f"{finding['severity']} {finding['rule']}: {clean(finding['message'])}"
            lines += textwrap.wrap(text, 80, initial_indent="  ", subsequent_indent="    ", break_long_words=False)
            frames += finding["frames"]
    if frames:
        lines.append(f"  Wireshark: {Files.of(facts.capture).filter(frames)}")
    return lines


def _time(ts: str) -> str:
    """Time of day of an RFC 3339 time, to the microsecond."""
    return ts[11:26]


class CheckedImage:
    """One image with assertions; everything else is the `ImageView`'s own."""

    def __init__(self, trace: CheckedTrace, row: dict[str, Any]) -> None:
        self.trace = trace
        self.row = row
        self.id: str = row["id"]
        self.name: str | None = row["name"]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or self.trace.result is None:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        return getattr(self.trace.result.image(self.id), name)

    def __repr__(self) -> str:
        return f"<image {self.id} {self.name!r}>"

    @property
    def states(self) -> list[str]:
        """Its statuses, in order."""
        return [interval["status"] for interval in self.row["intervals"]]

    def _demand(self, **fields: Any) -> None:
        __tracebackhide__ = True
        _known_statuses(status for value in fields.values() for status in value)
        expected = ImageExpectation(0, None, self.id, _ANY, **fields)
        rules = Expectations(quality=Quality(max_loss=self.trace.max_loss), images=(expected,))
        outcomes = judge_images(self.trace._facts, rules)
        _demand((o for o in outcomes if o.rule != "expected-image"), self.trace._files)

    def assert_states(self, *statuses: str) -> None:
        """It went exactly this way."""
        __tracebackhide__ = True
        self._demand(statuses=statuses)

    def assert_passed(self, *statuses: str) -> None:
        """It had these statuses in this order; others may have come between."""
        __tracebackhide__ = True
        self._demand(contains=statuses)

    def assert_never(self, *statuses: str) -> None:
        """It had none of these statuses."""
        __tracebackhide__ = True
        self._demand(forbidden=frozenset(statuses))

    def assert_time(self, **bounds: str) -> None:
        """It was in a status no longer than this: `assert_time(saving="30s")`."""
        __tracebackhide__ = True
        self._demand(max_duration={status: parse_duration(bound) for status, bound in bounds.items()})
