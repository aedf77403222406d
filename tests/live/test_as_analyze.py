"""What a watch tells of statuses is what `analyze` tells of the whole capture, where no future is needed for it."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from glancetrace.capture.formats import read_format
from glancetrace.capture.source import open_source
from glancetrace.check.rules import RULES
from glancetrace.live.notice import SEVERITIES
from glancetrace.live.watcher import Watcher, WatchOptions
from glancetrace.pipeline import Options, analyze
from glancetrace.trace import Trace
from tests.support.samples import capture_path
from tests.support.watching import capture_bytes, records_of


@cache
def watched(name: str, block_size: int = 4 << 20, keylog: str = "") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    watcher = Watcher(WatchOptions(keylogs=(keylog,) if keylog else ()), rows.append)
    reader, source = read_format(open_source(str(capture_path(name))), block_size)
    for block in reader:
        watcher.take_side_news(reader)
        watcher.take(block)
    watcher.finish()
    source.close()
    return rows


@cache
def analyzed(name: str) -> Trace:
    return analyze(str(capture_path(name)))


def told(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    names = ("image_id", "from", "to", "ts", "certainty", "legal", "frames")
    return sorted(tuple(map(str, map(row.get, names))) for row in rows if row["kind"] == "status")


def known(trace: Trace) -> list[tuple[Any, ...]]:
    return sorted(
        tuple(map(str, (image.id, t.from_status, t.to_status, t.ts, t.certainty, t.legal, [t.frame, t.commit_frame])))
        for image in trace.tables.images
        for t in image.transitions
    )


@pytest.mark.parametrize("name", ["article", "failures", "concurrent-old-8"])
def test_status_changes_are_those_of_analyze(name: str) -> None:
    """There is no difference on these: all of their status changes are committed, and nothing is missing."""
    rows = watched(name)
    assert told(rows) == known(analyzed(name))
    assert all(row["provisional"] for row in rows[:-1])
    assert [row["kind"] for row in rows].index("summary") == len(rows) - 1


@pytest.mark.parametrize(("name", "lost"), [("article", 0.05), ("article", 0.2), ("concurrent-old-8", 0.01)])
def test_what_is_observed_in_spite_of_losses_is_so(name: str, lost: float, tmp_path: Path) -> None:
    """Lost packets make changes uncertain, late or missing, but none that is told as observed is made up."""
    header, records = records_of(capture_bytes(capture_path(name)))
    choose = random.Random(17)
    path = tmp_path / "lossy.pcap"
    path.write_bytes(header + b"".join(record for record in records if choose.random() >= lost))
    rows: list[dict[str, Any]] = []
    watcher = Watcher(WatchOptions(), rows.append)
    reader, source = read_format(open_source(str(path)), 20_000)
    for block in reader:
        watcher.take(block)
    watcher.finish()
    source.close()
    observed = {
        (row["image_id"], row["from"], row["to"], row["ts"])
        for row in rows
        if row["kind"] == "status" and row["certainty"] == "observed"
    }
    true = {(i.id, t.from_status, t.to_status, t.ts) for i in analyzed(name).tables.images for t in i.transitions}
    assert observed <= true
    assert observed


def test_tls_is_decrypted_as_it_comes() -> None:
    path = capture_path("article-tls13")
    keylog = str(path.parent / "article-tls13.keylog")
    rows = watched("article-tls13", 20_000, keylog)
    assert told(rows) == known(analyze(str(path), Options(keylogs=(keylog,))))
    assert sum(row["kind"] == "call" and row["operation"] == "image-upload" for row in rows) == 3


def test_both_legs_of_a_database_proxy_are_one_change() -> None:
    """The watch names the frames of the leg that commits first, the inner one; `analyze` those of the outer one."""

    def changes(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        return [row[:3] for row in rows]

    name = "article-proxied-foreign"
    assert changes(told(watched(name))) == changes(known(analyzed(name)))


def test_what_is_told_does_not_depend_on_the_pieces_that_it_comes_in() -> None:
    whole, pieces = watched("article"), watched("article", 5000)
    assert told(pieces) == told(whole)
    assert pieces[-1] == whole[-1]
    assert sorted(map(str, pieces)) == sorted(map(str, whole))


def test_findings_of_the_failures() -> None:
    rows = watched("failures")
    images: dict[str, set[str]] = {}
    for row in rows:
        if row["rule"] is not None:
            images.setdefault(row["rule"], set()).add(row["image_name"] or "")
    assert images["upload-aborted"] == {"abort-cl-rst", "abort-cl-fin", "abort-chunked-rst", "abort-then-retry"}
    assert images["lost-race"] == {"delete-while-saving"}
    assert images["download-aborted"] == {"abort-download"}
    assert images["lookup-not-found"] == {"no-such-image"}
    assert {"sql-error", "client-error", "response-missing"} <= images.keys()
    assert "status-illegal" not in images


def test_both_hops_of_a_call_are_one_call() -> None:
    trace = analyzed("article")
    calls = watched("article")[-1]["calls"]
    assert calls == {
        service: sum(call.service == service for call in trace.tables.calls) for service in ("glance", "keystone")
    }


def test_rules_are_those_of_the_findings() -> None:
    assert {name: RULES[name].severity for name in SEVERITIES} == dict(SEVERITIES)
