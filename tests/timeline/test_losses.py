"""Packets are lost from real captures: what is still called observed is what the database logged, in its order."""

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
from tests.support.truth import read_truth, status_changes

_HEADER_LEN = 24


def records(capture: bytes) -> Iterator[bytes]:
    """Records of a pcap."""
    pos = _HEADER_LEN
    while pos < len(capture):
        end = pos + 16 + int(struct.unpack_from("<I", capture, pos + 8)[0])
        yield capture[pos:end]
        pos = end


@cache
def whole(name: str) -> bytes:
    """Bytes of a capture."""
    return gzip.decompress(capture_path(name).read_bytes())


def lossy(name: str, share: float, seed: int, folder: Path) -> Trace:
    """What a capture tells without a random share of its packets."""
    chance = random.Random(seed)
    path = folder / "lossy.pcap"
    kept = [record for record in records(whole(name)) if chance.random() >= share]
    path.write_bytes(whole(name)[:_HEADER_LEN] + b"".join(kept))
    return analyze(path)


CASES = [("article", 0.02, seed) for seed in range(6)] + [("article-old", 0.05, seed) for seed in range(3)]
CASES += [("failures", 0.005, 1), ("failures", 0.02, 0), ("failures", 0.1, 2), ("concurrent-old-8", 0.02, 0)]


@pytest.mark.parametrize(("name", "share", "seed"), CASES)
def test_nothing_observed_is_invented(name: str, share: float, seed: int, tmp_path: Path) -> None:
    trace = lossy(name, share, seed, tmp_path)
    true = status_changes(read_truth(TRUTHS[name]))
    assert trace.tables.images
    for image in trace.tables.images:
        left = iter(true.get(image.id, []))
        observed = [(t.from_status, t.to_status) for t in image.transitions if t.certainty == OBSERVED]
        assert all(step in left for step in observed), image.id
        assert all(t.legal for t in image.transitions)
        for before, after in pairwise(image.intervals):
            assert before.dur == after.ts - before.ts >= 0
        assert not image.intervals or image.intervals[-1].dur is None
