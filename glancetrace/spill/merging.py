"""Blocks of rows, each in order, become all rows in order, with few of them in memory at a time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

__all__ = ["merge_blocks"]

Row = TypeVar("Row")


def merge_blocks(
    blocks: Sequence[tuple[Any, Callable[[], Iterable[Row]]]], key: Callable[[Row], Any]
) -> Iterator[list[Row]]:
    """All rows in the order of `key`, some at a time.

    Args:
        blocks: the key of the first row of each, and what reads it.
    """
    blocks = sorted(blocks, key=lambda block: block[0])
    held: list[Row] = []
    for number, (_, read) in enumerate(blocks):
        mixed = bool(held)
        held += read()
        if mixed:
            held.sort(key=key)
        ready = len(held)
        if number + 1 < len(blocks):
            ready = bisect_left(held, blocks[number + 1][0], key=key)
        if ready:
            yield held[:ready]
            del held[:ready]
