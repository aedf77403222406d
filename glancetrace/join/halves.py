"""Responses whose requests the capture lacks: somebody's call was under way, and its statements look like others'.

Such a call began after the one before it on its connection (or before the capture) and ended with its response. While
it ran, a statement that "only one call" can have run may be of it instead, so nothing is certain then.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence

from glancetrace.correlate.link import CERTAIN, INFERRED, Link
from glancetrace.glance.call import ApiCall
from glancetrace.glance.statement import SqlStatement
from glancetrace.http.exchange import HttpExchange
from glancetrace.net.run import Connection

__all__ = ["Window", "doubt_beside", "find_halves"]

_DOUBTED = 0.9
_REQUEST_ID = "x-openstack-request-id"

Window = tuple[str, int, int]
"""(service, earliest begin, end) of a call whose request was not seen, ns."""


def find_halves(
    exchanges: Sequence[tuple[HttpExchange, Connection]],
    calls: Sequence[ApiCall],
    ports: Mapping[int, str],
    first_ts: int | None,
) -> list[Window]:
    """Calls of which only a response was seen, on no leg more than that; in order of their ends.

    Args:
        exchanges: all exchanges. calls: what became of them. ports: port -> service. first_ts: of the capture, ns.
    """
    known = {(call.service, call.request_id) for call in calls if call.request_id}
    ends: dict[int, int] = {}
    halves: list[Window] = []
    for exchange, connection in sorted(exchanges, key=lambda pair: (pair[1].id, pair[0].ordinal)):
        service = ports.get(connection.server[1])
        response, response_ts = exchange.response, exchange.response_ts
        if service is not None and not exchange.request.method and response is not None and response_ts is not None:
            request_id = response.get(_REQUEST_ID)
            if not request_id or (service, request_id) not in known:
                halves.append((service, ends.get(connection.id, first_ts or 0), response_ts))
        ends[connection.id] = exchange.response_end_ts or exchange.response_ts or exchange.ts
    return sorted(halves, key=lambda window: (window[2], window[1], window[0]))


def doubt_beside(links: Sequence[Link], statements: Sequence[SqlStatement], halves: Sequence[Window]) -> None:
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


def _united(halves: Sequence[Window]) -> dict[str, list[tuple[int, int]]]:
    """Service -> times in which such a call was under way, in order and apart."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for service, start, end in sorted(halves):
        own = spans.setdefault(service, [])
        if own and start <= own[-1][1]:
            own[-1] = own[-1][0], max(end, own[-1][1])
        else:
            own.append((start, end))
    return spans
