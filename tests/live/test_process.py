"""The command as it is used: fed packet by packet, followed, interrupted, cut off, recording."""

from __future__ import annotations

import json
import os
import signal
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from glancetrace.pipeline import analyze
from tests.support.samples import capture_path
from tests.support.watching import Watch, capture_bytes, records_of

ARTICLE = capture_path("article")


@pytest.fixture(scope="module")
def article() -> tuple[bytes, list[bytes]]:
    return records_of(capture_bytes(ARTICLE))


@pytest.fixture(scope="module")
def commits() -> list[tuple[int, str, str]]:
    """Frame with the last byte of the OK to each COMMIT that changed a status, image and status, in order."""
    trace = analyze(str(ARTICLE))
    answers = {s.command.request_frame: s.command.response_frame for s in trace.tables.statements}
    found = [
        (answers[t.commit_frame or 0] or 0, image.id, t.to_status)
        for image in trace.tables.images
        for t in image.transitions
    ]
    return sorted(found)


def test_a_change_is_told_with_the_packet_that_makes_it_true(
    article: tuple[bytes, list[bytes]], commits: list[tuple[int, str, str]]
) -> None:
    """Nothing more is sent until the line is there: a watch that waited for a block, or a packet, would hang here."""
    header, records = article
    with Watch("-", "--format", "jsonl") as watch:
        watch.send(header)
        sent = 0
        for frame, image_id, status in commits:
            for record in records[sent:frame]:
                watch.send(record)
            sent = frame
            row = watch.row("status")
            assert (row["image_id"], row["to"]) == (image_id, status)
        watch.interrupt()
        out, err = watch.rest()
    assert '"kind":"summary"' in out.splitlines()[-1]
    assert (watch.process.returncode, err) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_with_the_summary(article: tuple[bytes, list[bytes]], number: int) -> None:
    header, records = article
    with Watch("-") as watch:
        watch.send(header + b"".join(records[:1300]))
        while "saving → active" not in watch.line():
            pass
        watch.interrupt(number)
        out, err = watch.rest()
    assert "Summary  1,300 packets" in out
    assert "3 status changes" in out
    assert (watch.process.returncode, err) == (0, "")


def test_nobody_reads_any_more(article: tuple[bytes, list[bytes]]) -> None:
    header, records = article
    with Watch("-") as watch:
        assert watch.process.stdout is not None
        watch.process.stdout.close()
        with suppress(BrokenPipeError):  # it has gone before it read everything
            watch.send(header + b"".join(records))
        watch.process.wait(30)
        assert watch.process.stderr is not None
        assert watch.process.stderr.read() == b""


@pytest.fixture
def growing(tmp_path: Path, article: tuple[bytes, list[bytes]]) -> Iterator[tuple[Path, Watch]]:
    """A file that holds the first image, and somebody who watches it."""
    header, records = article
    path = tmp_path / "growing.pcap"
    path.write_bytes(header + b"".join(records[:1300]))
    with Watch(str(path), "--follow", "--format", "jsonl") as watch:
        assert [watch.row("status")["to"] for _ in range(3)] == ["queued", "saving", "active"]
        yield path, watch


def _ends(watch: Watch, last_frame: int, packets: int) -> None:
    """It sums up what it had read: all that it told of, at most all there was; the rest of a file may come too late."""
    watch.interrupt()
    summary = json.loads(watch.rest()[0].splitlines()[-1])
    assert last_frame <= summary["packets"] <= packets
    assert watch.process.returncode == 0


def test_a_file_that_grows(growing: tuple[Path, Watch], article: tuple[bytes, list[bytes]]) -> None:
    path, watch = growing
    rest = b"".join(article[1][1300:1860])
    with path.open("ab") as file:
        file.write(rest[:1000])  # in the middle of a record
        file.flush()
        file.write(rest[1000:])
        file.flush()
        rows = [watch.row("status") for _ in range(3)]
    assert [row["to"] for row in rows] == ["queued", "saving", "active"]
    _ends(watch, rows[2]["frames"][-1], 1860)


def test_a_file_that_is_rotated(growing: tuple[Path, Watch], article: tuple[bytes, list[bytes]]) -> None:
    """What the old one still got is read, and connections go on in the new one; so does the count of frames."""
    path, watch = growing
    header, records = article
    with path.open("ab") as file:
        file.write(b"".join(records[1300:1505]))
    new = path.with_suffix(".new")
    new.write_bytes(header + b"".join(records[1505:1860]))
    path.rename(path.with_suffix(".old"))
    new.rename(path)
    rows = [watch.row("status") for _ in range(3)]
    assert [row["to"] for row in rows] == ["queued", "saving", "active"]
    assert rows[2]["frames"] == [1819, 1832]
    assert watch.complaint() == f"glancetrace: {path}: was rotated; going on with the file of that name\n"
    _ends(watch, 1832, 1860)


def test_a_file_that_is_written_anew(growing: tuple[Path, Watch], article: tuple[bytes, list[bytes]]) -> None:
    path, watch = growing
    header, records = article
    path.write_bytes(header + b"".join(records[1300:1860]))
    rows = [watch.row("status") for _ in range(3)]
    assert [row["to"] for row in rows] == ["queued", "saving", "active"]
    assert "was truncated" in watch.complaint()
    _ends(watch, rows[2]["frames"][-1], 1860)


def test_a_file_that_becomes_something_else(growing: tuple[Path, Watch]) -> None:
    """What was seen is summed up all the same."""
    path, watch = growing
    new = path.with_suffix(".new")
    new.write_bytes(b"this is no capture at all")
    new.rename(path)
    out, err = watch.rest()
    assert '"packets":1300' in out.splitlines()[-1]
    assert watch.process.returncode == 3
    assert "is no capture that can be followed" in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("missing.pcap", "--follow"), 3, "missing.pcap: no such file"),
        ((str(ARTICLE), "--follow"), 3, "not compressed"),
        (("-", "--follow"), 2, "only a file can be followed"),
        ((), 2, "either a capture or an interface"),
        (("-", "-i", "any"), 2, "either a capture or an interface"),
        (("-i", "-w"), 2, "no interface"),
        (("-", "--stuck-after", "soon"), 2, "no duration"),
        (("-", "--tz", "Nowhere/Land"), 2, "no time zone"),
        (("-",), 3, "is empty"),
    ],
)
def test_what_cannot_be_watched(tmp_path: Path, args: tuple[str, ...], code: int, said: str) -> None:
    with Watch(*args) as watch:
        out, err = watch.rest()
    assert (watch.process.returncode, out, err.count("\n")) == (code, "", 1)
    assert said in err


def _recorder(folder: Path, script: str) -> dict[str, str]:
    """A `dumpcap` that does something else; it comes first on the way to look for programs."""
    path = folder / "dumpcap"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def test_a_recorder_is_told_to_stop_and_read_to_its_end(tmp_path: Path, article: tuple[bytes, list[bytes]]) -> None:
    header, records = article
    first, last = tmp_path / "first", tmp_path / "last"
    first.write_bytes(header + b"".join(records[:1300]))
    last.write_bytes(b"".join(records[1300:1860]))
    # SIGINT: what it still held comes out, and it ends.
    script = f"trap 'cat {last}; exit 0' INT\ncat {first}\nwhile :; do sleep 0.05; done"
    with Watch("-i", "any", "--format", "jsonl", environment=_recorder(tmp_path, script)) as watch:
        assert [watch.row("status")["to"] for _ in range(3)] == ["queued", "saving", "active"]
        watch.interrupt()
        out, err = watch.rest()
    assert '"packets":1860' in out.splitlines()[-1]
    assert (watch.process.returncode, err) == (0, "")


def test_a_recorder_that_may_not(tmp_path: Path) -> None:
    script = "echo 'Capturing on any' >&2\necho 'dumpcap: You do not have permission.' >&2\nexit 1"
    with Watch("-i", "any", environment=_recorder(tmp_path, script)) as watch:
        out, err = watch.rest()
    assert (watch.process.returncode, out, err.count("\n")) == (3, "", 1)
    assert err.startswith("glancetrace: dumpcap: You do not have permission; ")
