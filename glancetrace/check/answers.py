"""Calls that were refused, failed, or never answered.

A server error is a finding of its own; refusals are told once per operation and status, with their frames. A 404 for an
image that was asked for by name is what clients do before they list, and what a nested call answers concerns people
only if the call around it failed too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from glancetrace.check.evidence import Evidence, call_text, found
from glancetrace.check.wording import count_text
from glancetrace.glance.call import ApiCall
from glancetrace.glance.identifier import is_image_id
from glancetrace.trace import Finding

__all__ = ["find_refusals", "find_server_errors", "find_unanswered"]


def _by_name(call: ApiCall) -> bool:
    """The call asks for one image, and what stands in its path is no id."""
    asked = call.path_ids.get("image_id", "")
    return call.operation == "image-show" and bool(asked) and not is_image_id(asked)


def find_server_errors(evidence: Evidence) -> Iterator[Finding]:
    """Calls answered with 5xx."""
    for call in evidence.tables.calls:
        if (call.status_code or 0) < 500:
            continue
        errors = [s for s in evidence.statements_of(call.id) if s.command.error is not None]
        why = f"; SQL error {errors[0].command.error.code} in it" if errors and errors[0].command.error else ""
        yield found(
            "server-error",
            f"{call.service} answered {call_text(call)} with {call.status_code}{why}",
            call.response_ts or call.ts,
            image_id=call.image_id,
            call_id=call.id,
            statement_id=errors[0].id if errors else None,
            frames=[call.request_frame, call.response_frame],
        )


def find_refusals(evidence: Evidence) -> Iterator[Finding]:
    """Calls answered with 4xx, one finding per operation and status."""
    groups: dict[tuple[str, str, int], list[ApiCall]] = defaultdict(list)
    lookups: list[ApiCall] = []
    for call in evidence.tables.calls:
        status = call.status_code or 0
        if not 400 <= status < 500:
            continue
        parent = evidence.calls.get(call.parent_id or 0)
        if parent is not None and (parent.status_code or 0) < 400:
            continue
        if status == 404 and _by_name(call):
            lookups.append(call)
        else:
            groups[call.service, call.operation, status].append(call)
    for (service, operation, status), calls in groups.items():
        message = f"{service} answered {count_text(len(calls), 'call')} of {operation} with {status}"
        yield _grouped("client-error", message, calls)
    if lookups:
        names = list(dict.fromkeys(call.path_ids["image_id"] for call in lookups))
        listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        message = f"{count_text(len(lookups), 'lookup')} of an image by name found nothing: {listed}"
        yield _grouped("lookup-not-found", message, lookups)


def _grouped(rule: str, message: str, calls: list[ApiCall]) -> Finding:
    first = calls[0]
    images = {call.image_id for call in calls}
    return found(
        rule,
        message,
        first.response_ts or first.ts,
        image_id=first.image_id if len(images) == 1 else None,
        call_id=first.id if len(calls) == 1 else None,
        frames=[call.response_frame for call in calls],
    )


def find_unanswered(evidence: Evidence) -> Iterator[Finding]:
    """Calls whose connection ended before a response; not those that the end of the capture or a gap cut off."""
    for call in evidence.tables.calls:
        exchange = call.exchange
        if call.status_code is not None or exchange is None or exchange.end not in ("reset", "closed"):
            continue
        how = "was reset" if exchange.end == "reset" else "was closed"
        committed = sum(s.operation == "COMMIT" and s.command.error is None for s in evidence.statements_of(call.id))
        done = f", though it made {count_text(committed, 'COMMIT')}" if committed else ""
        yield found(
            "response-missing",
            f"{call.service} gave no response to {call_text(call)}: the connection {how}{done}",
            call.request_end_ts or call.ts,
            image_id=call.image_id,
            call_id=call.id,
            frames=[call.first_frame, call.request_frame, call.last_frame],
        )
