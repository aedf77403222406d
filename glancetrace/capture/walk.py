"""From record to record of a pcap file, many at a time.

Where a record begins is known only from the one before it, so a walk is a loop, the only one over single packets. To
have numpy take many steps at once, a block is walked from many places at the same time. These are guesses: a record
begins with its time, so somewhere behind each of evenly spaced offsets the seconds of the block's packets are looked
for. A guess counts only if the walk from the place before it, of which the first is known, arrives there exactly. So
what comes out is what the loop alone would give, whatever the bytes are; where guesses were wrong, the loop fills in.
"""

from __future__ import annotations

import struct

import numpy as np

from glancetrace.capture.blocks import Int64Array

__all__ = ["RecordWalk"]

_MEASURED = 64
"""Records that are walked first, to learn how long they are."""
_STEPS = 64
"""Records between two guesses, about."""
_MOST_STEPS = 96
_REACH = 8
"""A guess is looked for within so many usual records."""
_FEWEST = 8
_LONGEST_PAUSE = 64
_TIME_LEN = 4
_CAPTURED = 8
"""Offset of the captured length in a record header."""


class RecordWalk:
    """Walks the records of one file, whose byte order is `order` ("<" or ">") and whose record headers have
    `header_len` bytes."""

    __slots__ = ("_blocks_to_wait", "_captured", "_header_len", "_order", "_pause")

    def __init__(self, order: str, header_len: int) -> None:
        self._order = order
        self._header_len = header_len
        self._captured = struct.Struct(f"{order}{_CAPTURED}xI{header_len - _CAPTURED - 4}x").unpack_from
        self._pause = 1
        self._blocks_to_wait = 0

    def walk(self, data: bytes, position: int) -> tuple[Int64Array, int]:
        """Where the records from `position` on begin whose headers lie in `data`, and where the next one would."""
        measured, position = self._loop(data, position, len(data), _MEASURED)
        parts = [np.array(measured, np.int64)]
        if self._blocks_to_wait:
            self._blocks_to_wait -= 1
        elif len(measured) == _MEASURED and position <= len(data) - self._header_len:
            usual = (position - measured[0]) // _MEASURED
            wanted = (len(data) - position) // (usual * _STEPS)
            if wanted >= _FEWEST:
                guesses = self._guess(data, position, usual)
                position, right = self._join(data, np.array(guesses, np.int64), parts)
                self._take_stock(right, wanted)
        rest, position = self._loop(data, position, len(data), len(data))
        parts.append(np.array(rest, np.int64))
        return np.concatenate(parts), position

    def _loop(self, data: bytes, position: int, stop: int, most: int) -> tuple[list[int], int]:
        """At most so many records, one by one, up to `stop` or the end of the data."""
        starts: list[int] = []
        append = starts.append
        header_len, captured = self._header_len, self._captured
        try:
            while position < stop and len(starts) < most:
                length = captured(data, position)[0]
                append(position)
                position += header_len + length
        except struct.error:  # the buffer ends in a header, or before it
            pass
        return starts, position

    def _guess(self, data: bytes, position: int, usual: int) -> list[int]:
        """Places where records may begin, `position` being one where one does."""
        order = self._order + "I"
        find = data.find
        step, reach = usual * _STEPS, usual * _REACH + _TIME_LEN
        seconds = struct.unpack_from(order, data, position)[0]
        now = struct.pack(order, seconds)
        guesses = [position]
        for offset in range(position + step, len(data) - step, step):
            found = find(now, offset, offset + reach)
            if found < 0:
                later = struct.pack(order, seconds + 1 & 0xFFFFFFFF)
                found = find(later, offset, offset + reach)
                if found < 0:
                    continue
                seconds, now = seconds + 1, later
            guesses.append(found)
        return guesses

    def _join(self, data: bytes, guesses: Int64Array, parts: list[Int64Array]) -> tuple[int, int]:
        """Walk from all guesses but the last at once and put together what fits, into `parts`; where it goes on, and
        from how many guesses the next one was met."""
        last = len(guesses) - 2
        if last < 0:
            return int(guesses[0]), 0
        chains, ends, arrived = self._walk_all(data, guesses)
        fits = arrived == guesses[1:]
        right = int(fits.sum())
        number = 0
        while True:
            # As many as follow each other exactly are right; behind them the loop goes on to the next right guess.
            wrong = np.flatnonzero(~fits[number:])
            upto = number + int(wrong[0]) if len(wrong) else last
            parts.append(chains[ends[number] : ends[upto + 1]])
            position = int(arrived[upto])
            number = upto + 1
            while number <= last and position != guesses[number]:
                stop = int(guesses[number])
                if position > stop:
                    number += 1
                    continue
                filled, position = self._loop(data, position, stop, len(data))
                parts.append(np.array(filled, np.int64))
            if number > last:
                return position, right

    def _walk_all(self, data: bytes, guesses: Int64Array) -> tuple[Int64Array, Int64Array, Int64Array]:
        """Places from each guess but the last up to the next one, guess by guess; where each of them begins; where it
        arrived."""
        captured = np.ndarray((len(data) - _CAPTURED - 3,), f"{self._order}u4", data, _CAPTURED, (1,))
        last = len(captured) - 1
        walked = np.empty((_MOST_STEPS + 1, len(guesses) - 1), np.int64)
        walked[0] = guesses[:-1]
        within = True
        for step in range(_MOST_STEPS):
            here, there = walked[step], walked[step + 1]
            if within:
                try:
                    np.add(here, captured[here], out=there)
                except IndexError:  # a wrong guess leads anywhere, one close to the end beyond it
                    within = False
            if not within:
                np.add(here, captured[np.minimum(here, last)], out=there)
            there += self._header_len
        before = (walked < guesses[1:]).T
        counts = np.minimum(before.sum(axis=1), _MOST_STEPS)
        before[:, _MOST_STEPS] = False
        ends = np.append(0, np.cumsum(counts))
        return walked.T[before], ends, walked[counts, np.arange(len(guesses) - 1)]

    def _take_stock(self, right: int, wanted: int) -> None:
        """Where hardly any guess was right, guess again only after some blocks, after more of them each time."""
        if 2 * right >= wanted:
            self._pause = 1
        else:
            self._blocks_to_wait = self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
