"""What must not change a result: how the capture is cut, packed, named or read. And what must: lost packets."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path
from typing import Any

import pytest

from glancetrace.document import render_document
from glancetrace.edit.split import split_by_count
from glancetrace.pipeline import Options, analyze
from tests.support.samples import capture_path

CERTAINTY = ("assumed", "inferred", "observed")


def told(*paths: Path | str, block_size: int | None = None) -> dict[str, Any]:
    """Result document, without the names of the files."""
    options = Options() if block_size is None else Options(block_size=block_size)
    document = render_document(analyze([str(path) for path in paths], options))
    del document["capture"]["files"]
    return document


@pytest.fixture(scope="module")
def article(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("captures") / "article.pcap"
    path.write_bytes(gzip.decompress(capture_path("article").read_bytes()))
    return path


@pytest.fixture(scope="module")
def whole(article: Path) -> dict[str, Any]:
    return told(article)


def records(capture: bytes) -> list[bytes]:
    """Header and records of a little-endian pcap file."""
    parts, position = [capture[:24]], 24
    while position < len(capture):
        end = position + 16 + int.from_bytes(capture[position + 8 : position + 12], "little")
        parts.append(capture[position:end])
        position = end
    return parts


@pytest.mark.parametrize("block_size", [2_000, 70_000, 1_000_000])
def test_blocks_do_not_matter(article: Path, whole: dict[str, Any], block_size: int) -> None:
    assert told(article, block_size=block_size) == whole


@pytest.mark.parametrize("name", ["failures", "mixed-64"])
def test_blocks_do_not_matter_under_load(name: str) -> None:
    assert told(capture_path(name), block_size=300_000) == told(capture_path(name))


def test_pieces_tell_what_the_whole_tells(article: Path, whole: dict[str, Any], tmp_path: Path) -> None:
    pieces = [piece.path for piece in split_by_count([str(article)], str(tmp_path / "piece.pcap"), 500)]
    assert len(pieces) == 6
    document = told(*reversed(pieces))
    assert document == whole


def test_compressed_and_pcapng_tell_the_same(article: Path, whole: dict[str, Any], tmp_path: Path) -> None:
    as_pcapng = tmp_path / "article.pcapng"
    subprocess.run(["editcap", "-F", "pcapng", str(article), str(as_pcapng)], check=True)
    for document in (told(capture_path("article")), told(as_pcapng)):
        assert document == whole


def test_sums_balance(whole: dict[str, Any]) -> None:
    for document in (whole, told(capture_path("failures")), told(capture_path("pymysql-tls13"))):
        capture = document["capture"]
        books = capture["accounting"]
        assert capture["packets"] == books["packets_decoded"] + books["packets_ignored"] + books["packets_malformed"]
        streams = books["stream_bytes_decoded"] + books["stream_bytes_skipped"] + books["stream_bytes_missing"]
        assert books["stream_bytes"] == streams > 0


@pytest.mark.parametrize("start", range(7))
def test_lost_packets_never_raise_certainty(article: Path, whole: dict[str, Any], tmp_path: Path, start: int) -> None:
    header, *packets = records(article.read_bytes())
    kept = [packet for number, packet in enumerate(packets) if (number * 7919 + start * 31) % 97]
    path = tmp_path / "lossy.pcap"
    path.write_bytes(header + b"".join(kept))
    full = {image["id"]: image for image in whole["images"]}
    for image in told(path)["images"]:
        seen = {t["to"]: CERTAINTY.index(t["certainty"]) for t in image["transitions"]}
        known = {t["to"]: CERTAINTY.index(t["certainty"]) for t in full[image["id"]]["transitions"]}
        assert set(seen) <= set(known)
        assert all(certainty <= known[status] for status, certainty in seen.items())


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_prefix_tells_a_prefix(article: Path, whole: dict[str, Any], tmp_path: Path, share: float) -> None:
    header, *packets = records(article.read_bytes())
    path = tmp_path / "prefix.pcap"
    path.write_bytes(header + b"".join(packets[: int(len(packets) * share)]))
    full = {image["id"]: image["transitions"] for image in whole["images"]}
    for image in told(path)["images"]:
        steps = [(t["to"], t["ts"]) for t in image["transitions"] if t["certainty"] == "observed"]
        assert steps == [(t["to"], t["ts"]) for t in full[image["id"]]][: len(steps)]
