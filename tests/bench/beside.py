"""`python -m tests.bench.beside [NAME ...]`: what else one would do with such a capture, timed beside glancetrace.

- `hashes`: an upload of 1 GB beside md5 and sha512 of the same bytes in two threads, the least that must be done;
- `growth`: 4 GB of upload beside 1 GB, time per packet;
- `jobs`: a million packets of SQL with one process and with two, decoding alone and the whole;
- `pyshark`: MySQL commands per second, over a part of the same capture;
- `pt-query-digest`: Percona's, over tcpdump's text of 100,000 of these packets, which it needs;
- `dpkt`: a loop that takes apart a million packets that nobody wants.

Whole commands in turns, start-up included: medians, of the ratios too; what is missing on the machine is said.
"""

from __future__ import annotations

import argparse
import compileall
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.bench.speed import PACKAGE, generated_upload, time_command
from tests.bench.sql_heavy import write_sql_heavy
from tests.bench.unwanted import write_unwanted

__all__ = ["BENCHES", "report"]

_PACKETS = 10**6
_RUNS = 9
_PIECE = 2 << 20
_DPKT = """
import dpkt, sys
wanted = 0
with open(sys.argv[1], "rb") as file:
    for _, frame in dpkt.pcap.Reader(file):
        ip = dpkt.ethernet.Ethernet(frame).data
        if isinstance(ip, dpkt.ip.IP) and isinstance(ip.data, dpkt.tcp.TCP):
            wanted += bool({ip.data.sport, ip.data.dport} & {13000, 13292, 3306})
"""
_PYSHARK = """
import pyshark, sys
capture = pyshark.FileCapture(sys.argv[1], display_filter="mysql.command", keep_packets=False)
print(sum(1 for packet in capture if packet.mysql.command))
"""
_DECODE = """
import gc, sys, time
gc.disable()
from glancetrace.decode import decode
from glancetrace.options import Options
started = time.monotonic()
decoded = decode(sys.argv[1], Options(jobs=int(sys.argv[2])))
print(time.monotonic() - started)
"""


def _analyze(capture: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "glancetrace", "analyze", str(capture), *options]


def _in_turns(first: Callable[[], float], second: Callable[[], float], runs: int = _RUNS) -> tuple[float, float, float]:
    """Two things timed in turns: medians in s, and the median of the ratios of neighbours.

    A shared machine's speed drifts, which neighbours share: their ratio does not drift with it.
    """
    pairs = [(first(), second()) for _ in range(runs)]
    one, other = zip(*pairs, strict=True)
    return statistics.median(one), statistics.median(other), statistics.median(a / b for a, b in pairs)


def _timed(command: list[str]) -> Callable[[], float]:
    return lambda: time_command(command)


def _hashes(folder: Path) -> str:
    capture = generated_upload(10**9, folder)
    piece = bytes(_PIECE)
    count = 10**9 // _PIECE

    def digest(name: str) -> None:
        state = hashlib.new(name)
        for _ in range(count):
            state.update(piece)

    def alone() -> float:
        started = time.monotonic()
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(digest, ("md5", "sha512")))
        return time.monotonic() - started

    whole, least, times = _in_turns(_timed(_analyze(capture)), alone)
    return f"hashes alone {least:.2f} s, analyze {whole:.2f} s: {times:.2f} times"


def _growth(folder: Path) -> str:
    small, large = generated_upload(10**9, folder), generated_upload(4 * 10**9, folder)
    four, one, times = _in_turns(_timed(_analyze(large)), _timed(_analyze(small)))
    return f"1 GB {one:.2f} s, 4 GB {four:.2f} s: {times / 4:.3f} times per packet"


def _sql_heavy(folder: Path, packets: int = _PACKETS) -> tuple[Path, int]:
    capture = folder / f"sql-{packets}.pcap"
    with capture.open("wb") as out:
        commands = write_sql_heavy(out, packets)
    return capture, commands


def _jobs(folder: Path) -> str:
    capture, _ = _sql_heavy(folder)

    def decoding(jobs: str) -> float:
        done = subprocess.run(
            [sys.executable, "-c", _DECODE, str(capture), jobs],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # as the command line has it
        )
        return float(done.stdout)

    alone, both, times = _in_turns(lambda: decoding("1"), lambda: decoding("2"))
    one, two, less = _in_turns(*(_timed(_analyze(capture, "--jobs", jobs)) for jobs in ("1", "2")))
    decoded = f"decoding {alone:.2f} s and {both:.2f} s: {times:.2f} times"
    return f"{decoded}; whole {one:.2f} s and {two:.2f} s: {less:.2f} times"


def _pyshark(folder: Path) -> str:
    capture, commands = _sql_heavy(folder)
    part, part_commands = _sql_heavy(folder, 6000)
    theirs, ours, _ = _in_turns(_timed([sys.executable, "-c", _PYSHARK, str(part)]), _timed(_analyze(capture)), 1)
    there, here = part_commands / theirs, commands / ours
    return f"pyshark {there:,.0f} commands/s, analyze {here:,.0f}: {here / there:.0f} times"


def _pt_query_digest(folder: Path) -> str:
    if shutil.which("pt-query-digest") is None or shutil.which("tcpdump") is None:
        return "not measured: install percona-toolkit and tcpdump"
    capture, _ = _sql_heavy(folder, 100_000)
    text = folder / "tcpdump.txt"
    with text.open("wb") as out:
        reading = ["tcpdump", "-s", "65535", "-x", "-nn", "-q", "-tttt", "-r", str(capture), "port", "3306"]
        subprocess.run(reading, stdout=out, stderr=subprocess.DEVNULL, check=True)
    digesting = ["pt-query-digest", "--type", "tcpdump", str(text)]
    theirs, ours, times = _in_turns(_timed(digesting), _timed(_analyze(capture)))
    return f"pt-query-digest {theirs:.2f} s, analyze {ours:.2f} s: {times:.1f} times"


def _dpkt(folder: Path) -> str:
    capture = folder / "unwanted.pcap"
    with capture.open("wb") as out:
        write_unwanted(out, _PACKETS)
    theirs, ours, times = _in_turns(_timed([sys.executable, "-c", _DPKT, str(capture)]), _timed(_analyze(capture)))
    return f"dpkt {theirs:.2f} s, analyze {ours:.2f} s: {times:.1f} times"


BENCHES: Mapping[str, Callable[[Path], str]] = {
    "hashes": _hashes,
    "growth": _growth,
    "jobs": _jobs,
    "pyshark": _pyshark,
    "pt-query-digest": _pt_query_digest,
    "dpkt": _dpkt,
}


def report(names: list[str] | None = None) -> None:
    """Print the figures."""
    compileall.compile_dir(PACKAGE, quiet=1)
    for name in names or list(BENCHES):
        with tempfile.TemporaryDirectory(prefix="glancetrace-bench-") as folder:
            print(f"{name:<16} {BENCHES[name](Path(folder))}", flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.beside", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHES))
    report(parser.parse_args().names)


if __name__ == "__main__":
    main()
