"""Peak anonymous memory and time of `glancetrace analyze -` while a capture that is nearly all SQL comes by a pipe.

`python -m tests.bench.sql_memory [PACKETS ...]`: 1 and 10 million packets unless said otherwise; the larger has more
statements than memory should hold. The capture is generated into the pipe and never stands on a disk. CPU time is that
of the analysis alone, its children included: the generator takes as much again. That every command became a statement,
and every packet was decoded, is checked.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.memory import anonymous_memory

__all__ = ["SqlPeak", "measure", "report"]

SIZES = (10**6, 10**7)
_INTERVAL = 0.05
_STATEMENTS = re.compile(r"SQL: ([\d,]+) statements? of ")
_PACKETS = re.compile(r"packets: ([\d,]+) decoded$", re.MULTILINE)


@dataclass(frozen=True)
class SqlPeak:
    """Peak memory in bytes, time and CPU time in s, for a capture of so many packets and statements."""

    packets: int
    statements: int
    anonymous: int
    seconds: float
    cpu: float


def measure(packets: int) -> SqlPeak:
    """Generate about so many packets into `glancetrace analyze -` and watch it."""
    with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as result:
        started = time.monotonic()
        generating = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.sql_heavy", str(packets)], stdout=subprocess.PIPE, stderr=told
        )
        analysing = subprocess.Popen(
            [sys.executable, "-m", "glancetrace", "analyze", "-", "--no-progress"],
            stdin=generating.stdout,
            stdout=result,
        )
        assert generating.stdout is not None
        generating.stdout.close()
        peak = status = 0
        while not (ended := os.wait4(analysing.pid, os.WNOHANG))[0]:
            peak = max(peak, anonymous_memory(analysing.pid))
            time.sleep(_INTERVAL)
        _, status, usage = ended
        analysing.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - started
        if analysing.returncode or generating.wait():
            raise RuntimeError(f"exit codes: generator {generating.wait()}, analyze {analysing.returncode}")
        told.seek(0)
        result.seek(0)
        commands = int(told.read().split()[0])
        text = result.read().decode()
    statements = sum(int(count.replace(",", "")) for count in _STATEMENTS.findall(text))
    (decoded,) = (int(count.replace(",", "")) for count in _PACKETS.findall(text))
    # Answers to handshakes are counted as commands, too.
    assert 0.99 * commands <= statements <= commands, (statements, commands)
    return SqlPeak(decoded, statements, peak, seconds, usage.ru_utime + usage.ru_stime)


def report(sizes: Sequence[int] = SIZES) -> None:
    """Print the figures for captures of about so many packets."""
    for size in sizes:
        peak = measure(size)
        print(
            f"{peak.packets:>11,} packets, {peak.statements:>9,} statements: {peak.anonymous / 1e6:6.1f} MB anonymous, "
            f"{peak.seconds:.1f} s, {peak.cpu / peak.packets * 1e6:.2f} s of CPU per million packets"
        )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sql_memory", description=__doc__)
    parser.add_argument("sizes", type=int, nargs="*", default=SIZES, metavar="PACKETS")
    report(parser.parse_args().sizes)


if __name__ == "__main__":
    main()
