"""Results whose tables lie on disk are those of memory, wherever the epochs end, and memory follows what is open."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tempfile
import tracemalloc
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from glancetrace import decode_shares, parquet, workers
from glancetrace.check import findings
from glancetrace.document import render_document
from glancetrace.edit.split import split_by_count
from glancetrace.epochs import run
from glancetrace.epochs.trace import SpilledTrace
from glancetrace.epochs.window import Window
from glancetrace.errors import GlancetraceError
from glancetrace.output.json import render_json
from glancetrace.pipeline import Options, analyze
from glancetrace.saved import load
from glancetrace.spill import commands as spilling
from glancetrace.trace import Trace
from tests.support.degrade import degrade, read_records
from tests.support.evaluate import evaluate
from tests.support.samples import TRUTHS, capture_path, keylog_path
from tests.support.traces import analysed

EPOCH = 2_000

Spilled = Callable[..., Trace]


@pytest.fixture
def spilled(monkeypatch: pytest.MonkeyPatch) -> Spilled:
    """Analyses a capture with tables on disk, whatever its size."""

    def analyse(name: str | Path, epoch: int = EPOCH, held: int = 10**9, at_once: int = 1_000, **options: Any) -> Trace:
        monkeypatch.setattr(spilling, "WHOLE", 1)
        monkeypatch.setattr(spilling, "_AT_ONCE", at_once)
        monkeypatch.setattr(run, "EPOCH", epoch)
        monkeypatch.setattr(run, "HELD", held)
        path = name if isinstance(name, Path) else capture_path(name)
        keys = keylog_path(name) if isinstance(name, str) else None
        trace = analyze(path, Options(**options), keylog=keys)
        assert isinstance(trace, SpilledTrace)
        return trace

    return analyse


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory for temporary files."""
    directory = tmp_path / "tmp"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    return directory


def as_json(trace: Trace) -> bytes:
    return b"".join(render_json(trace))


@pytest.mark.parametrize(
    ("name", "epoch"),
    [
        ("article", 100),
        ("article-old", 17),
        ("article-proxied-foreign", 40),
        ("article-tls13", 200),
        ("concurrent-old-8", 700),
        ("openstack-cli", 700),
        ("concurrent-old-32", 5_000),
        ("connector-pure-prepared", 7),
        ("mariadb-cli-compress", 2),
    ],
)
def test_the_result_is_that_of_memory(name: str, epoch: int, spilled: Spilled) -> None:
    whole = analysed(name, keys=keylog_path(name) is not None)
    assert as_json(spilled(name, epoch)) == as_json(whole)


def test_a_clock_that_goes_back_loses_no_statement(spilled: Spilled, tmp_path: Path) -> None:
    """Statements of a connection have the ids of their times then, not of their order."""
    header, records = read_records(capture_path("article"))
    half = len(records) // 2
    later = [(int.from_bytes(record[:4], "little") - 1).to_bytes(4, "little") + record[4:] for record in records[half:]]
    path = tmp_path / "back.pcap"
    path.write_bytes(header + b"".join(records[:half] + later))
    whole, parts = (render_document(trace)["statements"] for trace in (analyze(path), spilled(path, 700)))
    assert [row["id"] for row in parts] == [*range(1, len(whole) + 1)]
    assert [(row["sql"], row["ts"]) for row in parts] == [(row["sql"], row["ts"]) for row in whole]


def without_keystone(document: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Take Keystone's statements and their links out of a document; its links by statement."""
    own = {row["id"] for row in document["statements"] if row["service"] == "keystone"}
    taken = {link["statement_id"]: link for link in document["links"] if link["statement_id"] in own}
    document["statements"] = [row for row in document["statements"] if row["id"] not in own]
    document["links"] = [link for link in document["links"] if link["statement_id"] not in own]
    return taken


def test_keystones_certain_links_are_right_whatever_an_epoch_teaches(spilled: Spilled) -> None:
    """Who asks is learnt from an epoch's units, so what is left to one call, or too unsure to be a link, may differ."""
    of_whole, of_parts = (
        without_keystone(render_document(trace)) for trace in (analysed("hot50-32"), spilled("hot50-32"))
    )
    sure = {key: link["call_id"] for key, link in of_parts.items() if link["class"] == "certain"}
    assert len(sure) > 100
    known = {key: link["call_id"] for key, link in of_whole.items() if link["class"] == "certain"}
    assert {key: call for key, call in sure.items() if known.get(key, call) != call} == {}
    assert len(of_parts) == pytest.approx(len(of_whole), rel=0.1)


def test_units_wait_for_the_calls_that_may_have_run_them(spilled: Spilled, tmp_path: Path) -> None:
    """A call that goes on over the end of an epoch has its units on both sides, and so have its rivals."""
    path = degrade(capture_path("hot50-32"), "cut in middle", tmp_path / "degraded.pcap")
    documents = [render_document(trace) for trace in (analyze(path, Options()), spilled(path, 2_500, at_once=16_000))]
    for document in documents:
        without_keystone(document)
    whole, parts = ({link["statement_id"]: link["call_id"] for link in document["links"]} for document in documents)
    assert parts.keys() == whole.keys()
    assert sum(parts[key] != whole[key] for key in whole) <= 0.002 * len(whole)


@pytest.mark.parametrize("name", ["failures", "hot50-32"])
def test_only_what_is_inferred_depends_on_what_an_epoch_teaches(name: str, spilled: Spilled) -> None:
    """Where calls compete, scores come from what was learnt: everything else is the same, and hardly a link differs."""
    whole, parts = render_document(analysed(name)), render_document(spilled(name))
    without_keystone(whole), without_keystone(parts)
    whole_links, links = whole.pop("links"), parts.pop("links")
    assert {**parts, "findings": [], "images": []} == {**whole, "findings": [], "images": []}
    for one, other in zip(parts["images"], whole["images"], strict=True):
        for image in (one, other):
            for row in (*image["transitions"], *image["events"]):
                del row["call_id"]
        assert one == other
    assert [link["statement_id"] for link in links] == [link["statement_id"] for link in whole_links]
    differ = [(one, other) for one, other in zip(links, whole_links, strict=True) if one["call_id"] != other["call_id"]]
    assert len(differ) <= 0.005 * len(links)
    assert all(one["class"] in ("inferred", "twin") for one, _ in differ)


def test_attribution_is_as_right(spilled: Spilled) -> None:
    """Epochs as small as these teach less than those of a large capture do."""
    folder = TRUTHS["failures"]
    whole = evaluate(folder, render_document(analysed("failures")))
    parts = evaluate(folder, render_document(spilled("failures")))
    for figure, value in whole.items():
        if isinstance(value, int | float):
            assert parts[figure] == pytest.approx(value, rel=0.005), figure


def test_it_depends_on_neither_blocks_nor_files_nor_processes(
    spilled: Spilled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two clients compete here in every epoch, so the place where an epoch ends shows in the scores."""
    path = capture_path("hot50-32")
    expected = as_json(spilled("hot50-32", 4_000))
    monkeypatch.setattr(decode_shares, "_WORTH_SHARING", 0)
    monkeypatch.setattr(spilling, "_AT_ONCE", 3_333)
    paths = [piece.path for piece in split_by_count([str(path)], str(tmp_path / "piece.pcap"), 9_000)]
    assert len(paths) > 2
    whole = json.loads(expected)
    parts = json.loads(as_json(analyze(paths, Options(block_size=1 << 17, jobs=3))))
    del whole["capture"]["files"], parts["capture"]["files"]
    assert parts == whole


def test_a_process_that_fails_leaves_nothing_in_the_result(spilled: Spilled, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(decode_shares, "_WORTH_SHARING", 0)
    monkeypatch.setattr(workers, "pack_rows", fail)
    assert as_json(spilled("article", 200, jobs=2)) == as_json(analysed("article"))


def test_memory_follows_what_is_open(spilled: Spilled, monkeypatch: pytest.MonkeyPatch) -> None:
    """Statements that are in memory at a time, of all that there are: those of an epoch and those that are open."""
    held: list[int] = []
    take = run._Output.take

    def counting(output: run._Output, *args: Any) -> None:
        take(output, *args)
        held.append(len(output._pending) + len(windows[0]))

    windows: list[Window] = []
    begin = Window.__init__

    def remember(window: Window, *args: Any) -> None:
        windows.append(window)
        begin(window, *args)

    monkeypatch.setattr(run._Output, "take", counting)
    monkeypatch.setattr(Window, "__init__", remember)
    trace = spilled("concurrent-old-32", epoch=500, held=2_000)
    assert len(trace.tables.statements) > 12_000
    assert len(held) > 24
    assert max(held) <= 2_500
    assert held[-1] == 0


def test_a_transaction_that_is_open_for_too_long_is_cut(spilled: Spilled) -> None:
    """It is said so; its statements are there, and their outcome is not known."""
    whole, parts = analysed("concurrent-old-8"), spilled("concurrent-old-8", epoch=100, held=100)
    cut = [issue for issue in parts.tables.issues if issue.kind == "sql-unit-cut"]
    assert sum(issue.count for issue in cut) > 0
    assert len(parts.tables.statements) == len(whole.tables.statements)
    for one, other in zip(parts.tables.statements, whole.tables.statements, strict=True):
        assert (one.id, one.command.first_frame, one.command.sql) == (
            other.id,
            other.command.first_frame,
            other.command.sql,
        )
        assert one.outcome in (other.outcome, "unknown")


def test_nothing_is_left_of_a_result(spilled: Spilled, temporary: Path) -> None:
    opened = len(os.listdir("/proc/self/fd"))
    trace = spilled("article")
    assert len(os.listdir("/proc/self/fd")) > opened
    assert not list(temporary.iterdir())
    del trace
    assert len(os.listdir("/proc/self/fd")) == opened


@pytest.mark.parametrize("jobs", [1, 2])
def test_nothing_is_left_of_a_failure(
    jobs: int, spilled: Spilled, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode_shares, "_WORTH_SHARING", 0)
    opened = len(os.listdir("/proc/self/fd"))

    def interrupted(evidence: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "look_through", interrupted)
    with pytest.raises(KeyboardInterrupt):
        spilled("article", jobs=jobs)
    monkeypatch.setattr(run, "look_through", findings.look_through)
    write, left = os.pwrite, [3]

    def full(file: int, data: bytes, at: int) -> int:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(file, data, at)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(GlancetraceError, match="No space left"):
        spilled("article", epoch=100)
    assert not list(temporary.iterdir())
    assert len(os.listdir("/proc/self/fd")) == opened


_SMALL = "import glancetrace.spill.commands as c, glancetrace.epochs.run as r; c.WHOLE = 1; r.EPOCH = 200; "
_MAIN = "import sys; from glancetrace.cli import main; sys.exit(main())"


@pytest.mark.parametrize("options", [(), ("--reveal", "--format", "json")])
def test_the_command_line_shows_the_same(options: tuple[str, ...], tmp_path: Path) -> None:
    arguments = ["analyze", str(capture_path("article-old")), "--no-progress", *options]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    whole, spilled = (
        subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, check=True, env=environment)
        for code in (_MAIN, _SMALL + _MAIN)
    )
    assert spilled.stdout == whole.stdout
    assert spilled.stderr == whole.stderr
    assert not list(tmp_path.iterdir())


def test_a_saved_result_is_the_same(spilled: Spilled, tmp_path: Path) -> None:
    trace = spilled("article-proxied-foreign")
    trace.save(tmp_path / "parts")
    analysed("article-proxied-foreign").save(tmp_path / "whole")
    for file in (tmp_path / "whole").iterdir():
        assert (tmp_path / "parts" / file.name).read_bytes() == file.read_bytes()
    assert load(tmp_path / "parts").count("statements") == len(trace.tables.statements)


def test_saving_builds_some_rows_at_a_time(spilled: Spilled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_ROWS_AT_ONCE", 64)
    monkeypatch.setattr(run, "GROUP_ROWS", 64)
    trace = spilled("article-old", 200)

    def peak_of(use: Callable[[], object]) -> int:
        use()  # what is imported and remembered then is not counted
        tracemalloc.start()
        try:
            use()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    everything = peak_of(lambda: list(trace.rows("statements")))
    assert peak_of(lambda: trace.save(tmp_path / "saved")) < 0.5 * everything
    saved = load(tmp_path / "saved")
    assert peak_of(lambda: deque(saved.rows("statements"), maxlen=0)) < 0.5 * everything
    assert pq.ParquetFile(tmp_path / "saved" / "statements.parquet").num_row_groups == -(
        -len(trace.tables.statements) // 64
    )


def test_python_finds_its_way_in_it(spilled: Spilled) -> None:
    whole, parts = analysed("failures"), spilled("failures")
    assert parts.counted == whole.counted
    assert len(parts.link_of) == len(whole.link_of)
    assert set(parts.link_of) == set(whole.link_of)
    assert parts.link_of.get(10**9) is None
    statement = whole.tables.links[0].statement_id
    assert parts.link_of[statement].call_id == whole.link_of[statement].call_id
    call = whole.tables.links[0].call_id
    assert [s.id for s in parts.statements_of(call)] == [s.id for s in whole.statements_of(call)]
    assert parts.row("statements", statement) == whole.row("statements", statement)
    assert (
        str(parts.explain(statement=statement)).splitlines()[:2]
        == (str(whole.explain(statement=statement)).splitlines()[:2])
    )
    image = whole.tables.images[0].id
    assert repr(parts.image(image)) == repr(whole.image(image))
    assert list(parts.frame("transitions")["to"]) == list(whole.frame("transitions")["to"])
