"""A table on disk that nobody else can read: a Parquet file without a name, written row group by row group.

The file has no name (O_TMPFILE, or unlinked at once), so nothing is left of it however the process ends. What captures
hold is secret until it is redacted, and blocks of a deleted file stay on a disk for long: so columns and footer are
encrypted with Parquet's modular encryption (AES_GCM_V1, the footer's key for all), whose keys are random, and wrapped
(RFC 3394) with one that never leaves the process.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from glancetrace.errors import GlancetraceError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

__all__ = ["TableFile"]

_KEY = 32
_AT_ONCE = 1 << 20
"""Bytes that are written to the disk at a time."""


class TableFile:
    """Row groups of one schema; what was written is read when no more follows.

    It is made before the process is forked that is to write it, and read by the one that made it.

    Attributes:
        groups: how many this process has written. finished: nothing is written any more.

    Raises:
        GlancetraceError: it cannot be made.
    """

    def __init__(self) -> None:
        try:
            self._file = _NamelessFile()
        except OSError as error:
            _refuse(error)
        self._key = os.urandom(_KEY)
        self._sink: io.BufferedWriter | None = None
        self._writer: pq.ParquetWriter | None = None
        self._reader: pq.ParquetFile | None = None
        self.groups = 0
        self.finished = False

    @property
    def size(self) -> int:
        """Bytes that are on disk."""
        return self._file.size

    def write(self, table: pa.Table) -> int:
        """Write a row group; returns its number, from 0.

        Raises:
            GlancetraceError: the disk is full, or broken.
        """
        with _on_disk():
            if self._writer is None:
                self._writer = self._open_writer(table.schema)
            self._writer.write_table(table, row_group_size=max(1, len(table)))
        self.groups += 1
        return self.groups - 1

    def finish(self) -> None:
        """Nothing is written any more.

        Raises:
            GlancetraceError: the disk is full, or broken.
        """
        self.finished = True
        writer, self._writer = self._writer, None
        if writer is not None and self._sink is not None:
            with _on_disk():
                writer.close()
                self._sink.flush()

    def read(self, group: int) -> pa.Table:
        """A row group; nothing is written after that.

        Raises:
            GlancetraceError: the disk is broken.
        """
        self.finish()
        with _on_disk():
            if self._reader is None:
                self._reader = self._open_reader()
            return self._reader.read_row_group(group, use_threads=False)

    def close(self) -> None:
        """Let go of what reading takes; it may be read again."""
        self._reader = None

    def _open_writer(self, schema: pa.Schema) -> pq.ParquetWriter:
        import pyarrow.parquet as pq

        from glancetrace.spill.columns import texts_of
        from glancetrace.spill.keys import to_encrypt

        self._sink = io.BufferedWriter(self._file, _AT_ONCE)  # type: ignore[arg-type]  # see `write`
        return pq.ParquetWriter(
            self._sink,
            schema,
            compression="lz4",
            use_dictionary=texts_of(schema),
            write_statistics=False,
            encryption_properties=to_encrypt(self._key),
        )

    def _open_reader(self) -> pq.ParquetFile:
        import pyarrow as pa
        import pyarrow.parquet as pq

        from glancetrace.spill.keys import to_decrypt

        source = pa.PythonFile(self._file, "r")
        return pq.ParquetFile(source, pre_buffer=False, decryption_properties=to_decrypt(self._key))


class _NamelessFile(io.RawIOBase):
    """A temporary file in the directory for such files (TMPDIR), with a place where it is read and written."""

    def __init__(self) -> None:
        self._file = -1
        with tempfile.TemporaryFile(buffering=0) as file:
            self._file = os.dup(file.fileno())
        self._at = 0

    @property
    def size(self) -> int:
        """Bytes that it has."""
        return os.fstat(self._file).st_size

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_CUR:
            offset += self._at
        elif whence == os.SEEK_END:
            offset += self.size
        self._at = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        data = os.pread(self._file, self.size - self._at if size < 0 else size, self._at)
        self._at += len(data)
        return data

    def write(self, data: bytes) -> int:  # type: ignore[override]  # typeshed wants a type of Python 3.12
        count = os.pwrite(self._file, data, self._at)
        self._at += count
        return count

    def close(self) -> None:
        if not self.closed:
            super().close()
            if self._file >= 0:
                os.close(self._file)


@contextmanager
def _on_disk() -> Iterator[None]:
    """What goes wrong meanwhile is the disk's fault."""
    import pyarrow as pa

    try:
        yield
    except (OSError, pa.ArrowException) as error:
        _refuse(error)


def _refuse(error: Exception) -> NoReturn:
    what = (error.strerror if isinstance(error, OSError) else None) or str(error)
    raise GlancetraceError(
        f"a temporary file cannot be used: {what}",
        where=tempfile.gettempdir(),
        action="name a directory with more room in TMPDIR",
    ) from None
