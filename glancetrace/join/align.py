"""Which clock a log has: of all that it may have, the one that is believed; or none.

A clock that is right, or off by whole time zones, is believed if the capture shows something of the log and contradicts
nothing, unless far more speaks for another. Any other offset must be told by ids, or else explain nearly all that the
capture shows of the log's services; and no other that puts the calls elsewhere may be nearly as good. A log that fits
only somehow is of another time, or of another cloud: its clock stays unknown, and its calls are not used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from glancetrace.join.clock import Clock, candidates, refine
from glancetrace.join.evidence import (
    ZONE,
    Evidence,
    SqlTraces,
    chances,
    contradicts,
    offsets_by_ids,
    strangeness,
    visible_times,
    weigh,
)
from glancetrace.join.offsets import Span, find_offsets
from glancetrace.join.place import place
from glancetrace.join.seen import Seen
from glancetrace.logs.call import ApiLog, LoggedCall
from glancetrace.logs.times import MILLISECOND

__all__ = ["align"]

_PLAIN = 100 * MILLISECOND
"""ns; clocks that are kept in step are not farther apart."""

_MARGIN = 20.0
"""Bits that an odd offset must have more than one that is expected and that nothing contradicts."""

_EXACT = 3.0
"""Bits for a clock that is off by nothing but its zone."""

_CLOSE = 5.0
"""Bits by which an odd offset must be better than any other."""

_PER_BIT = 500.0
"""Weight of a placement that counts as a bit: a pair that fits exactly has nearly three."""

_ENOUGH = 6
_EXPLAINED = 0.8
"""Calls, and share of what was seen, that an odd offset must explain if no id tells."""


@dataclass(slots=True)
class _Tried:
    clock: Clock
    plain: bool
    evidence: Evidence
    found: dict[LoggedCall, Seen]


def align(
    log: ApiLog,
    services: Mapping[int, str | None],
    pools: Sequence[Sequence[Seen]],
    writes: Mapping[str, Sequence[int]],
    sql: SqlTraces,
    span: Span,
) -> Clock | None:
    """The clock of a log; None if none is believed, so that its calls cannot be used.

    Where nothing that was captured could tell, because no call of its services is visible, it is taken as right.

    Args:
        log, services: its calls, and line -> service. pools: what was seen, by kind. writes: see `image_writes`.
        sql: see `sql_traces`. span: first and last moment of the capture, ns.
    """
    everything = [seen for pool in pools for seen in pool]
    intervals = find_offsets(log.calls, services, everything, writes, span)
    chance, by_ids = chances(intervals, span), offsets_by_ids(intervals)
    visible = visible_times(everything)
    own = set(services.values())
    shown = [seen for seen in everything if seen.service in own]
    if not intervals and not shown:
        return None if any(_contradicted(call, sql) for call in log.calls) else Clock()
    tried = []
    for low, high, clock in candidates(intervals):
        placed = [place(log, services, clock, pool) for pool in pools]
        found = {call: seen for placement in reversed(placed) for call, seen in placement.found.items()}
        evidence = weigh(log.calls, services, (low, high), found, chance, by_ids, sql, visible)
        evidence.bits += sum(placement.weight for placement in placed) / _PER_BIT
        taken = {id(seen) for placement in placed for seen in placement.found.values()}
        evidence.explained = sum(id(seen) in taken for seen in shown) / len(shown) if shown else 0.0
        tried.append(_Tried(clock, strangeness(low, high)[0] <= _PLAIN, evidence, found))
    best = _choose(tried)
    return refine(best.clock, best.found) if best is not None else None


def _contradicted(call: LoggedCall, sql: SqlTraces) -> bool:
    """By the SQL, if the log's clock is right."""
    if call.begin is None:
        return False
    end = call.end if call.end is not None else call.begin
    return contradicts(call, call.begin, end + call.resolution, sql)


def _choose(tried: Sequence[_Tried]) -> _Tried | None:
    """What is believed, of all that were tried."""
    plain = max((one for one in tried if one.plain), key=_bits_plain, default=None)
    odd = max((one for one in tried if not one.plain), key=_bits, default=None)
    if plain is not None and _is_possible(plain) and (odd is None or _bits(odd) < _bits(plain) + _margin(plain)):
        return plain
    if odd is None or not _is_told(odd) or any(_is_rival(one, odd) for one in tried):
        return None
    return odd


def _margin(plain: _Tried) -> float:
    return 0.0 if plain.evidence.missed or plain.evidence.contradicted else _MARGIN


def _bits_plain(one: _Tried) -> float:
    return _bits(one) + (_EXACT if one.clock.offset % ZONE == 0 else 0.0)


def _bits(one: _Tried) -> float:
    return one.evidence.bits


def _is_possible(one: _Tried) -> bool:
    evidence = one.evidence
    if evidence.found + evidence.confirmed == 0 or evidence.bits <= 0:
        return False
    return evidence.contradicted <= evidence.confirmed and (evidence.confirmed > 0 or not evidence.foreign)


def _is_told(one: _Tried) -> bool:
    evidence = one.evidence
    if evidence.contradicted or (evidence.foreign and not evidence.confirmed):
        return False
    if evidence.found >= _ENOUGH and evidence.explained >= _EXPLAINED and not evidence.missed:
        return True
    return evidence.confirmed > 0 and evidence.bits > 0


def _is_rival(one: _Tried, best: _Tried) -> bool:
    """Nearly as good, and it puts most calls elsewhere."""
    if one is best or _bits(one) < _bits(best) - _CLOSE:
        return False
    elsewhere = sum(best.found.get(call) is not seen for call, seen in one.found.items())
    return elsewhere * 2 > len(one.found)
