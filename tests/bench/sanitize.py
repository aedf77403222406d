"""How fast `glancetrace sanitize` is, as a ratio to `analyze` over the same capture.

`python -m tests.bench.sanitize [--runs N] [CAPTURE ...]`: without captures, the sample of 16 clients and a generated
upload of 300 MB. Whole commands are timed, start-up included, in turns; figures are medians. At most 2.0 is wanted.
"""

from __future__ import annotations

import argparse
import compileall
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.speed import PACKAGE, time_command, unpacked_sample
from tests.bench.upload import write_upload

__all__ = ["measure", "report"]

_UPLOAD = 300_000_000


def measure(capture: Path, output: Path, runs: int) -> tuple[float, float]:
    """Medians in s of `analyze` and of `sanitize`."""
    glancetrace = [sys.executable, "-m", "glancetrace"]
    commands = [[*glancetrace, "analyze", str(capture)], [*glancetrace, "sanitize", str(capture), "-o", str(output)]]
    times: list[list[float]] = [[], []]
    compileall.compile_dir(PACKAGE, quiet=1)
    for _ in range(runs):
        for taken, command in zip(times, commands, strict=True):
            taken.append(time_command(command))
    return statistics.median(times[0]), statistics.median(times[1])


def report(captures: Sequence[Path] = (), runs: int = 3) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        chosen = list(captures)
        if not chosen:
            chosen = [unpacked_sample("concurrent-16", Path(folder)), Path(folder) / "upload.pcap"]
            with chosen[1].open("wb") as file:
                write_upload(file, _UPLOAD)
        for capture in chosen:
            analyze, sanitize = measure(capture, Path(folder) / "clean.pcap", runs)
            print(f"{capture.name}: analyze {analyze:.2f} s, sanitize {sanitize:.2f} s, ratio {sanitize / analyze:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("captures", nargs="*", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    report(arguments.captures, arguments.runs)
