"""Finding the next packet record behind damage in a pcap file.

There is no marker to look for, so a place counts as a record when its header and those that follow from it make sense:
a time close to the packets before, a fraction below one second, lengths that fit. The search looks at a window of
fixed size, so its outcome does not depend on how the file was cut into blocks.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from glancetrace.capture.columns import Columns

__all__ = ["NEAR", "RecordShape", "are_records", "find_record"]

_CHAIN = 4
"""Records in a row that have to make sense."""
NEAR = 86_400
"""Seconds between a record and the packets before it."""
_STEP = 1 << 20
_FIRST_LOOK = 2048
"""Candidates looked at first."""


@dataclass(frozen=True, slots=True)
class RecordShape:
    """What records of a file look like: byte order, ns per unit of the fraction, header length, longest packet."""

    order: str
    unit: int
    header_len: int
    longest: int

    @property
    def step(self) -> int:
        """Bytes of candidates that one search looks at."""
        return _STEP

    @property
    def window(self) -> int:
        """Bytes that a search needs to judge all candidates."""
        return _STEP + _CHAIN * (self.longest + self.header_len)


def _makes_sense(header: tuple[int, int, int, int], shape: RecordShape, near: int) -> bool:
    seconds, _fraction, captured, original = header
    return _is_possible(header, shape) and abs(seconds - near) <= NEAR and 0 < captured <= original


def _is_possible(header: tuple[int, int, int, int], shape: RecordShape) -> bool:
    _seconds, fraction, captured, original = header
    return fraction * shape.unit < 1_000_000_000 and captured <= shape.longest and original <= 2 * shape.longest


def are_records(data: bytes, position: int, shape: RecordShape) -> bool:
    """Whether the next `_CHAIN` record headers from `position` on are possible ones, as far as `data` goes."""
    fields = struct.Struct(shape.order + "IIII")
    for _ in range(_CHAIN):
        if position + shape.header_len > len(data):
            return True
        header = fields.unpack_from(data, position)
        if not _is_possible(header, shape):
            return False
        position += shape.header_len + header[2]
    return True


def _chain_holds(data: bytes, position: int, shape: RecordShape, at_end: bool) -> bool:
    """Whether `_CHAIN` records follow each other from `position` on, or at least two up to the end of the file."""
    fields = struct.Struct(shape.order + "IIII")
    near = fields.unpack_from(data, position)[0]
    for count in range(_CHAIN):
        if position + shape.header_len > len(data):
            return at_end and (count >= 2 or position == len(data))
        header = fields.unpack_from(data, position)
        if not _makes_sense(header, shape, near):
            return False
        position += shape.header_len + header[2]
    return True


def find_record(data: bytes, position: int, shape: RecordShape, last_ts: int | None, *, at_end: bool) -> int | None:
    """The first record at or behind `position` and before `position + shape.step`; None if there is none.

    `last_ts` (ns) is the time of the last good packet, if any; `at_end`: nothing follows `data`.
    """
    stop = min(position + shape.step, len(data) - shape.header_len + 1)
    columns = Columns(data, shape.order)
    reach = _FIRST_LOOK
    while position < stop:  # the next record is nearly always close: look there before at all candidates
        end = min(position + reach, stop)
        found = _find_between(data, columns, (position, end), shape, last_ts, at_end=at_end)
        if found is not None:
            return found
        position, reach = end, reach * 8
    return None


def _find_between(
    data: bytes, columns: Columns, candidates: tuple[int, int], shape: RecordShape, last_ts: int | None, *, at_end: bool
) -> int | None:
    """The first record that begins in the range `candidates`."""
    at = np.arange(*candidates, dtype=np.int64)
    captured = columns.u32(at + 8)
    original = columns.u32(at + 12)
    possible = (captured > 0) & (captured <= shape.longest) & (captured <= original) & (original <= 2 * shape.longest)
    possible &= columns.u32(at + 4) * shape.unit < 1_000_000_000
    if last_ts is not None:
        possible &= np.abs(columns.u32(at) - last_ts // 1_000_000_000) <= NEAR
    for candidate in at[possible].tolist():
        if _chain_holds(data, candidate, shape, at_end):
            return int(candidate)
    return None
