"""Which calls can have run a unit of work: open while it ran, and nothing of them contradicts it.

A sweep over time keeps the calls that are open. Ids are compared first; what rows and bodies say is read only where
more than one call is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter

from glancetrace.correlate.facts import ANOTHER_IMAGE, CallFacts, UnitFacts, contradiction
from glancetrace.correlate.hosts import Hosts
from glancetrace.correlate.rows import unlike

__all__ = ["Candidates", "OpenCalls", "find_candidates"]

_MAX_REJECTED = 8
"""Rejected candidates kept per unit; under load there are dozens, and the nearest say most."""
_NEVER = 1 << 63
_ONE_HOST = Hosts({})


@dataclass(slots=True)
class Candidates:
    """Calls that can have run a unit, in order of their starts, and (call id, reason) of those that cannot.

    `alone`: no call at all was open while the unit ran.
    """

    unit: UnitFacts
    calls: list[CallFacts]
    rejected: list[tuple[int, str]]
    alone: bool

    def without(self, left: list[CallFacts], against: list[tuple[int, str]]) -> Candidates:
        """These candidates `left`, and reasons `against` the others."""
        return Candidates(self.unit, left, [*against, *self.rejected][:_MAX_REJECTED], self.alone)


class OpenCalls:
    """Calls that are open, as time goes on; `calls` are in order of when they can have begun."""

    def __init__(self, calls: list[CallFacts]) -> None:
        self._calls = calls
        self._next = 0
        self._open: list[CallFacts] = []
        self._first_end = _NEVER

    def at(self, ts: int) -> list[CallFacts]:
        """Calls open at `ts`, which must not fall, in order of when they can have begun."""
        calls = self._calls
        while self._next < len(calls) and calls[self._next].earliest <= ts:
            call = calls[self._next]
            self._next += 1
            self._open.append(call)
            self._first_end = min(self._first_end, call.latest)
        if self._first_end < ts:
            self._open = [call for call in self._open if call.latest >= ts]
            self._first_end = min(map(attrgetter("latest"), self._open), default=_NEVER)
        return self._open


def find_candidates(
    unit: UnitFacts, open_calls: list[CallFacts], at_work: list[CallFacts], hosts: Hosts = _ONE_HOST
) -> Candidates:
    """The calls that can have run a unit: of the open ones, and of those still at work after their response."""
    if not open_calls and len(at_work) < 2:
        return Candidates(unit, at_work, [], alone=True)
    left: list[CallFacts] = []
    rejected: list[tuple[int, str]] = []
    end, images = unit.end, unit.images
    for call in reversed(open_calls):
        if call.latest < end and not call.goes_on:
            reason: str | None = "its response came first"
        elif images and call.bound_to and images.isdisjoint(call.bound_to):
            if len(rejected) < _MAX_REJECTED:
                rejected.append((call.call.id, ANOTHER_IMAGE))
            continue
        else:
            reason = None if call.runs_anything else contradiction(call, unit)
        if reason is None and hosts and hosts.apart(call.server, unit.client):
            reason = "was served on another host"
        if reason is None:
            left.append(call)
        elif len(rejected) < _MAX_REJECTED:
            rejected.append((call.call.id, reason))
    if len(left) > 1:
        # Packets are captured a little out of order, so the windows have slack; who needs none goes before who does.
        start = unit.start
        left = [call for call in left if call.start <= start and (end <= call.end or call.goes_on)] or left
    left += [call for call in at_work if call not in left]
    if len(left) > 1:
        left = _innermost(left, rejected)
    if len(left) > 1:
        left = _by_rows(left, unit, rejected)
    left.sort(key=_beginning)
    return Candidates(unit, left, rejected, alone=not open_calls)


def _beginning(call: CallFacts) -> tuple[int, int]:
    return call.start, call.call.id


def _innermost(calls: list[CallFacts], rejected: list[tuple[int, str]]) -> list[CallFacts]:
    """Calls without those that asked another one of them, a registry's: the API of version 1 has no database."""
    asked = {call.call.parent_id for call in calls if call.call.service == "registry"}
    outer = [call for call in calls if call.call.id in asked]
    rejected[:0] = [(call.call.id, "its call to the registry ran this") for call in outer]
    del rejected[_MAX_REJECTED:]
    return [call for call in calls if call.call.id not in asked] if outer else calls


def _by_rows(calls: list[CallFacts], unit: UnitFacts, rejected: list[tuple[int, str]]) -> list[CallFacts]:
    """Calls that the rows do not contradict; all of them if they contradict every one, for then a row misleads."""
    rows = unit.rows
    left, against = [], []
    for call in calls:
        reason = unlike(call.call, call.project_id, rows)
        if reason is None:
            left.append(call)
        else:
            against.append((call.call.id, reason))
    if not left:
        return calls
    rejected[:0] = against
    del rejected[_MAX_REJECTED:]
    return left
