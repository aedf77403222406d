"""When a call's own work can begin: after its token was validated.

Glance's pipeline asks Keystone about a token it does not know before anything else (keystonemiddleware's auth_token). A
validation names its token only, so it tells for sure of a call where that was the one call with this token then. Of
several calls with it any can have asked: what they do next follows one of the answers to such questions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from glancetrace.correlate.hops import CLOCK_SLACK
from glancetrace.glance.call import ApiCall

__all__ = ["validated_at", "validations_within"]


def validated_at(calls: Sequence[ApiCall]) -> dict[int, int]:
    """Id of a call -> the answer to the first validation that was made for it and for no other, ns."""
    found: dict[int, int] = {}
    for answer, validation, around in _validations(calls):
        if len(around) == 1 and validation.parent_id == around[0].id:
            found.setdefault(around[0].id, answer)
    return found


def validations_within(calls: Sequence[ApiCall]) -> dict[int, list[int]]:
    """Id of a call -> answers to the validations of its token while it was open, in order, ns; one may be its own."""
    found: dict[int, list[int]] = defaultdict(list)
    for answer, _, around in _validations(calls):
        for call in around:
            found[call.id].append(answer)
    for answers in found.values():
        answers.sort()
    return dict(found)


def _validations(calls: Sequence[ApiCall]) -> Iterator[tuple[int, ApiCall, list[ApiCall]]]:
    """When a validation was answered (ns), the validation, and the calls with its token that were open then."""
    by_token: dict[str, list[ApiCall]] = defaultdict(list)
    for call in calls:
        if call.service == "glance" and call.token:
            by_token[call.token].append(call)
    for validation in calls:
        answer = validation.response_ts
        if validation.operation != "token-validate" or validation.parent_id is None or answer is None:
            continue
        around = [call for call in by_token.get(validation.subject_token or "", ()) if _contains(call, validation)]
        yield answer, validation, around


def _contains(call: ApiCall, validation: ApiCall) -> bool:
    slack = CLOCK_SLACK + call.uncertainty
    if call.ts > validation.ts + slack:
        return False
    return call.dur is None or validation.ts <= call.ts + call.dur + slack
