"""Responses whose requests the capture lacks: somebody's call was under way, and its statements look like others'.

Such a call began after the one before it on its connection (or before the capture) and ended with its response. While
it ran, a statement that "only one call" can have run may be of it instead, so nothing is certain then.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace

import orjson

from glancetrace.correlate.hidden import Half
from glancetrace.correlate.link import CERTAIN, INFERRED, Link
from glancetrace.glance.call import ApiCall
from glancetrace.glance.statement import SqlStatement
from glancetrace.http.exchange import HttpExchange
from glancetrace.net.run import Connection

__all__ = ["Half", "doubt_beside", "find_halves"]

_DOUBTED = 0.9
_REQUEST_ID = "x-openstack-request-id"


def find_halves(
    exchanges: Sequence[tuple[HttpExchange, Connection]],
    calls: Sequence[ApiCall],
    ports: Mapping[int, str],
    first_ts: int | None,
) -> list[Half]:
    """Calls of which only a response was seen, on no leg more than that; in order of their ends.

    Legs with one request id are one call.

    Args:
        exchanges: all exchanges. calls: what became of them. ports: port -> service. first_ts: of the capture, ns.
    """
    known = {(call.service, call.request_id) for call in calls if call.request_id}
    ends: dict[int, int] = {}
    halves: dict[object, Half] = {}
    for exchange, connection in sorted(exchanges, key=lambda pair: (pair[1].id, pair[0].ordinal)):
        service = ports.get(connection.server[1])
        response, response_ts = exchange.response, exchange.response_ts
        if service is not None and not exchange.request.method and response is not None and response_ts is not None:
            request_id = response.get(_REQUEST_ID)
            if not request_id or (service, request_id) not in known:
                half = Half(
                    service, ends.get(connection.id, first_ts or 0), response_ts, connection.id, _image(exchange)
                )
                leg = (service, request_id) if request_id else (connection.id, exchange.ordinal)
                halves[leg] = _folded(halves[leg], half) if leg in halves else half
        ends[connection.id] = exchange.response_end_ts or exchange.response_ts or exchange.ts
    return sorted(halves.values(), key=lambda half: (half.end, half.start, half.service, half.connection_id))


def _folded(one: Half, other: Half) -> Half:
    """A call that was seen on two legs: the inner one has its response first."""
    inner = min(one, other, key=lambda half: (half.end, half.connection_id))
    return replace(inner, start=max(one.start, other.start), images=one.images | other.images)


def _image(exchange: HttpExchange) -> frozenset[str]:
    """The id of the image that a response shows."""
    content = exchange.response_body.content
    if not content or exchange.response is None or "json" not in exchange.response.get("content-type"):
        return frozenset()
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError:
        return frozenset()
    image_id = answer.get("id") if isinstance(answer, dict) and "disk_format" in answer else None
    return frozenset([image_id]) if isinstance(image_id, str) else frozenset()


def doubt_beside(links: Sequence[Link], statements: Sequence[SqlStatement], halves: Sequence[Half]) -> None:
    """What ran while such a call was under way is no longer certain to be of another."""
    if not halves:
        return
    spans = _united(halves)
    for link in links:
        if link.link_class != CERTAIN:
            continue
        statement = statements[link.statement_id - 1]
        own = spans.get(statement.service, [])
        index = bisect_right(own, (statement.end_ts, 1 << 63)) - 1
        if index >= 0 and own[index][1] >= statement.command.ts:
            link.link_class, link.score = INFERRED, min(link.score, _DOUBTED)
            link.evidence = (*link.evidence, "a call whose request is missing was under way too")


def _united(halves: Sequence[Half]) -> dict[str, list[tuple[int, int]]]:
    """Service -> times in which such a call was under way, in order and apart."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for service, start, end in sorted((half.service, half.start, half.end) for half in halves):
        own = spans.setdefault(service, [])
        if own and start <= own[-1][1]:
            own[-1] = own[-1][0], max(end, own[-1][1])
        else:
            own.append((start, end))
    return spans
