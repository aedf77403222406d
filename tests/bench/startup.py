"""`python -m tests.bench.startup [RUNS]`: what a start costs, over a Python that does nothing.

Medians of interleaved runs of whole processes. `import glancetrace` has names only; `import, analyze` is what the first
line of a notebook loads.
"""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

__all__ = ["STARTS", "measure_starts", "report"]

STARTS = {
    "python -c pass": ["-c", "pass"],
    "import glancetrace": ["-c", "import glancetrace"],
    "import, gt.analyze": ["-c", "import glancetrace as gt; gt.analyze"],
    "import, gt.load": ["-c", "import glancetrace as gt; gt.load"],
    "glancetrace --help": ["-m", "glancetrace", "--help"],
}
"""Name -> arguments of the interpreter; the first is the one that the others are measured against."""


def measure_starts(runs: int) -> dict[str, float]:
    """Median seconds of each start."""
    times: dict[str, list[float]] = {name: [] for name in STARTS}
    for number in range(runs + 1):
        for name, arguments in STARTS.items():
            begin = time.perf_counter()
            subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
            if number:  # the first fills the page cache
                times[name].append(time.perf_counter() - begin)
    return {name: median(own) for name, own in times.items()}


def report(runs: int = 11) -> None:
    """Print a line per start."""
    medians = measure_starts(runs)
    bare = next(iter(medians.values()))
    print("\nstart-up, seconds: whole process, and over a bare interpreter")
    for name, seconds in medians.items():
        print(f"  {name:<20} {seconds:6.3f}  {seconds - bare:+6.3f}")


if __name__ == "__main__":
    report(*map(int, sys.argv[1:]))
