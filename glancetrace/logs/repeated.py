"""Calls that stand twice in one log, because somebody joined a file with itself or with what was rotated from it.

A line with the client's port or a request id, to the millisecond, is one call however often it stands there. Other
lines may well be alike without being the same call; of those only a stretch is dropped that goes back to the beginning
of the file and repeats it.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from glancetrace.logs.call import ApiLog, LoggedCall
from glancetrace.logs.times import SECOND

__all__ = ["drop_repeated"]

_LEAST = 2
"""Calls of a stretch that repeats the beginning."""

_FIELDS = tuple(field.name for field in fields(LoggedCall) if field.name != "line")


def drop_repeated(log: ApiLog) -> None:
    """Keep each call once; counts the others."""
    kept: list[LoggedCall] = []
    seen: set[tuple[Any, ...]] = set()
    again = 0
    for index, call in enumerate(log.calls):
        if again and _same(call, log.calls[again]):
            again += 1
            _count(log, call)
            continue
        again = 0
        if _same(call, log.calls[0]) and _repeats(log.calls, index):
            again = 1
            _count(log, call)
            continue
        key = _identity(call)
        if key is not None and key in seen:
            _count(log, call)
            continue
        if key is not None:
            seen.add(key)
        kept.append(call)
    log.calls = kept


def _repeats(calls: list[LoggedCall], index: int) -> bool:
    """What begins here goes back in time, and begins as the file does."""
    first, before = calls[index].begin, calls[index - 1].begin
    if index < _LEAST or first is None or before is None or before <= first:
        return False
    return all(index + i < len(calls) and _same(calls[index + i], calls[i]) for i in range(_LEAST))


def _same(one: LoggedCall, two: LoggedCall) -> bool:
    return all(getattr(one, name) == getattr(two, name) for name in _FIELDS)


def _identity(call: LoggedCall) -> tuple[Any, ...] | None:
    """What no other call has; None if the line does not tell calls apart."""
    port = call.client[1] if call.client is not None else 0
    if call.begin is None or call.resolution >= SECOND or not (port or call.request_id):
        return None
    return call.begin, call.end, call.client, call.request_id, call.method, call.target, call.status_code


def _count(log: ApiLog, call: LoggedCall) -> None:
    log.repeated += 1
    log.first_repeated = log.first_repeated or call.line
