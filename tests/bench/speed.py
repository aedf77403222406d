"""How fast `glancetrace analyze` is, as a ratio to tshark over the same capture.

`python -m tests.bench.speed [--runs N] [CAPTURE ...]`: without captures, the sample of 16 clients, a generated upload
of 1 GB, a million packets that are nearly all SQL, and a million that nobody wants. The reference only prints frame
numbers, SQL and URIs; it decodes without reassembly where there are uploads, since with it its time grows with the
square of the body (those of the sample are small: both ways are timed). Whole commands are timed, start-up included, in
turns; figures are medians. A reference that fails or times out fails the benchmark. Modules are compiled beforehand, as
pip does when it installs them.
"""

from __future__ import annotations

import argparse
import compileall
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.memory import check_story
from tests.bench.sql_heavy import write_sql_heavy
from tests.bench.unwanted import write_unwanted
from tests.bench.upload import write_upload
from tests.support.samples import capture_path

__all__ = ["PACKAGE", "Speed", "generated_upload", "measure_speed", "report", "time_command", "unpacked_sample"]

_TIMEOUT = 600
PACKAGE = Path(__file__).resolve().parents[2] / "glancetrace"


@dataclass(frozen=True)
class Speed:
    """Medians in s over one capture."""

    capture: str
    reference: float
    text: float
    json: float

    @property
    def text_ratio(self) -> float:
        """How many times faster than the reference `analyze` is."""
        return self.reference / self.text

    @property
    def json_ratio(self) -> float:
        """The same of `analyze --format json`."""
        return self.reference / self.json


def measure_speed(capture: Path, runs: int, *, uploads: bool) -> Speed:
    """Time the three commands in turns; `uploads`: the reference decodes without reassembly."""
    analyze = [sys.executable, "-m", "glancetrace", "analyze", str(capture)]
    commands = {"reference": _reference(capture, uploads), "text": analyze, "json": [*analyze, "--format", "json"]}
    times: dict[str, list[float]] = {name: [] for name in commands}
    compileall.compile_dir(PACKAGE, quiet=1)
    for _ in range(runs):
        for name, command in commands.items():
            times[name].append(time_command(command))
    return Speed(capture.name, **{name: statistics.median(taken) for name, taken in times.items()})


def time_command(command: list[str]) -> float:
    """Seconds that a command takes; one that fails or takes too long ends the benchmark.

    `subprocess.run` with a timeout would look for the end only every 50 ms.
    """
    started = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        watchdog = threading.Timer(_TIMEOUT, process.kill)
        watchdog.start()
        code = process.wait()
        took = time.monotonic() - started
        watchdog.cancel()
    if code:
        raise subprocess.CalledProcessError(code, command)
    return took


def _reference(capture: Path, uploads: bool) -> list[str]:
    options = ["-o", "tcp.desegment_tcp_streams:FALSE"] if uploads else []
    decode_as = ["-d", "tcp.port==13000,http", "-d", "tcp.port==13292,http"]
    fields = ["-T", "fields", "-e", "frame.number", "-e", "mysql.query", "-e", "http.request.uri"]
    return ["tshark", "-r", str(capture), *options, *decode_as, "-Y", "http or mysql", *fields]


def unpacked_sample(name: str, folder: Path) -> Path:
    """A sample without its compression, which is not what is measured."""
    packed = capture_path(name)
    plain = folder / packed.stem
    tool = {".gz": "gzip", ".zst": "zstd"}[packed.suffix]
    with plain.open("wb") as out:
        subprocess.run([tool, "-dc", str(packed)], stdout=out, check=True)
    return plain


def generated_upload(size: int, folder: Path) -> Path:
    """A capture of an upload of `size` bytes, of which `analyze` tells the right story."""
    capture = folder / f"upload-{size // 10**6}MB.pcap"
    with capture.open("wb") as out:
        upload = write_upload(out, size)
    done = subprocess.run(
        [sys.executable, "-m", "glancetrace", "analyze", str(capture), "--format", "json"],
        capture_output=True,
        check=True,
    )
    check_story(json.loads(done.stdout), upload)
    return capture


def render(speeds: Sequence[Speed]) -> str:
    """A table for people."""
    rows = [f"{'capture':<24} {'tshark':>8} {'analyze':>8} {'ratio':>6} {'json':>8} {'ratio':>6}"]
    for s in speeds:
        analyze = f"{s.text:>6.2f} s {s.text_ratio:>6.1f} {s.json:>6.2f} s {s.json_ratio:>6.1f}"
        rows.append(f"{s.capture:<24} {s.reference:>6.2f} s {analyze}")
    return "\n".join(rows)


def report(runs: int = 5) -> None:
    """Print the figures of both captures of the project."""
    with tempfile.TemporaryDirectory(prefix="glancetrace-bench-") as name:
        folder = Path(name)
        sample = unpacked_sample("concurrent-16", folder)
        speeds = [measure_speed(sample, runs, uploads=uploads) for uploads in (False, True)]
        speeds.append(measure_speed(generated_upload(10**9, folder), min(3, runs), uploads=True))
        for title, write in (("sql-heavy", write_sql_heavy), ("unwanted", write_unwanted)):
            capture = folder / f"{title}.pcap"
            with capture.open("wb") as out:
                write(out, 10**6)
            speeds.append(measure_speed(capture, min(3, runs), uploads=False))
    print(render(speeds))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.speed", description=__doc__)
    parser.add_argument("captures", type=Path, nargs="*", help="uncompressed captures")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--uploads", action="store_true", help="the captures hold large bodies")
    options = parser.parse_args()
    if not options.captures:
        report(options.runs)
        return
    print(render([measure_speed(capture, options.runs, uploads=options.uploads) for capture in options.captures]))


if __name__ == "__main__":
    main()
