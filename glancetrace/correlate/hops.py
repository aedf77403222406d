"""Folds the hops of a call into one call.

HAProxy passes a request on unchanged but for a few headers, so the legs of a call agree in method and target, the
response's x-openstack-request-id is the same on all of them, and each inner leg lies within the outer one in time. The
id alone is not enough: clients send an id again on their next request (python-glanceclient does after a PATCH). Which
server stands before which is learnt from the legs whose ids do agree, so that an aborted call does not swallow the
client's next try.
"""

from __future__ import annotations

from collections import defaultdict

from glancetrace.glance.call import ApiCall
from glancetrace.net.run import Endpoint

__all__ = ["CLOCK_SLACK", "fold_hops"]

CLOCK_SLACK = 2_000_000
"""ns by which an inner leg may stand outside its outer one: packets are not captured in strict order of time."""

_NEVER = 1 << 63


def fold_hops(calls: list[ApiCall]) -> list[ApiCall]:
    """Calls with their inner legs folded into `hops`, from the outside in, ordered by time.

    Fields of a folded call are those of the outermost leg; what only an inner leg shows (the response that never
    reached the client, a hash of the data) is taken from there.
    """
    calls = sorted(calls, key=lambda call: (call.ts, call.first_frame))
    legs_by_key: dict[tuple[str, str, str], list[ApiCall]] = defaultdict(list)
    inner_of: dict[int, ApiCall] = {}
    stands_before = _proxies(calls)
    for call in calls:
        key = _key(call)
        outer = _outer_leg(call, legs_by_key[key], inner_of, stands_before)
        if outer is not None:
            inner_of[id(outer)] = call
        legs_by_key[key].append(call)
    inner_ids = {id(call) for call in inner_of.values()}
    folded = []
    for call in calls:
        if id(call) in inner_ids:
            continue
        inner = inner_of.get(id(call))
        while inner is not None:
            _fold(call, inner)
            inner = inner_of.get(id(inner))
        folded.append(call)
    return folded


def _key(call: ApiCall) -> tuple[str, str, str]:
    return call.service, call.method, _route_target(call)


def _proxies(calls: list[ApiCall]) -> dict[tuple[Endpoint, Endpoint], int]:
    """(server, server behind it) -> legs whose request ids agree and that lie within each other."""
    by_id: dict[tuple[object, ...], list[ApiCall]] = defaultdict(list)
    seen: dict[tuple[Endpoint, Endpoint], int] = defaultdict(int)
    for call in calls:
        if call.request_id:
            legs = by_id[(call.request_id, *_key(call))]
            for outer in legs:
                if _may_contain(outer, call):
                    seen[outer.server, call.server] += 1
            legs.append(call)
    return seen


def _route_target(call: ApiCall) -> str:
    """Target without the prefix that a proxy may strip."""
    return call.target.removeprefix(call.route_prefix) if call.route_prefix else call.target


def _end(call: ApiCall) -> int:
    """When the leg ended, ns; an aborted one with its connection."""
    if call.dur is not None:
        return call.ts + call.dur
    if call.exchange is not None and call.exchange.end_ts is not None:
        return call.exchange.end_ts
    return _NEVER


def _outer_leg(
    call: ApiCall,
    earlier: list[ApiCall],
    inner_of: dict[int, ApiCall],
    stands_before: dict[tuple[Endpoint, Endpoint], int],
) -> ApiCall | None:
    """The leg that can be the next one outside `call` and has no inner leg yet: by id the latest, else the earliest.

    Without an id, proxies that are known to stand before the server of `call` go before others.
    """
    open_legs = [leg for leg in earlier if _end(leg) + CLOCK_SLACK >= call.ts]
    earlier[:] = open_legs
    candidates = [
        leg
        for leg in open_legs
        if id(leg) not in inner_of
        and _may_contain(leg, call)
        and _may_stand_before(leg.server, call.server, stands_before)
    ]
    if not candidates:
        return None
    with_id = [leg for leg in candidates if leg.request_id and leg.request_id == call.request_id]
    if with_id:
        return with_id[-1]
    known = [leg for leg in candidates if stands_before.get((leg.server, call.server))]
    return (known or candidates)[0]


def _may_stand_before(outer: Endpoint, inner: Endpoint, stands_before: dict[tuple[Endpoint, Endpoint], int]) -> bool:
    """Nothing that was learnt says that `outer` is no proxy before `inner`."""
    seen = stands_before.get((outer, inner), 0)
    if not seen and _is_last(outer, stands_before):
        return False
    return seen >= stands_before.get((inner, outer), 0)


def _is_last(server: Endpoint, stands_before: dict[tuple[Endpoint, Endpoint], int]) -> bool:
    """Proxies stand before it, and it stands before none: it is the service itself."""
    return any(inner == server for _, inner in stands_before) and all(outer != server for outer, _ in stands_before)


def _may_contain(outer: ApiCall, inner: ApiCall) -> bool:
    if outer.server == inner.server or outer.connection_id == inner.connection_id:
        return False
    if outer.request_id and inner.request_id and outer.request_id != inner.request_id:
        return False
    if outer.status_code is not None and inner.status_code is not None and outer.status_code != inner.status_code:
        return False
    if outer.token != inner.token:
        return False
    if inner.response_ts is not None and outer.response_ts is not None:
        return inner.response_ts <= outer.response_ts + CLOCK_SLACK
    return True


def _fold(outer: ApiCall, inner: ApiCall) -> None:
    outer.hops.extend(inner.hops)
    outer.first_frame = min(outer.first_frame, inner.first_frame)
    outer.last_frame = max(outer.last_frame, inner.last_frame)
    outer.status_code = outer.status_code if outer.status_code is not None else inner.status_code
    outer.request_id = outer.request_id or inner.request_id
    outer.image_id = outer.image_id or inner.image_id
    outer.image_name = outer.image_name or inner.image_name
    if outer.request_json is None:
        outer.request_json = inner.request_json
    if outer.response_json is None:
        outer.response_json = inner.response_json
    if not outer.upload_complete and inner.upload_complete:
        outer.upload_hasher, outer.upload_complete = inner.upload_hasher, True
        outer.request_body_bytes = max(outer.request_body_bytes or 0, inner.request_body_bytes or 0)
