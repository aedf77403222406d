"""Packets are lost from real captures, one by one and in bursts: what is still called observed is what the database
logged, in its order and at its time; nothing is inferred that the image never was; what was lost raises no error.
"""

from __future__ import annotations

import gzip
import random
import struct
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from glancetrace.pipeline import analyze
from glancetrace.timeline.image import OBSERVED
from glancetrace.trace import Trace
from tests.support.samples import TRUTHS, capture_path
from tests.support.truth import parse_time, read_truth, status_changes

_HEADER_LEN = 24


def records(capture: bytes) -> Iterator[bytes]:
    """Records of a pcap."""
    pos = _HEADER_LEN
    while pos < len(capture):
        end = pos + 16 + int(struct.unpack_from("<I", capture, pos + 8)[0])
        yield capture[pos:end]
        pos = end


_SAME_MOMENT = 250_000_000
"""ns between the database's log of a change and the OK to its COMMIT, at the most."""


@cache
def change_times(name: str) -> dict[str, list[tuple[str, int]]]:
    """Image id -> (status, ns) of every committed change, by the database's own log."""
    times: dict[str, list[tuple[str, int]]] = {}
    for row in read_truth(TRUTHS[name]).row_changes:
        if row["tbl"] == "images":
            changed = (row.get("changed") or {}).get("status")
            status = changed[1] if changed else (row.get("new_row") or {}).get("status")
            if status:
                times.setdefault(row["image_id"], []).append((status, parse_time(row["ts"])))
    return times


@cache
def whole(name: str) -> bytes:
    """Bytes of a capture."""
    return gzip.decompress(capture_path(name).read_bytes())


def lossy(name: str, share: float, seed: int, folder: Path, burst: float = 1) -> Trace:
    """What a capture tells without a share of its packets, lost in bursts of this mean length (Gilbert's model)."""
    chance = random.Random(seed)
    kept = []
    lost = False
    for record in records(whole(name)):
        lost = chance.random() >= 1 / burst if lost else chance.random() < share / (1 - share) / burst
        if not lost:
            kept.append(record)
    path = folder / "lossy.pcap"
    path.write_bytes(whole(name)[:_HEADER_LEN] + b"".join(kept))
    return analyze(path)


CASES = [("article", 0.02, seed) for seed in range(6)] + [("article-old", 0.05, seed) for seed in range(3)]
CASES += [("failures", 0.005, 1), ("failures", 0.02, 0), ("failures", 0.1, 2), ("concurrent-old-8", 0.02, 0)]
BURSTS = [
    ("concurrent-old-8", 0.25, 1, 3.0),
    ("concurrent-old-8", 0.5, 0, 60.0),
    ("concurrent-old-8", 0.5, 1, 3.0),
    ("failures", 0.25, 0, 8.0),
    ("failures", 0.5, 0, 8.0),
    ("failures", 0.5, 1, 8.0),
    ("openstack-cli", 0.5, 0, 8.0),
]
_LOST = {"image-stuck", "status-illegal", "status-not-committed"}
"""Errors that would be wrong in these captures, whose images are stuck nowhere but in "failures"."""


@pytest.mark.parametrize(("name", "share", "seed", "burst"), [*((*case, 1.0) for case in CASES), *BURSTS])
def test_nothing_observed_is_invented(name: str, share: float, seed: int, burst: float, tmp_path: Path) -> None:
    trace = lossy(name, share, seed, tmp_path, burst)
    assert not _LOST & {finding.rule for finding in trace.tables.findings}
    true = status_changes(read_truth(TRUTHS[name]))
    assert trace.tables.images
    for image in trace.tables.images:
        left = iter(true.get(image.id, []))
        observed = [(t.from_status, t.to_status) for t in image.transitions if t.certainty == OBSERVED]
        assert all(step in left for step in observed), image.id
        assert all(t.legal for t in image.transitions)
        times = change_times(name).get(image.id, [])
        for t in image.transitions:
            if t.certainty == OBSERVED:
                assert any(to == t.to_status and abs(ts - t.ts) < _SAME_MOMENT for to, ts in times), image.id
        been = [change.to_status for change in image.transitions]
        was = [status for pair in true.get(image.id, [])[:1] for status in pair[:1]]
        was += [status for _, status in true.get(image.id, [])]
        if image.transitions and image.transitions[0].from_status:
            been.insert(0, image.transitions[0].from_status)
        left_statuses = iter(was)
        assert all(status in left_statuses for status in been), (image.id, been, was)
        for before, after in pairwise(image.intervals):
            assert before.dur == after.ts - before.ts >= 0
        assert not image.intervals or image.intervals[-1].dur is None
