"""What was read last, for it is often asked for again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["Recent"]

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """The last few values that were read.

    Args:
        size: how many are kept.
    """

    def __init__(self, size: int = 2) -> None:
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self.size = size

    def get(self, key: Key, read: Callable[[Key], Value]) -> Value:
        """The value of a key, read if it is not at hand."""
        value = self._values.pop(key, None)
        if value is None:
            while len(self._values) >= self.size:
                self._values.popitem(last=False)
            value = read(key)
        self._values[key] = value
        return value
