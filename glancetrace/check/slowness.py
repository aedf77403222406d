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

_NO_WORK = frozenset({"COMMIT", "ROLLBACK", "BEGIN", "SET", "PING"})

Span = tuple[int, int]


def time_shares(evidence: Evidence, call: ApiCall) -> dict[str, int]:
    """Where the time of a call went, ns: "transfer", "sql", "nested", "elsewhere"; the sum is its duration."""
    end = call.ts + (call.dur or 0)
    transfer: list[Span] = []
    if call.exchange is not None:
        for body in (call.exchange.request_body, call.exchange.response_body):
            if body.first_ts is not None and body.last_ts is not None:
                transfer.append((body.first_ts, body.last_ts))
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


def find_slow(evidence: Evidence) -> Iterator[Finding]:
    """Calls that took `SLOW` or longer, with where the time went; nested calls are part of the one around them."""
    for call in evidence.tables.calls:
        if call.dur is None or call.dur < SLOW or call.parent_id is not None:
            continue
        shares = time_shares(evidence, call)
        statements = evidence.statements_of(call.id)
        moved = call.request_body_bytes + call.response_body_bytes
        words = {
            "transfer": f"transfer of {byte_text(moved)}",
            "sql": f"SQL ({count_text(len(statements), 'statement')})",
            "nested": f"calls to other services ({len(evidence.children.get(call.id, ()))})",
            "elsewhere": "waiting or working in the service",
        }
        parts = [
            f"{duration_text(ns)} ({share_text(ns, call.dur)}) {words[name]}"
            for name, ns in sorted(shares.items(), key=lambda item: -item[1])
            if ns * 100 >= call.dur
        ]
        slowest = max(statements, key=lambda s: s.end_ts - s.command.ts, default=None)
        frames = [call.first_frame, call.request_frame, call.response_frame]
        statement_id = None
        if slowest is not None and shares["sql"] == max(shares.values()):
            statement_id = slowest.id
            frames += [slowest.command.first_frame, slowest.command.response_frame]
        rule = "transfer-long" if shares["transfer"] * 2 > call.dur else "call-slow"
        message = f"{call_text(call)} took {duration_text(call.dur)}: {', '.join(parts)}"
        yield found(
            rule,
            message,
            call.ts,
            image_id=call.image_id,
            call_id=call.id,
            statement_id=statement_id,
            frames=frames,
        )


def find_repeated(evidence: Evidence) -> Iterator[Finding]:
    """Shapes of statements that one call ran `REPEATED` times or more, one finding per operation and shape."""
    counts: Counter[tuple[int, str]] = Counter()
    first: dict[tuple[int, str], SqlStatement] = {}
    for link in evidence.tables.links:
        statement = evidence.statements[link.statement_id]
        if link.relation != "in_request" or statement.parsed is None or statement.kind != "request":
            continue
        shape = statement.parsed.shape
        if shape.operation not in _NO_WORK:
            key = (link.call_id, shape.digest)
            counts[key] += 1
            first.setdefault(key, statement)
    groups: dict[tuple[str, str, str], list[tuple[int, ApiCall, SqlStatement]]] = defaultdict(list)
    for (call_id, digest), count in counts.items():
        if count >= REPEATED:
            call = evidence.calls[call_id]
            groups[call.service, call.operation, digest].append((count, call, first[call_id, digest]))
    for (service, operation, _), members in groups.items():
        most, call, statement = max(members, key=lambda member: (member[0], -member[1].id))
        tables = statement.parsed.shape.tables if statement.parsed is not None else ()
        yield found(
            "statement-repeated",
            f"{service}: {count_text(len(members), 'call')} of {operation} ran one {statement.operation}"
            f"{' of ' + ', '.join(tables[:3]) if tables else ''} {REPEATED} times or more, up to {most} times",
            call.ts,
            call_id=call.id,
            statement_id=statement.id,
            frames=[call.first_frame, statement.command.first_frame],
        )
