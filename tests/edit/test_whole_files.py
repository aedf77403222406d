"""What split and extract write: compressed as its name asks, and complete or not there."""

from __future__ import annotations

import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glancetrace.cli import main
from glancetrace.edit import copying
from glancetrace.edit import split as splitting
from glancetrace.edit.extract import extract
from glancetrace.edit.grouping import by_connection, split_by
from glancetrace.edit.piece_file import check_output
from glancetrace.edit.pieces import PieceWriter
from glancetrace.edit.selection import PacketSelection
from glancetrace.edit.split import split, split_by_count
from glancetrace.errors import UsageError
from glancetrace.glance.ports import DEFAULT_PORTS
from glancetrace.outfile import COMPRESSIONS
from tests.support import capture_files as cf
from tests.support.samples import capture_path

ALL = PacketSelection()
ARTICLE = capture_path("article")
PACKETS = [cf.Packet(cf.START * 1_000_000_000 + n * 300_000_000, bytes([n % 251]) * 600) for n in range(1000)]
BLOCK = 40_000
"""Bytes that are read at once, so that there are some blocks."""

Run = Callable[..., tuple[int, str]]


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.pcap"
    path.write_bytes(cf.pcap(PACKETS))
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "target"
    path.mkdir()
    return path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process; exit code and what it says."""

    def command(*args: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as stopped:
            main(args)
        assert isinstance(stopped.value.code, int)
        return stopped.value.code, capsys.readouterr().err

    return command


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splitting, "_BLOCK_SIZE", BLOCK)


@pytest.fixture
def growing(tmp_path: Path) -> Path:
    """100 packets to a piece, of which the first two pieces are small and the third is large, compressed or not."""
    noise = random.Random(5)
    large = [cf.Packet(packet.ts, noise.randbytes(2000)) for packet in PACKETS[200:300]]
    path = tmp_path / "growing.pcap"
    path.write_bytes(cf.pcap(PACKETS[:200] + large + PACKETS[300:]))
    return path


@pytest.fixture
def small_files(growing: Path) -> Iterator[None]:
    """From now on no file may grow beyond 100 kB: to a program that looks as a full disk does."""
    assert growing.stat().st_size > 200_000
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def editcap(source: Path, output: Path, count: int) -> dict[str, bytes]:
    output.parent.mkdir()
    subprocess.run(["editcap", "-F", "pcap", "-c", str(count), str(source), str(output)], check=True)
    return contents(output.parent)


@pytest.mark.parametrize("ending", COMPRESSIONS)
def test_pieces_are_compressed_as_their_name_asks(source: Path, tmp_path: Path, ending: str) -> None:
    """The names are those of an editcap that compresses: the infix goes before both extensions."""
    expected = editcap(source, tmp_path / "theirs" / "piece.pcap", 300)
    runs = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        split_by_count([str(source)], str(tmp_path / name / f"piece.pcap{ending}"), 300)
        runs.append(contents(tmp_path / name))
    assert {name.removesuffix(ending): cf.decompress(data, ending) for name, data in runs[0].items()} == expected
    assert all(name.endswith(f".pcap{ending}") for name in runs[0])
    assert all(len(data) < len(expected[name.removesuffix(ending)]) / 2 for name, data in runs[0].items())
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    ("name", "infixed"),
    [
        ("a.gz", "a_{}.gz"),
        (".gz", "_{}.gz"),
        ("a.b.pcap.zst", "a.b_{}.pcap.zst"),
        ("a.pcap.gz.old", "a.pcap.gz_{}.old"),
    ],
)
def test_the_infix_goes_before_the_extension(source: Path, target: Path, name: str, infixed: str) -> None:
    split_by_count([str(source)], str(target / name), 1000)
    assert list(contents(target)) == [
        infixed.format(f"00000_{time.strftime('%Y%m%d%H%M%S', time.localtime(cf.START))}")
    ]


def test_one_file_and_whole_conversations_are_compressed(target: Path) -> None:
    plain, compressed = target / "plain.pcap", target / "all.pcap.gz"
    for path in (plain, compressed):
        extract([str(ARTICLE)], str(path), None, selection=ALL)
    assert cf.decompress(compressed.read_bytes(), ".gz") == plain.read_bytes()
    plain.unlink()
    compressed.unlink()
    for ending in ("", ".lz4"):
        split_by([str(ARTICLE)], str(target / f"c.pcap{ending}"), by_connection(DEFAULT_PORTS), selection=ALL)
    found = contents(target)
    assert len(found) == 2 * 5
    for name, data in found.items():
        if name.endswith(".lz4"):
            assert cf.decompress(data, ".lz4") == found[name.removesuffix(".lz4")]


def test_more_pieces_than_can_be_open_are_compressed(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glancetrace.edit.pieces._MOST_COMPRESSED", 2)
    data = cf.pcap(PACKETS[:12])
    (target / "source").write_bytes(data)
    with cf.open_reader(target / "source") as captures, PieceWriter([]) as writer:
        for block, reader in captures.records():
            for row in range(len(block)):
                writer.write(str(target / f"{row % 4}.gz"), block, reader, np.array([row]))
    for number in range(4):
        written = cf.decompress((target / f"{number}.gz").read_bytes(), ".gz")
        assert written == cf.pcap([PACKETS[row] for row in range(12) if row % 4 == number])
    assert len(contents(target)) == 5


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.usefixtures("small_blocks")
def test_what_is_there_after_an_interruption_is_complete(source: Path, tmp_path: Path, ending: str) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    split_by_count([str(source)], str(whole / f"p.pcap{ending}"), 50)
    expected = contents(whole)
    for calls in range(1, 16, 2):
        directory = tmp_path / f"stopped-{calls}"
        directory.mkdir()
        seen = 0

        def stop(_read: int, _total: int | None, last: int = calls) -> None:
            nonlocal seen
            seen += 1
            if seen == last:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            split_by_count([str(source)], str(directory / f"p.pcap{ending}"), 50, progress=stop)
        left = contents(directory)
        assert left.items() <= expected.items()
        assert len(left) < len(expected)


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
@pytest.mark.usefixtures("small_files", "small_blocks")
def test_a_full_disk_leaves_pieces_that_are_complete(
    growing: Path, target: Path, ending: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "_MOST_THREADS", 1)  # so one piece is complete before the next
    code, error = run("split", "-c", "100", "--utc", str(growing), str(target / f"p.pcap{ending}"))
    where = re.escape(str(target / "p_00002_20200218042740.pcap"))
    assert code == 3
    assert re.fullmatch(f"glancetrace: {where}{ending}: cannot be written: File too large; make room, .*\n", error)
    left = contents(target)
    assert {"p_00000_20200218042640.pcap" + ending, "p_00001_20200218042710.pcap" + ending} <= left.keys()
    for data in left.values():
        assert len(cf.decompress(data, ending)) == len(cf.pcap(PACKETS[:100]))


@pytest.mark.parametrize("args", [["split"], ["split", "--by", "service"], ["extract", "--since", "+0s", "-o"]])
@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.usefixtures("small_files")
def test_a_full_disk_keeps_what_was_there(growing: Path, target: Path, args: list[str], ending: str, run: Run) -> None:
    place = target / f"p{'_other' if '--by' in args else ''}.pcap{ending}"
    place.write_bytes(b"what was there")
    output = str(target / f"p.pcap{ending}")
    order = [args[0], *args[1:-1], str(growing), args[-1], output] if "-o" in args else [*args, str(growing), output]
    code, error = run(*order)
    assert (code, error.count("\n")) == (3, 1)
    assert "cannot be written: File too large" in error
    assert contents(target) == {place.name: b"what was there"}


def start(*args: str, **settings: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "glancetrace", *args]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **settings)


def test_packets_go_down_a_pipe(source: Path) -> None:
    with start("split", "-r", str(source), "-", "1-300", stdin=subprocess.DEVNULL) as process:
        out, error = process.communicate(timeout=60)
    assert out == cf.pcap(PACKETS[:300])
    assert error == b"glancetrace: 300 packets; passwords and tokens in the packets are kept\n"
    with start("extract", "--since", "+0s", str(source), "-o", "/dev/stdout") as process:
        assert process.communicate(timeout=60)[0] == cf.pcap(PACKETS)


def test_nobody_reads_the_pipe_to_its_end(source: Path) -> None:
    with start("split", str(source), "-") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert (process.wait(timeout=60), process.stderr.read()) == (141, b"")


def test_an_interruption_does_not_wait_for_who_reads_a_pipe(source: Path) -> None:
    with start("split", str(source), "-") as process:
        assert process.stdout is not None
        assert len(process.stdout.read(1)) == 1  # so it is under way, and more waits than a pipe holds
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130


def test_a_named_pipe_gets_the_packets(source: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit((tmp_path / "pipe").read_bytes)
        split([str(source)], str(tmp_path / "pipe"))
        assert read.result(timeout=60) == cf.pcap(PACKETS)
    assert not (tmp_path / "pipe").is_file()


def test_standard_output_that_takes_nothing(source: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for args in (["split", str(source), "-"], ["extract", "--since", "+0s", str(source), "-o", "-"]):
        monkeypatch.setattr("sys.stdout", None)
        code, error = run(*args)
        assert (code, error) == (2, "glancetrace: standard output is closed; give a file name\n")


def test_a_terminal_takes_no_packets(source: Path) -> None:
    leader, follower = os.openpty()
    process = subprocess.run(
        [sys.executable, "-m", "glancetrace", "split", str(source), "-"],
        stdout=follower, stderr=subprocess.PIPE, check=False, timeout=60,
    )  # fmt: skip
    os.close(leader)
    os.close(follower)
    assert process.returncode == 2
    assert process.stderr == b"glancetrace: packets cannot go to a terminal; give a file name, or pipe them on\n"


def test_nothing_that_matches(source: Path, target: Path, run: Run) -> None:
    said = "glancetrace: no packet matches: {} was written\n"
    output = str(target / "p.pcap")
    assert run("split", "-r", str(source), output, "5000") == (0, said.format("a capture without packets"))
    assert run("extract", "--until", "2001-01-01T00:00:00Z", str(source), "-o", output) == (
        0,
        said.format("a capture without packets"),
    )
    assert contents(target) == {"p.pcap": cf.pcap([])}
    assert run("split", "--by", "image", str(source), output) == (0, said.format("nothing"))


def test_a_place_that_cannot_be_written_is_told_before_anything_is_read(tmp_path: Path) -> None:
    for output, message in ((tmp_path / "missing" / "p", "its directory is not there"), (tmp_path, "is a directory")):
        with pytest.raises(UsageError, match=message):
            check_output(str(output), [])
    with pytest.raises(UsageError, match="its directory is not there"):
        split_by_count([str(tmp_path / "no-such-input")], str(tmp_path / "missing" / "p"), 5)
    (tmp_path / "a").write_bytes(b"x")
    check_output(str(tmp_path / "a"), [])
    assert contents(tmp_path) == {"a": b"x"}


COPIES = (["sanitize", "--key", "key"], ["secrets", "--discard"], ["extract", "--since", "+0s"])


@pytest.mark.parametrize("args", COPIES)
def test_every_copy_is_compressed_as_its_name_asks(source: Path, target: Path, args: list[str], run: Run) -> None:
    for ending in ("", *COMPRESSIONS):
        assert run(*args, str(source), "-o", str(target / f"a.pcapng{ending}"))[0] == 0
    plain, *others = [(target / f"a.pcapng{ending}").read_bytes() for ending in ("", *COMPRESSIONS)]
    assert [cf.decompress(data, ending) for data, ending in zip(others, COMPRESSIONS, strict=True)] == [plain] * 4


@pytest.mark.parametrize("args", COPIES)
def test_no_copy_without_its_directory(source: Path, target: Path, args: list[str], run: Run) -> None:
    place = target / "missing" / "a.pcapng"
    code, error = run(*args, str(source), "-o", str(place))
    assert (code, error) == (2, f"glancetrace: {place}: cannot be written: its directory is not there; make it first\n")
