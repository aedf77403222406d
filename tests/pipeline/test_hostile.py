"""Captures whose contents are not what Glance sends: nothing raises, and every output can still be written."""

from __future__ import annotations

import gzip
import json
import random
import re
from pathlib import Path

import pytest

from glancetrace.errors import UsageError
from glancetrace.output.json import render_json, render_jsonl
from glancetrace.pipeline import Options, analyze
from tests.support.samples import capture_path

VALUES = [
    b"null",
    b"true",
    b"123",
    b"-1",
    b"1e309",
    b"[]",
    b"{}",
    b'""',
    b'"\\ud800"',
    b"[1]",
    b'{"a":1}',
    b"NaN",
    b"9" * 23,
]
FIELDS = re.compile(
    rb'"(?:name|id|status|size|checksum|os_hash_algo|os_hash_value|tags|owner|image|images|file|token|user)": ?'
    rb'("[^"]*"|\d+|null|\[[^\]]*\]|true|false)'
)


@pytest.fixture(scope="module")
def article() -> bytes:
    return gzip.decompress(capture_path("article").read_bytes())


@pytest.mark.parametrize("seed", range(12))
def test_json_values_of_other_types(article: bytes, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    capture = bytearray(article)
    places = list(FIELDS.finditer(article))
    assert len(places) > 50
    for place in chance.sample(places, 40):
        length = place.end(1) - place.start(1)
        value = chance.choice([v for v in VALUES if len(v) <= length] or [place[1]])
        capture[place.start(1) : place.end(1)] = value.ljust(length)
    path = tmp_path / "hostile.pcap"
    path.write_bytes(capture)
    trace = analyze(path)
    assert json.loads(b"".join(render_json(trace)))["images"]
    assert all(json.loads(row) for row in render_jsonl(trace))
    for image in trace.tables.images:
        assert isinstance(image.name, str | None)
        assert isinstance(image.size, int | None)


@pytest.mark.parametrize("seed", range(12))
def test_random_bytes_anywhere(article: bytes, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    capture = bytearray(article)
    for _ in range(60):
        place = chance.randrange(24, len(capture) - 8)
        capture[place : place + 4] = chance.randbytes(4)
    path = tmp_path / "damaged.pcap"
    path.write_bytes(capture)
    trace = analyze(path)
    assert json.loads(b"".join(render_json(trace)))["schema"] == "glancetrace/1"
    books = trace.capture.accounting
    assert trace.capture.packets == books.packets_decoded + books.packets_ignored + books.packets_malformed


@pytest.mark.parametrize("name", ["md17", "shake_128"])
def test_an_unknown_hash_is_wrong_usage(name: str) -> None:
    with pytest.raises(UsageError, match=name):
        analyze(capture_path("article"), Options(hashes=(name,)))


def test_no_capture_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="no capture"):
        analyze([])
