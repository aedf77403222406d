"""Embedding secrets: the copy decrypts by itself, here and in tshark, and holds the secrets of its own connections."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from glancetrace.cli import cli
from glancetrace.pipeline import analyze
from tests.support.capture_files import Packet as Captured
from tests.support.capture_files import enhanced, interface, pcap, read, secrets, section
from tests.support.samples import CAPTURES, keylog_path
from tests.support.tshark import ask_tshark

NAMES = sorted(name for name in CAPTURES if keylog_path(name))


def key_log(name: str) -> Path:
    path = keylog_path(name)
    assert path is not None
    return path


@pytest.fixture(scope="module")
def all_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The key logs of all samples in one."""
    path = tmp_path_factory.mktemp("keys") / "keys.txt"
    path.write_bytes(b"".join(key_log(name).read_bytes() for name in NAMES))
    return path


def run(*args: object) -> Result:
    return CliRunner().invoke(cli, ["secrets", *map(str, args)], catch_exceptions=False)


def rows(path: Path) -> list[tuple[object, ...]]:
    """Frames, times, link types, bytes and lengths of all packets."""
    return list(read([path]).rows)


def embedded(path: Path) -> list[bytes]:
    """Lines of the secrets blocks."""
    return [line for _, data in read([path]).reader.secrets for line in data.splitlines()]


@pytest.mark.parametrize("name", NAMES)
def test_the_copy_decrypts_by_itself(name: str, all_keys: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.pcapng"
    assert run(CAPTURES[name], "--keylog", all_keys, "-o", copy).exit_code == 0
    assert rows(copy) == rows(CAPTURES[name])
    whole = analyze(CAPTURES[name], keylog=key_log(name))
    trace = analyze(copy)
    assert [s.command.sql for s in trace.tables.statements] == [s.command.sql for s in whole.tables.statements]
    assert [(c.method, c.target, c.first_frame) for c in trace.tables.calls] == [
        (c.method, c.target, c.first_frame) for c in whole.tables.calls
    ]
    assert trace.capture.accounting.stream_bytes_skipped == 0


@pytest.mark.parametrize("name", ["article-tls12", "pymysql-tls13"])
def test_tshark_reads_and_decrypts_it(name: str, all_keys: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.pcapng"
    run(CAPTURES[name], "--keylog", all_keys, "-o", copy)
    empty = tmp_path / "empty"
    empty.write_text("")
    judge = ask_tshark(CAPTURES[name], key_log(name))
    assert ask_tshark(copy, empty) == judge
    assert judge.requests or judge.commands
    told = subprocess.run(["capinfos", str(copy)], capture_output=True, text=True, check=True).stdout
    assert "Number of decryption secrets in file: 1" in told


def test_only_what_the_capture_needs(all_keys: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.pcapng"
    said = run(CAPTURES["article-tls13"], "--keylog", all_keys, "-o", copy).output
    assert "secrets of 2 of 2 TLS connections" in said
    lines = embedded(copy)
    assert len({line.split()[1] for line in lines}) == 2
    assert set(lines) <= set(key_log("article-tls13").read_bytes().splitlines())
    assert not any(line in set(key_log("article-tls12").read_bytes().splitlines()) for line in lines)


def test_times_keep_their_resolution(tmp_path: Path, all_keys: Path) -> None:
    packets = [Captured(1_582_000_000_123_456_789, b"x" * 60), Captured(1_582_000_000_123_456_790, b"y" * 61)]
    source, copy = tmp_path / "a.pcap", tmp_path / "b.pcapng"
    source.write_bytes(pcap(packets, ">", nanoseconds=True, link_type=113))
    assert run(source, "--keylog", all_keys, "-o", copy).exit_code == 0
    assert rows(copy) == rows(source)
    assert [row[2] for row in rows(copy)] == [113, 113]
    assert embedded(copy) == []


def test_a_name_in_gz_is_compressed_the_same_each_time(all_keys: Path, tmp_path: Path) -> None:
    copies = [tmp_path / name for name in ("plain.pcapng", "one.pcapng.gz", "two.pcapng.gz")]
    for copy in copies:
        assert run(CAPTURES["article-tls13"], "-o", copy, "--keylog", all_keys).exit_code == 0
    assert gzip.decompress(copies[1].read_bytes()) == copies[0].read_bytes()
    assert copies[1].read_bytes() == copies[2].read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(copy.name for copy in copies)


@pytest.mark.parametrize("order", ["<", ">"])
def test_other_blocks_of_a_pcapng_stay(order: str, all_keys: Path, tmp_path: Path) -> None:
    source, copy, bare = (tmp_path / f"{name}.pcapng" for name in "abc")
    packets = [
        enhanced(Captured(ts, data, size), order) for _, ts, _, data, size in read([CAPTURES["article-tls13"]]).rows
    ]
    ssh, old = secrets(b"ssh", order, 0x5353484B), secrets(b"CLIENT_RANDOM 00 00\n", order)
    source.write_bytes(b"".join([section(order), ssh, old, interface(order), *packets[:9], ssh, old, *packets[9:]]))
    assert run(source, "--keylog", all_keys, "-o", copy).exit_code == 0
    written = copy.read_bytes()
    assert written.startswith(section(order) + interface(order))
    assert written.count(ssh) == 2
    assert old not in written
    assert rows(copy) == rows(source)
    assert len(analyze(copy).tables.calls) == 29
    assert "3 secrets blocks left out" in run(copy, "--discard", "-o", bare).output
    assert embedded(bare) == []
    assert rows(bare) == rows(source)
    assert analyze(bare).tables.calls == []
    for name in NAMES:
        for line in key_log(name).read_bytes().splitlines():
            assert line.split()[-1] not in bare.read_bytes()


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (["CAPTURE", "-o", "OUT"], "either --keylog FILE or --discard"),
        (["CAPTURE", "--keylog", "KEYS", "--discard", "-o", "OUT"], "either --keylog FILE or --discard"),
        (["-", "--keylog", "KEYS", "-o", "OUT"], "name files instead of -"),
        (["CAPTURE", "--keylog", "KEYS", "-o", "KEYS"], "would overwrite"),
        (["CAPTURE", "--keylog", "KEYS", "-o", "CAPTURE"], "would overwrite"),
    ],
)
def test_wrong_usage(args: list[str], complaint: str, all_keys: Path, tmp_path: Path) -> None:
    names = {"CAPTURE": str(CAPTURES["article-tls13"]), "KEYS": str(all_keys), "OUT": str(tmp_path / "out")}
    before = all_keys.read_bytes()
    result = CliRunner().invoke(cli, ["secrets", *(names.get(arg, arg) for arg in args)])
    assert complaint in str(result.exception)
    assert getattr(result.exception, "exit_code", None) == 2
    assert not (tmp_path / "out").exists()
    assert all_keys.read_bytes() == before


def cut(path: Path, size: int) -> Path:
    path.write_bytes(path.read_bytes()[:size])
    return path


class TestFilesThatAreNotWhole:
    @pytest.fixture
    def whole(self, all_keys: Path, tmp_path: Path) -> Path:
        path = tmp_path / "whole.pcapng"
        run(CAPTURES["article-tls13"], "--keylog", all_keys, "-o", path)
        return path

    @pytest.mark.parametrize("args", [["--discard"], ["--keylog", "KEYS"]])
    def test_a_block_that_cannot_be_leaves_no_half_copy(
        self, args: list[str], whole: Path, all_keys: Path, tmp_path: Path
    ) -> None:
        data = bytearray(whole.read_bytes())
        junk = len(data) // 4 * 2
        data[junk : junk + 4000] = b"\xff" * 4000
        whole.write_bytes(data)
        names = [str(all_keys) if arg == "KEYS" else arg for arg in args]
        result = CliRunner().invoke(cli, ["secrets", str(whole), *names, "-o", str(tmp_path / "out")])
        assert "no pcapng block can look like this" in str(result.exception)
        assert getattr(result.exception, "exit_code", None) == 3
        assert not (tmp_path / "out").exists()

    def test_a_block_that_is_cut_is_told(self, whole: Path, all_keys: Path, tmp_path: Path) -> None:
        assert "not whole" not in run(whole, "--discard", "-o", tmp_path / "out").output
        cut(whole, whole.stat().st_size - 10)
        for args in (["--discard"], ["--keylog", all_keys]):
            assert "not whole (capture-cut-short)" in run(whole, *args, "-o", tmp_path / "out").output
            assert rows(tmp_path / "out") == rows(whole)

    def test_a_pcap_that_is_cut_is_told(self, all_keys: Path, tmp_path: Path) -> None:
        source = tmp_path / "cut.pcap"
        source.write_bytes(pcap([Captured(1, b"x" * 60), Captured(2, b"y" * 60)])[:-1])
        assert "not whole (capture-cut-short)" in run(source, "--keylog", all_keys, "-o", tmp_path / "out").output


def test_secrets_that_do_not_fit(tmp_path: Path) -> None:
    said = run(CAPTURES["article-tls13"], "--keylog", key_log("pymysql-tls13"), "-o", tmp_path / "out").output
    assert "none of the secrets fits" in said
    assert "2 TLS connections" in said
    assert "whoever" not in said
    assert embedded(tmp_path / "out") == []
