"""Folds the two legs of a proxied MySQL connection into one.

A TCP proxy before the database (VIP:3306 -> node:3306) shows every statement twice. The server's greeting passes
unchanged, so thread id and scramble are equal on both legs; for connections older than the capture the commands
themselves are compared: same texts in the same order, each inner command within its outer one.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

from glancetrace.correlate.hops import CLOCK_SLACK
from glancetrace.glance.statement import SqlStatement, StatementHop

__all__ = ["Legs", "fold_proxied"]

_NEAR = 50_000_000
"""ns within which an inner leg follows its outer one; far more than any proxy adds."""

_MIN_SHARED = 3
"""Commands that must agree before two connections without a greeting count as legs of one."""

_ENOUGH_SHARED = 0.8
"""Share of an inner leg's commands that must have their outer one; packets may be lost on either leg."""


def fold_proxied(by_connection: dict[int, list[SqlStatement]]) -> dict[int, list[SqlStatement]]:
    """Statements by connection without inner legs, whose times went into `hops` of the outer statements.

    Args:
        by_connection: connection id -> its statements in order.
    """
    inner_of = _legs(by_connection)
    inner_ids = set(inner_of.values())
    # The innermost first, so that hops of several proxies add up: what is further inside is later.
    for outer_id in sorted(inner_of, key=lambda key: by_connection[key][0].command.ts, reverse=True):
        pairs = _pair(by_connection[outer_id], by_connection[inner_of[outer_id]])
        for outer, inner in pairs:
            outer.hops = [_hop(outer), *(inner.hops or [_hop(inner)])]
    return {key: statements for key, statements in by_connection.items() if key not in inner_ids}


class Legs:
    """Which connection is the leg behind which, for statements that come in parts.

    Args:
        firsts: connection id -> its first statements: one where the greeting was seen, else enough to compare.
    """

    def __init__(self, firsts: dict[int, list[SqlStatement]]) -> None:
        self._inner_of = _legs(firsts)
        self.inner = frozenset(self._inner_of.values())
        """Connections that are legs behind others."""

    def fold(self, by_connection: dict[int, list[SqlStatement]], until: int) -> None:
        """Put inner legs into `hops` of outer statements; statements up to `until` (ns) are there, later ones follow.

        Statements of inner legs that are dealt with are taken out of the lists.
        """
        # The innermost first, as in `fold_proxied`.
        legs = sorted(self._inner_of.items(), key=lambda legs: _begin(by_connection, legs[0]), reverse=True)
        for outer_id, inner_id in legs:
            inner = by_connection.get(inner_id, [])
            ready = (s for s in by_connection.get(outer_id, ()) if s.command.ts <= until - _NEAR)
            outer = [statement for statement in ready if not statement.hops]
            paired = set()
            for one, other in _pair(outer, inner):
                one.hops = [_hop(one), *(other.hops or [_hop(other)])]
                paired.add(other)
            inner[:] = [s for s in inner if s not in paired and s.command.ts > until - 2 * _NEAR]


def _begin(by_connection: dict[int, list[SqlStatement]], key: int) -> int:
    statements = by_connection.get(key)
    return statements[0].command.ts if statements else 0


def _legs(by_connection: dict[int, list[SqlStatement]]) -> dict[int, int]:
    """Outer connection id -> id of the leg behind it."""
    if len({rows[0].connection.server for rows in by_connection.values() if rows}) < 2:
        return {}  # one server: there is no proxy before it
    starts: dict[object, list[int]] = defaultdict(list)
    for key, statements in by_connection.items():
        if not statements:
            continue
        session = statements[0].command.session
        if session.scramble is not None:
            starts[session.thread_id, session.scramble].append(key)
    legs: dict[int, int] = {}
    taken: set[int] = set()
    for group in starts.values():
        group.sort(key=lambda key: by_connection[key][0].command.ts)
        for outer, inner in pairwise(group):
            legs[outer] = inner
            taken |= {outer, inner}
    rest = [key for key, statements in by_connection.items() if statements and key not in taken]
    legs.update(_legs_by_content(rest, by_connection))
    return legs


def _legs_by_content(keys: list[int], by_connection: dict[int, list[SqlStatement]]) -> dict[int, int]:
    """Pairs of connections whose commands agree in text, order and time."""
    seen: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for key in keys:
        for statement in by_connection[key]:
            if len(statement.command.sql or "") > 40:  # long enough to be rare: ids and times stand in it
                seen[statement.command.sql or ""].append((key, statement.command.ts))
    votes: dict[tuple[int, int], int] = defaultdict(int)
    for places in seen.values():
        if not 2 <= len(places) <= 64:
            continue
        for outer, outer_ts in places:
            for inner, inner_ts in places:
                if outer != inner and 0 <= inner_ts - outer_ts + CLOCK_SLACK < _NEAR:
                    votes[outer, inner] += 1
    legs: dict[int, int] = {}
    inner_taken: set[int] = set()
    for (outer, inner), _count in sorted(votes.items(), key=lambda item: (-item[1], item[0])):
        if outer in legs or inner in inner_taken or legs.get(inner) == outer:
            continue
        a, b = by_connection[outer], by_connection[inner]
        if a[0].connection.server == b[0].connection.server:
            continue
        pairs = _pair(a, b)
        nested = sum(x.command.ts <= y.command.ts for x, y in pairs)
        if len(pairs) >= max(_MIN_SHARED, _ENOUGH_SHARED * min(len(a), len(b))) and 2 * nested >= len(pairs):
            legs[outer] = inner
            inner_taken.add(inner)
    return legs


def _pair(outer: list[SqlStatement], inner: list[SqlStatement]) -> list[tuple[SqlStatement, SqlStatement]]:
    """Commands that agree, in order, each inner one close to its outer one in time."""
    pairs = []
    position = 0
    for statement in outer:
        command = statement.command
        for index in range(position, len(inner)):
            other = inner[index].command
            if other.ts - command.ts > _NEAR:
                break
            if other.command == command.command and other.sql == command.sql and other.ts + CLOCK_SLACK >= command.ts:
                pairs.append((statement, inner[index]))
                position = index + 1
                break
    return pairs


def _hop(statement: SqlStatement) -> StatementHop:
    command = statement.command
    return StatementHop(
        client=statement.connection.client,
        server=statement.connection.server,
        connection_id=command.session.connection_id,
        ts=command.ts,
        dur=None if command.response_end_ts is None else command.response_end_ts - command.ts,
        first_frame=command.first_frame,
        last_frame=command.response_frame or command.request_frame,
        request_frame=command.request_frame,
    )
