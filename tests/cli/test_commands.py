"""The commands over a real capture: options in, text and rows out."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from glancetrace.cli import cli
from tests.support.samples import capture_path

ARTICLE = str(capture_path("article"))
IMAGE = "overcloud-full"


def run(*args: str, code: int = 0, **settings: Any) -> Result:
    result = CliRunner().invoke(cli, args, catch_exceptions=False, standalone_mode=False, **settings)
    assert result.exit_code == code, result.output
    return result


def rows(*args: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(*args, "--format", "jsonl").stdout.splitlines()]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("analyze", ARTICLE, "--format", "json").stdout)
    return found


def test_analyze_tells_the_story() -> None:
    text = run("analyze", ARTICLE).stdout
    assert text.startswith("Capture  ")
    for part in ("API calls", "Images", "Timeline", "Findings", "image-upload", "queued", "saving", "active", IMAGE):
        assert part in text


def test_analyze_as_json(document: dict[str, Any]) -> None:
    assert document["schema"] == "glancetrace/1"
    assert {image["name"] for image in document["images"]} == {IMAGE, f"{IMAGE}-vmlinuz", f"{IMAGE}-initrd"}
    assert [t["to"] for t in document["images"][0]["transitions"]] == ["queued", "saving", "active"]


def test_analyze_as_jsonl_has_the_same_rows(document: dict[str, Any]) -> None:
    found = rows("analyze", ARTICLE)
    for table in ("api_calls", "statements", "links", "images", "findings", "issues", "connections"):
        assert [{**row, "table": table} for row in document[table]] == [row for row in found if row["table"] == table]


def test_analyze_as_csv(document: dict[str, Any]) -> None:
    text = run("analyze", ARTICLE, "--format", "csv", "--table", "transitions").stdout
    found = list(csv.DictReader(io.StringIO(text)))
    assert len(found) == sum(len(image["transitions"]) for image in document["images"])
    assert {row["to"] for row in found} == {"queued", "saving", "active"}


@pytest.mark.parametrize("args", [("--format", "csv"), ("--table", "images"), ("--format", "csv", "--table", "nope")])
def test_csv_and_its_table_go_together(args: tuple[str, ...]) -> None:
    from glancetrace.errors import UsageError

    with pytest.raises(UsageError, match="tables: connections, api_calls"):
        run("analyze", ARTICLE, *args)


def test_output_goes_to_a_file(tmp_path: Path, document: dict[str, Any]) -> None:
    path = tmp_path / "result.json"
    assert run("analyze", ARTICLE, "--format", "json", "-o", str(path)).stdout == ""
    assert json.loads(path.read_bytes()) == document


def test_standard_input(document: dict[str, Any]) -> None:
    import subprocess
    import sys

    command = [sys.executable, "-m", "glancetrace", "analyze", "-", "--format", "json"]
    with open(ARTICLE, "rb") as capture:
        done = subprocess.run(command, stdin=capture, capture_output=True, check=True)
    found = json.loads(done.stdout)
    assert found["capture"]["files"][0].pop("name") == "-"
    assert done.stderr == b""
    assert {**found, "capture": 0} == {**document, "capture": 0}


def test_timeline_of_one_image(document: dict[str, Any]) -> None:
    text = run("timeline", ARTICLE, "--image", IMAGE).stdout
    assert "(new) → queued" in text
    assert "queued → saving" in text
    assert "saving → active" in text
    assert f"{IMAGE}-initrd  " not in text
    found = rows("timeline", ARTICLE, "--image", IMAGE, "--no-sql")
    assert {row["kind"] for row in found} >= {"call", "status"}
    (image,) = [image for image in document["images"] if image["name"] == IMAGE]
    assert [row["ts"] for row in found if row["kind"] == "status"] == [t["ts"] for t in image["transitions"]]


def test_calls_with_filters(document: dict[str, Any]) -> None:
    everything = rows("calls", ARTICLE)
    assert [{k: v for k, v in row.items() if k != "table"} for row in everything] == document["api_calls"]
    assert {row["status_code"] for row in rows("calls", ARTICLE, "--status", "404")} == {404}
    uploads = rows("calls", ARTICLE, "--operation", "image-upload")
    assert len(uploads) == 3
    assert rows("calls", ARTICLE, "--operation", "image-upload", "--image", IMAGE) == [
        row for row in uploads if row["image_id"] == rows("timeline", ARTICLE, "--image", IMAGE)[0]["image_id"]
    ]
    assert rows("calls", ARTICLE, "--since", "+1s") == [r for r in everything if r["ts"] >= "2026-11-20T19:25:52.708"]
    assert rows("calls", ARTICLE, "--slower-than", "100ms") == [r for r in everything if r["dur"] > 100_000_000]


def test_sql_with_filters() -> None:
    updates = rows("sql", ARTICLE, "--operation", "UPDATE", "--table", "images")
    assert updates
    assert all(row["operation"] == "UPDATE" and "images" in row["tables"] for row in updates)
    assert len(rows("sql", ARTICLE, "--status", "active")) == 3
    assert "UPDATE images SET status='active'" in run("sql", ARTICLE, "--status", "active").stdout
    assert "UPDATE images SET" in run("sql", ARTICLE, "--status", "active", "--full").stdout


def test_search() -> None:
    assert {row["where"] for row in rows("search", f"{IMAGE}-initrd", ARTICLE)} == {
        "url", "statement", "request body", "response body",
    }  # fmt: skip
    nothing = run("search", "certainly not in there", ARTICLE)
    assert (nothing.stdout, nothing.stderr) == ("", "glancetrace: nothing found\n")


def test_info() -> None:
    text = run("info", ARTICLE).stdout
    assert "2,909 packets" in text
    assert "127.0.0.30:3306" in text
    found = json.loads(run("info", ARTICLE, "--format", "json").stdout)
    assert found["capture"]["packets"] == 2909
    assert {row["service"] for row in found["conversations"]} == {"glance", "keystone", "mysql"}


def test_split_and_analyze_the_pieces(tmp_path: Path, document: dict[str, Any]) -> None:
    done = run("split", "-c", "1000", ARTICLE, str(tmp_path / "piece.pcap"))
    assert "3 pieces, 2,909 packets; passwords and tokens in the packets are kept" in done.stderr
    found = json.loads(run("analyze", str(tmp_path / "piece_*.pcap"), "--format", "json").stdout)
    assert [file["packets"] for file in found["capture"].pop("files")] == [1000, 1000, 909]
    whole = {**document, "capture": {k: v for k, v in document["capture"].items() if k != "files"}}
    assert found == whole
    assert "piece_00000_" in run("calls", str(tmp_path / "piece_*.pcap")).stdout


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_explains_itself(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"], standalone_mode=False)
    assert "Examples:" in result.output
    command = cli.commands[name]
    assert command.short_help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help or parameter.name == "count", parameter.name
            assert parameter.opts[-1] in result.output


@pytest.mark.parametrize("mode", ["auto", "always", "never"])
def test_colours(mode: str) -> None:
    coloured = "\x1b[" in run("analyze", ARTICLE, "--color", mode, color=True).stdout
    assert coloured == (mode == "always")


def test_times() -> None:
    assert "+1.170791" in run("calls", ARTICLE, "--relative").stdout
    assert "20:25:52.879422" in run("calls", ARTICLE, "--tz", "Europe/Berlin").stdout


def test_a_port_can_be_named() -> None:
    assert not rows("calls", ARTICLE, "--port", "mysql=13292", "--port", "mysql=13000")
    from glancetrace.errors import UsageError

    for wrong in ("9292", "nova=8774", "glance=0", "glance=x", "glance=99999"):
        with pytest.raises(UsageError, match="is not SERVICE=PORT"):
            run("analyze", ARTICLE, "--port", wrong)
