"""Which packets of a capture are wanted: by frame number and by time, as editcap has it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from glancetrace.capture.blocks import Int64Array, PacketBlock
from glancetrace.errors import UsageError

__all__ = ["Frames", "PacketSelection", "in_frames", "merge_frames", "parse_frames"]

Frames = tuple[tuple[int, int], ...]
"""Ranges of frame numbers, first and last, ascending, not touching."""


def merge_frames(ranges: Iterable[tuple[int, int]]) -> Frames:
    """Ranges in order, those that overlap or touch as one."""
    merged: list[list[int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1][1] = max(merged[-1][1], last)
        else:
            merged.append([first, last])
    return tuple((first, last) for first, last in merged)


def parse_frames(texts: Iterable[str]) -> Frames:
    """`7`, `7-12`, `7-` (to the end).

    Raises:
        UsageError: a text is none of these.
    """
    ranges = []
    for text in texts:
        first, dash, last = text.partition("-")
        numbers = [part for part in (first, last) if part]
        if not first or not all(part.isascii() and part.isdigit() for part in numbers):
            raise UsageError(f"{text!r} is no range of frames", action="as in 7, 7-12 or 7- (to the end)")
        end = int(last) if last else (1 << 62 if dash else int(first))
        if not 0 < int(first) <= end:
            raise UsageError(f"{text!r} is no range of frames", action="frames count from 1, and upwards")
        ranges.append((int(first), end))
    return merge_frames(ranges)


def in_frames(frames: Frames, numbers: Int64Array) -> npt.NDArray[np.bool_]:
    """bool[n]: the frame number lies in one of the ranges."""
    if not frames:
        return np.zeros(len(numbers), bool)
    firsts = np.array([first for first, _ in frames], np.int64)
    lasts = np.array([last for _, last in frames], np.int64)
    at = np.searchsorted(firsts, numbers, side="right") - 1
    return (at >= 0) & (numbers <= lasts[at])


@dataclass(frozen=True, slots=True)
class PacketSelection:
    """What is wanted; the default is everything.

    Attributes:
        frames: dropped, or the only ones kept if `keep`. since, until: ns; from `since` on, before `until`.
    """

    frames: Frames = ()
    keep: bool = False
    since: int | None = None
    until: int | None = None

    def rows(self, block: PacketBlock) -> Int64Array:
        """Rows of a block that are wanted, ascending."""
        wanted = np.ones(len(block), bool)
        if self.frames or self.keep:
            numbers = block.first_frame + np.arange(len(block), dtype=np.int64)
            wanted = in_frames(self.frames, numbers) == self.keep
        if self.since is not None:
            wanted &= block.ts >= self.since
        if self.until is not None:
            wanted &= block.ts < self.until
        return np.flatnonzero(wanted)
