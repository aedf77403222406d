"""A result that was written before serves `report`, `export` and `check` as the capture does."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from click.testing import CliRunner

from glancetrace.cli import cli
from glancetrace.errors import InputError, UsageError
from tests.support.samples import capture_path

ARTICLE = str(capture_path("article"))


def run(*args: str) -> str:
    done = CliRunner().invoke(cli, [*args, "--no-progress"], catch_exceptions=False, standalone_mode=False)
    return done.stdout


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A saved trace and a JSON result."""
    folder = tmp_path_factory.mktemp("earlier")
    saved, written = str(folder / "saved"), str(folder / "result.json")
    run("export", ARTICLE, "--to", "parquet", "-o", saved)
    run("analyze", ARTICLE, "--format", "json", "-o", written)
    return saved, written


def test_a_compressed_result_is_read_as_it_was_written(earlier: tuple[str, str], tmp_path: Path) -> None:
    packed = tmp_path / "packed.json.gz"
    run("analyze", ARTICLE, "--format", "json", "-o", str(packed))
    assert gzip.decompress(packed.read_bytes()) == Path(earlier[1]).read_bytes()
    assert run("check", str(packed)) == run("check", earlier[1])


def test_the_page_is_the_same_but_for_the_note_on_secrets(earlier: tuple[str, str]) -> None:
    page = run("report", ARTICLE, "-o", "-").splitlines()
    for path in earlier:
        other = run("report", path, "-o", "-").splitlines()
        assert len(other) == len(page) > 100
        (differing,) = [new for old, new in zip(page, other, strict=True) if old != new]
        assert "a result that was written before" in differing


def test_exports_are_the_same(earlier: tuple[str, str]) -> None:
    for form in ("perfetto", "otlp"):
        expected = run("export", ARTICLE, "--to", form, "-o", "-")
        for path in earlier:
            assert run("export", path, "--to", form, "-o", "-") == expected


def test_the_same_verdict(earlier: tuple[str, str]) -> None:
    assert run("check", ARTICLE) == run("check", earlier[0]) == run("check", earlier[1])


def test_what_is_lacking_is_told(earlier: tuple[str, str], tmp_path: Path) -> None:
    for path in earlier:
        with pytest.raises(UsageError, match="holds no packets; name the capture"):
            run("export", path, "--to", "wireshark", "-o", str(tmp_path / "x.pcapng"))
        with pytest.raises(UsageError, match="--reveal needs the capture"):
            run("report", path, "--reveal", "-o", str(tmp_path / "x.html"))
    for command in (["report"], ["export", "--to", "csv"]):
        with pytest.raises(InputError, match=r"directory without a saved trace; .*\*\.pcap"):
            run(*command, str(tmp_path), "-o", str(tmp_path / "x"))
    with pytest.raises(UsageError, match="is the capture itself"):
        run("report", earlier[1], "-o", earlier[1])
    assert list(tmp_path.iterdir()) == []
