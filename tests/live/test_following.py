"""`glancetrace.open`: the rows of a watch, as they come, for Python."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import glancetrace as gt
from glancetrace.errors import InputError, UsageError
from glancetrace.live import following
from glancetrace.live.watcher import Row, Watcher, WatchOptions
from tests.support.samples import capture_path, keylog_path
from tests.support.watching import capture_bytes, records_of


def told(name: str) -> list[Row]:
    """What a watcher tells of a finished capture."""
    from glancetrace.live.interrupt import Interrupt
    from glancetrace.live.watching import watch_file

    rows: list[Row] = []
    watcher = Watcher(WatchOptions(), rows.append)
    watch_file(str(capture_path(name)), watcher, Interrupt())
    watcher.finish()
    return rows


def test_rows_are_those_of_watch() -> None:
    with gt.open(capture_path("article")) as rows:
        found = list(rows)
        assert next(rows, None) is None
    assert found == told("article")
    assert found[-1]["kind"] == "summary"
    assert [row["to"] for row in found if row["kind"] == "status"] == ["queued", "saving", "active"] * 3


def test_a_slow_reader_holds_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_AHEAD", 1)
    with gt.open(capture_path("article")) as rows:
        assert sum(1 for _ in rows) == len(told("article"))


def test_keys() -> None:
    with gt.open(capture_path("article-tls13"), keylog=keylog_path("article-tls13")) as rows:
        assert any(row["kind"] == "call" for row in rows)


def rows_until(rows: Iterator[Row], status: str) -> Row:
    return next(row for row in rows if row["kind"] == "status" and row["to"] == status)


def test_a_file_that_grows_is_followed_until_the_context_ends(tmp_path: Path) -> None:
    header, records = records_of(capture_bytes(capture_path("article")))
    path = tmp_path / "growing.pcap"
    path.write_bytes(header + b"".join(records[:2000]))
    with gt.open(path, follow=True) as rows:
        assert rows_until(rows, "active")["frames"][0] < 2000
        with path.open("ab") as file:
            file.write(b"".join(records[2000:]))
        assert rows_until(rows, "active")["frames"][0] > 1000
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("glancetrace")]
    assert next(rows, None) is None


def test_an_early_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the watch waits for its reader."""
    monkeypatch.setattr(following, "_AHEAD", 1)
    with gt.open(capture_path("failures")) as rows:
        next(rows)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("glancetrace")]


def test_what_is_wrong_is_raised_where_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no capture\n" * 10)
    with gt.open(path) as rows, pytest.raises(InputError, match="is no capture"):
        next(rows)
    with gt.open(tmp_path / "missing") as rows, pytest.raises(InputError):
        next(rows)
    with pytest.raises(UsageError, match="only a file can be followed"):
        gt.open("-", follow=True)
