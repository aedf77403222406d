"""Which call ran which of Keystone's statements: whom they name, which process ran them, and step after step.

What names another user, project, role or token is of another call (`identities`), and what is left to one call is
certain. Calls whose units are certain tell which connections are of one process (`affinity`). The rest is shared: a
first guess (`guess`), mended two calls at a time until no two do better (`exchange`), by what the links of their chains
are worth (`chains`). Where two calls could have changed places says how sure each link is (`doubts`). Calls that ask
alike are twins in all units that do not tell whom they ask about: then a link names their group.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations

from glancetrace.correlate.candidates import OpenCalls
from glancetrace.correlate.chains import Chains
from glancetrace.correlate.choice import Choice
from glancetrace.correlate.doubts import Doubt, tell_doubts
from glancetrace.correlate.exchange import share
from glancetrace.correlate.facts import CallFacts
from glancetrace.correlate.guess import guess
from glancetrace.correlate.identities import Identities, learn_identities
from glancetrace.correlate.ksteps import KeystoneUnit, StepReader
from glancetrace.correlate.link import CERTAIN, INFERRED, TWIN
from glancetrace.correlate.queues import Pools, tell_pools
from glancetrace.correlate.units import UnitOfWork

__all__ = ["choose_by_steps"]

_SILENT = frozenset({"version-list", "version-show", "healthcheck"})
"""Operations that run no SQL."""
_MAX_REJECTED = 8
_ENOUGH = 6
_MOSTLY = 0.7
"""Units of a connection that must be of one process before all are, and their share."""
_WIDTH = 6
"""Ways that are kept of a first guess; one is enough to learn from."""
_SWEEPS = 6
_EFFORT = 60
"""Units looked at in exchanges, for each unit that is shared: above that the rest stays as it is, and less sure."""
_BETTER = 0.01
_TOLD_APART = 0.99
"""How sure a choice among calls that ask alike must be to be more than a link to their group."""
_MOST_SURE = 0.98
"""Score of an inferred link at most: of those that nothing spoke against, 95 to 100 % were right."""
_MOST_SURE_CROWDED = 0.9
"""The same where many calls can have run a unit, or a call could not be held against all others."""
_CROWD = 6
_DOUBTFUL = 0.9
"""Score at most of a link to a call whose response may be another's."""


def choose_by_steps(calls: Sequence[CallFacts], units: Iterable[UnitOfWork]) -> dict[int, Choice]:
    """The call of each unit of Keystone's, by the unit's identity.

    Args:
        calls: all its calls, in order of when they began; each of those that ran at the time was seen.
    """
    calls = [call for call in calls if call.call.operation not in _SILENT]
    reader = StepReader()
    read = [found for unit in units if not unit.setup and (found := reader.read(unit)) is not None]
    read.sort(key=lambda unit: (unit.start, unit.unit.statements[0].id))
    identities = learn_identities(calls, read)
    _find_options(calls, read, identities)
    choices: dict[int, Choice] = {}
    for unit in read:
        if len(unit.options) == 1:
            choices[id(unit.unit)] = _only_choice(calls[unit.options[0]], unit, identities)
    if len(choices) < len(read):
        pools = _tell_pools(calls, read)
        _part_by_process(calls, read, pools)
        sharing = _Sharing(calls, read, pools)
        sharing.run()
        for unit in read:
            if unit.options and id(unit.unit) not in choices:
                choice = sharing.choice(unit, identities)
                if choice is not None:
                    choices[id(unit.unit)] = choice
    return choices


def _find_options(calls: Sequence[CallFacts], units: Sequence[KeystoneUnit], identities: Identities) -> None:
    """Calls that were open and can name whom a unit names."""
    index = {id(call): number for number, call in enumerate(calls)}
    active = OpenCalls(list(calls))
    for unit in units:
        left: list[CallFacts] = []
        for call in active.at(unit.start):
            if call.latest < unit.end and not call.doubtful:
                reason = "its response came first"
            elif identities.unlike(call, unit):
                reason = "is about another user, project, role or token"
            else:
                left.append(call)
                continue
            if len(unit.rejected) < _MAX_REJECTED:
                unit.rejected.append((call.call.id, reason))
        # Packets are captured a little out of order, so the windows have slack; who needs none goes before who does.
        within = [call for call in left if call.start <= unit.start and unit.end <= call.end]
        unit.options = [index[id(call)] for call in within or left]


def _tell_pools(calls: Sequence[CallFacts], units: Sequence[KeystoneUnit]) -> Pools:
    """Which connections are of one process, as calls tell whose units are certain."""
    used: dict[int, set[int]] = defaultdict(set)
    certain: list[tuple[CallFacts, KeystoneUnit]] = []
    for unit in units:
        if len(unit.options) == 1 and not calls[unit.options[0]].doubtful:
            used[unit.options[0]].add(unit.connection_id)
            certain.append((calls[unit.options[0]], unit))
    pools = tell_pools(units, used.values())
    _tell_requests(pools, certain, enough=1)
    return pools


def _tell_requests(pools: Pools, given: Iterable[tuple[CallFacts, KeystoneUnit]], enough: int) -> None:
    """Whose units' connections are mostly of one pool, that connection of requests leads to its process."""
    votes: dict[int, Counter[int]] = defaultdict(Counter)
    for call, unit in given:
        pool = pools.pool_of.get(unit.connection_id)
        if pool is not None and call.connection_id not in pools.pool_of:
            votes[call.connection_id][pool] += 1
    for connection, counts in votes.items():
        pool, most = counts.most_common(1)[0]
        if most >= max(enough, _MOSTLY * counts.total()):
            pools.pool_of[connection] = pool


def _part_by_process(calls: Sequence[CallFacts], units: Sequence[KeystoneUnit], pools: Pools) -> None:
    """Calls of another process cannot have run a unit."""
    if pools.two:
        for unit in units:
            if len(unit.options) > 1:
                left = [c for c in unit.options if not pools.apart(calls[c].connection_id, unit.connection_id)]
                unit.options = left or unit.options


class _Sharing:
    """The units of calls that share candidates, and how likely each is of another call."""

    def __init__(self, calls: Sequence[CallFacts], units: Sequence[KeystoneUnit], pools: Pools) -> None:
        self._calls = calls
        self._units = [unit for unit in units if unit.options]
        self._pools = pools
        self._chains = Chains(calls, self._units, pools)
        self._own: list[list[KeystoneUnit]] = [[] for _ in calls]
        self._loose: dict[KeystoneUnit, None] = {}
        self._doubts: Mapping[KeystoneUnit, Doubt] = {}
        self._unsettled: set[int] = set()
        self._call_of: dict[KeystoneUnit, int] = {}

    def run(self) -> None:
        """Share all units, twice: what was found tells more processes, and how long calls wait."""
        self._chains.learn_connections(self._units)
        effort = _EFFORT * len(self._units)
        for sweeps in (0, _SWEEPS):
            self._guess(_WIDTH if sweeps else 3)
            effort = self._mend(effort, sweeps)
            self._chains.learn((call, own) for call, own in enumerate(self._own) if own)
            if not sweeps:
                self._learn_processes()
        self._mend(effort, _SWEEPS)
        self._call_of = {unit: call for call, own in enumerate(self._own) for unit in own}
        self._doubts = tell_doubts(self._chains, self._own)

    def _guess(self, width: int) -> None:
        self._own = [[] for _ in self._calls]
        for component in _components(self._units):
            for call, units in guess(self._chains, component, width).items():
                self._own[call] = units
        given = {unit for own in self._own for unit in own}
        self._loose = {unit: None for unit in self._units if unit not in given}

    def _learn_processes(self) -> None:
        """What was found tells more connections of requests."""
        looks = [_whole(call) for call in self._calls]
        given = (
            (self._calls[call], unit)
            for call, own in enumerate(self._own)
            for unit in own
            if sum(looks[other] == looks[call] for other in unit.options) == 1  # a guess tells nothing of twins
        )
        _tell_requests(self._pools, given, _ENOUGH)
        _part_by_process(self._calls, self._units, self._pools)

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
        self._unsettled = dirty
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
        return [unit for unit in self._loose if pair[0] in unit.options or pair[1] in unit.options]

    def choice(self, unit: KeystoneUnit, identities: Identities) -> Choice | None:
        """The call that a unit went to, how surely, and which others it can be of."""
        number = self._call_of.get(unit)
        if number is None:
            return None
        call, doubt = self._calls[number], self._doubts[unit]
        best = f"best of {len(unit.options)} calls, step after step" if len(unit.options) > 1 else "only call left"
        evidence = (*_support(call, unit, identities), *_of_process(call, unit, self._pools), best)
        choice = Choice(call, INFERRED, 1 - doubt.error, evidence, rejected=unit.rejected)
        others = doubt.others.intersection(unit.options)
        crowded = number in self._unsettled or len(unit.options) >= _CROWD
        alike = [other for other in others if _asks(self._calls[other]) == _asks(call)]
        if crowded and not alike:
            same = _whole(call)
            alike = [other for other in unit.options if other != number and _whole(self._calls[other]) == same]
            others = others.union(alike)
        if alike and (choice.score < _TOLD_APART or crowded):
            choice.link_class = TWIN
            choice.candidates = tuple(sorted(self._calls[other].call.id for other in (number, *alike)))
            choice.group_id = choice.candidates[0]
            choice.score = 1 - doubt.error * (1 - len(alike) / len(others))
        most = _DOUBTFUL if call.doubtful else _MOST_SURE_CROWDED if crowded else _MOST_SURE
        choice.score = min(most, round(choice.score, 3))
        return choice


def _components(units: Sequence[KeystoneUnit]) -> Iterator[list[KeystoneUnit]]:
    """Units that share candidates."""
    parent: dict[int, int] = {}

    def find(one: int) -> int:
        parent.setdefault(one, one)
        while parent[one] != one:
            parent[one] = one = parent[parent[one]]
        return one

    for unit in units:
        first = find(unit.options[0])
        for call in unit.options[1:]:
            parent[find(call)] = first
            first = find(first)
    groups: dict[int, list[KeystoneUnit]] = defaultdict(list)
    for unit in units:
        groups[find(unit.options[0])].append(unit)
    yield from groups.values()


def _asks(facts: CallFacts) -> tuple[str, str, int | None]:
    """Calls that ask alike: whom they ask about is told by units that name somebody, and by no others."""
    return facts.call.method, facts.call.target, facts.call.status_code


def _whole(facts: CallFacts) -> object:
    """Calls that are alike in all that they show."""
    call = facts.call
    return *_asks(facts), call.user_id, call.project_id, call.token, call.subject_token if call.token else None


def _only_choice(call: CallFacts, unit: KeystoneUnit, identities: Identities) -> Choice:
    evidence = (*_support(call, unit, identities), "only call left")
    if call.doubtful:
        evidence = (*evidence, "its response may be another call's, for packets are missing")
        return Choice(call, INFERRED, _DOUBTFUL, evidence, rejected=unit.rejected)
    return Choice(call, CERTAIN, 1.0, evidence, rejected=unit.rejected)


def _support(call: CallFacts, unit: KeystoneUnit, identities: Identities) -> Iterator[str]:
    own = identities.of_call.get(call.call.id)
    if own is not None and unit.audits & own[0]:
        yield "audit id of its token"
    elif own is not None and unit.names & own[0] - identities.common:
        yield "names whom it is about"


def _of_process(call: CallFacts, unit: KeystoneUnit, pools: Pools) -> Iterator[str]:
    own = pools.pool_of.get(call.connection_id)
    if own is not None and own == pools.pool_of.get(unit.connection_id):
        yield "its connection is of the call's process"
