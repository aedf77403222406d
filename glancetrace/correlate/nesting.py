"""Calls made in the course of other calls: token validations, registry requests, objects put into Swift.

A validation carries the caller's token as X-Subject-Token, which is the exact key. Registry and Swift requests name
the image in their path; they lie within the Glance call that made them.
"""

from __future__ import annotations

from collections import defaultdict

from glancetrace.correlate.hops import CLOCK_SLACK
from glancetrace.glance.call import ApiCall

__all__ = ["nest_calls"]

_BACKENDS = frozenset({"registry", "swift"})
_READING = frozenset({"GET", "HEAD"})


def nest_calls(calls: list[ApiCall]) -> None:
    """Fill `parent_id` of nested calls; ids have been given and calls are in order of time."""
    by_token: dict[str, list[ApiCall]] = defaultdict(list)
    by_image: dict[str, list[ApiCall]] = defaultdict(list)
    glance = [call for call in calls if call.service == "glance"]
    for call in glance:
        if call.token:
            by_token[call.token].append(call)
        for image_id in {call.image_id, call.path_ids.get("image_id")} - {None}:
            by_image[str(image_id)].append(call)
    for call in calls:
        if call.service == "keystone" and call.subject_token:
            call.parent_id = _around(call, by_token.get(call.subject_token, ()))
        elif call.service in _BACKENDS:
            call.parent_id = _around(call, _of_image(call, by_image) or glance)


def _of_image(call: ApiCall, by_image: dict[str, list[ApiCall]]) -> list[ApiCall]:
    """Glance calls about an image whose id stands in the call's path."""
    if call.image_id:
        return by_image.get(call.image_id, [])
    return [found for part in call.target.replace("?", "/").split("/") for found in by_image.get(part, ())]


def _around(call: ApiCall, candidates: list[ApiCall] | tuple[ApiCall, ...]) -> int | None:
    """The latest begun candidate that is open while `call` runs; one that only reads makes no call that writes."""
    end = call.ts + (call.dur or 0)
    writes = call.service in _BACKENDS and call.method not in _READING
    best: ApiCall | None = None
    for candidate in candidates:
        if candidate.ts > call.ts + CLOCK_SLACK or (writes and candidate.method in _READING):
            continue
        until = None if candidate.dur is None else candidate.ts + candidate.dur
        if until is not None and end > until + CLOCK_SLACK:
            continue
        if best is None or candidate.ts >= best.ts:
            best = candidate
    return best.id if best is not None else None
