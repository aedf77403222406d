"""Work that a call leaves behind: tasks of an import, and cleaning up after a client that went away.

`tasks.request_id` and `tasks.id` are exact keys; an image id alone is good evidence for work that began after the
response and that nothing else explains.
"""

from __future__ import annotations

from glancetrace.correlate.choice import Choice
from glancetrace.correlate.facts import CallFacts, UnitFacts, contradiction
from glancetrace.correlate.link import EXACT, INFERRED

__all__ = ["LaterWork"]

_CLEANING_UP = 60_000_000_000
"""ns within which a service has noticed that a client went away, and put the image in order."""


class LaterWork:
    """Answered (or broken off) calls by the ids that tie later work to them; time goes on with `until`."""

    def __init__(self, calls: list[CallFacts]) -> None:
        self._waiting = sorted((call for call in calls if call.goes_on), key=lambda call: (call.latest, call.call.id))
        self._next = 0
        self._by_image: dict[str, CallFacts] = {}
        self._by_task: dict[str, CallFacts] = {}
        self._by_request_id: dict[str, CallFacts] = {}

    def until(self, ts: int) -> None:
        """Calls that were answered before `ts` have only later work."""
        while self._next < len(self._waiting) and self._waiting[self._next].latest < ts:
            call = self._waiting[self._next]
            self._next += 1
            for image_id in call.images:
                self._by_image[image_id] = call
            if call.call.request_id:
                self._by_request_id[call.call.request_id] = call

    def learn(self, call: CallFacts, unit: UnitFacts) -> None:
        """Tasks that a call's unit created carry its later work."""
        if call.sql.goes_on:
            for task in unit.tasks:
                self._by_task[task] = call

    def by_task(self, unit: UnitFacts) -> Choice | None:
        """The call whose task the unit works on."""
        for keys, index, evidence in (
            (unit.request_ids, self._by_request_id, "request id of the task"),
            (unit.tasks, self._by_task, "task id"),
        ):
            call = _only(keys, index)
            if call is not None:
                relation = "async" if unit.start > call.end else "in_request"
                return Choice(call, EXACT, 1.0, (evidence,), relation=relation)
        return None

    def by_image(self, unit: UnitFacts) -> Choice | None:
        """The call whose image the unit works on: answered, or broken off by the client."""
        call = _only(unit.images, self._by_image)
        if call is None or contradiction(call, unit) is not None:
            return None
        if call.call.status_code is None and unit.start - call.end > _CLEANING_UP:
            return None
        if call.call.status_code is None:
            return Choice(call, INFERRED, 0.9, ("image id, after the client went away",))
        return Choice(call, INFERRED, 0.9, ("image id, after the response",), relation="async")


def _only(keys: frozenset[str], index: dict[str, CallFacts]) -> CallFacts | None:
    """The one call that these keys lead to."""
    found = {id(index[key]): index[key] for key in keys if key in index}
    return next(iter(found.values())) if len(found) == 1 else None
