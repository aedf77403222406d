"""Tables on disk come back as they were, leave nothing behind, and cannot be read by anybody else."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glancetrace.errors import GlancetraceError
from glancetrace.spill import parts as parting
from glancetrace.spill import rows as grouping
from glancetrace.spill.columns import CELLS, NUMBER, ROWS, TEXT, TIME, WIDE, joined, pack_column, unpack_column
from glancetrace.spill.file import TableFile
from glancetrace.spill.parts import SpooledParts
from glancetrace.spill.rows import RowType, SpooledRows

NUMBERS: RowType[int] = RowType(
    pa.schema([("number", NUMBER), ("text", TEXT)]),
    lambda rows: [rows, [str(row) for row in rows]],
    lambda columns: [int(text) for text in columns[1]],
)
SECRET = "gAAAAABeS2" + "q" * 90


def texts(*values: str | None) -> pa.Table:
    return pa.table({"text": pack_column(TEXT, values)})


def values_of(table: pa.Table) -> Sequence[str | None]:
    return unpack_column(TEXT, table.column(0).chunk(0))


cells = st.none() | st.text() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.binary()
rows_of_cells = st.lists(st.lists(cells, max_size=3).map(tuple), max_size=3)


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        (NUMBER, st.none() | st.integers(-(2**63), 2**63 - 1)),
        (WIDE, st.none() | st.integers(0, 2**64 - 1)),
        (TIME, st.none() | st.integers(-(2**63) + 1, 2**63 - 1)),
        (TEXT, st.none() | st.text()),
        (CELLS, st.none() | st.lists(cells, max_size=3).map(tuple)),
        (ROWS, st.none() | rows_of_cells),
    ],
    ids=["number", "wide", "time", "text", "cells", "rows"],
)
@given(st.data())
def test_values_come_back(type_: pa.DataType, values: st.SearchStrategy[object], data: st.DataObject) -> None:
    """Whole, and some of them."""
    given_values = data.draw(st.lists(values, max_size=8))
    array = pack_column(type_, given_values)
    array.validate(full=True)
    assert list(unpack_column(type_, array)) == given_values
    start = data.draw(st.integers(0, len(given_values)))
    assert list(unpack_column(type_, array.slice(start))) == given_values[start:]


def test_joined_tables_hold_no_texts_of_others() -> None:
    whole = joined([texts("a", SECRET, "a").slice(2), texts(None, "b")])
    assert values_of(whole) == ["a", None, "b"]
    assert SECRET not in whole.column(0).chunk(0).dictionary.to_pylist()


def test_row_groups_come_back() -> None:
    file = TableFile()
    groups = [file.write(texts("a", None, "b")), file.write(texts("b"))]
    assert [values_of(file.read(group)) for group in reversed(groups)] == [["b"], ["a", None, "b"]]
    file.close()
    assert values_of(file.read(0)) == ["a", None, "b"]


def test_file_has_no_name_and_no_plain_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values, statistics, names of columns and keys: all of it is encrypted."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    file = TableFile()
    file.write(texts(SECRET))
    file.finish()
    assert not list(tmp_path.iterdir())
    written = os.pread(file._file._file, file.size, 0)
    assert written[:4] == written[-4:] == b"PARE"  # Parquet with an encrypted footer
    for plain in (SECRET[:8].encode(), b"text", file._key):
        assert plain not in written
    copy = tmp_path / "copy.parquet"
    copy.write_bytes(written)
    with pytest.raises(OSError, match="decrypt"):
        pq.ParquetFile(copy)


def test_full_disk_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    file = TableFile()
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(GlancetraceError, match=r"temporary file cannot be used: .*No space left on device; .*TMPDIR"):
        file.write(pa.table({"noise": [os.urandom(5_000_000)]}))


def test_broken_disk_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    file = TableFile()
    file.write(texts("a"))
    file.finish()
    os.pwrite(file._file._file, b"XX", 10)
    with pytest.raises(GlancetraceError, match="temporary file cannot be used"):
        file.read(0)


def test_no_place_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(GlancetraceError, match="gone: a temporary file cannot be used: No such file"):
        TableFile()


def test_short_writes_are_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    file, write = TableFile(), os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: write(fd, bytes(data[:7]), at))
    file.write(texts("0123456789"))
    assert values_of(file.read(0)) == ["0123456789"]


def test_nothing_is_left_open() -> None:
    opened = len(os.listdir("/proc/self/fd"))
    files = [TableFile() for _ in range(3)]
    files[0].write(texts("a"))
    files[1].write(texts("b"))
    files[1].read(0)
    assert len(os.listdir("/proc/self/fd")) == opened + 3
    files.clear()
    assert len(os.listdir("/proc/self/fd")) == opened


@given(st.lists(st.integers(0, 9), max_size=40), st.integers(1, 7), st.integers(-45, 45))
def test_rows_on_disk_are_as_a_list(rows: list[int], group_rows: int, index: int) -> None:
    table = SpooledRows(NUMBERS, group_rows)
    table.extend(rows[:20])
    table.flush()
    table.extend(rows[20:])
    assert list(table) == rows
    assert len(table) == len(rows)
    assert table[3:index] == rows[3:index]
    if -len(rows) <= index < len(rows):
        assert table[index] == rows[index]
    else:
        with pytest.raises(IndexError):
            table[index]


def test_many_row_groups_are_many_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """The footer of a file that is in use is in memory."""
    monkeypatch.setattr(grouping, "_GROUPS_OF_FILE", 3)
    opened = len(os.listdir("/proc/self/fd"))
    table = SpooledRows(NUMBERS, 2)
    table.extend(range(20))
    assert len(os.listdir("/proc/self/fd")) == opened + 4
    assert [table[index] for index in (19, 0, 11, 10)] == [19, 0, 11, 10]
    assert sum(file._reader is not None for file in table._groups._files) == 1
    assert list(table) == list(range(20))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=30), st.integers(1, 12))
def test_parts_are_read_apart(rows: list[tuple[int, int]], kept: int) -> None:
    table: SpooledParts[int] = SpooledParts(NUMBERS, 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parting, "_BYTES_KEPT", 50 * kept)
        for start in range(0, len(rows), 5):
            some = rows[start : start + 5]
            table.extend({part: [row for own, row in some if own == part] for part in {part for part, _ in some}})
        for part in range(4):
            assert list(table.read(part)) == [row for own, row in rows if own == part]
