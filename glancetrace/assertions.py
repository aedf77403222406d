"""Assertions over a result, for tests: they fail with what was seen, where, and the filter that shows it in Wireshark.

They are the checks of the gate (`glancetrace.check.gate`), so what cannot be seen fails here, too: an assertion passes
only where the capture shows that it holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from glancetrace.check.gate.calls import judge_calls
from glancetrace.check.gate.expectations import CallExpectation, Expectations, ImageExpectation, Quality, Range
from glancetrace.check.gate.facts import Facts
from glancetrace.check.gate.images import judge_images
from glancetrace.check.gate.judge import judge
from glancetrace.check.gate.reading import read_rules
from glancetrace.check.rules import RULES
from glancetrace.duration import parse_duration
from glancetrace.issues import SEVERITIES
from glancetrace.output.clean import clean
from glancetrace.verdict import PASSED, Files, Outcome

if TYPE_CHECKING:
    from glancetrace.result import Result

__all__ = ["CheckedImage", "CheckedTrace", "describe"]

_ANY = Range(0, None)


def describe(outcome: Outcome, files: Files) -> str:
    """An outcome that did not pass, in one or two lines."""
    shown = files.filter(outcome.frames)
    what = clean(f"{outcome.subject}: {outcome.verdict}: {outcome.message}")
    return f"{what}\n  Wireshark: {shown}" if shown else what


def _demand(outcomes: Iterable[Outcome], files: Files) -> None:
    """All passed.

    Raises:
        AssertionError: with those that did not.
    """
    __tracebackhide__ = True
    bad = [outcome for outcome in outcomes if outcome.verdict != PASSED]
    if bad:
        raise AssertionError("\n".join(describe(outcome, files) for outcome in bad))


def _fail(message: str) -> NoReturn:
    __tracebackhide__ = True
    raise AssertionError(message)


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
        _demand(
            judge_calls(self._facts, self._rules(calls=(CallExpectation(0, operation, count=wanted),))), self._files
        )

    def assert_statements(self, operation: str, count: int | None = None, *, most: int | None = None) -> None:
        """Every call of an operation ran `count` statements, or at most `most`."""
        __tracebackhide__ = True
        wanted = Range(0, most) if count is None else Range(count, count)
        _demand(
            judge_calls(self._facts, self._rules(calls=(CallExpectation(0, operation, statements=wanted),))),
            self._files,
        )

    def assert_duration(self, operation: str, most: str | None = None, *, p95: str | None = None) -> None:
        """No call of an operation took longer than `most` ("1.5s"), and 95 % of them no longer than `p95`."""
        __tracebackhide__ = True
        bounds = [None if bound is None else parse_duration(bound) for bound in (most, p95)]
        expected = CallExpectation(0, operation, max_duration=bounds[0], p95_duration=bounds[1])
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
    lines = [clean(f"image {image['name'] or '(no name)'} ({image['id']}), {image['status'] or 'status unknown'}")]
    frames: list[int] = []
    for change in image["transitions"]:
        call = facts.call_of.get(change["call_id"] or 0)
        by = f", {call['operation']} (call {call['id']})" if call is not None else ""
        sure = "" if change["certainty"] == "observed" else f", {change['certainty']}"
        lines.append(
            f"  {change['ts']}  {change['from'] or '(new)'} -> {change['to']}  frame {change['frame']}{by}{sure}"
        )
        frames += [frame for frame in (change["frame"], change["commit_frame"]) if frame]
    for finding in facts.findings:
        if finding["image_id"] == image["id"]:
            lines.append(f"  {finding['severity']} {finding['rule']}: {clean(finding['message'])}")
            frames += finding["frames"]
    if frames:
        lines.append(f"  Wireshark: {Files.of(facts.capture).filter(frames)}")
    return lines


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
