"""Judges [[image]] and [images]: which images there are, the way they go, and how long they stay in a status.

What was seen decides where it can. Where SQL is hidden, a way that differs from the expected one only by what may have
been hidden is not judged; one that no hidden change can mend has failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from glancetrace.check.gate.expectations import Expectations, ImageExpectation
from glancetrace.check.gate.facts import Facts, frames_of
from glancetrace.check.gate.hidden import CALLS, SQL
from glancetrace.check.gate.times import judge_times
from glancetrace.rfc3339 import nanoseconds
from glancetrace.verdict import CANNOT_JUDGE, FAILED, PASSED, Outcome

__all__ = ["judge_images", "judge_unexpected"]

Row = dict[str, Any]
_OBSERVED = "observed"


def judge_images(facts: Facts, rules: Expectations) -> Iterator[Outcome]:
    """Outcomes of every [[image]], in the order of the file."""
    for expected in rules.images:
        images = [image for image in facts.images if expected.matches(image["id"], image["name"])]
        yield _judge_count(expected, images, facts)
        for image in images:
            yield from _judge_way(expected, image, facts, rules)
        if images:
            yield from _judge_durations(expected, images, facts)


def _judge_count(expected: ImageExpectation, images: Sequence[Row], facts: Facts) -> Outcome:
    found, wanted = len(images), expected.count
    message = f"{found} found, expected {wanted}"
    verdict = PASSED
    if wanted.most is not None and found > wanted.most:
        verdict = FAILED
    else:
        # An image shows in its calls or in its SQL: one side that is wholly visible will do.
        both = facts.hidden.first((CALLS,)) and facts.hidden.first((SQL,))
        nameless = [image for image in facts.images if image["name"] is None and expected.name is not None]
        if found < wanted.least:
            verdict = FAILED
            if both:
                verdict, message = CANNOT_JUDGE, f"{message}, but {both.text}"
            elif nameless:
                verdict = CANNOT_JUDGE
                message = f"{message}, but the names of {len(nameless)} images are not known"
        elif both and wanted.most is not None:
            verdict, message = CANNOT_JUDGE, f"{message}, but {both.text}"
    frames = [_first_frame(image) for image in images]
    return Outcome("expected-image", expected.subject, verdict, message, frames_of(*frames), line=expected.line)


def _first_frame(image: Row) -> int | None:
    places = [t["frame"] for t in image["transitions"]] + [e["frame"] for e in image["events"]]
    return next((frame for frame in places if frame), None)


def _subject(image: Row) -> str:
    return f"image {image['name']} ({image['id']})" if image["name"] else f"image {image['id']}"


def _judge_way(expected: ImageExpectation, image: Row, facts: Facts, rules: Expectations) -> Iterator[Outcome]:
    seen = [interval["status"] for interval in image["intervals"]]
    shown = " > ".join(seen) or "no status"
    judged = []
    if expected.statuses is not None:
        judged.append(_exact(expected.statuses, seen, image, facts, rules))
    if expected.contains:
        judged.append(_contains(expected.contains, seen, image, facts))
    if expected.forbidden:
        judged.append(_forbidden(expected.forbidden, seen, image, facts, rules))
    frames = frames_of(*(frame for t in image["transitions"] for frame in (t["frame"], t["commit_frame"])))
    ts = image["intervals"][-1]["ts"] if image["intervals"] else None
    for verdict, message in judged:
        yield Outcome(
            "expected-statuses", _subject(image), verdict, f"{shown}: {message}", frames, ts, image["id"],
            line=expected.line,
        )  # fmt: skip


def _is_part(part: Sequence[str], whole: Sequence[str]) -> bool:
    """`part` in this order within `whole`, others between."""
    rest = iter(whole)
    return all(status in rest for status in part)


def _doubt(image: Row, facts: Facts, tolerated_loss: float = 0.0) -> str:
    """Why statuses of an image may be missing or wrong; "" if they are not."""
    reason = facts.hidden.first((SQL,), tolerated_loss)
    if reason is not None:
        return reason.text
    unsure = [t for t in image["transitions"] if t["certainty"] != _OBSERVED]
    return f"the change to {unsure[0]['to']} is {unsure[0]['certainty']}" if unsure else ""


def _exact(wanted: Sequence[str], seen: list[str], image: Row, facts: Facts, rules: Expectations) -> tuple[str, str]:
    if list(wanted) == seen:
        doubt = _doubt(image, facts, rules.quality.max_loss)
        return (CANNOT_JUDGE, f"as expected, but {doubt}") if doubt else (PASSED, "as expected")
    message = f"expected {' > '.join(wanted)}"
    if facts.running(image["id"]) and seen == list(wanted[: len(seen)]):
        return CANNOT_JUDGE, f"{message}, but the capture ends while work on it goes on"
    if image["existed_before"] and seen == list(wanted[-len(seen) :]):
        return CANNOT_JUDGE, f"{message}, but the image is older than the capture"
    doubt = _doubt(image, facts)
    sure = [t["to"] for t in image["transitions"] if t["certainty"] == _OBSERVED]
    if doubt and _is_part(sure, wanted):
        return CANNOT_JUDGE, f"{message}, but {doubt}"
    return FAILED, message


def _contains(wanted: Sequence[str], seen: list[str], image: Row, facts: Facts) -> tuple[str, str]:
    message = f"contains {' > '.join(wanted)}"
    if _is_part(wanted, seen):
        unsure = [t["to"] for t in image["transitions"] if t["to"] in wanted and t["certainty"] != _OBSERVED]
        return (CANNOT_JUDGE, f"{message}, but {unsure[0]} is not observed") if unsure else (PASSED, message)
    message = f"expected that it {message}"
    doubt = _doubt(image, facts)
    if facts.running(image["id"]):
        doubt = "the capture ends while work on it goes on"
    elif image["existed_before"]:
        doubt = doubt or ("the image is older than the capture" if wanted[0] not in seen else "")
    return (CANNOT_JUDGE, f"{message}, but {doubt}") if doubt else (FAILED, message)


def _forbidden(
    forbidden: frozenset[str], seen: list[str], image: Row, facts: Facts, rules: Expectations
) -> tuple[str, str]:
    met = [status for status in seen if status in forbidden]
    message = f"must not be {' or '.join(sorted(forbidden))}"
    if met:
        sure = any(t["to"] in met and t["certainty"] == _OBSERVED for t in image["transitions"])
        if sure or (image["first_status_certainty"] == _OBSERVED and seen[0] in met):
            return FAILED, message
        return CANNOT_JUDGE, f"{message}, and {met[0]} is inferred"
    doubt = _doubt(image, facts, rules.quality.max_loss)
    return (CANNOT_JUDGE, f"{message}, and was not, but {doubt}") if doubt else (PASSED, f"{message}, and was not")


def _judge_durations(expected: ImageExpectation, images: Sequence[Row], facts: Facts) -> Iterator[Outcome]:
    end = nanoseconds(facts.capture["last_ts"])
    statuses = list(dict.fromkeys([*expected.max_duration, *expected.p95_duration]))
    for status in statuses:
        known: list[tuple[int, Row]] = []
        cut: list[tuple[int, Row]] = []
        doubts = ""
        for image in images:
            doubts = doubts or _doubt(image, facts)
            for interval in image["intervals"]:
                if interval["status"] == status and interval["dur"] is not None:
                    known.append((interval["dur"], image))
                elif interval["status"] == status and end is not None:
                    cut.append((end - (nanoseconds(interval["ts"]) or end), image))
        verdict, message, culprit = judge_times(
            [dur for dur, _ in known], [dur for dur, _ in cut],
            expected.max_duration.get(status), expected.p95_duration.get(status),
            "it is in this status at the end of the capture", doubts,
        )  # fmt: skip
        rows = [image for dur, image in [*known, *cut] if dur == culprit] if culprit is not None else []
        frames = [t["frame"] for image in rows[:1] for t in image["transitions"]]
        subject = f"{_subject(rows[0]) if rows else expected.subject}, {status}"
        yield Outcome(
            "expected-status-time", subject, verdict, message, frames_of(*frames),
            image_id=rows[0]["id"] if rows else None, line=expected.line,
        )  # fmt: skip


def judge_unexpected(facts: Facts, rules: Expectations) -> Iterator[Outcome]:
    """[images] unexpected = false: images that no [[image]] describes."""
    if rules.unexpected_images:
        return
    rule, line = "unexpected-image", rules.images_line
    others = [i for i in facts.images if not any(e.matches(i["id"], i["name"]) for e in rules.images)]
    for image in others:
        named = image["name"] is not None or all(e.name is None for e in rules.images)
        verdict = FAILED if named else CANNOT_JUDGE
        message = "no [[image]] describes it" if named else "its name is not known"
        frames = frames_of(_first_frame(image))
        yield Outcome(rule, _subject(image), verdict, message, frames, image_id=image["id"], line=line)
    if not others:
        both = facts.hidden.first((CALLS,), rules.quality.max_loss) and facts.hidden.first((SQL,))
        verdict = CANNOT_JUDGE if both else PASSED
        message = f"no other image seen{f', but {both.text}' if both else ''}"
        yield Outcome(rule, "images", verdict, message, line=line)
