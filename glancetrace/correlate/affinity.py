"""Which connections end in the same worker process.

A service runs in several processes. Each has its own pool of database connections, and a keep-alive connection that a
process accepted stays with it, so all connections that serve one call belong to one process. Calls whose units are
known join their connections. Of a call whose units are certain one is enough; of calls that were solved two different
ones must say so; and they must be no mere few of many. What results are groups, most of them whole processes, some of
them parts of one. A connection that ends in a proxy serves all processes and joins nothing: it is told by its calls,
which use databases connections of several groups.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from glancetrace.net.run import Endpoint

__all__ = ["Use", "Workers", "learn_workers"]

_ENOUGH = 2
"""Calls that must have used both groups before they are one; a certain one counts for as many."""
_SHARE = 0.2
"""Share of the calls of the smaller group that must have used both."""
_MANY = 4
"""Calls that must have used both groups to be joined at once. What fewer say is heard once groups are larger, and each
joins one other at a time: so a call that was given a wrong unit does not make two processes one."""
_BOUND = 0.9
"""Share of the calls of a server's connections that must agree on a group before the server is a worker itself."""
_BOUND_INSIDE = 0.5
"""The same where a proxy was seen before the server: behind it are the workers, unless the calls say otherwise."""
_MOST_AGAINST = 9.0
_AGAINST_PER_CALL = 0.7


@dataclass(slots=True)
class Use:
    """Connections that served one call: that on which it came, who answered there, and those to the database.

    `inside`: the call was seen before a proxy, too; `certain`: all its units are.
    """

    http: int
    server: Endpoint
    database: tuple[int, ...]
    inside: bool = False
    certain: bool = False


@dataclass(slots=True)
class Workers:
    """Connection id -> group, and how many calls each group has served."""

    group_of: dict[int, int] = field(default_factory=dict)
    calls: Counter[int] = field(default_factory=Counter)
    groups: int = 1

    def against(self, one: int, other: int) -> float:
        """How much speaks against one process having both groups (logarithm of the odds, 0 or less)."""
        if one == other:
            return 0.0
        seen = min(self.calls[one], self.calls[other])
        return -min(_MOST_AGAINST, _AGAINST_PER_CALL * seen)

    @property
    def surprise(self) -> float:
        """What it costs that a call whose process is not known met just this one."""
        return -math.log(self.groups)


def learn_workers(uses: Sequence[Use]) -> Workers:
    """Groups of connections, from calls whose units are known."""
    group_of, calls = _join([(use.database, use.certain) for use in uses])
    known = {connection: group for connection, group in group_of.items() if calls[group] >= _ENOUGH}
    bound = _bound_servers(uses, known)
    if bound:
        group_of, calls = _join(
            [((use.http, *use.database) if use.server in bound else use.database, use.certain) for use in uses]
        )
    joined = {group_of[connection] for use in uses for connection in use.database}
    group_of = {connection: group for connection, group in group_of.items() if group in joined}
    groups = max(1, sum(count >= _ENOUGH for count in calls.values()))
    return Workers(group_of, calls, groups)


def _join(uses: Sequence[tuple[tuple[int, ...], bool]]) -> tuple[dict[int, int], Counter[int]]:
    """Groups of connections that calls joined, and the calls of each; those that most calls join come first.

    Args:
        uses: connections that served a call, and whether that is certain.
    """
    parent: dict[int, int] = {connection: connection for use, _ in uses for connection in use}

    def find(one: int) -> int:
        while parent[one] != one:
            parent[one] = one = parent[parent[one]]
        return one

    patterns = Counter((tuple(sorted(set(use))), certain) for use, certain in uses)
    alone: Counter[int] = Counter()
    many = _MANY
    while True:
        root = {connection: find(connection) for connection in parent}
        patterns, alone, calls = _merge(patterns, alone, root)
        shared = _shared(patterns, calls)
        if not shared:
            return root, calls
        many = min(many, max(shared.values()))
        joined: set[int] = set()
        for count, one, other in sorted((-count, *pair) for pair, count in shared.items()):
            smaller = other if calls[one] >= calls[other] else one
            if -count >= many and smaller not in joined:
                joined.add(smaller)
                a, b = find(one), find(other)
                parent[max(a, b)] = min(a, b)


_Patterns = Counter[tuple[tuple[int, ...], bool]]
"""How many calls used these groups together, by whether that is certain."""


def _merge(
    patterns: _Patterns, alone: Counter[int], root: Mapping[int, int]
) -> tuple[_Patterns, Counter[int], Counter[int]]:
    """The same of larger groups: calls that used several, calls that used one only, and all of each."""
    calls: Counter[int] = Counter()
    for group, count in alone.items():
        calls[root[group]] += count
    alone = calls.copy()
    merged: _Patterns = Counter()
    for (pattern, certain), count in patterns.items():
        groups = tuple(sorted({root[connection] for connection in pattern}))
        for group in groups:
            calls[group] += count
        if len(groups) > 1:
            merged[groups, certain] += count
        else:
            alone[groups[0]] += count
    return merged, alone, calls


def _shared(patterns: _Patterns, calls: Mapping[int, int]) -> dict[tuple[int, int], int]:
    """Pairs of groups that enough calls used together to be one, and how many did."""
    joint: Counter[tuple[int, int]] = Counter()
    sure: set[tuple[int, int]] = set()
    for (groups, certain), count in patterns.items():
        for pair in combinations(groups, 2):
            joint[pair] += count
            if certain:
                sure.add(pair)
    return {
        (one, other): count
        for (one, other), count in joint.items()
        if (count >= _ENOUGH or (one, other) in sure) and count >= _SHARE * min(calls[one], calls[other])
    }


def _bound_servers(uses: Sequence[Use], group_of: dict[int, int]) -> set[Endpoint]:
    """Servers whose HTTP connections each lead to one group of database connections."""
    by_connection: dict[tuple[Endpoint, int], Counter[int]] = defaultdict(Counter)
    for use in uses:
        for group in {group_of[connection] for connection in use.database if connection in group_of}:
            by_connection[use.server, use.http][group] += 1
    agree: Counter[Endpoint] = Counter()
    total: Counter[Endpoint] = Counter()
    for (server, _), groups in by_connection.items():
        if groups.total() > 1:
            agree[server] += max(groups.values())
            total[server] += groups.total()
    inside = {use.server for use in uses if use.inside}
    share = {server: _BOUND_INSIDE if server in inside else _BOUND for server in (*total, *inside)}
    return {server for server in share if agree[server] >= share[server] * total[server] and (total[server] or inside)}
