"""Peak anonymous memory of `glancetrace analyze -` while an upload of any size comes through a pipe.

`python -m tests.bench.memory [BYTES ...]`: 1 GB and 4 GB unless said otherwise. The capture is generated into the pipe
and never stands on a disk. Memory is RssAnon of the process and its children, sampled while they run: pages of mapped
files do not count. The story and the hashes of the result are checked: a benchmark of a wrong answer is none.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.upload import Upload

__all__ = ["Peak", "anonymous_memory", "check_story", "measure_memory", "report"]

SIZES = (10**9, 4 * 10**9)
_INTERVAL = 0.01
_PROC = Path("/proc")


@dataclass(frozen=True)
class Peak:
    """Peak memory in bytes and the time in s that it took to analyse an upload of `size` bytes."""

    size: int
    anonymous: int
    seconds: float


def measure_memory(size: int, keylog: Path | None = None) -> Peak:
    """Generate an upload of `size` bytes into `glancetrace analyze -` and watch it; with a key log over TLS."""
    generate, given = ["tests.bench.upload", str(size)], []
    if keylog is not None:
        generate, given = ["tests.bench.tls_upload", str(size), str(keylog)], ["--keylog", str(keylog)]
        keylog.touch()
    with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as result:
        started = time.monotonic()
        generating = subprocess.Popen([sys.executable, "-m", *generate], stdout=subprocess.PIPE, stderr=told)
        analysing = subprocess.Popen(
            [sys.executable, "-m", "glancetrace", "analyze", "-", *given, "--format", "json"],
            stdin=generating.stdout,
            stdout=result,
        )
        assert generating.stdout is not None
        generating.stdout.close()
        peak = 0
        while analysing.poll() is None:
            peak = max(peak, anonymous_memory(analysing.pid))
            time.sleep(_INTERVAL)
        seconds = time.monotonic() - started
        if analysing.returncode or generating.wait():
            raise RuntimeError(f"exit codes: generator {generating.wait()}, analyze {analysing.returncode}")
        told.seek(0)
        result.seek(0)
        check_story(json.load(result), Upload(**json.load(told)))
    return Peak(size, peak, seconds)


def check_story(document: dict[str, Any], upload: Upload) -> None:
    """Raise AssertionError unless the upload is told as it happened, with the right hashes."""
    image = next(row for row in document["images"] if row["id"] == upload.image_id)
    assert [change["to"] for change in image["transitions"]] == ["queued", "saving", "active"], image["transitions"]
    assert image["size"] == upload.size, image["size"]
    on_wire = image["wire_checksum"]
    assert on_wire["complete"], on_wire
    assert (on_wire["md5"], on_wire["sha512"]) == (upload.md5, upload.sha512), on_wire


def anonymous_memory(root: int) -> int:
    """RssAnon of a process and all its descendants, in bytes."""
    return sum(map(_anonymous, _tree(root)))


def _tree(root: int) -> set[int]:
    """A process and all its descendants."""
    parents: dict[int, int] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            fields = _read(entry / "stat").rpartition(")")[2].split()
            if fields:
                parents[int(entry.name)] = int(fields[1])
    tree = {root}
    while grown := {child for child, parent in parents.items() if parent in tree} - tree:
        tree |= grown
    return tree


def _anonymous(pid: int) -> int:
    """RssAnon of a process in bytes; 0 once it is gone."""
    for line in _read(_PROC / str(pid) / "status").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def report(sizes: Sequence[int] = SIZES) -> None:
    """Print the figures for uploads of these sizes."""
    for size in sizes:
        peak = measure_memory(size)
        print(f"{peak.size:>14,} bytes uploaded: {peak.anonymous / 1e6:7.1f} MB anonymous, {peak.seconds:.1f} s")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.memory", description=__doc__)
    parser.add_argument("sizes", type=int, nargs="*", default=SIZES, help="bytes of the upload's body")
    report(parser.parse_args().sizes)


if __name__ == "__main__":
    main()
