"""Reads a rules file (TOML) into `Expectations`, strictly: what is not known is refused, with its line.

A rule that is misspelt and silently left out would pass for ever.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any, NoReturn, TypeVar

from glancetrace.check.gate.expectations import (
    AllowedError,
    CallExpectation,
    Expectations,
    ForbiddenSql,
    ImageExpectation,
    Quality,
    Range,
    Source,
)
from glancetrace.check.gate.rules import ALL_RULES, find_rule
from glancetrace.check.gate.toml_places import Place, find_places
from glancetrace.duration import parse_duration
from glancetrace.errors import UsageError
from glancetrace.glance.status import STATUSES
from glancetrace.glance.templates import TEMPLATES
from glancetrace.issues import SEVERITIES

__all__ = ["OPERATIONS", "parse_rules", "read_rules"]

_T = TypeVar("_T")
_SERVICES = ("glance", "keystone", "registry", "swift")
OPERATIONS = frozenset({"unknown"} | {operation for *_, operation in TEMPLATES})
_NONE: tuple[str, ...] = ()
_STATUS_CODE = re.compile(r"[1-5](?:\d\d|xx)|none")


def read_rules(path: str) -> Expectations:
    """The expectations in a file; paths in it are relative to it.

    Raises:
        UsageError: it cannot be read, is no TOML, or says something that is not known.
    """
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=path, action="check the name") from None
    except UnicodeDecodeError:
        raise UsageError("is no text", where=path, action="write it with glancetrace check --init") from None
    return parse_rules(text, path)


def parse_rules(text: str, path: str) -> Expectations:
    """`read_rules` of a text; `path` for messages, and as the place that paths are relative to."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"is no TOML: {error}", where=path, action="see https://toml.io") from None
    places = find_places(text)
    return _rules(_Table(content, (), path, places))


class _Table:
    """One table of the file, from which keys are taken; what is left over is refused."""

    def __init__(self, content: dict[str, Any], place: Place, path: str, places: dict[Place, int]) -> None:
        self._content = dict(content)
        self.place = place
        self.path = path
        self._places = places
        self._known: list[str] = []

    def line(self, key: str | None = None) -> int:
        """Where a key stands, or the table itself."""
        place: Place = self.place if key is None else (*self.place, key)
        while place and place not in self._places:
            place = place[:-1]
        return self._places.get(place, 1)

    def refuse(self, key: str | None, what: str, action: str) -> NoReturn:
        """Complain about a key."""
        shown = ".".join(str(part) for part in (*self.place, *([key] if key else [])) if isinstance(part, str))
        raise UsageError(f"{shown}: {what}", where=f"{self.path}: line {self.line(key)}", action=action)

    def take(self, key: str, default: _T, read: Callable[[Any], _T]) -> _T:
        """Value of a key as `read` gives it; `read` raises ValueError with what it wants, or UsageError."""
        self._known.append(key)
        if key not in self._content:
            return default
        try:
            return read(self._content.pop(key))
        except ValueError as error:
            return self.refuse(key, "has a value that does not fit", f"write {error}")
        except UsageError as error:
            return self.refuse(key, error.what, error.action)

    def table(self, key: str) -> _Table | None:
        """A table within; None if it is not there."""
        self._known.append(key)
        found = self._content.pop(key, None)
        if found is None:
            return None
        if not isinstance(found, dict):
            self.refuse(key, "is no table", f"write [{key}]")
        return _Table(found, (*self.place, key), self.path, self._places)

    def tables(self, key: str) -> list[_Table]:
        """The tables of an array."""
        self._known.append(key)
        found = self._content.pop(key, [])
        if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
            self.refuse(key, "is no array of tables", f"write [[{key}]]")
        return [_Table(entry, (*self.place, key, n), self.path, self._places) for n, entry in enumerate(found)]

    def items(self) -> list[tuple[str, Any]]:
        """All that is left, taken."""
        content, self._content = self._content, {}
        return list(content.items())

    def close(self) -> None:
        """Nothing may be left."""
        for key in self._content:
            near = difflib.get_close_matches(key, self._known, 1)
            known = f"did you mean {near[0]}?" if near else f"known: {', '.join(self._known)}"
            self.refuse(key, "is not known", known)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    """One text or several."""
    entries = value if isinstance(value, list) else [value]
    return tuple(map(_text, entries))


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("a number that is not negative")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _share(value: Any) -> float:
    """`"0.1 %"`, or a number from 0 to 1."""
    number = value
    if isinstance(value, str) and re.fullmatch(r"\s*\d+(\.\d+)?\s*%\s*", value):
        number = float(value.strip().rstrip("%")) / 100
    if not isinstance(number, int | float) or isinstance(number, bool) or not 0 <= number <= 1:
        raise ValueError('a share, such as "0.1 %"')
    return float(number)


def _duration(value: Any) -> int:
    if not isinstance(value, str):
        raise ValueError('a duration, such as "250ms"')
    return parse_duration(value)


def _range(value: Any) -> Range:
    """`3`, or `{ min = 1, max = 5 }`."""
    if isinstance(value, dict) and value and value.keys() <= {"min", "max"}:
        least = _count(value.get("min", 0))
        most = _count(value["max"]) if "max" in value else None
        if most is None or least <= most:
            return Range(least, most)
    elif not isinstance(value, dict):
        return Range(_count(value), _count(value))
    raise ValueError("a number, or { min = 1, max = 5 }")


def _status(value: Any) -> str:
    if value not in STATUSES:
        near = difflib.get_close_matches(str(value), STATUSES, 1)
        meant = f"did you mean {near[0]}?" if near else f"statuses: {', '.join(sorted(STATUSES))}"
        raise UsageError(f"{value!r} is no status of an image", action=meant)
    return str(value)


def _statuses(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError('a list of statuses, such as ["queued", "saving", "active"]')
    return tuple(map(_status, value))


def _status_durations(value: Any) -> dict[str, int]:
    if not isinstance(value, dict):
        raise ValueError('a table, such as { saving = "30s" }')
    return {_status(status): _duration(duration) for status, duration in value.items()}


def _severity(value: Any) -> str:
    if value not in SEVERITIES:
        raise ValueError(" or ".join(SEVERITIES))
    return str(value)


def _codes(value: Any) -> tuple[str, ...]:
    codes = tuple(str(code) for code in (value if isinstance(value, list) else [value]))
    if not codes or not all(map(_STATUS_CODE.fullmatch, codes)):
        raise ValueError('status codes, such as [404, "5xx"]; "none" is no response')
    return codes


def _pattern(value: Any) -> re.Pattern[str]:
    try:
        return re.compile(_text(value), re.IGNORECASE | re.DOTALL)
    except re.error as error:
        raise UsageError(f"is no regular expression: {error}", action="see Python's re") from None


def _operation(value: Any) -> str:
    """A pattern that some operation fits: one that is misspelt would be met by no call, and pass for ever."""
    pattern = _text(value)
    if not any(fnmatchcase(operation, pattern) for operation in OPERATIONS):
        near = difflib.get_close_matches(pattern, OPERATIONS, 1)
        meant = f"did you mean {near[0]}?" if near else "see the column operation of glancetrace calls"
        raise UsageError(f"no operation is called {pattern!r}", action=meant)
    return pattern


def _service(value: Any) -> str:
    if value not in _SERVICES:
        raise ValueError(" or ".join(_SERVICES))
    return str(value)


def _rules(top: _Table) -> Expectations:
    fail_on = top.take("fail_on", "error", _severity)
    source, quality = _capture(top.table("capture"), os.path.dirname(top.path))
    ignored = _ignored(top.table("ignore"))
    images = tuple(map(_image, top.tables("image")))
    unexpected, images_line = True, None
    if (table := top.table("images")) is not None:
        unexpected, images_line = table.take("unexpected", True, _flag), table.line("unexpected")
        table.close()
    calls = tuple(map(_call, top.tables("call")))
    allowed, errors_line = _errors(top.table("errors"))
    full_scan, autocommit, forbidden = _sql(top.table("sql"))
    top.close()
    return Expectations(
        top.path, fail_on, source, quality, ignored, images, unexpected, images_line, calls, errors_line, allowed,
        full_scan, autocommit, forbidden,
    )  # fmt: skip


def _capture(table: _Table | None, folder: str) -> tuple[Source, Quality]:
    if table is None:
        return Source(), Quality()

    def paths(value: Any) -> tuple[str, ...]:
        return tuple(os.path.join(folder, path) for path in _texts(value))

    source = Source(
        table.take("files", _NONE, paths),
        table.take("keylog", _NONE, paths),
        table.take("rsa_key", _NONE, paths),
        table.take("api_log", _NONE, paths),
        table.take("port", _NONE, _texts),
    )
    quality = Quality(
        table.take("max_loss", 0.0, _share),
        table.take("max_undecrypted", None, _count),
        table.take("max_started_before", None, _count),
        table.line(),
    )
    table.close()
    return source, quality


def _ignored(table: _Table | None) -> dict[str, str]:
    ignored: dict[str, str] = {}
    for key, reason in table.items() if table is not None else ():
        rule = find_rule(key)
        if rule is None and table is not None:
            near = difflib.get_close_matches(key, ALL_RULES, 1)
            table.refuse(key, "is no rule", f"did you mean {near[0]}?" if near else "see glancetrace rules")
        elif table is not None and (not isinstance(reason, str) or not reason.strip()):
            table.refuse(key, "lacks the reason why it is ignored", "write it behind the =, as a text")
        elif rule is not None:
            ignored[rule.name] = reason
    return ignored


def _image(table: _Table) -> ImageExpectation:
    expectation = ImageExpectation(
        table.line(),
        table.take("name", None, _text),
        table.take("id", None, _text),
        table.take("count", Range(1, None), _range),
        table.take("statuses", None, _statuses),
        table.take("contains", _NONE, _statuses),
        frozenset(table.take("forbidden", _NONE, _statuses)),
        table.take("max_duration", {}, _status_durations),
        table.take("p95_duration", {}, _status_durations),
    )
    table.close()
    if expectation.name is None and expectation.id is None:
        table.refuse(None, "says neither name nor id", 'write name = "overcloud-*"')
    return expectation


def _call(table: _Table) -> CallExpectation:
    exact = table.take("statements", None, _range)
    most = table.take("max_statements", None, _count)
    if exact is not None and most is not None:
        table.refuse("max_statements", "and statements exclude each other", "write one of them")
    operation = table.take("operation", "", _operation)
    expectation = CallExpectation(
        table.line(),
        operation,
        table.take("service", None, _service),
        table.take("count", None, _range),
        exact if most is None else Range(0, most),
        table.take("max_duration", None, _duration),
        table.take("p95_duration", None, _duration),
    )
    table.close()
    if not operation:
        table.refuse(None, "says no operation", 'write operation = "image-upload"')
    wanted = (expectation.count, expectation.statements, expectation.max_duration, expectation.p95_duration)
    if all(bound is None for bound in wanted):
        table.refuse(None, f"expects nothing of {operation}", "write count, statements, max_statements, max_duration "
                     "or p95_duration")  # fmt: skip
    return expectation


def _errors(table: _Table | None) -> tuple[tuple[AllowedError, ...], int | None]:
    if table is None:
        return (), None
    allowed = []
    for entry in table.tables("allow"):
        operation = entry.take("operation", "*", _operation)
        codes = entry.take("status", _NONE, _codes)
        allowed.append(AllowedError(operation, codes, entry.take("max", None, _count)))
        entry.close()
        if not codes:
            entry.refuse(None, "says no status", "write status = [404]")
    table.close()
    return tuple(allowed), table.line()


def _sql(table: _Table | None) -> tuple[int | None, int | None, tuple[ForbiddenSql, ...]]:
    if table is None:
        return None, None, ()
    full_scan = table.take("full_scan", True, _flag)
    autocommit = table.take("outside_transaction", True, _flag)
    forbidden = []
    for entry in table.tables("forbid"):
        pattern = entry.take("pattern", None, _pattern)
        digest = entry.take("digest", None, _text)
        forbidden.append(ForbiddenSql(entry.line(), pattern, digest, entry.take("reason", "", _text)))
        entry.close()
        if (pattern is None) == (digest is None):
            entry.refuse(None, "needs one of pattern and digest", 'write pattern = "^DELETE FROM images"')
    table.close()
    return (
        None if full_scan else table.line("full_scan"),
        None if autocommit else table.line("outside_transaction"),
        tuple(forbidden),
    )
