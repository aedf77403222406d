"""A log file -> an `ApiLog`. What it is, its content says: the first lines that fit one of the formats decide."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Callable, Sequence

from glancetrace.errors import InputError
from glancetrace.logs.access import looks_like_access, looks_like_uwsgi, parse_access, parse_uwsgi
from glancetrace.logs.call import ApiLog, LoggedCall
from glancetrace.logs.console import ConsoleReader, looks_like_console
from glancetrace.logs.haproxy import looks_like_haproxy, parse_haproxy
from glancetrace.logs.lines import LogLines
from glancetrace.logs.oslo import OsloReader, looks_like_oslo
from glancetrace.logs.repeated import drop_repeated
from glancetrace.logs.times import SECOND

__all__ = ["FORMATS", "read_log", "read_logs"]

FORMATS = ("openstack-debug", "haproxy", "uwsgi", "oslo", "access")
LONGEST_TARGET = 1 << 16
"""Characters of a request's target; no server takes as many."""

_LOOK = 2000
"""Lines that are looked at to tell the format."""

_LONGEST_FOREIGN = 2000
"""Characters of a line that is looked at for another format."""

_TESTS: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("openstack-debug", looks_like_console),
    ("haproxy", looks_like_haproxy),
    ("uwsgi", looks_like_uwsgi),
    ("oslo", looks_like_oslo),  # its lines of eventlet hold an access line
    ("access", looks_like_access),
)
_BY_LINE: dict[str, Callable[[int, str], LoggedCall | None]] = {
    "haproxy": parse_haproxy,
    "uwsgi": parse_uwsgi,
    "access": parse_access,
}


def read_logs(names: Sequence[str]) -> list[ApiLog]:
    """All logs, in the order given; a glob that no file has as its name stands for the files it matches.

    Raises:
        InputError: a file cannot be read, or is no log of a known format.
    """
    return [read_log(name) for name in _expand(names)]


def _expand(names: Sequence[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        matches = sorted(glob.glob(name)) if not os.path.exists(name) and glob.has_magic(name) else [name]
        if not matches:
            raise InputError("no such file", where=name, action="check the name given with --api-log")
        found += matches
    return list(dict.fromkeys(found))


def read_log(name: str) -> ApiLog:
    """One log.

    Raises:
        InputError: the file cannot be read, or is no log of a known format.
    """
    form = _format_of(name)
    if form is None:
        return ApiLog(name, "empty", zoned=False, ordered=False)
    log = ApiLog(name, form, zoned=form == "access", ordered=form == "openstack-debug")
    lines = LogLines(name)
    if form == "openstack-debug":
        _read_console(lines, log)
    elif form == "oslo":
        reader = OsloReader()
        for number, line in lines:
            call = reader.read(number, line)
            if call is not None:
                log.calls.append(call)
            elif _is_foreign(line, form):
                _count(log, number)
    else:
        parse = _BY_LINE[form]
        for number, line in lines:
            call = parse(number, line)
            if call is not None:
                log.calls.append(call)
            elif line.strip():
                _count(log, number)
    log.cut = lines.cut
    for call in [call for call in log.calls if len(call.target) > LONGEST_TARGET]:
        log.calls.remove(call)
        _count(log, call.line)
    drop_repeated(log)
    return log


def _read_console(lines: LogLines, log: ApiLog) -> None:
    reader = ConsoleReader()
    for number, line in lines:
        if not reader.read(number, line) or _is_foreign(line, log.format):
            _count(log, number)
    log.calls = reader.calls
    _date_undated(log.calls)
    log.zoned = any(call.within for call in log.calls)  # Date headers are GMT


def _is_foreign(line: str, form: str) -> bool:
    """A line of another format, in a file into which several logs were joined; only one of them is read."""
    return len(line) <= _LONGEST_FOREIGN and any(fits(line) for name, fits in _TESTS[1:] if name not in (form, "oslo"))


def _date_undated(calls: list[LoggedCall]) -> None:
    """A call without any time, on a console without times, was made between those before and after it."""
    if any(call.begin is not None and not call.within for call in calls):
        return
    begin: int | None = None
    for call in calls:
        if call.begin is None:
            call.begin = begin
        else:
            begin = call.begin
    end: int | None = None
    for call in reversed(calls):
        if call.within:
            end = call.end
        elif call.begin is not None and end is not None:
            call.end, call.resolution, call.within = end, SECOND, True
        elif call.begin is None and end is not None:
            call.begin, call.end, call.resolution, call.within = end - SECOND, end, SECOND, True
        else:
            call.begin = None


def _count(log: ApiLog, number: int) -> None:
    log.unread += 1
    log.first_unread = log.first_unread or number


def _format_of(name: str) -> str | None:
    """The format that most of the first lines have that have one at all; a client's debug lines decide alone.

    None for a file without any text, as log rotation leaves it.
    """
    votes: Counter[str] = Counter()
    lines = LogLines(name)
    text = False
    for number, line in lines:
        text = text or bool(line.strip())
        form = next((form for form, fits in _TESTS if fits(line)), None)
        if form == "openstack-debug":
            return form
        if form is not None:
            votes[form] += 1
        if number >= _LOOK:
            break
    if not votes and lines.cut:
        raise InputError("a damaged gzip file, no call can be read from it", where=name, action="copy the file again")
    if not votes and not text:
        return None
    if not votes:
        raise InputError(
            "not a log of a known format",
            where=name,
            action="--api-log takes output of openstack --debug or glance --debug, oslo.log files of glance-api and "
            "keystone, HAProxy's HTTP log and access logs",
        )
    return max(FORMATS, key=lambda form: votes[form])
