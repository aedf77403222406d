"""Work that a call leaves behind: tasks of an import, and cleaning up after a client that went away.

`tasks.request_id` and `tasks.id` are exact keys; an image id alone is good evidence for work that began after the
response and that nothing else explains.
"""

from __future__ import annotations

from glancetrace.correlate.choice import Choice
from glancetrace.correlate.facts import CallFacts, UnitFacts, contradiction
from glancetrace.correlate.hosts import Hosts
from glancetrace.correlate.link import EXACT, INFERRED

__all__ = ["LaterWork"]

_CLEANING_UP = 60_000_000_000
"""ns within which a service has noticed that a client went away, and put the image in order."""
_AFTER_TASK = 5_000_000_000
"""ns within which the work of a task ends after it was last looked at."""


class LaterWork:
    """Calls whose work goes on, by the ids that tie later work to them; time goes on with `until`."""

    def __init__(self, calls: list[CallFacts], units: list[UnitFacts], hosts: Hosts) -> None:
        self._hosts = hosts
        goes_on = [call for call in calls if call.goes_on]
        self._begins = sorted(goes_on, key=lambda call: (call.start, call.call.id))
        self._answers = sorted(goes_on, key=lambda call: (call.end, call.call.id))
        self._begun = self._answered = 0
        self._by_image: dict[str, list[CallFacts]] = {}
        self._by_task: dict[str, CallFacts] = {}
        self._by_request_id: dict[str, CallFacts] = {}
        self._last_of_call: dict[int, int] = {}
        self._last_of_task: dict[str, int] = {task: unit.start for unit in units for task in unit.tasks}

    def until(self, ts: int) -> None:
        """Calls that were answered before `ts` have only later work."""
        while self._begun < len(self._begins) and self._begins[self._begun].start <= ts:
            call = self._begins[self._begun]
            self._begun += 1
            if call.call.request_id:
                self._by_request_id[call.call.request_id] = call
        while self._answered < len(self._answers) and self._answers[self._answered].end < ts:
            call = self._answers[self._answered]
            self._answered += 1
            for image_id in call.images:
                self._by_image.setdefault(image_id, []).append(call)

    def learn(self, call: CallFacts, unit: UnitFacts) -> None:
        """Tasks that a call's unit created carry its later work."""
        if call.sql.goes_on and not unit.of_unseen:
            for task in unit.tasks:
                self._by_task[task] = call
                last = self._last_of_task[task]
                self._last_of_call[id(call)] = max(last, self._last_of_call.get(id(call), 0))

    def by_task(self, unit: UnitFacts) -> Choice | None:
        """The call whose task the unit works on."""
        if not unit.tasks and not unit.request_ids:
            return None
        for keys, index, evidence in (
            (unit.request_ids, self._by_request_id, "request id of the task"),
            (unit.tasks, self._by_task, "task id"),
        ):
            call = _only(keys, index)
            if call is not None:
                relation = "async" if unit.end > call.end else "in_request"
                return Choice(call, EXACT, 1.0, (evidence,), relation=relation)
        return None

    def at_work(self, unit: UnitFacts) -> list[CallFacts]:
        """Calls that were answered, or broken off, and may still work on the unit's image."""
        return [call for call in self._of_image(unit) if unit.start <= self._until(call)]

    def _of_image(self, unit: UnitFacts) -> list[CallFacts]:
        """Calls about the unit's image that were answered, or broken off, and that nothing contradicts."""
        found = [call for image in sorted(unit.images) for call in self._by_image.get(image, ())]
        if not found:
            return found
        client = unit.client
        return [c for c in found if not self._hosts.apart(c.server, client) and contradiction(c, unit) is None]

    def _until(self, call: CallFacts) -> int:
        """When the work of an answered call is over."""
        last = self._last_of_call.get(id(call))
        return call.end + _CLEANING_UP if last is None else max(call.end, last) + _AFTER_TASK

    def by_image(self, unit: UnitFacts) -> Choice | None:
        """The call whose image the unit works on, the last of several."""
        found = self._of_image(unit)
        if not found:
            return None
        call = found[-1]
        if call.call.status_code is None and unit.start > self._until(call):
            return None
        if call.call.status_code is None:
            return Choice(call, INFERRED, 0.9, ("image id, after the client went away",))
        return Choice(call, INFERRED, 0.9, ("image id, after the response",), relation="async")


def _only(keys: frozenset[str], index: dict[str, CallFacts]) -> CallFacts | None:
    """The one call that these keys lead to."""
    found = {id(index[key]): index[key] for key in keys if key in index}
    return next(iter(found.values())) if len(found) == 1 else None
