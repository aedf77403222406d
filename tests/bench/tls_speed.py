"""`python -m tests.bench.tls_speed [BYTES]`: an upload over TLS 1.3 with its key log, as a ratio to tshark; memory.

tshark gets the same key log and may leave bodies and their chunks unassembled (`http.desegment_body`,
`http.dechunk_body`), with which its time grows with the square of the body. It has to reassemble TCP, or it would
decrypt no record that is longer than a packet; that it has decrypted the requests to the last one is checked. Both read
a file; for the memory the capture comes through a pipe and the key log grows.
"""

from __future__ import annotations

import argparse
import compileall
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.memory import check_story, measure_memory
from tests.bench.speed import time_command
from tests.bench.tls_upload import write_tls_upload

__all__ = ["report"]

_PACKAGE = Path(__file__).resolve().parents[2] / "glancetrace"
_SUITES = ("TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")


def _reference(capture: Path, keylog: Path) -> list[str]:
    options = ["-o", f"tls.keylog_file:{keylog}", "-o", "http.desegment_body:FALSE", "-o", "http.dechunk_body:FALSE"]
    decode_as = ["-d", "tcp.port==13000,tls", "-d", "tcp.port==13292,tls"]
    fields = ["-T", "fields", "-e", "frame.number", "-e", "mysql.query", "-e", "http.request.uri"]
    return ["tshark", "-r", str(capture), *options, *decode_as, "-Y", "http or mysql", *fields]


def _measure(suite: str, size: int, runs: int, folder: Path) -> str:
    capture, keylog = folder / "upload.pcap", folder / "keys.txt"
    with capture.open("wb") as out:
        upload = write_tls_upload(out, keylog, size, suite)
    analyze = [sys.executable, "-m", "glancetrace", "analyze", str(capture), "--keylog", str(keylog)]
    done = subprocess.run([*analyze, "--format", "json"], capture_output=True, check=True)
    check_story(json.loads(done.stdout), upload)
    commands = {"tshark": _reference(capture, keylog), "analyze": analyze}
    told = subprocess.run(commands["tshark"], capture_output=True, check=True).stdout
    assert f"/v2/images/{upload.image_id}/file".encode() in told
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            times[name].append(time_command(command))
    reference, ours = (statistics.median(times[name]) for name in commands)
    return f"{suite:<30} {reference:>6.2f} s {ours:>6.2f} s {reference / ours:>6.1f}"


def report(size: int = 500_000_000, runs: int = 3) -> None:
    """Print the figures."""
    compileall.compile_dir(_PACKAGE, quiet=1)
    print(f"{'upload over TLS 1.3':<30} {'tshark':>8} {'analyze':>8} {'ratio':>6}")
    with tempfile.TemporaryDirectory(prefix="glancetrace-bench-") as name:
        for suite in _SUITES:
            print(_measure(suite, size, runs, Path(name)), flush=True)
        for factor in (1, 4):
            peak = measure_memory(size * factor, Path(name) / f"keys-{factor}.txt")
            print(f"{peak.size:>14,} bytes uploaded: {peak.anonymous / 1e6:7.1f} MB anonymous", flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.tls_speed", description=__doc__)
    parser.add_argument("size", type=int, nargs="?", default=500_000_000, help="bytes of the upload's body")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    report(options.size, options.runs)


if __name__ == "__main__":
    main()
