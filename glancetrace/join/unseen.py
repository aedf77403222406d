"""Requests that were made and that nobody can read: what they may have done makes other claims less sure.

A sealed exchange is explained by a log, by the plain leg behind the proxy, or by nothing. While an unexplained one was
under way its statements ran too, so a statement that "only one call" can have run may be of that one instead.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence

from glancetrace.correlate.link import CERTAIN, INFERRED, Link
from glancetrace.glance.call import ApiCall
from glancetrace.glance.statement import SqlStatement
from glancetrace.timeline.image import ASSUMED, ImageEvent, ImageStory
from glancetrace.timeline.image import INFERRED as CERTAINTY_INFERRED
from glancetrace.trace import ConnectionRow, Unseen

__all__ = ["add_uploads", "doubt", "find_unseen"]

_DOUBTED = 0.9
_SLACK = 5_000_000
_HEAD = 8_192
_FRAMING = 0.01
"""Share of a body that chunk heads may add, at most."""

_LONGEST = 60_000_000_000
"""ns before a request in which a leg around it is looked for."""

_LEAST = 16_384
"""Bytes of a request that carries image data, where the size of the image is not known."""


def find_unseen(rows: Sequence[ConnectionRow], calls: Sequence[ApiCall], ports: Mapping[int, str]) -> list[Unseen]:
    """Unexplained exchanges, in order of time.

    Args:
        rows: connections. calls: all calls, logs joined. ports: port -> service.
    """
    explained = {(hop.connection_id, hop.ts) for call in calls for hop in call.hops}
    decrypted = {call.connection_id for call in calls if call.exchange is not None}
    unseen = []
    for row in rows:
        service = ports.get(row.connection.server[1])
        if service in (None, "mysql") or row.connection.id in decrypted:
            continue
        for exchange in row.sealed:
            if (row.connection.id, exchange.ts) not in explained:
                unseen.append(Unseen(service or "", row, exchange))
    unseen.sort(key=lambda one: (one.exchange.ts, one.exchange.first_frame))
    legs = [call for call in calls if call.first_frame]
    return _without_legs(unseen, legs) if unseen else unseen


def _without_legs(unseen: Sequence[Unseen], legs: Sequence[ApiCall]) -> list[Unseen]:
    """Exchanges that are not another leg of a call: one lies within the other, and the answer has the size."""
    starts = [call.ts for call in legs]
    longest = min(_LONGEST, max((call.dur or 0 for call in legs), default=0))
    taken: set[int] = set()
    left = []
    for one in unseen:
        exchange = one.exchange
        low = bisect_left(starts, exchange.ts - longest - _SLACK)
        high = bisect_right(starts, exchange.end_ts + _SLACK)
        found = next((i for i in range(low, high) if i not in taken and _is_leg(legs[i], one)), None)
        if found is None:
            left.append(one)
        else:
            taken.add(found)
    return left


def _is_leg(call: ApiCall, one: Unseen) -> bool:
    exchange = one.exchange
    if call.service != one.service or one.row.connection.server in {hop.server for hop in call.hops}:
        return False
    end = exchange.end_ts if call.dur is None else call.ts + call.dur
    within = exchange.ts <= call.ts + _SLACK and end <= exchange.end_ts + _SLACK
    around = call.ts <= exchange.ts + _SLACK and exchange.end_ts <= end + _SLACK
    if not within and not around:
        return False
    least = exchange.response_bytes - exchange.response_slack - _HEAD
    return call.response_body_bytes is None or least <= call.response_body_bytes <= exchange.response_bytes


def doubt(
    links: Sequence[Link], statements: Sequence[SqlStatement], calls: Sequence[ApiCall], unseen: Sequence[Unseen]
) -> None:
    """Take back what is said too surely of statements.

    Where an unexplained request was under way they are no longer certain to be of their call, and without a call no
    longer certain to be nobody's. What belongs to a call that only a log places is no more certain than that.
    """
    windows: dict[str, list[tuple[int, int]]] = {}
    for one in unseen:
        windows.setdefault(one.service, []).append((one.exchange.ts - _SLACK, one.exchange.end_ts + _SLACK))
    latest = {service: _running_ends(spans) for service, spans in windows.items()}

    def beside(statement: SqlStatement) -> bool:
        index = bisect_right(windows.get(statement.service, []), (statement.end_ts, 1 << 63)) - 1
        return index >= 0 and latest[statement.service][index] >= statement.command.ts

    for statement in statements if unseen else ():
        if statement.kind == "background" and beside(statement):
            statement.kind = "unattributed"
    for link in links:
        if link.link_class != CERTAIN:
            continue
        if beside(statements[link.statement_id - 1]):
            reason = "an unread encrypted request was under way too"
        elif calls[link.call_id - 1].certainty == ASSUMED:
            reason = "the call is placed by a log alone"
        else:
            continue
        link.link_class, link.score = INFERRED, min(link.score, _DOUBTED)
        link.evidence = (*link.evidence, reason)


def _running_ends(spans: list[tuple[int, int]]) -> list[int]:
    """For each span, the latest end of it and of those before it."""
    ends: list[int] = []
    for _, end in spans:
        ends.append(max(end, ends[-1]) if ends else end)
    return ends


def add_uploads(images: Sequence[ImageStory], unseen: Sequence[Unseen]) -> None:
    """Tie to each time in `saving` the one unread request that can be the upload: when it was, how many bytes."""
    large = [one for one in unseen if one.service == "glance" and one.exchange.request_bytes >= _LEAST]
    if not large:
        return
    starts = [one.exchange.ts for one in large]
    for image in images:
        spans = [(i.ts, None if i.dur is None else i.ts + i.dur) for i in image.intervals if i.status == "saving"]
        for begin, end in spans:
            before = large[: bisect_right(starts, begin + _SLACK)]
            fitting = list(_fitting(before, image.size, begin, end))
            if len(fitting) == 1:
                image.events.append(_event(fitting[0]))
        image.events.sort(key=lambda event: (event.ts, event.statement_id or 0, event.call_id or 0))


def _fitting(unseen: Sequence[Unseen], size: int | None, begin: int, end: int | None) -> Iterator[Unseen]:
    """Requests that were under way from before `begin` until `end`, and as large as the image."""
    for one in unseen:
        exchange = one.exchange
        if exchange.end_ts + _SLACK < (begin if end is None else end):
            continue
        most = exchange.request_bytes
        least = most - exchange.request_slack
        if size is None or end is None or least - _HEAD - size * _FRAMING <= size <= most:
            yield one


def _event(one: Unseen) -> ImageEvent:
    exchange, connection = one.exchange, one.row.connection
    dur = exchange.end_ts - exchange.ts
    return ImageEvent(
        kind="upload",
        ts=exchange.ts,
        summary=f"at most {exchange.request_bytes} bytes in {dur / 1e6:.1f} ms, encrypted (inferred)",
        frame=exchange.first_frame,
        dur=dur,
        bytes=exchange.request_bytes,
        connection_id=connection.id,
        certainty=CERTAINTY_INFERRED,
    )
