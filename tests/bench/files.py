"""How fast `split` and `info` are on a generated upload of 1 GB, beside `cp`, editcap and capinfos.

`python -m tests.bench.files [--folder DIR]`: in /dev/shm, where the disk does not count, unless said otherwise. Whole
commands in turns, medians.
"""

from __future__ import annotations

import argparse
import compileall
import statistics
import sys
import tempfile
from pathlib import Path

from tests.bench.speed import PACKAGE, time_command
from tests.bench.upload import write_upload

__all__ = ["report"]

_SIZE = 10**9


def measure(capture: Path, folder: Path, runs: int) -> dict[str, float]:
    """Name of a command -> seconds."""
    ours = [sys.executable, "-m", "glancetrace"]
    commands = {
        "cp": ["cp", str(capture), str(folder / "copy.pcap")],
        "editcap -c 5000": ["editcap", "-F", "pcap", "-c", "5000", str(capture), str(folder / "piece.pcap")],
        "split -c 5000": [*ours, "split", "-c", "5000", str(capture), str(folder / "piece.pcap")],
        "capinfos -c -u": ["capinfos", "-c", "-u", str(capture)],
        "capinfos": ["capinfos", str(capture)],
        "info": [*ours, "info", str(capture)],
    }
    compileall.compile_dir(PACKAGE, quiet=1)
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            for old in folder.iterdir():
                old.unlink()
            times[name].append(time_command(command))
    return {name: statistics.median(taken) for name, taken in times.items()}


def report(runs: int = 5, where: str = "/dev/shm") -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory(prefix="glancetrace-bench-", dir=where) as name:
        capture, pieces = Path(name) / "upload.pcap", Path(name) / "pieces"
        pieces.mkdir()
        with capture.open("wb") as out:
            write_upload(out, _SIZE)
        times = measure(capture, pieces, runs)
    print(f"{'1 GB of full-size packets':<26} {'time':>8} {'times cp':>9}")
    for command, seconds in times.items():
        print(f"{command:<26} {seconds:>6.2f} s {seconds / times['cp']:>9.2f}")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.files", description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", default="/dev/shm")
    options = parser.parse_args()
    report(options.runs, options.folder)


if __name__ == "__main__":
    main()
