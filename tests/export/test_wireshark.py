"""The capture with comments: tshark shows them, its packets are those of the input, and it tells the same story."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from glancetrace.document import render_document
from glancetrace.edit.comments import commented_captures
from glancetrace.edit.pcapng_blocks import comment_options
from glancetrace.errors import InputError
from glancetrace.output.export.formats import export
from glancetrace.output.export.rows import rows_of_result
from glancetrace.output.export.wireshark import comment_frames
from glancetrace.pipeline import analyze
from glancetrace.trace import Trace
from tests.support import capture_files as cf
from tests.support.samples import capture_path
from tests.support.traces import analysed

ARTICLE = capture_path("article")
SMALL = capture_path("pymysql-tls12")


def trace_of(name: str) -> Trace:
    return analysed(name)


def tshark(path: Path, *args: str) -> list[str]:
    """Lines of tshark."""
    done = subprocess.run(["tshark", "-n", "-r", str(path), *args], capture_output=True, check=True, text=True)
    return done.stdout.splitlines()


def told(path: Path | list[Path]) -> str:
    """The result document but for the names of files."""
    document = render_document(analyze(path))
    del document["capture"]["files"]
    return json.dumps(document)


def write(paths: list[Path], comments: dict[int, list[str]], output: Path) -> Path:
    output.write_bytes(b"".join(commented_captures([str(path) for path in paths], comments)))
    return output


@pytest.mark.parametrize("name", ["article", "article-tls12"])
def test_tshark_shows_the_comments(name: str, tmp_path: Path) -> None:
    trace = trace_of(name)
    output = tmp_path / "notes.pcapng"
    export(trace, "wireshark", str(output), [str(capture_path(name))])
    shown = tshark(output, "-Y", "frame.comment", "-T", "fields", "-E", "separator=|", "-E", "aggregator=;",
                   "-e", "frame.number", "-e", "frame.comment")  # fmt: skip
    expected = comment_frames(rows_of_result(trace))
    assert shown == [f"{frame}|{';'.join(texts)}" for frame, texts in sorted(expected.items())]
    assert expected


def test_comments_say_what_happened() -> None:
    comments = comment_frames(rows_of_result(trace_of("article")))
    said = [text for texts in comments.values() for text in texts]
    assert "glancetrace: call 2, token-issue: POST /v3/auth/tokens" in said
    assert any(
        text.startswith("glancetrace: image overcloud-full (") and text.endswith("saving -> active") for text in said
    )
    assert [frame for frame, texts in comments.items() if any("finding info lookup-not-found" in t for t in texts)] == [
        1010,
        1475,
        2019,
    ]
    linked = len(trace_of("article").tables.links)
    assert sum(text.startswith("glancetrace: statement") for text in said) == linked


@pytest.mark.parametrize("name", ["article", "article-tls13"])
def test_it_tells_the_same_story(name: str, tmp_path: Path) -> None:
    output = tmp_path / "notes.pcapng"
    export(trace_of(name), "wireshark", str(output), [str(capture_path(name))])
    assert told(output) == told(capture_path(name))


def test_packets_stay_as_they_are(tmp_path: Path) -> None:
    output = tmp_path / "notes.pcapng"
    export(trace_of("article"), "wireshark", str(output), [str(ARTICLE)])
    assert [row[1:] for row in cf.read([output]).rows] == [row[1:] for row in cf.read([ARTICLE]).rows]
    export(trace_of("article"), "wireshark", f"{output}.zst", [str(ARTICLE)])
    assert cf.decompress((tmp_path / "notes.pcapng.zst").read_bytes(), ".zst") == output.read_bytes()


def test_a_pcapng_keeps_its_blocks_and_comments(tmp_path: Path) -> None:
    """Commented twice: both are there, and so is what else the file held."""
    once = write([ARTICLE], {1: ["one"], 2909: ["last"]}, tmp_path / "once.pcapng")
    twice = write([once], {1: ["two", "three"], 2: ["new"]}, tmp_path / "twice.pcapng")
    shown = tshark(
        twice, "-Y", "frame.comment", "-T", "fields", "-E", "aggregator=;", "-e", "frame.number", "-e", "frame.comment"
    )
    assert shown == ["1\ttwo;three;one", "2\tnew", "2909\tlast"]
    assert told(twice) == told(ARTICLE)


def test_several_captures_become_one(tmp_path: Path) -> None:
    packets = [cf.Packet(ts, data) for _frame, ts, _link, data, _len in cf.read([ARTICLE]).rows]
    pieces = [tmp_path / "a.pcap", tmp_path / "b.pcap"]
    pieces[0].write_bytes(cf.pcap(packets[:1000]))
    pieces[1].write_bytes(cf.pcap(packets[1000:]))
    trace = analyze(pieces)
    output = tmp_path / "notes.pcapng"
    export(trace, "wireshark", str(output), [str(path) for path in pieces])
    assert told(output) == told(pieces) == told(ARTICLE)
    frames = tshark(output, "-Y", 'frame.comment contains "finding"', "-T", "fields", "-e", "frame.number")
    assert frames == ["1010", "1475", "2019"]


def test_a_folder_is_a_profile(tmp_path: Path) -> None:
    """Wireshark itself reads the colours, and every filter is one."""
    folder = tmp_path / "notes"
    export(trace_of("article"), "wireshark", str(folder), [str(ARTICLE)])
    assert {path.name for path in folder.iterdir()} == {"capture.pcapng", "dfilters", "colorfilters"}
    lines = (folder / "dfilters").read_text(encoding="utf-8").splitlines()
    filters = ["frame." + line.rpartition('" frame.')[2] for line in lines]
    by_rule = next(line for line in lines if "lookup-not-found" in line).partition('" ')[2]
    assert len(tshark(ARTICLE, "-Y", by_rule)) == 3
    for line in (folder / "colorfilters").read_text(encoding="utf-8").splitlines():
        _, name, expression, colors = line.split("@")
        filters.append(expression)
        assert name.startswith("glancetrace ")
        assert colors.count("[") == 2
    tshark(SMALL, "-Y", " or ".join(filters))  # which fails where one of them is none


def test_hostile_names_stay_one_line(tmp_path: Path) -> None:
    trace = trace_of("failures")
    export(trace, "wireshark", str(tmp_path / "notes"), [str(capture_path("failures"))])
    lines = (tmp_path / "notes" / "dfilters").read_text(encoding="utf-8").splitlines()
    assert all(line.count('"') % 2 == 0 and line.startswith('"glancetrace: ') for line in lines)
    assert all(text.isprintable() for texts in comment_frames(rows_of_result(trace)).values() for text in texts)


def test_a_comment_that_is_too_long_is_cut() -> None:
    assert len(comment_options(["ä" * 70_000])) == 4 + 0x10000
    comment_options(["ä" * 70_000])[4:-2].decode()


def test_a_damaged_pcapng_is_refused(tmp_path: Path) -> None:
    good = write([ARTICLE], {}, tmp_path / "good.pcapng").read_bytes()
    (tmp_path / "bad.pcapng").write_bytes(good[:1000] + bytes(64) + good[1000:])
    with pytest.raises(InputError, match="no pcapng block"):
        list(commented_captures([str(tmp_path / "bad.pcapng")], {}))
