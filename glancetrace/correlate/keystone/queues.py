"""Which database connections are of one pool, and so of one process: told by the order in which they are taken.

SQLAlchemy's pool is a queue (`sqlalchemy.pool.QueuePool`: first in, first out): of two idle connections of a pool the
one that was given back first is taken first. Two connections of different processes know nothing of each other, and
are taken in either order. Held against recordings whose processes are known: of two connections of one process the one
given back later was taken first in 0 to 30 of 100 cases (threads return a connection later than the capture shows), of
two processes in 40 to 90.

Calls whose units are certain join their connections at once, and say whether the pool is a queue at all: some keep a
stack. Where they do not say so, nothing is told.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from glancetrace.correlate.joined import Joined
from glancetrace.correlate.keystone.steps import KeystoneUnit

__all__ = ["Pools", "tell_pools"]

_IDLE = 1_000_000
"""ns that a connection must have been idle before it could have been taken."""
_APART = 200_000
"""ns by which two returns must differ: packets are captured a little out of order."""
_LOOKED_AT = 48
"""Idle connections that are held against one that is taken: those given back last."""
_ENOUGH = 16
"""Cases that must be seen before two groups are told to be one, or two."""
_ONE = 0.33
"""Share of cases out of turn up to which two groups are of one queue."""
_TWO = 0.43
"""The same from which on they are of two. Connections beyond the pool's size are closed when they come back, which
keeps no order, so between the two shares nothing is told."""

_Cases = dict[tuple[int, int], list[int]]
"""Two groups of connections -> cases in which one was taken while the other was idle, and those out of turn."""


@dataclass(slots=True)
class Pools:
    """Connection -> the pool that it is of, or leads to; pool -> the pools that are of other processes."""

    pool_of: dict[int, int] = field(default_factory=dict)
    others: dict[int, set[int]] = field(default_factory=dict)

    def apart(self, one: int, other: int) -> bool:
        """Two connections are of two processes."""
        others = self.others.get(self.pool_of.get(one, -1))
        return others is not None and self.pool_of.get(other) in others

    def of_others(self, connection: int) -> Container[int | None]:
        """Pools that are of other processes than a connection."""
        return self.others.get(self.pool_of.get(connection, -1), ())


def tell_pools(units: Sequence[KeystoneUnit], together: Iterable[Iterable[int]]) -> Pools:
    """Pools of connections.

    Args:
        units: in order of their starts. together: connections that were used by one call for certain.
    """
    cases = _cases(units)
    group_of = _joined(together)
    seen = [counts for pair, counts in cases.items() if len({group_of.get(one, -one) for one in pair}) == 1]
    if not _in_turn([sum(column) for column in zip(*seen, strict=True)] or [0, 0]):
        return Pools()
    return _merged(cases, {unit.connection_id for unit in units}, group_of)


def _cases(units: Sequence[KeystoneUnit]) -> _Cases:
    """Two connections, the lower first -> cases, and those out of turn."""
    cases: _Cases = defaultdict(lambda: [0, 0])
    returned: dict[int, int] = {}
    idle: list[tuple[int, int]] = []
    last = {unit.connection_id: unit.start for unit in units}
    for unit in units:
        connection, start = unit.connection_id, unit.start
        own = returned.get(connection)
        if own is not None:
            idle.remove((own, connection))
            for other, beside in idle[-_LOOKED_AT:]:
                if other <= start - _IDLE and abs(other - own) >= _APART and last[beside] > start:
                    counts = cases[min(connection, beside), max(connection, beside)]
                    counts[0] += 1
                    counts[1] += other < own
        returned[connection] = unit.end
        insort(idle, (unit.end, connection))
    return cases


def _joined(together: Iterable[Iterable[int]]) -> dict[int, int]:
    """Connection -> the lowest one of those that were used together, directly or not."""
    joined = Joined()
    for connections in together:
        joined.join(connections)
    return joined.members()


def _in_turn(counts: Sequence[int]) -> bool:
    return counts[0] >= _ENOUGH and counts[1] <= _ONE * counts[0]


def _out_of_turn(counts: Sequence[int]) -> bool:
    return counts[0] >= _ENOUGH and counts[1] >= _TWO * counts[0]


def _merged(cases: _Cases, connections: Iterable[int], group_of: Mapping[int, int]) -> Pools:
    """Groups after those that stand in one queue have become one, the surest first."""
    members: dict[int, list[int]] = defaultdict(list)
    for connection in sorted(connections):
        members[group_of.get(connection, connection)].append(connection)
    between: dict[int, dict[int, list[int]]] = {group: {} for group in members}
    for (one, other), counts in cases.items():
        a, b = group_of.get(one, one), group_of.get(other, other)
        if a != b:
            known = between[a].setdefault(b, [0, 0])
            between[b][a] = known
            known[0] += counts[0]
            known[1] += counts[1]
    while True:
        best = min(
            (
                (counts[1] / counts[0], a, b)
                for a, others in between.items()
                for b, counts in others.items()
                if a < b and _in_turn(counts)
            ),
            default=None,
        )
        if best is None:
            break
        _, a, b = best
        members[a] += members.pop(b)
        for c, counts in between.pop(b).items():
            del between[c][b]
            if c != a:
                known = between[a].setdefault(c, [0, 0])
                between[c][a] = known
                known[0] += counts[0]
                known[1] += counts[1]
    apart = {a: {b for b, counts in others.items() if _out_of_turn(counts)} for a, others in between.items()}
    pool_of = {one: group for group, own in members.items() for one in own}
    return Pools(pool_of, {pool: others for pool, others in apart.items() if others})
