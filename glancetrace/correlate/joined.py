"""Groups of what belongs together, directly or not (union-find): the lowest member stands for all."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["Joined"]


class Joined:
    """Numbers in groups; at first each is a group of its own."""

    __slots__ = ("_parent",)

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}

    def find(self, one: int) -> int:
        """The lowest number of the group that one is in."""
        parent = self._parent
        parent.setdefault(one, one)
        while parent[one] != one:
            parent[one] = one = parent[parent[one]]
        return one

    def join(self, together: Iterable[int]) -> None:
        """The groups of these numbers become one."""
        found = [self.find(one) for one in together]
        lowest = min(found, default=0)
        for one in found:
            self._parent[one] = lowest

    def members(self) -> dict[int, int]:
        """Every number that was asked for or joined -> the lowest of its group."""
        return {one: self.find(one) for one in sorted(self._parent)}
