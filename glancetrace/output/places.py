"""Where something stands in the capture, in the words that find it in Wireshark.

With one input file a frame is Wireshark's frame.number; with several it is `file:frame`, the frame counted in that
file. Captures of the same time are merged: there a frame is its position in what `mergecap` makes of them.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Sequence

from glancetrace.output.clean import clean
from glancetrace.trace import CapturedFile

__all__ = ["Places"]


class Places:
    """Names frames of one input."""

    def __init__(self, files: Sequence[CapturedFile]) -> None:
        files = sorted((file for file in files if file.packets), key=lambda file: file.first_frame)
        self._starts = [file.first_frame for file in files]
        ends = [file.first_frame + file.packets for file in files]
        self._by_file = len(files) > 1 and self._starts[1:] == ends[:-1]
        base = [clean(os.path.basename(file.name)) for file in files]
        whole = [clean(file.name) for file in files]
        self._names = base if len(set(base)) == len(base) else whole

    def frame(self, frame: int | None) -> str:
        """`123`, or `file:123`; `-` for none (None or 0)."""
        if not frame:
            return "-"
        if not self._by_file:
            return str(frame)
        index = max(bisect_right(self._starts, frame) - 1, 0)
        return f"{self._names[index]}:{frame - self._starts[index] + 1}"

    def span(self, first: int | None, last: int | None) -> str:
        """`123-130`, or `file:123-130`, or `one:123-other:7` across files."""
        start, end = self.frame(first), self.frame(last)
        if first == last or last is None:
            return start
        name, _, number = end.rpartition(":")
        return f"{start}-{number if start.rpartition(':')[0] == name else end}"

    def several(self, frames: Sequence[int], most: int = 5) -> str:
        """`12, 15, 18`, the rest counted."""
        named = [self.frame(frame) for frame in frames[:most]]
        if len(frames) > most:
            named.append(f"and {len(frames) - most} more")
        return ", ".join(named)
