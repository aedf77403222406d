from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import pytest

from glancetrace.errors import UsageError
from glancetrace.output.progress import ProgressBar
from glancetrace.output.target import Target


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    with Target(str(path)) as target:
        target.write_lines(["one", "zwei ä"])
        target.write(b"three\n")
        assert not path.exists()
    assert path.read_bytes() == "one\nzwei ä\nthree\n".encode()
    assert os.listdir(tmp_path) == ["out.txt"]


def test_a_name_may_ask_for_compression(tmp_path: Path) -> None:
    written = []
    for name in ("a.json.gz", "b.json.gz"):
        with Target(str(tmp_path / name)) as target:
            target.write_json(b'{"schema": "glancetrace/1"}')
            target.write_lines(["one"])
        written.append((tmp_path / name).read_bytes())
    assert gzip.decompress(written[0]) == b'{"schema": "glancetrace/1"}one\n'
    assert written[0] == written[1]
    assert written[0][3:8] == bytes(5)  # no name, no time
    assert sorted(os.listdir(tmp_path)) == ["a.json.gz", "b.json.gz"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_goes_wrong_leaves_the_old_file_alone(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")

    def fail(target: Target) -> None:
        with target:
            target.write(b"half of it")
            raise error

    with pytest.raises(error):
        fail(Target(str(path)))
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["out.txt"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("where", ["glancetrace.outfile.open", "glancetrace.output.target.compressed"])
def test_a_signal_while_the_file_is_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, error: type[BaseException]
) -> None:
    def interrupted(*arguments: Any) -> Any:
        if where.endswith("open"):
            open(*arguments).close()
        raise error

    monkeypatch.setattr(where, interrupted, raising=False)
    with pytest.raises(error), Target(str(tmp_path / "out.txt")):
        pass
    assert os.listdir(tmp_path) == []


def test_a_link_is_kept(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    with Target(str(tmp_path / "link")) as target:
        target.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_the_capture_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(b"packets")
    with pytest.raises(UsageError, match="is the capture itself"):
        Target(str(path), [str(path)])
    assert path.read_bytes() == b"packets"


@pytest.mark.parametrize("name", [".", "missing/out.txt"])
def test_a_place_that_cannot_be_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be written"), Target(str(tmp_path / name)):
        pass


def test_a_device_is_written_to() -> None:
    with Target(os.devnull) as target:
        target.write(b"gone")
    assert not os.path.isfile(os.devnull)


def test_no_progress_bar_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar() as bar:
        assert not bar.enabled
        bar(1, 2)
    assert capsys.readouterr().err == ""


def test_a_progress_bar_after_a_second_of_waiting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    times = iter([0.0, 0.5, 1.5, 1.5, 1.55, 2.0, 2.0])
    with ProgressBar(now=lambda: next(times)) as bar:
        assert bar.enabled
        bar(1 << 20, 4 << 20)
        assert capsys.readouterr().err == ""
        bar(2 << 20, 4 << 20)
        shown = capsys.readouterr().err
        assert "reading" in shown
        assert "2.0/4.0 MiB" in shown
