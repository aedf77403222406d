"""Packets that show something: they tell the same of it as the whole capture does, and nothing else is there."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from glancetrace.cli import cli
from glancetrace.edit.extract import extract
from glancetrace.edit.grouping import ByPart, by_connection, by_service, parts_of_calls, parts_of_images, split_by
from glancetrace.edit.parts import PartFinder
from glancetrace.edit.selection import PacketSelection
from glancetrace.errors import UsageError
from glancetrace.glance.ports import DEFAULT_PORTS
from glancetrace.pipeline import analyze
from glancetrace.trace import Trace
from tests.support import capture_files as cf
from tests.support.samples import CAPTURES, capture_path, keylog_path

ALL = PacketSelection()
ARTICLE = capture_path("article-allports")
PROXIED = capture_path("article-proxied-foreign")
CLI = capture_path("openstack-cli")


@pytest.fixture(scope="module")
def article() -> Trace:
    return analyze(ARTICLE)


def packets(*paths: Path | str) -> list[tuple[int, bytes]]:
    """(ts, bytes) of all packets."""
    return [(ts, data) for path in paths for _frame, ts, _link, data, _len in cf.read([path]).rows]


def story(trace: Trace, image_id: str) -> list[tuple[str | None, str, int]]:
    (image,) = [image for image in trace.tables.images if image.id == image_id]
    return [(t.from_status, t.to_status, t.ts) for t in image.transitions]


def run(*args: str, code: int = 0) -> str:
    result = CliRunner().invoke(cli, args, catch_exceptions=False, standalone_mode=False)
    assert result.exit_code == code, result.output
    return result.output


def test_an_image_has_the_same_story(article: Trace, tmp_path: Path) -> None:
    for image in article.tables.images:
        part = PartFinder(article).of_image(image.id, image.call_ids)
        piece = extract([str(ARTICLE)], str(tmp_path / "x.pcap"), part, selection=ALL)
        again = analyze(tmp_path / "x.pcap")
        assert 100 < piece.packets < article.capture.packets / 2
        assert [found.id for found in again.tables.images] == [image.id]
        assert story(again, image.id) == story(article, image.id)
        assert again.tables.images[0].wire_checksum == image.wire_checksum


def test_a_call_with_context_has_its_hops_and_handshakes(article: Trace, tmp_path: Path) -> None:
    (call,) = [c for c in article.tables.calls if c.operation == "image-upload"][:1]
    spare, full = (PartFinder(article, context=context).of_calls([call.id]) for context in (False, True))
    output = str(tmp_path / "x.pcap")
    small = extract([str(ARTICLE)], output, spare, selection=ALL)
    (seen,) = analyze(output).tables.calls
    assert (len(seen.hops), seen.operation, seen.ts, seen.complete) == (1, "image-upload", call.ts, True)
    large = extract([str(ARTICLE)], output, full, selection=ALL)
    again = analyze(output)
    (seen,) = [c for c in again.tables.calls if c.operation == "image-upload"]
    assert len(seen.hops) == len(call.hops) == 2
    ran = [s.command.sql for s in article.statements_of(call.id)]
    assert [s.command.sql for s in again.statements_of(seen.id)] == ran
    assert large.packets > small.packets
    http = [row.connection for row in again.tables.connections if row.protocol == "http"]
    assert any(not connection.started_before_capture for connection in http)


def test_a_statement_behind_a_proxy(tmp_path: Path) -> None:
    trace = analyze(PROXIED)
    update = next(s for s in trace.tables.statements if s.operation == "UPDATE" and s.hops)
    output = str(tmp_path / "x.pcap")
    for context, legs in ((False, 1), (True, 2)):
        part = PartFinder(trace, context=context).of_statements([update.id])
        extract([str(PROXIED)], output, part, selection=ALL)
        found = [s for s in analyze(output).tables.statements if s.command.sql == update.command.sql]
        assert sum(max(1, len(s.hops)) for s in found) == legs


@pytest.mark.parametrize("path", [ARTICLE, PROXIED])
def test_connections_and_services_are_whole_and_complete(path: Path, tmp_path: Path) -> None:
    everything = sorted(packets(path))
    for grouping, name in ((by_connection(DEFAULT_PORTS), "c"), (by_service(DEFAULT_PORTS), "s")):
        pieces = split_by([str(path)], str(tmp_path / f"{name}.pcap"), grouping, selection=ALL)
        assert sorted(packets(*(piece.path for piece in pieces))) == everything
        if name == "s":
            names = {Path(piece.path).stem for piece in pieces}
            assert {"s_glance", "s_mysql"} <= names
            continue
        for piece in pieces:
            assert len(analyze(piece.path).tables.connections) <= 1


def test_pieces_of_images_and_calls(tmp_path: Path) -> None:
    trace = analyze(CLI)
    finder = PartFinder(trace)
    pieces = split_by([str(CLI)], str(tmp_path / "i.pcap"), ByPart(parts_of_images(trace, finder)), selection=ALL)
    images = [image for image in trace.tables.images if image.transitions]
    assert len(pieces) == len(trace.tables.images)
    for image in images:
        (path,) = [piece.path for piece in pieces if image.id in piece.path]
        assert story(analyze(path), image.id) == story(trace, image.id)
    calls = [call for call in trace.tables.calls if call.parent_id is None]
    pieces = split_by([str(CLI)], str(tmp_path / "c.pcap"), ByPart(parts_of_calls(trace, finder)), selection=ALL)
    assert len(pieces) == len(calls)
    subprocess.run(["capinfos", pieces[0].path], check=True, capture_output=True)


def test_names_from_the_capture_are_made_harmless(tmp_path: Path) -> None:
    path = capture_path("failures")
    trace = analyze(path)
    assert any("<" in (image.name or "") for image in trace.tables.images)
    grouping = ByPart(parts_of_images(trace, PartFinder(trace)))
    pieces = split_by([str(path)], str(tmp_path / "i.pcap"), grouping, selection=ALL)
    for piece in pieces:
        name = Path(piece.path).name
        assert Path(piece.path).parent == tmp_path
        assert name.isascii()
        assert len(name) < 120
        assert not set(name) & set("<>/\\'\"; \x1b&|$")


def test_the_command_line(tmp_path: Path) -> None:
    output = tmp_path / "x.pcap"
    article = str(capture_path("article"))
    text = run("extract", "--image", "overcloud-full", article, "-o", str(output))
    assert "kept" in text
    document: dict[str, Any] = json.loads(run("analyze", "--format", "json", str(output)))
    assert [image["name"] for image in document["images"]] == ["overcloud-full"]
    run("extract", "--finding", "lookup-not-found", article, "-o", str(output))
    found = json.loads(run("calls", "--format", "json", str(output)))
    assert sum(call["status_code"] == 404 for call in found["api_calls"] if call["image_id"] is None) == 3
    run("extract", "--connection", "1", "--since", "+0.3s", article, "-o", str(output))
    assert 0 < len(packets(output)) < 100
    run("extract", "--since", "+0.5s", "--until", "+1s", article, "-o", str(output))
    assert len(packets(output)) == 976
    for by, count in (("connection", 5), ("service", 3), ("image", 3), ("call", 29)):
        run("split", "--by", by, article, str(tmp_path / f"{by}.pcap"))
        assert len(list(tmp_path.glob(f"{by}_*"))) == count
    run("split", "-c", "500", "--keep-sessions", article, str(tmp_path / "k.pcap"))
    assert sum(len(packets(path)) for path in tmp_path.glob("k_*")) == 2909


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["extract", "A", "-o", "x"], "nothing to extract"),
        (["extract", "--call", "9999", "A", "-o", "x"], "ids go from 1 to 29"),
        (["extract", "--statement", "0", "A", "-o", "x"], "ids go from 1"),
        (["extract", "--connection", "77", "A", "-o", "x"], "no connection 77"),
        (["extract", "--finding", "nonsense", "A", "-o", "x"], "lookup-not-found"),
        (["extract", "--image", "no-such", "A", "-o", "x"], "no such image"),
        (["extract", "--call", "1", "-", "-o", "x"], "only once"),
        (
            ["extract", "--call", "1", "A", "-o", "missing/x"],
            "missing/x: cannot be written: its directory is not there",
        ),
        (["extract", "--call", "1", "A", "-o", "."], "is a directory; name a file in it"),
        (["extract", "--call", "1", "A", "-o", "A"], "overwrite the input"),
        (["split", "A", "A"], "overwrite the input"),
        (["split", "--by", "image", "A", "missing/x"], "missing/x: cannot be written: its directory is not there"),
        (["split", "--by", "image", "A", "-"], "pieces cannot go to standard output"),
        (["split", "-c", "5", "A", "-"], "pieces cannot go to standard output"),
        (["extract", "--call", "1", "--since", "soon", "A", "-o", "x"], "is no time"),
        (["split", "--by", "image", "-", "x"], "only once"),
        (["split", "-c", "5", "--by", "call", "A", "x"], "exclude each other"),
        (["split", "--size", "1q", "A", "x"], "no size"),
        (["split", "-i", "0", "A", "x"], "positive"),
        (["split", "--keep-sessions", "A", "x"], "needs a cut"),
        (["split", "-A", "+1s", "A", "x"], "is no time"),
    ],
)
def test_wrong_calls_are_one_line(
    args: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    article = str(capture_path("article"))
    with pytest.raises((UsageError, click.UsageError), match=message):
        CliRunner().invoke(
            cli, [article if arg == "A" else arg for arg in args], catch_exceptions=False, standalone_mode=False
        )
    assert not list(tmp_path.iterdir())


def test_merged_captures_are_refused(tmp_path: Path) -> None:
    lines = cf.read([ARTICLE]).rows
    for name, rest in (("a", 0), ("b", 1)):
        chosen = [cf.Packet(ts, data) for frame, ts, _link, data, _len in lines if frame % 2 == rest]
        (tmp_path / f"{name}.pcap").write_bytes(cf.pcap(chosen))
    both = [str(tmp_path / "a.pcap"), str(tmp_path / "b.pcap")]
    with pytest.raises(UsageError, match="mergecap"):
        CliRunner().invoke(
            cli,
            ["extract", "--call", "1", *both, "-o", str(tmp_path / "x")],
            catch_exceptions=False,
            standalone_mode=False,
        )


def test_encrypted_requests_that_nobody_can_read(tmp_path: Path) -> None:
    path = capture_path("article-tls13")
    target = str(tmp_path / "x.pcap")
    run("extract", str(path), "--finding", "api-encrypted", "--with-context", "-o", target)
    whole, piece = analyze(path), analyze(target)
    sizes = [{(e.ts, e.request_bytes, e.response_bytes) for row in trace.tables.connections for e in row.sealed}
             for trace in (whole, piece)]  # fmt: skip
    (finding,) = [finding for finding in whole.tables.findings if finding.rule == "api-encrypted"]
    assert (len(sizes[0]), len(finding.frames)) == (29, 20)
    assert len(sizes[1]) == 20
    assert sizes[1] < sizes[0]
    assert piece.capture.packets < whole.capture.packets


@pytest.mark.parametrize("context", [False, True])
def test_tls_can_be_decrypted(context: bool, tmp_path: Path) -> None:
    """The handshake comes along, so that the key log opens what was extracted."""
    capture, log = CAPTURES["article-tls13"], keylog_path("article-tls13")
    whole = analyze(capture, keylog=log)
    for number in (1, len(whole.tables.calls)):
        call = whole.tables.calls[number - 1]
        part = PartFinder(whole, context=context).of_calls([call.id])
        piece = extract([str(capture)], str(tmp_path / "x.pcap"), part, selection=ALL)
        assert piece.packets < whole.capture.packets / 2
        again = analyze(tmp_path / "x.pcap", keylog=log)
        assert (call.method, call.target, call.status_code, call.ts) in [
            (c.method, c.target, c.status_code, c.ts) for c in again.tables.calls
        ]
