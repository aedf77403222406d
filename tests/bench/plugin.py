"""What the pytest plugin adds to a run that does not use it, beside the same run with the plugin disabled.

`python -m tests.bench.plugin [--runs N]`: an environment of its own gets glancetrace without its dependencies, and the
pytest of this one; runs alternate, the order within a pair too. CPU time counts, and of the pairs' differences the
median: other work on the host, and the clock of its cores, add to some of the runs.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["measure", "report"]

_ROOT = Path(__file__).resolve().parents[2]


def _install(folder: Path) -> dict[str, str]:
    """Metadata of an installed glancetrace, so that pytest finds its entry point; the environment to use it in."""
    info = folder / "glancetrace-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: glancetrace\nVersion: 0\n")
    (info / "entry_points.txt").write_text("[pytest11]\nglancetrace = glancetrace.pytest_plugin\n")
    files = sorted(path.relative_to(_ROOT) for path in (_ROOT / "glancetrace").rglob("*.py"))
    (info / "RECORD").write_text("".join(f"{path},,\n" for path in files))
    environment = {
        **os.environ,
        "PYTHONPATH": f"{folder}{os.pathsep}{_ROOT}",
        "PYTHONPYCACHEPREFIX": str(folder / "pyc"),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # pytest would rewrite the plugin's assertions in every run
    return environment


def _cpu(command: list[str], environment: dict[str, str], cwd: Path) -> float:
    """CPU seconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=cwd, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(runs: int) -> tuple[float, float]:
    """CPU seconds with `-p no:glancetrace` (median), and what the plugin adds to that (median of the differences)."""
    with tempfile.TemporaryDirectory(prefix="glancetrace-bench-") as name:
        folder = Path(name)
        environment = _install(folder)
        tests = folder / "tests"
        tests.mkdir()
        (tests / "test_other.py").write_text("def test_nothing():\n    pass\n")
        idle = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        disabled = [*idle, "-p", "no:glancetrace"]
        without, added = [], []
        for number in range(runs + 1):
            first, second = (idle, disabled) if number % 2 else (disabled, idle)
            taken = {len(command): _cpu(command, environment, tests) for command in (first, second)}
            if number:  # the first pair writes byte code
                without.append(taken[len(disabled)])
                added.append(taken[len(idle)] - taken[len(disabled)])
    return statistics.median(without), statistics.median(added)


def report(runs: int = 40) -> None:
    """Print the figures."""
    without, added = measure(runs)
    print(f"pytest with the plugin disabled {without * 1000:.1f} ms of CPU; idle it adds {added * 1000:+.1f} ms")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.plugin", description=__doc__)
    parser.add_argument("--runs", type=int, default=40)
    report(parser.parse_args().runs)


if __name__ == "__main__":
    main()
