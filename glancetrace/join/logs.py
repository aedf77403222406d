"""Logs and a capture -> the calls of both: clocks aligned, every logged call placed, what is one call made one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from glancetrace.glance.call import ApiCall
from glancetrace.glance.statement import SqlStatement
from glancetrace.issues import IssueLog
from glancetrace.join.align import align
from glancetrace.join.calls import RANK, Told, build_call, complete_call, merge_lines
from glancetrace.join.clock import Clock
from glancetrace.join.evidence import ZONE, known_images, sql_traces
from glancetrace.join.offsets import Span, image_writes
from glancetrace.join.place import Placement, answer_sizes, place
from glancetrace.join.seen import Seen, is_foreign, seen_calls, seen_exchanges, service_of_calls
from glancetrace.logs.call import ApiLog
from glancetrace.net.run import Endpoint
from glancetrace.trace import ApiLogSummary, ConnectionRow

__all__ = ["join_logs"]


_IN_STEP = 20_000_000
"""ns that clocks of hosts which are kept in step may differ by."""


@dataclass(slots=True)
class _Placed:
    """One log with its clock."""

    log: ApiLog
    clock: Clock
    services: dict[int, str | None]


def join_logs(
    logs: Sequence[ApiLog],
    calls: list[ApiCall],
    rows: Sequence[ConnectionRow],
    statements: Sequence[SqlStatement],
    ports: Mapping[int, str],
    span: Span,
    issues: IssueLog,
) -> tuple[list[ApiCall], list[ApiLogSummary]]:
    """Calls of the capture and of logs, in no order, and what became of each log.

    Args:
        logs: as read. calls: of the capture, hops folded; they are completed in place.
        rows: connections. statements: all, in order. ports: port -> service.
        span: first and last moment of the capture, ns. issues: counts what is wrong with a log.
    """
    read = {hop.connection_id for call in calls for hop in call.hops}
    exchanges = seen_exchanges([row for row in rows if row.connection.id not in read], ports)
    plain = seen_calls(calls)
    writes = image_writes(statements)
    sql = sql_traces(statements)
    known = known_images(sql)
    for seen in exchanges:
        seen.known = known
        seen.traces = frozenset(sql.between(seen.ts, seen.end))
    placed: list[_Placed] = []
    groups: list[Told] = []
    by_seen: dict[int, Told] = {}
    for log in sorted(logs, key=lambda log: (RANK[log.format], log.name)):
        services = service_of_calls(log, ports)
        one = _Placed(log, Clock(), services)
        pools = (exchanges, plain)
        clock = align(log, services, pools, writes, sql, span)
        one.clock = clock or Clock()
        placed.append(one)
        _count_issues(one, issues)
        if clock is None:
            continue
        clock = _exact(clock)
        sizes = answer_sizes(place(log, services, clock, exchanges))
        by_exchange, by_call = (place(log, services, clock, pool, sizes) for pool in pools)
        _group(one, by_exchange, by_call, groups, by_seen)
    visible = {seen.service for seen in (*exchanges, *plain)}
    within = [told for told in groups if told.exchange or told.call or _during(told, span, visible)]
    within = [told for told in within if told.exchange or not any(is_foreign(call, known) for _, call, _ in told.lines)]
    built = _build(merge_lines(within), _servers(calls))
    summaries = {one.log.name: _summary(one, within) for one in placed}
    return [*calls, *built], [summaries[log.name] for log in logs]


def _exact(clock: Clock) -> Clock:
    """The clock to place calls with: one that is off by nothing but its zone is taken at its word."""
    return replace(clock, uncertainty=min(clock.uncertainty, _IN_STEP)) if clock.offset % ZONE == 0 else clock


def _group(
    one: _Placed,
    by_exchange: Placement,
    by_call: Placement,
    groups: list[Told],
    by_seen: dict[int, Told],
) -> None:
    """Add the calls of a log to what other logs told: the same exchange, or the same plain leg, is the same call."""
    for logged in one.log.calls:
        exchange, call = by_exchange.found.get(logged), by_call.found.get(logged)
        if exchange is not None and call is not None and not _contains(exchange, call):
            call = None
        known = {id(by_seen[id(s)]): by_seen[id(s)] for s in (exchange, call) if s is not None and id(s) in by_seen}
        told, *others = known.values() or [Told()]
        if not known:
            groups.append(told)
        told.lines.append((one.log, logged, one.clock))
        told.service = told.service or one.services.get(logged.line) or (exchange.service if exchange else None)
        told.exchange, told.call = told.exchange or exchange, told.call or call
        told.sure |= exchange is not None and logged not in by_exchange.unsure
        for other in others:
            told.sure |= other.sure
            told.lines += other.lines
            told.exchange, told.call = told.exchange or other.exchange, told.call or other.call
            groups.remove(other)
        for seen in (told.exchange, told.call):
            if seen is not None:
                by_seen[id(seen)] = told
                seen.told = seen.told or logged


def _contains(exchange: Seen, call: Seen) -> bool:
    """A plain leg behind an encrypted one lies within it."""
    slack = 5_000_000
    return exchange.ts - slack <= call.ts and (call.end > 1 << 61 or call.end <= exchange.end + slack)


def _during(told: Told, span: Span, visible: Collection[str | None]) -> bool:
    """The call was under way while packets were recorded.

    Of one that would have been seen then this must be sure, and that its answer came in time: what a log alone tells of
    a time that was not captured changes no image.
    """
    first, last = span
    if first is None or last is None:
        return False
    for _, call, clock in told.lines:
        begin = call.begin if call.begin is not None else call.end
        if begin is None:
            continue
        end = call.end if call.end is not None else begin
        slack = clock.uncertainty + call.resolution
        if told.service in visible:
            starts, ends = (begin, end + call.resolution) if call.within else (end, end)
            if first <= starts + clock.offset and ends + clock.offset <= last:
                return True
        elif begin + clock.offset <= last + slack and end + clock.offset >= first - slack:
            return True
    return False


def _servers(calls: Sequence[ApiCall]) -> dict[str, Endpoint]:
    """Service -> the one place where the capture shows it listening; not there if there are several."""
    found: dict[str, set[Endpoint]] = {}
    for call in calls:
        found.setdefault(call.service, set()).add(call.hops[-1].server if call.hops else call.server)
    return {service: next(iter(servers)) for service, servers in found.items() if len(servers) == 1}


def _build(groups: Sequence[Told], servers: Mapping[str, Endpoint]) -> list[ApiCall]:
    built = []
    for told in groups:
        if told.call is not None and told.call.call is not None:
            complete_call(told.call.call, told)
            continue
        call = build_call(told, servers)
        if call is not None:
            built.append(call)
    return built


def _count_issues(one: _Placed, issues: IssueLog) -> None:
    log = one.log
    if log.unread:
        issues.count("log-line-unread", times=log.unread, where=f"{log.name}, line {log.first_unread}")
    if log.repeated:
        issues.count("log-call-repeated", times=log.repeated, where=f"{log.name}, line {log.first_repeated}")
    if log.cut:
        issues.count("log-cut-short", where=log.name)
    if not log.calls:
        issues.count("log-without-calls", where=log.name)
    elif not one.clock.known:
        issues.count("log-clock-unknown", where=log.name)


def _summary(one: _Placed, groups: Sequence[Told]) -> ApiLogSummary:
    used = sum(log is one.log for told in groups for log, _, _ in told.lines)
    known = one.clock.known
    return ApiLogSummary(
        name=one.log.name,
        format=one.log.format,
        calls=len(one.log.calls),
        used=used,
        offset=one.clock.offset if known else None,
        uncertainty=one.clock.uncertainty if known else None,
    )
