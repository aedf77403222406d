"""Shares the units of calls to Keystone that have common candidates: a first guess, mended two calls at a time.

What links of chains are worth (`chains`), and which process serves a connection (`processes`), is learnt from a first
guess (`guess`); a better one is mended until no two calls do better (`exchange`). That is so much work for each unit at
most: what is left then stays as it is, and is less sure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from glancetrace.correlate.facts import CallFacts
from glancetrace.correlate.joined import Joined
from glancetrace.correlate.keystone.chains import Chains
from glancetrace.correlate.keystone.doubts import Doubt, tell_doubts
from glancetrace.correlate.keystone.exchange import share
from glancetrace.correlate.keystone.guess import guess
from glancetrace.correlate.keystone.processes import part_by_process, tell_requests
from glancetrace.correlate.keystone.queues import Pools
from glancetrace.correlate.keystone.steps import KeystoneUnit

__all__ = ["Sharing", "asks_of", "looks_of"]

_WIDTH = 6
"""Ways that are kept of the guess that is mended."""
_NARROW = 3
"""The same of the guess that is only learnt from."""
_SWEEPS = 6
_EFFORT = 6
"""Units looked at in exchanges, for each unit that is shared."""
_BETTER = 0.01
_ENOUGH = 6
"""Units of a connection of requests that a guess must have given to one process before all are of it."""


class Sharing:
    """Units and the calls that they were given to.

    Attributes:
        call_of: unit -> index of its call. doubts: how sure that is.
        unsettled: calls that could not be held against all others, for that was too much work.
    """

    def __init__(self, calls: Sequence[CallFacts], units: Sequence[KeystoneUnit], pools: Pools) -> None:
        self._calls = calls
        self._units = [unit for unit in units if unit.options]
        self._pools = pools
        self._chains = Chains(calls, self._units, pools)
        self._own: list[list[KeystoneUnit]] = [[] for _ in calls]
        self._loose: dict[KeystoneUnit, None] = {}
        self._loose_by_call: dict[int, list[KeystoneUnit]] = {}
        self.doubts: Mapping[KeystoneUnit, Doubt] = {}
        self.unsettled: set[int] = set()
        self.call_of: dict[KeystoneUnit, int] = {}

    def run(self) -> None:
        """Share all units, twice: what was found tells more processes, and how long calls wait."""
        self._chains.learn_connections(self._units)
        effort = _EFFORT * len(self._units)
        for sweeps in (0, _SWEEPS):
            self._guess(_WIDTH if sweeps else _NARROW)
            effort = self._mend(effort, sweeps)
            self._chains.learn((call, own) for call, own in enumerate(self._own) if own)
            if not sweeps:
                self._learn_processes()
        self._mend(effort, _SWEEPS)
        self.call_of = {unit: call for call, own in enumerate(self._own) for unit in own}
        self.doubts = tell_doubts(self._chains, self._own)

    def _guess(self, width: int) -> None:
        self._own = [[] for _ in self._calls]
        for component in _components(self._units):
            for call, units in guess(self._chains, component, width).items():
                self._own[call] = units
        given = {unit for own in self._own for unit in own}
        self._loose = {unit: None for unit in self._units if unit not in given}
        self._loose_by_call = {}
        for unit in self._loose:
            for call in unit.options:
                self._loose_by_call.setdefault(call, []).append(unit)

    def _learn_processes(self) -> None:
        """What was found tells more connections of requests."""
        looks = [looks_of(call) for call in self._calls]
        given = (
            (self._calls[call], unit)
            for call, own in enumerate(self._own)
            for unit in own
            if sum(looks[other] == looks[call] for other in unit.options) == 1  # a guess tells nothing of twins
        )
        tell_requests(self._pools, given, _ENOUGH)
        part_by_process(self._calls, self._units, self._pools)

    def _pairs(self) -> list[tuple[int, int]]:
        """Calls that have common candidates, in order."""
        found: dict[tuple[int, int], None] = {}
        seen: set[tuple[int, ...]] = set()
        for unit in self._units:
            options = tuple(unit.options)
            if options not in seen:
                seen.add(options)
                found.update(dict.fromkeys(combinations(sorted(options), 2)))
        return sorted(found)

    def _mend(self, effort: int, sweeps: int) -> int:
        """Let two calls at a time share anew until no two do better; tells what is left of the effort."""
        dirty = set(range(len(self._calls)))
        pairs = self._pairs()
        for _ in range(sweeps):
            changed: set[int] = set()
            for pair in pairs:
                if changed.isdisjoint(pair) and dirty.isdisjoint(pair):
                    continue
                effort -= len(self._own[pair[0]]) + len(self._own[pair[1]])
                if effort < 0:
                    break
                if self._exchange(pair):
                    changed.update(pair)
            dirty = changed
            if not changed or effort < 0:
                break
        self.unsettled = dirty
        return effort

    def _exchange(self, pair: tuple[int, int]) -> bool:
        """Let two calls share anew; tells whether another way was better."""
        one, other = pair
        first, second = self._own[one], self._own[other]
        units = [*first, *second, *self._loose_of(pair)]
        units.sort(key=lambda unit: unit.start)
        may = [(one in unit.options, other in unit.options, unit in self._loose) for unit in units]
        shared = share(self._chains, pair, units, may)
        if not shared.open:
            return False
        now = self._chains.worth(one, first) + self._chains.worth(other, second)
        took = sum(loose and whose < 2 for (_, _, loose), whose in zip(may, shared.choice, strict=True))
        if took or shared.worth > now + _BETTER:
            self._own[one] = [unit for unit, whose in zip(units, shared.choice, strict=True) if whose == 0]
            self._own[other] = [unit for unit, whose in zip(units, shared.choice, strict=True) if whose == 1]
            for unit, whose in zip(units, shared.choice, strict=True):
                if whose < 2:
                    self._loose.pop(unit, None)
            return True
        return False

    def _loose_of(self, pair: tuple[int, int]) -> list[KeystoneUnit]:
        found = {unit: None for call in pair for unit in self._loose_by_call.get(call, ()) if unit in self._loose}
        return list(found)


def _components(units: Sequence[KeystoneUnit]) -> Iterator[list[KeystoneUnit]]:
    """Units that share candidates."""
    joined = Joined()
    for unit in units:
        joined.join(unit.options)
    groups: dict[int, list[KeystoneUnit]] = defaultdict(list)
    for unit in units:
        groups[joined.find(unit.options[0])].append(unit)
    yield from groups.values()


def asks_of(facts: CallFacts) -> tuple[str, str, int | None]:
    """Calls that ask alike: whom they ask about is told by units that name somebody, and by no others."""
    return facts.call.method, facts.call.target, facts.call.status_code


def looks_of(facts: CallFacts) -> object:
    """Calls that are alike in all that they show."""
    call = facts.call
    return *asks_of(facts), call.user_id, call.project_id, call.token, call.subject_token if call.token else None
