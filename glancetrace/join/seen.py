"""What the capture shows that a call of a log may be: plain legs of calls, and sealed exchanges of TLS connections.

`fits` says whether a logged call can be one of them, times apart: by server, client, method, target, status, request id
and size. Of a sealed exchange sizes are all there is, and they tell calls well apart.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from glancetrace.glance.call import ApiCall
from glancetrace.glance.routes import match_route
from glancetrace.logs.call import ApiLog, LoggedCall
from glancetrace.net.run import Connection, Endpoint
from glancetrace.tls.sealed import SealedExchange
from glancetrace.trace import ConnectionRow

__all__ = [
    "CREATED",
    "WRITTEN",
    "Seen",
    "fits",
    "is_foreign",
    "plain_target",
    "same_request",
    "seen_calls",
    "seen_exchanges",
    "service_of_calls",
    "traces_of",
]

_NEVER = 1 << 62
_HEAD = (60, 1024)
"""Least and most bytes of a response's head."""

_LEAST_REQUEST = 40
_MESSAGE_SLACK = 96
"""HAProxy counts a head without some of its punctuation."""

_SURE = 0.9


_ID = re.compile(r"/v2/images/([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})(/[^?]*)?(?=$|\?)")

CREATED, WRITTEN = "created", " written"
"""Traces of a new row of `images`, and, after an id, of a row written."""


@dataclass(slots=True, eq=False)
class Seen:
    """Something that was seen: exactly one of `call` and `sealed` is there.

    `ts`, `end`: first and last byte, ns. `told`: what another log says that a sealed exchange is. `traces`:
    what Glance's SQL did meanwhile, see `sql_traces`; empty where none was seen. `known`: images that the SQL of the
    whole capture names.
    """

    ts: int
    end: int
    service: str | None
    client: Endpoint
    server: Endpoint
    call: ApiCall | None = None
    sealed: SealedExchange | None = None
    told: LoggedCall | None = None
    connection: Connection | None = None
    traces: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()


def seen_exchanges(rows: Sequence[ConnectionRow], ports: Mapping[int, str]) -> list[Seen]:
    """Sealed exchanges of all connections."""
    return [
        Seen(
            ts=sealed.ts,
            end=sealed.end_ts,
            service=ports.get(row.connection.server[1]),
            client=row.connection.client,
            server=row.connection.server,
            sealed=sealed,
            connection=row.connection,
        )
        for row in rows
        for sealed in row.sealed
    ]


def seen_calls(calls: Sequence[ApiCall]) -> list[Seen]:
    """Calls that were read off the wire, by their outermost leg."""
    return [
        Seen(
            ts=call.ts,
            end=_NEVER if call.dur is None else call.ts + call.dur,
            service=call.service,
            client=call.client,
            server=call.server,
            call=call,
        )
        for call in calls
    ]


def service_of_calls(log: ApiLog, ports: Mapping[int, str]) -> dict[int, str | None]:
    """Line of a logged call -> service: by the log, the URL's port, or the path; else that of nearly all of the log."""
    found: dict[int, str | None] = {}
    counts: dict[str, int] = {}
    for call in log.calls:
        service = call.service or (ports.get(call.port) if call.port is not None else None)
        if service is None:
            match = match_route(call.method, call.target)
            service = match.service if match is not None else None
        found[call.line] = service
        if service is not None:
            counts[service] = counts.get(service, 0) + 1
    most = max(sorted(counts), key=counts.__getitem__) if counts else None
    if most is not None and counts[most] >= _SURE * sum(counts.values()) and log.format != "openstack-debug":
        found = {line: service or (most if len(counts) == 1 else None) for line, service in found.items()}
    return found


def fits(logged: LoggedCall, service: str | None, seen: Seen) -> bool:
    """The logged call can be what was seen, as far as anything but times says."""
    if service is not None and seen.service is not None and service != seen.service:
        return False
    if seen.call is not None:
        return _fits_call(logged, seen.call)
    sealed = seen.sealed
    if sealed is None or logged.probe or (logged.port is not None and logged.port != seen.server[1]):
        return False
    if is_foreign(logged, seen.known):
        return False
    if seen.traces and sealed.response_ts is not None and not traces_of(logged) <= seen.traces:
        return False
    if seen.told is not None and not same_request(logged, seen.told):
        return False
    if logged.client is not None and logged.client[1] and logged.client != seen.client:
        return False
    if logged.client == seen.client and sealed.response_ts is None:
        return True
    return _fits_sizes(logged, sealed)


def _fits_call(logged: LoggedCall, call: ApiCall) -> bool:
    if logged.method != call.method:
        return False
    if logged.status_code is not None and call.status_code is not None and logged.status_code != call.status_code:
        return False
    if logged.request_id and call.request_id and logged.request_id != call.request_id:
        return False
    if logged.response_bytes is not None and call.complete and logged.method != "HEAD":
        more = logged.response_bytes - (call.response_body_bytes or 0)
        if not 0 <= more <= (_HEAD[1] if logged.head_counted else 0):
            return False
    return plain_target(logged.target) == plain_target(call.target.removeprefix(call.route_prefix))


def is_foreign(call: LoggedCall, known: Collection[str]) -> bool:
    """The call is about an image that the SQL of the capture never names, though it names others."""
    return bool(known) and not traces_of(call) <= {CREATED, *known}


def traces_of(call: LoggedCall) -> set[str]:
    """What the SQL of a call must show, as `sql_traces` has it, for the service to answer as it did."""
    if call.status_code is None or not 200 <= call.status_code < 300:
        return set()
    match = _ID.search(call.target)
    if match is not None:
        writes = call.method == "DELETE" if match[2] is None else call.method == "PUT" and match[2] == "/file"
        return {match[1], match[1] + WRITTEN} if writes else {match[1]}
    if call.method != "POST" or not call.target.partition("?")[0].endswith("/v2/images"):
        return set()
    answer = call.response_json
    created = answer.get("id") if isinstance(answer, dict) else None
    return {CREATED, created} if isinstance(created, str) else {CREATED}


def same_request(one: LoggedCall, two: LoggedCall) -> bool:
    """Two logs can mean the same call: it is asked for, answered and named alike."""
    if one.method != two.method or plain_target(one.target) != plain_target(two.target):
        return False
    if one.status_code is not None and two.status_code is not None and one.status_code != two.status_code:
        return False
    return not one.request_id or not two.request_id or one.request_id == two.request_id


def plain_target(target: str) -> str:
    """A target as logs of either side have it: without the prefix of a deployment that a proxy may strip."""
    for prefix in ("/image/", "/identity/"):
        if target.startswith(prefix):
            return target[len(prefix) - 1 :]
    return target or "/"


def _fits_sizes(logged: LoggedCall, sealed: SealedExchange) -> bool:
    most = sealed.request_bytes
    if logged.request_bytes is not None and not logged.request_bytes + _LEAST_REQUEST <= most:
        return False
    if logged.request_bytes == 0 and most - sealed.request_slack > 16_384:
        return False
    if logged.status_code is None:
        return True
    if sealed.response_ts is None:
        return False
    high = sealed.response_bytes
    low = high - sealed.response_slack
    if logged.response_message_bytes is not None:
        return low - _MESSAGE_SLACK <= logged.response_message_bytes <= high + _MESSAGE_SLACK
    if logged.response_bytes is not None and logged.method != "HEAD":
        least_head = -_MESSAGE_SLACK if logged.head_counted else _HEAD[0]
        return low - _HEAD[1] <= logged.response_bytes <= high - least_head
    return True
