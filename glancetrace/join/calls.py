"""Logged calls that are one call -> one `ApiCall`, with what the capture shows of it.

The packets win: a call that was read off the wire stays what it is and gains what only a log has. A sealed exchange
gives a logged call its ends, its frames and its times; without one the log's own times count, moved to the capture's
clock, and the call says how far they may be off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from glancetrace.glance.call import ApiCall, Hop
from glancetrace.glance.calls import call_from_heads
from glancetrace.http.exchange import Head, HttpExchange
from glancetrace.join.clock import Clock
from glancetrace.join.seen import Seen
from glancetrace.logs.call import ApiLog, LoggedCall
from glancetrace.net.run import Connection, Endpoint
from glancetrace.timeline.image import ASSUMED, INFERRED
from glancetrace.tls.sealed import SealedExchange

__all__ = ["RANK", "UNKNOWN", "Told", "build_call", "complete_call", "merge_lines"]

UNKNOWN: Endpoint = ("", 0)
"""An end that no log names."""

RANK = {"openstack-debug": 0, "oslo": 1, "haproxy": 2, "uwsgi": 3, "access": 4, "empty": 5}
"""Which log is believed first where several tell the same."""


@dataclass(slots=True, eq=False)
class Told:
    """One call as one or several logs tell of it, and what of the capture it is; `sure` that it is this exchange."""

    lines: list[tuple[ApiLog, LoggedCall, Clock]] = field(default_factory=list)
    service: str | None = None
    exchange: Seen | None = None
    call: Seen | None = None
    sure: bool = False

    def sort(self) -> None:
        """Put the most telling log first."""
        self.lines.sort(key=lambda line: (RANK[line[0].format], line[0].name, line[1].line))


def _first(told: Told, name: str) -> object:
    return next((value for _, call, _ in told.lines if (value := getattr(call, name)) not in (None, {})), None)


def _heads(told: Told) -> tuple[Head, Head | None]:
    request: dict[str, str] = {}
    response: dict[str, str] = {}
    for _, call, _ in told.lines:
        request = {**call.request_headers, **request}
        response = {**call.response_headers, **response}
    status, request_id = _first(told, "status_code"), _first(told, "request_id")
    if isinstance(request_id, str):
        response.setdefault("x-openstack-request-id", request_id)
    best = told.lines[0][1]
    asked = Head(best.method, best.target, headers=tuple(request.items()))
    if not isinstance(status, int):
        return asked, None
    return asked, Head(status_code=status, headers=tuple(response.items()))


def build_call(told: Told, servers: Mapping[str, Endpoint]) -> ApiCall | None:
    """The call that only logs tell of; None if it is of no service that is known.

    Args:
        told: at least one line. servers: service -> where it listens, for logs that do not say.
    """
    told.sort()
    request, response = _heads(told)
    seen = told.exchange
    client, server, connection_id = _ends(told, servers)
    ts, end, uncertainty = _times(told)
    exchange = HttpExchange(connection_id, 0, request, ts, 0, response=response)
    connection = Connection(connection_id, client, server, False, ts, 0)
    call = call_from_heads(
        exchange, connection, told.service, _first(told, "request_json"), _first(told, "response_json")
    )
    if call is None:
        return None
    call.source, call.uncertainty = "log", uncertainty
    call.certainty = INFERRED if told.sure else ASSUMED
    call.complete = response is not None
    call.request_body_bytes, call.response_body_bytes = _sizes(told)
    if seen is not None and seen.sealed is not None:
        _take_exchange(call, seen)
    else:
        vague = all(line.within for _, line, _ in told.lines)
        call.response_ts = None if response is None else ts if vague else end
        call.dur = end - ts if response is not None and end > ts and not vague else None
        window = (ts, end + max(line.resolution for _, line, _ in told.lines))
        call.hops = [Hop(client, server, connection_id, ts, call.dur, 0, 0, window)]
    return call


def _sizes(told: Told) -> tuple[int | None, int | None]:
    request = _first(told, "request_bytes")
    responses = [call.response_bytes for _, call, _ in told.lines if not call.head_counted]
    response = next((size for size in responses if size is not None), None)
    return request if isinstance(request, int) else None, response


def _ends(told: Told, servers: Mapping[str, Endpoint]) -> tuple[Endpoint, Endpoint, int]:
    seen = told.exchange
    if seen is not None and seen.connection is not None:
        return seen.client, seen.server, seen.connection.id
    client = next((call.client for _, call, _ in told.lines if call.client is not None), UNKNOWN)
    for _, call, _ in told.lines:
        if call.host is not None and call.port is not None:
            return client, (call.host, call.port), 0
    return client, servers.get(told.service or "", UNKNOWN), 0


def _times(told: Told) -> tuple[int, int, int]:
    """Begin, end and uncertainty by the capture's clock, of the log that is surest; ns."""
    best: tuple[int, int, int] | None = None
    for _, call, clock in told.lines:
        begin = call.begin if call.begin is not None else call.end
        if begin is None:
            continue
        end = call.end if call.end is not None else begin
        uncertainty = clock.uncertainty + call.resolution
        if best is None or uncertainty < best[2]:
            best = (begin + clock.offset, max(begin, end) + clock.offset, uncertainty)
    return best or (0, 0, 0)


def _outer_hop(seen: Seen, sealed: SealedExchange) -> Hop:
    end = sealed.response_end_ts
    # Of image data the service takes the first bytes while the last are still to come.
    begin = sealed.ts if sealed.request_bytes > _LARGE else sealed.request_end_ts
    return Hop(
        client=seen.client,
        server=seen.server,
        connection_id=seen.connection.id if seen.connection is not None else 0,
        ts=sealed.ts,
        dur=None if end is None else end - sealed.ts,
        first_frame=sealed.first_frame,
        last_frame=sealed.last_frame,
        window=(begin, sealed.response_ts),
    )


_LARGE = 16_384
"""Bytes of a request that is image data, not JSON."""


def _take_exchange(call: ApiCall, seen: Seen) -> None:
    """Times and frames of the sealed exchange that a call is."""
    sealed = seen.sealed
    if sealed is None:
        return
    hop = _outer_hop(seen, sealed)
    call.client, call.server, call.connection_id = hop.client, hop.server, hop.connection_id
    call.ts, call.dur = hop.ts, hop.dur
    call.request_end_ts, call.response_ts = sealed.request_end_ts, sealed.response_ts
    call.request_frame, call.response_frame = sealed.request_frame, sealed.response_frame
    call.first_frame = min(hop.first_frame, call.first_frame) if call.first_frame else hop.first_frame
    call.last_frame = max(hop.last_frame, call.last_frame)
    call.tls = True
    call.uncertainty = 0
    call.hops.insert(0, hop)


def complete_call(call: ApiCall, told: Told) -> None:
    """Give a call that was read off the wire what only logs, or the encrypted hop before it, show."""
    told.sort()
    if call.request_id is None:
        request_id = _first(told, "request_id")
        call.request_id = request_id if isinstance(request_id, str) else None
    if call.response_json is None:
        call.response_json = _first(told, "response_json")
    if told.exchange is not None and told.exchange.server not in {hop.server for hop in call.hops}:
        _take_exchange(call, told.exchange)


def merge_lines(groups: Sequence[Told]) -> list[Told]:
    """Groups without a place in the capture that are one call: by request id, else by what was asked, and when."""
    merged: list[Told] = []
    by_request: dict[tuple[str, str], list[Told]] = {}
    for group in groups:
        log, call, clock = group.lines[0]
        same = by_request.setdefault((call.method, call.target), [])
        other = next((told for told in same if _may_join(told, group) and _is_same(told, log, call, clock)), None)
        if other is not None:
            other.lines += group.lines
            other.exchange = other.exchange or group.exchange
            other.call = other.call or group.call
        else:
            same.append(group)
            merged.append(group)
    return merged


def _may_join(one: Told, two: Told) -> bool:
    """They are of one service and not of two different things seen."""
    if one.service != two.service:
        return False
    seen = ((one.exchange, two.exchange), (one.call, two.call))
    return all(a is None or b is None or a is b for a, b in seen)


def _is_same(told: Told, log: ApiLog, call: LoggedCall, clock: Clock) -> bool:
    if any(other is log for other, _, _ in told.lines):
        return False
    for _, known, known_clock in told.lines:
        if known.request_id and call.request_id:
            return known.request_id == call.request_id
        if None not in (known.status_code, call.status_code) and known.status_code != call.status_code:
            return False
        if not _overlap(known, known_clock, call, clock):
            return False
    return True


def _overlap(one: LoggedCall, one_clock: Clock, two: LoggedCall, two_clock: Clock) -> bool:
    spans = []
    for call, clock in ((one, one_clock), (two, two_clock)):
        begin = call.begin if call.begin is not None else call.end
        if begin is None:
            return False
        end = call.end if call.end is not None else begin
        spans.append(
            (begin + clock.offset - clock.uncertainty, end + clock.offset + call.resolution + clock.uncertainty)
        )
    return spans[0][0] <= spans[1][1] and spans[1][0] <= spans[0][1]
