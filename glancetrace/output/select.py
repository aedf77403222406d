"""Filters of the lists: which calls and which statements a user wants to see."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from glancetrace.errors import UsageError
from glancetrace.glance.call import ApiCall
from glancetrace.glance.statement import SqlStatement
from glancetrace.output.clean import clean
from glancetrace.output.summary import STATUS_ORDER
from glancetrace.timeline.image import ImageStory
from glancetrace.trace import Trace

__all__ = ["OUTCOMES", "Selection", "compile_pattern", "find_images", "select_calls", "select_statements"]

OUTCOMES = ("committed", "rolled_back", "unknown")
_PREFIX_LEN = 4


@dataclass(frozen=True, slots=True)
class Selection:
    """What is wanted; an empty field wants everything, several values of a field are alternatives.

    Attributes:
        images: names, ids, or the first digits of an id. operations: names or patterns (`image-*`, `UPDATE`).
        statuses: of calls 404, 4xx, none (unanswered); of statements committed, rolled_back, unknown, error, or an
            error's number; of both an image status: what put an image there.
        tables: database tables. services: glance, keystone, ... grep: regular expression, case does not matter.
        since, until: ns. slower_than: ns. calls: ids of calls.
    """

    images: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    grep: str | None = None
    since: int | None = None
    until: int | None = None
    slower_than: int | None = None
    calls: tuple[int, ...] = ()


def compile_pattern(text: str, *, regex: bool = True, case_sensitive: bool = False) -> re.Pattern[str]:
    """A search pattern.

    Raises:
        UsageError: it is no regular expression.
    """
    try:
        return re.compile(text if regex else re.escape(text), 0 if case_sensitive else re.IGNORECASE)
    except re.error as error:
        raise UsageError(
            f"not a regular expression: {error.msg} at position {error.pos}", action="escape special characters with \\"
        ) from None


def find_images(trace: Trace, wanted: str) -> list[ImageStory]:
    """Images of that id or name (also as it is printed, or as a pattern: `test-*`), else those whose id begins so.

    Raises:
        UsageError: there is none.
    """
    images = trace.tables.images
    exact = [image for image in images if wanted in (image.id, image.name)]
    if not exact:
        named = [(clean(image.name), image) for image in images if image.name is not None]
        exact = [image for name, image in named if name and (name == wanted or fnmatchcase(name, wanted))]
    if exact:
        return exact
    begun = [image for image in images if len(wanted) >= _PREFIX_LEN and image.id.startswith(wanted.lower())]
    if begun:
        return begun
    redactor = trace.redactor
    known = [redactor.text(image.name or image.id) for image in images[:5]]
    more = f" and {len(images) - 5} more" if len(images) > 5 else ""
    raise UsageError(
        "no such image in the capture",
        where="--image",
        action=f"images: {', '.join(known)}{more}" if known else "there are no images in it",
    )


def _image_ids(trace: Trace, selection: Selection) -> frozenset[str]:
    named = {call.image_id for call in trace.tables.calls}  # ids that were asked for and do not exist
    ids: set[str] = set()
    for wanted in selection.images:
        if wanted in named:
            ids.add(wanted)
        else:
            ids.update(image.id for image in find_images(trace, wanted))
    return frozenset(ids)


def _calls_of_images(trace: Trace, ids: frozenset[str]) -> set[int]:
    calls = {call.id for call in trace.tables.calls if call.image_id in ids}
    for image in trace.tables.images:
        if image.id in ids:
            calls.update(image.call_ids)
            calls.update(event.call_id for event in image.events if event.call_id is not None)  # lookups by name
    return calls


def _in_time(ts: int, selection: Selection) -> bool:
    return (selection.since is None or ts >= selection.since) and (selection.until is None or ts <= selection.until)


def _matches_name(name: str, patterns: Iterable[str]) -> bool:
    lower = name.lower()
    return any(fnmatchcase(lower, pattern.lower()) for pattern in patterns)


def _reached(trace: Trace, status: str) -> tuple[set[int | None], set[int | None]]:
    """Ids of the calls and of the statements that put an image into a status."""
    found = [t for image in trace.tables.images for t in image.transitions if t.to_status == status]
    return {t.call_id for t in found}, {t.statement_id for t in found}


def _call_status(trace: Trace, status: str) -> Callable[[ApiCall], bool]:
    text = status.lower()
    if re.fullmatch(r"[1-5]xx", text):
        return lambda call: call.status_code is not None and call.status_code // 100 == int(text[0])
    if re.fullmatch(r"[1-5]\d\d", text):
        return lambda call: call.status_code == int(text)
    if text == "none":
        return lambda call: call.status_code is None
    if text in STATUS_ORDER:
        calls, _ = _reached(trace, text)
        return lambda call: call.id in calls
    raise UsageError(
        f"{status!r} is no status of a call", where="--status",
        action=f"use 404, 4xx, none (no response), or an image status: {', '.join(STATUS_ORDER)}",
    )  # fmt: skip


def _statement_status(trace: Trace, status: str) -> Callable[[SqlStatement], bool]:
    text = status.lower()
    if text in OUTCOMES:
        return lambda statement: statement.outcome == text
    if text == "error":
        return lambda statement: statement.command.error is not None
    if text.isascii() and text.isdigit():
        return lambda statement: statement.command.error is not None and statement.command.error.code == int(text)
    if text in STATUS_ORDER:
        _, statements = _reached(trace, text)
        return lambda statement: statement.id in statements
    raise UsageError(
        f"{status!r} is no status of a statement", where="--status",
        action=f"use {', '.join(OUTCOMES)}, error, an error's number, or an image status: {', '.join(STATUS_ORDER)}",
    )  # fmt: skip


def select_calls(trace: Trace, selection: Selection) -> list[ApiCall]:
    """Calls that are wanted, in order.

    Raises:
        UsageError: the selection names what does not exist.
    """
    tests: list[Callable[[ApiCall], bool]] = []
    if selection.images:
        of_images = _calls_of_images(trace, _image_ids(trace, selection))
        tests.append(lambda call: call.id in of_images)
    if selection.services:
        tests.append(lambda call: call.service in selection.services)
    if selection.operations:
        tests.append(lambda call: _matches_name(call.operation, selection.operations))
    if selection.statuses:
        statuses = [_call_status(trace, status) for status in selection.statuses]
        tests.append(lambda call: any(test(call) for test in statuses))
    if selection.tables:
        wanted = {link.call_id for link in trace.tables.links
                  if _names_table(trace.tables.statements[link.statement_id - 1], selection.tables)}  # fmt: skip
        tests.append(lambda call: call.id in wanted)
    if selection.grep is not None:
        search = compile_pattern(selection.grep).search
        tests.append(lambda call: search(f"{call.method} {call.target} {call.operation} {call.request_id}") is not None)
    if selection.calls:
        tests.append(lambda call: call.id in selection.calls)
    slow = selection.slower_than
    if slow is not None:
        tests.append(lambda call: call.dur is not None and call.dur > slow)
    return [c for c in trace.tables.calls if _in_time(c.ts, selection) and all(test(c) for test in tests)]


def _names_table(statement: SqlStatement, tables: tuple[str, ...]) -> bool:
    return statement.parsed is not None and any(_matches_name(t, tables) for t in statement.parsed.shape.tables)


def select_statements(trace: Trace, selection: Selection) -> list[SqlStatement]:
    """Statements that are wanted, in order.

    Raises:
        UsageError: the selection names what does not exist.
    """
    tests: list[Callable[[SqlStatement], bool]] = []
    if selection.images:
        ids = _image_ids(trace, selection)
        calls = _calls_of_images(trace, ids)
        linked = {link.statement_id for link in trace.tables.links if link.call_id in calls}
        tests.append(lambda statement: statement.id in linked or not ids.isdisjoint(statement.image_ids))
    if selection.services:
        tests.append(lambda statement: statement.service in selection.services)
    if selection.operations:
        tests.append(lambda statement: _matches_name(statement.operation, selection.operations))
    if selection.statuses:
        statuses = [_statement_status(trace, status) for status in selection.statuses]
        tests.append(lambda statement: any(test(statement) for test in statuses))
    if selection.tables:
        tests.append(lambda statement: _names_table(statement, selection.tables))
    if selection.grep is not None:
        search = compile_pattern(selection.grep).search
        tests.append(lambda statement: search(statement.command.sql or statement.command.command) is not None)
    if selection.calls:
        of_calls = {link.statement_id for link in trace.tables.links if link.call_id in selection.calls}
        tests.append(lambda statement: statement.id in of_calls)
    slow = selection.slower_than
    if slow is not None:
        tests.append(lambda statement: statement.end_ts - statement.command.ts > slow)
    return [s for s in trace.tables.statements if _in_time(s.command.ts, selection) and all(test(s) for test in tests)]
