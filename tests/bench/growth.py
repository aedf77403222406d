"""How the cost of attribution grows: `python -m tests.bench.growth [CAPTURE ...]`.

Each capture is analysed as it is, then twice and four times in a row, every time with connections and ids of its own.
One line per length: statements, seconds of processor time that attribution took, seconds per 100 000 statements, and
how many times the time of the length before; doubling a capture should cost little more than twice the time.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path

from tests.bench.attribution import analyze_timed
from tests.support.rewrite import Segment, read_segments, write_segments
from tests.support.samples import capture_path

__all__ = ["repeated"]

_SAMPLES = ("concurrent-16", "mixed-64", "failures")
_LENGTHS = (1, 2, 4)
_PAUSE = 10**9
_ID = re.compile(rb"[0-9a-f]{2}([0-9a-f]{6}-[0-9a-f]{4}-[0-9a-f]{4}-)")


def repeated(segments: list[Segment], times: int) -> list[Segment]:
    """Packets, and the same again a second after their end, of other clients and about other images."""
    lasts = max(one.ts for one in segments) - min(one.ts for one in segments) + _PAUSE
    found = list(segments)
    for number in range(1, times):
        new_id = b"%02x\\1" % number
        for one in segments:
            address, port = one.client
            server = one.destination if one.source == one.client else one.source
            moved = one.later(number * lasts).between((f"10.0.{number}.{address.rsplit('.', 1)[1]}", port), server)
            found.append(Segment(moved.ts, moved.source, moved.destination, _ID.sub(new_id, moved.frame)))
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.growth", description=__doc__)
    parser.add_argument("captures", type=Path, nargs="*", default=[capture_path(name) for name in _SAMPLES])
    for capture in parser.parse_args().captures:
        segments = read_segments(capture)
        before = 0.0
        for times in _LENGTHS:
            with tempfile.TemporaryDirectory() as place:
                trace, seconds = analyze_timed(write_segments(repeated(segments, times), Path(place) / "longer.pcap"))
            count = len(trace.tables.statements)
            growth = f"{seconds / before:.2f} times" if before else ""
            name = capture.name.split(".")[0]
            rate = seconds * 1e5 / max(1, count)
            print(
                f"{name:24.24} x {times}  {count:>9,} statements  {seconds:7.2f} s  {rate:6.2f} s/100k  {growth}",
                flush=True,
            )
            before = seconds


if __name__ == "__main__":
    main()
