"""Where the time of slow calls went, and statements that are repeated in one call.

The time of a call is split into: transfer of its bodies, its SQL, calls it made to other services, and the rest, in
which the service (or the proxy before it) worked or waited. Times that overlap count once, in that order.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from glancetrace.check.evidence import Evidence, call_text, found
from glancetrace.check.wording import byte_text, count_text, duration_text, share_text
from glancetrace.glance.call import ApiCall
from glancetrace.glance.statement import SqlStatement
from glancetrace.trace import Finding

__all__ = ["REPEATED", "SLOW", "find_repeated", "find_slow", "time_shares"]

SLOW = 1_000_000_000
"""ns from which on a call is slow."""

REPEATED = 10
"""Statements of one shape in one call from which on they are told."""

_TRANSFERS = frozenset({"image-upload", "image-stage", "image-download"})
_SURE = frozenset({"exact", "certain"})
_NO_WORK = frozenset({"COMMIT", "ROLLBACK", "BEGIN", "SET"})

Span = tuple[int, int]


def time_shares(evidence: Evidence, call: ApiCall) -> dict[str, int]:
    """Where the time of a call went, ns: "transfer", "sql", "nested", "elsewhere"; the sum is its duration."""
    end = call.ts + (call.dur or 0)
    transfer: list[Span] = []
    if call.exchange is not None:
        for body in (call.exchange.request_body, call.exchange.response_body):
            if body.first_ts is not None and body.last_ts is not None:
                transfer.append((body.first_ts, body.last_ts))
    elif call.request_end_ts is not None and call.response_ts is not None:
        transfer = [(call.ts, call.request_end_ts), (call.response_ts, end)]
    sql = [(s.command.ts, s.end_ts) for s in evidence.statements_of(call.id)]
    nested = [(c.ts, c.ts + c.dur) for c in evidence.children.get(call.id, ()) if c.dur is not None]
    shares: dict[str, int] = {}
    spans: list[Span] = []
    covered = 0
    for name, more in (("transfer", transfer), ("sql", sql), ("nested", nested)):
        spans += [(max(start, call.ts), min(stop, end)) for start, stop in more]
        total = _covered(spans)
        shares[name] = total - covered
        covered = total
    shares["elsewhere"] = (call.dur or 0) - covered
    return shares


def _covered(spans: list[Span]) -> int:
    """Length of the union of spans, ns."""
    total = 0
    reached = 0
    for start, stop in sorted(spans):
        start = max(start, reached)
        if stop > start:
            total += stop - start
            reached = stop
    return total


_WORDS = {
    "transfer": "transfer of the body",
    "sql": "SQL",
    "nested": "calls to other services",
    "elsewhere": "waiting or working in the service",
}


def find_slow(evidence: Evidence) -> Iterator[Finding]:
    """Calls that took `SLOW` or longer and where their time went, one finding per operation.

    Nested calls are part of the one around them. The finding points at the slowest call.
    """
    groups: dict[tuple[str, str, str], list[tuple[ApiCall, dict[str, int]]]] = defaultdict(list)
    for call in evidence.tables.calls:
        if call.dur is None or call.dur < SLOW or call.parent_id is not None:
            continue
        if call.request_end_ts is None and call.operation in _TRANSFERS:
            continue  # a log does not tell the transfer from the rest
        shares = time_shares(evidence, call)
        rule = "transfer-long" if shares["transfer"] * 2 > call.dur else "call-slow"
        groups[rule, call.service, call.operation].append((call, shares))
    for (rule, service, operation), members in groups.items():
        call, shares = max(members, key=lambda member: (member[0].dur or 0, -member[0].id))
        message = f"{call_text(call)} took {duration_text(call.dur or 0)}: {_told(evidence, call, shares)}"
        if len(members) > 1:
            total = sum(c.dur or 0 for c, _ in members)
            sums = Counter[str]()
            for _, parts in members:
                sums.update(parts)
            spent = ", ".join(
                f"{share_text(ns, total)} {_WORDS[name]}" for name, ns in sums.most_common() if ns * 100 >= total
            )
            message = (
                f"{count_text(len(members), 'call')} of {operation} ({service}) took a second or longer, together "
                f"{spent}; the slowest: {message}"
            )
        frames = [call.first_frame, call.request_frame, call.response_frame]
        longest = max(evidence.statements_of(call.id), key=_length, default=None)
        if longest is not None and shares["sql"] < max(shares.values()):
            longest = None
        if longest is not None:
            frames += [longest.command.first_frame, longest.command.response_frame]
        yield found(
            rule,
            message,
            call.ts,
            image_id=call.image_id,
            call_id=call.id,
            statement_id=longest.id if longest is not None else None,
            frames=frames,
        )


def _length(statement: SqlStatement) -> int:
    return statement.end_ts - statement.command.ts


def _told(evidence: Evidence, call: ApiCall, shares: dict[str, int]) -> str:
    """Shares of at least 1 %, the largest first."""
    details = {
        "transfer": f" ({byte_text((call.request_body_bytes or 0) + (call.response_body_bytes or 0))})",
        "sql": f" ({count_text(len(evidence.statements_of(call.id)), 'statement')})",
        "nested": f" ({len(evidence.children.get(call.id, ()))})",
    }
    return ", ".join(
        f"{duration_text(ns)} ({share_text(ns, call.dur or 0)}) {_WORDS[name]}{details.get(name, '')}"
        for name, ns in sorted(shares.items(), key=lambda item: -item[1])
        if ns * 100 >= (call.dur or 0)
    )


def find_repeated(evidence: Evidence) -> Iterator[Finding]:
    """Statements of one shape that a call ran `REPEATED` times or more, one finding per operation.

    Only links that leave no doubt count: what was merely inferred piles up on the wrong calls under load.
    """
    groups: dict[tuple[str, str], list[tuple[int, ApiCall, str]]] = defaultdict(list)
    for call_id, statements in evidence.ran_by.items():
        if len(statements) < REPEATED:
            continue
        counts = Counter(
            s.parsed.shape.digest
            for s in statements
            if s.parsed is not None
            and s.kind == "request"
            and s.parsed.shape.operation not in _NO_WORK
            and evidence.link_of[s.id].link_class in _SURE
        )
        call = evidence.calls[call_id]
        for digest, count in counts.items():
            if count >= REPEATED:
                groups[call.service, call.operation].append((count, call, digest))
    for (service, operation), members in groups.items():
        # Of equals the one that comes first in the capture: counts keep the order of statements.
        most, call, digest = max(members, key=lambda member: member[0])
        first = next(s for s in evidence.statements_of(call.id) if s.parsed and s.parsed.shape.digest == digest)
        tables = ", ".join(first.parsed.shape.tables[:3]) if first.parsed is not None else ""
        count = len({member[1].id for member in members})
        yield found(
            "statement-repeated",
            f"{service}: {count_text(count, 'call')} of {operation} ran the same statement {REPEATED} times or more, "
            f"most often {first.operation} of {tables}, {most} times in call {call.id}",
            call.ts,
            image_id=call.image_id,
            call_id=call.id,
            statement_id=first.id,
            frames=[call.first_frame, first.command.first_frame],
        )
