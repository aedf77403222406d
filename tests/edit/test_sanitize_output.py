"""Where sanitised packets go: a file is complete and free of secrets or not there, a pipe never sees a secret."""

from __future__ import annotations

import gzip
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from glancetrace import decode_shares
from glancetrace.cli import cli
from glancetrace.edit.sanitize.container import CaptureWriter
from glancetrace.edit.sanitize.passes import sanitize
from glancetrace.edit.sanitize.rewrite import Rewriter
from glancetrace.errors import GlancetraceError, UsageError
from glancetrace.options import Options
from tests.support.conversation import Conversation, Http

KEY = bytes(32)
TOKEN = "gAAAAABrAJ0kq5yF3mBzVt8wXc1LrPnHsDgEoUiYaT4vKb7Z2eQjMfNhCxWl6RdSuGp9AoIyTkVb3Z5e"


@pytest.fixture(autouse=True)
def _small_captures_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_shares, "_WORTH_SHARING", 0)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A token in image data whose second half comes when the first was written long ago."""
    conversation = Conversation()
    other = Http(conversation.connect("10.0.0.5", ("10.0.0.1", 9292)))
    upload = conversation.connect("10.0.0.6", ("10.0.0.1", 9292))
    head = "PUT /v2/images/9a4f2c1e-6a71-4c5e-9d0a-0f3b7a1c2d3e/file HTTP/1.1\r\nContent-Length: 200\r\n\r\n"
    upload.send((head + "x" * 100 + TOKEN[:50]).encode())
    for _ in range(50):
        other.ask("GET", "/v2/images", [("X-Auth-Token", TOKEN)])
        other.answer("200 OK", {"images": []})
    upload.send((TOKEN[50:] + "y" * (100 - len(TOKEN))).encode())
    return conversation.write(tmp_path / "late.pcap")


@pytest.fixture
def clean(source: Path, tmp_path: Path) -> bytes:
    """What one process writes."""
    data = run(source, tmp_path / "alone.pcap", 1).read_bytes()
    assert TOKEN[:50].encode() not in data
    return data


@pytest.fixture
def restarts(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For every time that it is written again: whether something was in its place before."""
    seen: list[bool] = []
    restart = CaptureWriter.restart

    def spy(writer: CaptureWriter) -> None:
        seen.append(os.path.exists(writer._path))
        restart(writer)

    monkeypatch.setattr(CaptureWriter, "restart", spy)
    return seen


def run(source: Path, output: Path, jobs: int) -> Path:
    sanitize([str(source)], str(output), KEY, Options(jobs=jobs, block_size=4000))
    return output


def test_what_is_found_late_is_written_again(source: Path, clean: bytes, restarts: list[bool], tmp_path: Path) -> None:
    assert run(source, tmp_path / "late.clean.pcap", 2).read_bytes() == clean
    assert restarts == [False]
    compressed = run(source, tmp_path / "late.clean.pcap.gz", 2).read_bytes()
    assert gzip.decompress(compressed) == clean
    assert restarts == [False, False]
    assert run(source, tmp_path / "other.pcap.gz", 1).read_bytes() == compressed


def test_a_pipe_never_sees_what_is_found_late(source: Path, clean: bytes, restarts: list[bool], tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        seen = pool.submit(pipe.read_bytes)
        run(source, pipe, 2)
        assert seen.result() == clean
    assert restarts == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_what_is_broken_off_leaves_nothing(
    error: type[BaseException], source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, works, blocks = tmp_path / "out.pcap", Rewriter.rewrite, 0
    output.write_bytes(b"what was there before")

    def rewrite(*args: Any) -> Any:
        nonlocal blocks
        blocks += 1
        if blocks == 3:
            raise error
        return works(*args)

    monkeypatch.setattr(Rewriter, "rewrite", rewrite)
    with pytest.raises(error):
        run(source, output, 2)
    assert sorted(tmp_path.iterdir()) == [source, output]
    assert output.read_bytes() == b"what was there before"


@pytest.mark.parametrize("name", ["/dev/full", "full.gz"])
def test_a_full_disk_is_one_error(name: str, source: Path, tmp_path: Path) -> None:
    output = tmp_path / name
    if name == "full.gz":
        output.symlink_to("/dev/full")
    with pytest.raises(GlancetraceError, match="No space left"):
        run(source, output, 2)


def test_an_input_under_another_name_is_not_overwritten(source: Path, tmp_path: Path) -> None:
    before = source.read_bytes()
    os.link(source, tmp_path / "link.pcap")
    with pytest.raises(UsageError, match="would overwrite the input"):
        run(source, tmp_path / "link.pcap", 1)
    assert source.read_bytes() == before


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["-o", "new.pcap", "--report", "late.pcap"], "is the capture itself"),
        (["-o", "new.pcap", "--report", "new.pcap"], "need two files"),
        (["-o", "pipe", "--verify"], "cannot be read again"),
        (["-o", "keys", "--decrypt", "--keylog", "keys"], "would overwrite a key"),
        (["-o", "new.pcap", "--key", "keys", "--report", "./keys"], "would overwrite a key"),
    ],
)
def test_refused(args: list[str], message: str, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(source.parent)
    os.mkfifo("pipe")
    Path("keys").write_bytes(b"kept")
    before = source.read_bytes()
    result = CliRunner().invoke(cli, ["sanitize", "late.*", *args])
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)
    assert source.read_bytes() == before
    assert Path("keys").read_bytes() == b"kept"
    assert not os.path.exists("new.pcap")
