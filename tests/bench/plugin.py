"""What the pytest plugin adds to a run that does not use it, beside the same run with the plugin disabled.

`python -m tests.bench.plugin [--pairs N]`: in an environment of its own, which has glancetrace without its dependencies
and the pytest of this one, a process imports pytest and all that a run of it needs but the plugin. Then it forks
children that run pytest over one test, by turns as it is and with `-p no:glancetrace`, the order within a pair turning,
too. What they differ in is the plugin alone: importing it, with whatever else that imports, and its hooks. What both
have in common, which varies by more than that, is as small as it gets: start-up is left out, and memory that Python has
set up already is shared.

CPU time of the children counts, as the system tells it. The figure is the median of the pairs' differences; the
quartiles say how far single pairs are from it, and the interval, of 95 % by bootstrap, how sure the median is.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Cost", "measure", "report"]

_ROOT = Path(__file__).resolve().parents[2]
_IDLE = ("-q", "-p", "no:cacheprovider")
_DISABLED = (*_IDLE, "-p", "no:glancetrace")
_RESAMPLES = 2000


@dataclass(frozen=True)
class Cost:
    """Milliseconds of CPU.

    `without`: a run with the plugin disabled (median). added: what the idle plugin adds to it (median of the pairs);
    quartiles: of the pairs; interval: where the median is, by 95 %.
    """

    without: float
    added: float
    quartiles: tuple[float, float]
    interval: tuple[float, float]


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


def _child(arguments: Sequence[str]) -> float:
    """CPU milliseconds of a forked child that runs pytest."""
    import pytest

    pid = os.fork()
    if not pid:
        os._exit(pytest.main(list(arguments)))
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"pytest failed: {status}")
    return (usage.ru_utime + usage.ru_stime) * 1000


def _compare(pairs: int) -> list[tuple[float, float]]:
    """CPU milliseconds with the plugin disabled and idle, pair by pair; in the process that children are forked of."""
    import pytest

    if pytest.main(list(_DISABLED)):
        raise SystemExit("pytest failed")
    if any(name.partition(".")[0] == "glancetrace" for name in sys.modules):
        raise SystemExit("the plugin is imported already")
    _child(_IDLE)  # writes the byte code
    gc.collect()
    gc.freeze()
    taken: list[tuple[float, float]] = []
    for number in range(pairs):
        if number % 2:
            idle = _child(_IDLE)
            taken.append((_child(_DISABLED), idle))
        else:
            taken.append((_child(_DISABLED), _child(_IDLE)))
    return taken


def measure(pairs: int) -> Cost:
    """Compare so many pairs of runs."""
    with tempfile.TemporaryDirectory(prefix="glancetrace-bench-") as name:
        folder = Path(name)
        environment = _install(folder)
        project = folder / "project"
        project.mkdir()
        (project / "test_other.py").write_text("def test_nothing():\n    pass\n")
        result = folder / "pairs.json"
        command = [sys.executable, "-m", __spec__.name, "--pairs", str(pairs), "--into", str(result)]
        subprocess.run(command, cwd=project, env=environment, check=True, stdout=subprocess.DEVNULL)
        taken = json.loads(result.read_text())
    added = [idle - disabled for disabled, idle in taken]
    first, median, third = statistics.quantiles(added, n=4)
    chance = random.Random(0)
    medians = sorted(statistics.median(chance.choices(added, k=len(added))) for _ in range(_RESAMPLES))
    interval = (medians[_RESAMPLES // 40], medians[-_RESAMPLES // 40])
    return Cost(statistics.median(disabled for disabled, _ in taken), median, (first, third), interval)


def report(pairs: int = 200) -> None:
    """Print the figures."""
    cost = measure(pairs)
    print(
        f"the idle plugin adds {cost.added:.2f} ms of CPU to a run of pytest "
        f"(95 %: {cost.interval[0]:.2f} to {cost.interval[1]:.2f}; "
        f"quartiles of {pairs} pairs: {cost.quartiles[0]:.2f}, {cost.quartiles[1]:.2f}; "
        f"the run itself, without start-up: {cost.without:.1f} ms)"
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.plugin", description=__doc__)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.into is None:
        report(arguments.pairs)
    else:
        arguments.into.write_text(json.dumps(_compare(arguments.pairs)))


if __name__ == "__main__":
    main()
