"""Which process serves which connections of Keystone: those of clients, by what their calls surely ran.

A keep-alive connection that a process accepted stays with it, so calls that came on it ran their units on connections
of one pool (`queues`); calls of another process cannot have run a unit.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from glancetrace.correlate.facts import CallFacts
from glancetrace.correlate.keystone.queues import Pools, tell_pools
from glancetrace.correlate.keystone.steps import KeystoneUnit

__all__ = ["part_by_process", "tell_processes", "tell_requests"]

_MOSTLY = 0.7
"""Share of the units of a connection of requests that must be of one process before all are."""


def tell_processes(calls: Sequence[CallFacts], units: Sequence[KeystoneUnit]) -> Pools:
    """Which connections are of one process, as calls tell whose units are certain."""
    used: dict[int, set[int]] = defaultdict(set)
    certain: list[tuple[CallFacts, KeystoneUnit]] = []
    for unit in units:
        if len(unit.options) == 1 and not calls[unit.options[0]].doubtful:
            used[unit.options[0]].add(unit.connection_id)
            certain.append((calls[unit.options[0]], unit))
    pools = tell_pools(units, used.values())
    tell_requests(pools, certain, enough=1)
    return pools


def tell_requests(pools: Pools, given: Iterable[tuple[CallFacts, KeystoneUnit]], enough: int) -> None:
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


def part_by_process(calls: Sequence[CallFacts], units: Sequence[KeystoneUnit], pools: Pools) -> None:
    """Calls of another process cannot have run a unit."""
    if pools.others:
        leads_to = [pools.pool_of.get(call.connection_id) for call in calls]
        for unit in units:
            others = pools.of_others(unit.connection_id)
            if len(unit.options) > 1 and others:
                unit.options = [call for call in unit.options if leads_to[call] not in others] or unit.options
