"""`glancetrace export`: each format from the command line, without secrets, complete or not there."""

from __future__ import annotations

import json
import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import click
import duckdb
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from glancetrace.cli import cli
from glancetrace.cli.export import _FORMATS
from glancetrace.errors import UsageError
from glancetrace.output.export.formats import FORMATS, export
from glancetrace.schema import TABLES
from tests.support.samples import capture_path
from tests.support.traces import analysed

PASSWORDS = ("labadminpass", "labdemopass")
FERNET = re.compile(r"gAAAA[A-Za-z0-9_-]{20}")
NO_PACKETS = [form for form in FORMATS if form != "wireshark"]


def run(*args: str) -> Result:
    return CliRunner().invoke(cli, ["export", *args], catch_exceptions=False, standalone_mode=False)


def text_of(form: str, output: Path) -> str:
    """All that stands in an output, as text."""
    if form == "parquet":
        return "".join(repr(pq.read_table(path).to_pylist()) for path in sorted(output.iterdir()))
    if output.is_dir():
        return "".join(path.read_text(encoding="utf-8") for path in sorted(output.iterdir()))
    if form in ("sqlite", "duckdb"):
        connect = sqlite3.connect if form == "sqlite" else duckdb.connect
        with closing(connect(str(output))) as database:
            return "".join(
                repr(database.execute(f'SELECT * FROM "{table}"').fetchall()) for table in ("capture", *TABLES)
            )
    return output.read_text(encoding="utf-8")


def test_the_formats_are_those_of_the_command() -> None:
    assert _FORMATS == FORMATS


@pytest.mark.parametrize("sample", ["article", "openstack-cli"])
@pytest.mark.parametrize("form", NO_PACKETS)
def test_no_secret_in_any_format(form: str, sample: str, tmp_path: Path) -> None:
    export(analysed(sample), form, str(tmp_path / "out"), ())
    text = text_of(form, tmp_path / "out")
    assert len(text) > 10_000
    assert not [password for password in PASSWORDS if password in text]
    assert not FERNET.search(text)


def test_comments_hold_no_secret_but_packets_do_and_that_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    result = run(str(capture_path("article")), "--to", "wireshark", "-o", str(folder))
    assert result.stderr.count("passwords and tokens in the packets are kept") == 1
    assert not result.stdout
    assert b"labadminpass" in (folder / "capture.pcapng").read_bytes()
    assert not FERNET.search((folder / "dfilters").read_text(encoding="utf-8"))


@pytest.mark.parametrize("form", ["perfetto", "otlp", "har"])
def test_json_to_standard_output(form: str) -> None:
    assert json.loads(run(str(capture_path("article")), "--to", form, "-o", "-").stdout)


def test_parquet_serves_as_input(tmp_path: Path) -> None:
    """For every format that needs no packets and no headers, with the same outcome."""
    article, saved = str(capture_path("article")), str(tmp_path / "saved")
    run(article, "--to", "parquet", "-o", saved)
    for form in ("perfetto", "otlp", "sqlite"):
        outputs = [tmp_path / f"{form}-{name}" for name in ("capture", "saved")]
        for source, output in zip((article, saved), outputs, strict=True):
            run(source, "--to", form, "-o", str(output))
        assert outputs[0].read_bytes() == outputs[1].read_bytes(), form
    for form, lacks in (("har", "headers"), ("wireshark", "packets")):
        with pytest.raises(UsageError, match=f"a result that was written before holds no {lacks}; name the capture"):
            run(saved, "--to", form, "-o", str(tmp_path / "x"))


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_is_left_behind_beside_it(form: str, tmp_path: Path) -> None:
    run(str(capture_path("pymysql-basic")), "--to", form, "-o", str(tmp_path / "out"))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("form", "output", "message"),
    [
        ("csv", "-", "cannot go to standard output"),
        ("sqlite", "-", "cannot go to standard output"),
        ("wireshark", "-", "cannot go to standard output"),
        ("csv", "full", "exists already"),
        ("wireshark", "full", "exists already"),
        ("sqlite", "full", "is no file"),
        ("sqlite", "no/such/place", "cannot be written"),
        ("csv", "no/such/place", "cannot be written"),
        ("har", "no/such/place", "cannot be written"),
        ("sqlite", "c.pcap", "is the capture itself"),
        ("har", "c.pcap", "is the capture itself"),
        ("wireshark", "w.pcapng", "is the capture itself"),
    ],
)
def test_wrong_calls_are_one_line(
    form: str, output: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    name = "w.pcapng" if output == "w.pcapng" else "c.pcap"
    capture = tmp_path / name
    capture.write_bytes(capture_path("pymysql-basic").read_bytes())
    before = sorted(path.name for path in tmp_path.rglob("*"))
    with pytest.raises((UsageError, click.UsageError), match=message):
        run(name, "--to", form, "-o", output)
    assert sorted(path.name for path in tmp_path.rglob("*")) == before
    assert capture.read_bytes() == capture_path("pymysql-basic").read_bytes()


def test_a_pcapng_needs_captures_that_can_be_read_again(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="only once"):
        run("-", "--to", "wireshark", "-o", str(tmp_path / "x.pcapng"))


def test_without_the_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(UsageError, match=r"pip install 'glancetrace\[duckdb\]'"):
        run(str(capture_path("article")), "--to", "duckdb", "-o", str(tmp_path / "x"))
