"""The chain of an image by the API alone, where the capture has none of its SQL.

Responses show a status, and calls imply one by having been made or by their success. The moment of a change is never
seen: it lies before the response that tells of it, so nothing here is observed but the first status shown.
"""

from __future__ import annotations

from typing import NamedTuple

from glancetrace.glance.call import ApiCall
from glancetrace.glance.status import CREATED, is_legal
from glancetrace.timeline.chain import SUCCESS_STATUS, Chain, Change
from glancetrace.timeline.evidence import ImageEvidence, View
from glancetrace.timeline.image import ASSUMED, INFERRED, OBSERVED, Transition

__all__ = ["chain_from_api"]

_REFUSED = frozenset({400, 401, 403, 404, 405, 409, 411, 415})
"""Answers to an upload that leave the image as it was."""


class _Told(NamedTuple):
    """A status that a call tells of; it was true at some moment in [`since`, `ts`] (ns)."""

    ts: int
    call_id: int
    order: int
    since: int
    status: str
    certainty: str
    call: ApiCall


def chain_from_api(evidence: ImageEvidence) -> Chain:
    """The chain of an image by what calls show and imply."""
    told = [_by_view(view) for view in evidence.views]
    for call in evidence.calls:
        told += _implied(call)
    told.sort(key=lambda item: item[:3])
    chain = Chain()
    for ts, call_id, _order, since, status, certainty, call in told:
        creates = call.operation == "image-create" and chain.status is None
        if chain.status is None and not creates:
            chain.begin(status, ts, OBSERVED if certainty == OBSERVED else certainty)
            continue
        # A slow response may show what was true before a change that a faster one has told of already.
        if status == chain.status or status in chain.possible(since, ts):
            continue
        before = chain.status
        # Its refusal, or what came before it, may be among missing bytes.
        holed = call.exchange is not None and call.exchange.end == "gap"
        if holed and certainty != OBSERVED and not is_legal(before, status):
            continue
        if certainty == OBSERVED:
            certainty = INFERRED
        frame = call.response_frame or call.last_frame or None
        transition = Transition(
            before, status, ts, "api", certainty, is_legal(before, status), None, call_id, frame, None
        )
        chain.changes.append(Change(transition, chain.changes[-1].transition.ts if chain.changes else 0))
    return chain


def _by_view(view: View) -> _Told:
    certainty = OBSERVED if view.call.source == "capture" else INFERRED
    return _Told(view.ts, view.call.id, 1, view.since, str(view.values["status"]), certainty, view.call)


def _implied(call: ApiCall) -> list[_Told]:
    """Statuses that a call implies by having been made and by its status code."""
    told: list[_Told] = []

    def tell(ts: int, order: int, status: str, certainty: str) -> None:
        told.append(_Told(ts, call.id, order, ts, status, certainty, call))

    code = call.status_code
    if call.exchange is not None and call.exchange.doubtful:
        code = None
    succeeded = call.succeeded
    if call.operation == "image-create" and succeeded:
        tell(call.ts if call.response_ts is None else call.response_ts, 0, CREATED.value, INFERRED)
    if call.operation == "image-upload" and code not in _REFUSED:
        tell(call.ts, 0, "saving", ASSUMED)
    if code is None or call.response_ts is None:
        return told
    status = SUCCESS_STATUS.get(call.operation)
    if succeeded and status is not None and call.response_json is None:
        tell(call.response_ts, 2, status, INFERRED)
    elif call.operation == "image-upload" and code == 410:
        tell(call.response_ts, 2, "deleted", ASSUMED)
    elif call.operation == "image-upload" and code >= 300 and code not in _REFUSED:
        tell(call.response_ts, 2, CREATED.value, ASSUMED)
    return told
