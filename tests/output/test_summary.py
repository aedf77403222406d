from __future__ import annotations

from dataclasses import replace

import pytest

from glancetrace.output.summary import (
    OperationRow,
    count_attribution,
    explain_no_calls,
    quantile,
    rank_findings,
    sum_issues,
    summarise_images,
    summarise_operations,
)
from glancetrace.tls.summary import TlsSummary
from glancetrace.trace import ApiLogSummary
from tests.support.handmade import MS, handmade_trace


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([], 0.5, None), ([7], 0.95, 7), ([1, 2], 0.5, 1), ([1, 2, 3], 0.5, 2), (list(range(1, 101)), 0.95, 95)],
)
def test_nearest_rank(values: list[int], share: float, expected: int | None) -> None:
    assert quantile(values, share) == expected


def test_operations() -> None:
    assert summarise_operations(handmade_trace()) == [
        OperationRow("glance", "image-create", 1, 0, 0, 45 * MS, 45 * MS, 1.0),
        OperationRow("glance", "image-upload", 2, 0, 1, 1500 * MS, 1500 * MS, 2.0),
        OperationRow("glance", "image-show", 1, 1, 0, 3 * MS, 3 * MS, 0.0),
        OperationRow("keystone", "token-issue", 1, 0, 0, 120 * MS, 120 * MS, 0.0),
    ]


def test_time_in_each_status_counts_the_open_one_up_to_the_end() -> None:
    first, second = summarise_images(handmade_trace())
    assert first.times == {"queued": 110 * MS, "saving": 1380 * MS, "active": 2299 * MS}
    assert (first.open_status, second.open_status) == ("active", "saving")
    assert second.times == {"saving": 2000 * MS}


def test_attribution() -> None:
    (row,) = count_attribution(handmade_trace())
    assert (row.service, row.statements, row.linked, row.kinds) == ("glance", 6, 5, {"request": 6})


def test_the_worst_finding_is_first() -> None:
    assert [finding.severity for finding in rank_findings(handmade_trace())] == ["error", "warning"]


def test_issues_are_summed_over_connections() -> None:
    (row,) = sum_issues(handmade_trace().tables.issues)
    assert (row.kind, row.count, row.connections, row.first_frame) == ("tcp-gap", 4, 2, 40)


@pytest.mark.parametrize(
    ("packets", "protocols", "reason"),
    [
        (0, [], "no packets"),
        (9, [], "no TCP connection"),
        (9, ["mysql", "tls"], "1 connection is encrypted"),
        (9, ["tls", "tls"], "2 connections are encrypted"),
        (9, ["mysql"], "no connection speaks HTTP"),
        (9, ["mysql", "http"], "is the port right?"),
    ],
)
def test_why_there_are_no_calls(packets: int, protocols: list[str], reason: str) -> None:
    trace = handmade_trace()
    row = trace.tables.connections[0]
    trace.tables.connections = [replace(row, protocol=protocol) for protocol in protocols]
    trace.capture.packets, trace.capture.connections = packets, len(protocols)
    trace.capture.accounting.stream_bytes_missing = 0
    assert reason in explain_no_calls(trace)


@pytest.mark.parametrize(
    ("reasons", "logs", "advice", "spared"),
    [
        (["no secrets given"], 0, "--keylog) or a log of the calls", "not decrypted"),
        (["no secrets given"], 1, "--keylog), or record", "--api-log"),
        (["handshake not captured"], 0, "handshake not captured; start the capture first", "--keylog"),
        (["wrong key", "wrong key", "packet lost"], 0, "wrong key (2), packet lost (1); give the key log", "--api-log"),
    ],
)
def test_advice_is_not_what_was_given(reasons: list[str], logs: int, advice: str, spared: str) -> None:
    trace = handmade_trace()
    row = trace.tables.connections[0]
    trace.tables.connections = [replace(row, protocol="tls", tls=TlsSummary(reason=reason)) for reason in reasons]
    trace.capture.api_logs = [ApiLogSummary("x.log", "haproxy", 0, 0, None, None)] * logs
    told = explain_no_calls(trace)
    assert advice in told
    assert spared not in told


def test_no_calls_where_packets_are_cut() -> None:
    trace = handmade_trace()
    trace.capture.accounting.stream_bytes_missing = 1
    assert "too many bytes are missing" in explain_no_calls(trace)
