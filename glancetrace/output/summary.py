"""The rows of the `analyze` report: plain data, computed from a `Trace`, rendered elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from glancetrace.glance.call import ApiCall
from glancetrace.issues import KINDS, SEVERITIES, Issue
from glancetrace.timeline.image import ImageStory
from glancetrace.tls.summary import Reason
from glancetrace.trace import Finding, Trace

__all__ = [
    "STATUS_ORDER",
    "AttributionRow",
    "ImageRow",
    "IssueRow",
    "OperationRow",
    "count_attribution",
    "explain_no_calls",
    "quantile",
    "rank_findings",
    "sort_statuses",
    "sum_issues",
    "summarise_images",
    "summarise_operations",
]

STATUS_ORDER = (
    "queued", "saving", "uploading", "importing", "active", "deactivated", "killed", "pending_delete", "deleted",
)  # fmt: skip
"""Statuses in the order of an image's life."""

_SERVICES = ("glance", "registry", "keystone", "swift")


@dataclass(frozen=True, slots=True)
class OperationRow:
    """Calls of one operation: `errors` answered with 4xx or 5xx, `unanswered` without a response; p50, p95 in ns (None
    without a duration); `statements_per_call` attributed statements, on average."""

    service: str
    operation: str
    calls: int
    errors: int
    unanswered: int
    p50: int | None
    p95: int | None
    statements_per_call: float


@dataclass(slots=True)
class ImageRow:
    """An image: `times` status -> ns spent in it, `open_status` the one that the capture ends in."""

    id: str
    name: str | None
    status: str | None
    size: int | None
    first_ts: int
    times: dict[str, int] = field(default_factory=dict)
    open_status: str | None = None


@dataclass(frozen=True, slots=True)
class IssueRow:
    """An issue over the whole capture: `connections` that have it; `where`: first place in another file."""

    kind: str
    severity: str
    count: int
    connections: int
    first_frame: int | None
    meaning: str
    remedy: str
    where: str | None = None


@dataclass(frozen=True, slots=True)
class AttributionRow:
    """Statements of a service by kind; `linked` of them are attributed to a call."""

    service: str
    statements: int
    linked: int
    kinds: dict[str, int]


def sort_statuses(statuses: Iterable[str]) -> list[str]:
    """Statuses in the order of an image's life, unknown ones at the end."""
    rank = {status: index for index, status in enumerate(STATUS_ORDER)}
    return sorted(statuses, key=lambda status: (rank.get(status, len(rank)), status))


def quantile(values: Sequence[int], share: float) -> int | None:
    """The value that `share` of the ascending `values` do not exceed (nearest rank); None without values."""
    if not values:
        return None
    return values[max(0, -int(-share * len(values) // 1) - 1)]


def explain_no_calls(trace: Trace) -> str:
    """Why a capture shows no API call, as far as its connections tell, and what to do about it."""
    if not trace.capture.packets:
        return "the capture holds no packets"
    protocols = Counter(row.protocol for row in trace.tables.connections)
    if protocols["tls"]:
        return _explain_encrypted(trace, protocols["tls"])
    if protocols["http"] and trace.capture.accounting.stream_bytes_missing:
        return "what is left of the HTTP shows no call: too many bytes are missing; record with tcpdump -s0 -B 65536"
    if protocols["http"]:
        return "there is HTTP, but no call of a known service; is the port right? (--port glance=9292)"
    if not trace.capture.connections:
        return "the capture holds no TCP connection; see 'glancetrace info'"
    return "no connection speaks HTTP; is the port in the capture, and right? (--port glance=9292)"


def _explain_encrypted(trace: Trace, count: int) -> str:
    """Advises what was not given already: why the connections are not decrypted, and what helps against that."""
    what = "1 connection is" if count == 1 else f"{count:,} connections are"
    summaries = [row.tls for row in trace.tables.connections if row.protocol == "tls" and row.tls is not None]
    reasons = Counter(tls.reason for tls in summaries if tls.reason is not None)
    if reasons and Reason.NO_SECRETS.text not in reasons:
        main = Reason.of_text(reasons.most_common(1)[0][0])
        told = ", ".join(f"{reason} ({number})" if len(reasons) > 1 else reason for reason, number in reasons.items())
        return f"{what} encrypted (TLS) and not decrypted: {told}; {KINDS[main.issue].remedy}"
    log = "" if trace.capture.api_logs else " or a log of the calls (--api-log)"
    return f"{what} encrypted (TLS); give their key log (--keylog){log}, or record the plain hop: ports 9292 and 5000"


def summarise_operations(trace: Trace) -> list[OperationRow]:
    """Calls by operation, services in the order Glance, registry, Keystone, Swift, then by first call."""
    groups: dict[tuple[str, str], list[ApiCall]] = {}
    for call in trace.tables.calls:
        groups.setdefault((call.service, call.operation), []).append(call)
    linked: dict[int, int] = {}
    for link in trace.tables.links:
        linked[link.call_id] = linked.get(link.call_id, 0) + 1
    rows = []
    for (service, operation), calls in groups.items():
        durations = sorted(call.dur for call in calls if call.dur is not None)
        rows.append(
            OperationRow(
                service=service,
                operation=operation,
                calls=len(calls),
                errors=sum(1 for call in calls if (call.status_code or 0) >= 400),
                unanswered=sum(1 for call in calls if call.status_code is None),
                p50=quantile(durations, 0.5),
                p95=quantile(durations, 0.95),
                statements_per_call=sum(linked.get(call.id, 0) for call in calls) / len(calls),
            )
        )
    rank = {service: index for index, service in enumerate(_SERVICES)}
    return sorted(rows, key=lambda row: rank.get(row.service, len(rank)))


def summarise_image(image: ImageStory, last_ts: int | None) -> ImageRow:
    """One image; an open interval is counted up to `last_ts`."""
    row = ImageRow(image.id, image.name, image.status, image.size, image.first_ts)
    for interval in image.intervals:
        dur = interval.dur
        if dur is None:
            dur = max(0, (last_ts or interval.ts) - interval.ts)
            row.open_status = interval.status
        row.times[interval.status] = row.times.get(interval.status, 0) + dur
    return row


def summarise_images(trace: Trace) -> list[ImageRow]:
    """All images, in the order of the trace."""
    return [summarise_image(image, trace.capture.last_ts) for image in trace.tables.images]


def count_attribution(trace: Trace) -> list[AttributionRow]:
    """Statements by service, those of most statements first."""
    counts: dict[str, list[int]] = {}
    kinds: dict[str, dict[str, int]] = {}
    for (service, kind), (number, linked) in trace.counted.items():
        row = counts.setdefault(service, [0, 0])
        row[0] += number
        row[1] += linked
        kinds.setdefault(service, {})[kind] = number
    rows = [AttributionRow(service, n, m, dict(sorted(kinds[service].items()))) for service, (n, m) in counts.items()]
    return sorted(rows, key=lambda row: (row.service != "glance", -row.statements, row.service))


def rank_findings(trace: Trace) -> list[Finding]:
    """Findings, the worst first, then by time."""
    return sorted(trace.tables.findings, key=lambda f: (-SEVERITIES.index(f.severity), f.ts, f.rule))


def sum_issues(issues: Iterable[Issue]) -> list[IssueRow]:
    """Issues by kind, the worst first."""
    counts: dict[str, list[int]] = {}
    frames: dict[str, int] = {}
    places: dict[str, str] = {}
    for issue in issues:
        row = counts.setdefault(issue.kind, [0, 0])
        row[0] += issue.count
        row[1] += issue.connection_id is not None
        if issue.where is not None:
            places.setdefault(issue.kind, issue.where)
        if issue.first_frame is not None:
            frames[issue.kind] = min(frames.get(issue.kind, issue.first_frame), issue.first_frame)
    rows = [
        IssueRow(
            name,
            KINDS[name].severity,
            n,
            m,
            frames.get(name),
            KINDS[name].meaning,
            KINDS[name].remedy,
            places.get(name),
        )
        for name, (n, m) in counts.items()
    ]
    return sorted(rows, key=lambda row: (-SEVERITIES.index(row.severity), row.kind))
