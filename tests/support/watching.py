"""A `glancetrace watch` under way: a process that is fed step by step and whose lines are read as they come."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import select
import signal
import struct
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

import zstandard

__all__ = ["PATIENCE", "Watch", "capture_bytes", "records_of"]

PATIENCE = 30
"""Seconds that a line may take before a test gives up; it asserts that the line comes, not how fast."""


def capture_bytes(path: Path) -> bytes:
    """A sample, decompressed."""
    data = path.read_bytes()
    if path.suffix == ".zst":
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    if path.suffix == ".xz":
        return lzma.decompress(data)
    return gzip.decompress(data) if path.suffix == ".gz" else data


def records_of(data: bytes) -> tuple[bytes, list[bytes]]:
    """The header of a little-endian pcap file, and its records; record `n - 1` is frame n."""
    records = []
    at = 24
    while at < len(data):
        length = 16 + struct.unpack_from("<I", data, at + 8)[0]
        records.append(data[at : at + length])
        at += length
    return data[:24], records


class Watch:
    """The process; a context manager that ends it."""

    def __init__(self, *args: str, environment: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "glancetrace", "watch", *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, **(environment or {})},
        )
        self._unread = b""

    def send(self, data: bytes) -> None:
        """Write to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(data)

    def line(self) -> str:
        """Its next line; fails if none comes."""
        assert self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        while b"\n" not in self._unread:
            assert select.select([descriptor], [], [], PATIENCE)[0], "no line came"
            more = os.read(descriptor, 1 << 16)
            assert more, f"it ended: {self.rest()[1]}"
            self._unread += more
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()

    def row(self, kind: str | None = None) -> dict[str, Any]:
        """Its next row, or the next of a kind."""
        while True:
            row: dict[str, Any] = json.loads(self.line())
            if kind is None or row["kind"] == kind:
                return row

    def complaint(self) -> str:
        """The next line on standard error."""
        assert self.process.stderr is not None
        assert select.select([self.process.stderr], [], [], PATIENCE)[0], "nothing was said"
        return self.process.stderr.readline().decode()

    def interrupt(self, number: int = signal.SIGINT) -> None:
        """Ctrl-C."""
        self.process.send_signal(number)

    def rest(self) -> tuple[str, str]:
        """What is left of its output and its complaints, when it has ended."""
        out, err = self.process.communicate(timeout=PATIENCE)
        return (self._unread + out).decode(), err.decode()

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        self.process.wait()
