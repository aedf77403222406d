"""Finds for the calls of a log what of the capture they are.

A call and something seen are a pair if everything fits (`seen.fits`) and their times do, at the log's offset. Of all
pairs the best set is taken in which both sides stand in order: the heaviest increasing chain, weighed by how well times
and sizes agree. What the order leaves out, because calls ran side by side, is paired by weight alone.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median_low

from glancetrace.join.clock import Clock
from glancetrace.join.seen import Seen, fits, plain_target, same_request
from glancetrace.logs.call import ApiLog, LoggedCall
from glancetrace.logs.times import SECOND

__all__ = ["Placement", "answer_sizes", "place"]

_SLACK = 50_000_000
_CLOSE = 5_000_000
_CONNECT = 2 * SECOND
"""ns that a client may need for a connection, between the line of its request and the request."""

_PAIR = 500.0
_SIZES = 500.0
"""What it counts for a pair to fit, and for its sizes to agree."""

_TIMES = 200.0
"""What it counts that the begin agrees, and as much for the end."""

_SAME_ID = 1000.0
_AGREED = 300.0
"""What it counts that another log says the same of an exchange, or that the client is the same."""

_Pair = tuple[int, int, float]
"""Index of the call, index of what was seen, weight."""


_Kind = tuple[str, str, int | None, int | None]
"""Method, target, status and size of the body: what makes calls alike."""

_CLEAR = 150.0
"""By how much a pair must be better than any other of the same call to be sure."""


@dataclass(slots=True)
class Placement:
    """Where the calls of a log are.

    `found`: logged call -> what it is, each thing seen at most once. `weight`: how well all of it fits. `unsure`: calls
    that could as well be something else.
    """

    found: dict[LoggedCall, Seen] = field(default_factory=dict)
    weight: float = 0.0
    unsure: set[LoggedCall] = field(default_factory=set)


def place(
    log: ApiLog,
    services: Mapping[int, str | None],
    clock: Clock,
    seen: Sequence[Seen],
    sizes: Mapping[_Kind, int] | None = None,
) -> Placement:
    """Find the calls of a log among what was seen.

    Args:
        log, services: its calls, and line -> service. clock: of the log. seen: all of one kind.
        sizes: see `answer_sizes`.
    """
    if not seen:
        return Placement()
    by_end = any(call.within for call in log.calls) and not log.ordered
    calls = list(log.calls)
    if not by_end and not log.ordered:
        calls.sort(key=lambda call: (call.begin if call.begin is not None else call.end or 0, call.line))
    ordered = sorted(seen, key=lambda s: (s.end, s.ts) if by_end else (s.ts, s.end))
    pairs = _pairs(calls, services, clock, ordered, sizes or {})
    chosen = _chain(pairs, len(ordered))
    used_calls, used_seen = {i for i, _ in chosen}, {j for _, j in chosen}
    weights = {(i, j): weight for i, j, weight in pairs}
    for i, j, _ in sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1])):
        if i not in used_calls and j not in used_seen:
            chosen.append((i, j))
            used_calls.add(i)
            used_seen.add(j)
    return Placement(
        {calls[i]: ordered[j] for i, j in chosen},
        sum(weights[pair] for pair in chosen),
        {calls[i] for i in _unsure(dict(chosen), pairs, calls)},
    )


def _unsure(chosen: Mapping[int, int], pairs: Sequence[_Pair], calls: Sequence[LoggedCall]) -> set[int]:
    """Calls of which another pair fits nearly as well: with something free, or in exchange with another request."""
    weights = {(i, j): weight for i, j, weight in pairs}
    holder = {j: i for i, j in chosen.items()}
    unsure = set()
    for i, j, weight in pairs:
        own = chosen.get(i)
        if own is None or own == j or weight < weights[i, own] - _CLEAR:
            continue
        other = holder.get(j)
        if other is None or ((other, own) in weights and not same_request(calls[i], calls[other])):
            unsure.add(i)
    return unsure


def answer_sizes(placement: Placement) -> dict[_Kind, int]:
    """How large the encrypted answers to calls are that are alike, bytes; of those that were found more than once.

    What the head of an answer adds to its body is not known at first, but it is the same for all of them.
    """
    found: dict[_Kind, list[int]] = defaultdict(list)
    for call, seen in placement.found.items():
        if seen.sealed is not None and seen.sealed.response_ts is not None:
            found[_kind(call)].append(seen.sealed.response_bytes)
    return {kind: median_low(sizes) for kind, sizes in found.items() if len(sizes) > 1}


def _kind(call: LoggedCall) -> _Kind:
    return call.method, plain_target(call.target), call.status_code, call.response_bytes


def _pairs(
    calls: list[LoggedCall],
    services: Mapping[int, str | None],
    clock: Clock,
    seen: list[Seen],
    sizes: Mapping[_Kind, int],
) -> list[_Pair]:
    """All pairs that fit, by call, then by what was seen."""
    starts = sorted((s.ts, index) for index, s in enumerate(seen))
    longest = max((s.end - s.ts for s in seen if s.end < 1 << 61), default=0)
    open_ended = [index for index, s in enumerate(seen) if s.end >= 1 << 61]
    pairs: list[_Pair] = []
    for number, call in enumerate(calls):
        low, high = _reach(call, clock)
        first = bisect_left(starts, (low - longest, -1))
        last = bisect_left(starts, (high + 1, -1))
        near = sorted({*(index for _, index in starts[first:last]), *open_ended})
        for index in near:
            other = seen[index]
            if other.ts <= high and other.end >= low and fits(call, services.get(call.line), other):
                weight = _weight(call, clock, other, sizes.get(_kind(call)) if sizes else None)
                if weight is not None:
                    pairs.append((number, index, weight))
    return pairs


def _reach(call: LoggedCall, clock: Clock) -> tuple[int, int]:
    """Between which moments of the capture the call was under way, in part at least; ns."""
    begin = call.begin if call.begin is not None else call.end
    end = call.end if call.end is not None else begin
    if begin is None or end is None:
        return -(1 << 62), 1 << 62
    slack = clock.uncertainty + _SLACK
    return begin + clock.offset - slack, end + clock.offset + call.resolution + slack


def _weight(call: LoggedCall, clock: Clock, seen: Seen, size: int | None) -> float | None:
    """How well a pair that fits agrees; None if its times do not."""
    weight = _PAIR + _size_agreement(call, seen, size)
    if seen.call is not None and call.request_id and call.request_id == seen.call.request_id:
        weight += _SAME_ID
    if seen.told is not None or (seen.call is not None and call.client in {hop.client for hop in seen.call.hops}):
        weight += _AGREED
    if call.begin is None and call.end is None:
        return weight
    if call.within:
        return weight + _TIMES / (1 + _apart(call, clock, seen) / _CLOSE)
    tolerance = clock.uncertainty + call.resolution + _CLOSE
    for ours, theirs in ((call.begin, seen.ts), (call.end, seen.end)):
        if ours is None or theirs >= 1 << 61:
            continue
        apart = abs(ours + clock.offset - theirs)
        if theirs == seen.end and _is_over(call, seen, theirs - ours - clock.offset - tolerance):
            return None
        if apart > tolerance + _CONNECT:
            return None
        weight += _TIMES / (1 + apart / tolerance)
    return weight


def _is_over(call: LoggedCall, seen: Seen, later: int) -> bool:
    """The last byte came so much later (ns) than the proxy says that it sent it; the client's port tells a proxy."""
    answered = seen.sealed is not None and seen.sealed.response_ts is not None
    return answered and call.client is not None and call.client[1] > 0 and later > _CLOSE


def _apart(call: LoggedCall, clock: Clock, seen: Seen) -> int:
    """How long before or after all that its log allows the call would have been, ns."""
    begin = call.begin if call.begin is not None else call.end or 0
    end = call.end if call.end is not None else begin
    return max(0, begin + clock.offset - seen.end, seen.ts - end - call.resolution - clock.offset)


def _size_agreement(call: LoggedCall, seen: Seen, size: int | None) -> float:
    """Up to `_SIZES`: the nearer the size of the answer comes to that of a usual head and the body."""
    sealed = seen.sealed
    if seen.call is not None and call.response_bytes is not None:
        return _SIZES / (1 + abs((seen.call.response_body_bytes or 0) - call.response_bytes))
    if sealed is None or sealed.response_ts is None:
        return 0.0
    high = sealed.response_bytes
    if call.response_message_bytes is not None:
        return _SIZES / (1 + abs(high - call.response_message_bytes) / 16)
    if call.response_bytes is None:
        return 0.0
    if size is not None:
        return _SIZES / (1 + abs(high - size) / 32)
    head = sum(len(name) + len(value) + 4 for name, value in call.response_headers.items()) + 20 or 300
    usual = head if len(call.response_headers) > 1 else 300
    return _SIZES / (1 + abs(high - call.response_bytes - usual) / 32)


def _chain(pairs: list[_Pair], size: int) -> list[tuple[int, int]]:
    """The heaviest set of pairs in which both indices rise (a Fenwick tree of best chains by last thing seen)."""
    tree: list[tuple[float, int]] = [(0.0, -1)] * (size + 1)
    back: list[int] = []
    position = 0
    while position < len(pairs):
        found: list[tuple[int, int, float]] = []
        number = pairs[position][0]
        while position < len(pairs) and pairs[position][0] == number:
            _, index, weight = pairs[position]
            best, before = 0.0, -1
            at = index
            while at > 0:
                if tree[at][0] > best:
                    best, before = tree[at]
                at -= at & -at
            back.append(before)
            found.append((position, index, best + weight))
            position += 1
        for pair, index, weight in found:
            at = index + 1
            while at <= size:
                if weight > tree[at][0]:
                    tree[at] = (weight, pair)
                at += at & -at
    best, last = 0.0, -1
    at = size
    while at > 0:
        if tree[at][0] > best:
            best, last = tree[at]
        at -= at & -at
    chosen: list[tuple[int, int]] = []
    while last >= 0:
        chosen.append(pairs[last][:2])
        last = back[last]
    return chosen[::-1]
